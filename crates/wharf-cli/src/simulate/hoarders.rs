//! Clients that send much at once and read nothing for a while: what their sessions hold meanwhile is not
//! held at the expense of others, and goes on when they read again.

use std::time::Duration;

use wharf::{Ledger, Time};

use super::calm::TURN;
use super::client::{Habits, Mood};
use super::run::{Checked, Simulation, violated};

const HOARDERS: u8 = 3;
/// How long nothing is read: a session gets a hundred turns.
const DEAF_FOR: Duration = Duration::from_millis(10);
/// After how long nothing moves any more. No deadline of a plan is as short.
const ALL_IS_STILL: Duration = Duration::from_millis(150);
/// Receives that are done well before.
const RECEIVES: usize = 300;
const HOARD_MAX: usize = 160 << 10;
/// A listener rests no longer than this when it cannot accept, and a little.
const LISTENER_RESTS: Duration = Duration::from_millis(1_100);

impl Simulation {
    /// Lets some clients send without reading until nothing moves, and then read.
    pub(super) fn hold_out(&mut self, patience: Duration) -> Checked {
        // A listener that rests for want of descriptors has to notice that there are some again.
        self.network.advance_by(LISTENER_RESTS);
        self.go_round(Mood::AsItLikes)?;
        let (said_max, bytes) = (self.plan.said_max(), self.hoard_bytes());
        let overhead = self.plan.wire.overhead();
        for host in 0..HOARDERS {
            let habits = Habits::hoarder(&mut self.dice, said_max, overhead, bytes);
            // Each from a host of its own: the limit for one address is not meant here.
            self.connect(80 + host, habits);
        }
        let began = self.network.now();
        self.be_deaf_until(began + DEAF_FOR)?;
        while let Some(ledger) = self.with_buffers_on_loan() {
            if self.network.now() > began + ALL_IS_STILL {
                return violated("I4", format!("slow sessions keep buffers: {ledger:?}"));
            }
            self.be_deaf_until(self.network.now() + TURN)?;
        }
        self.mark("buffers back from slow sessions");
        let handle = self.server.handle();
        self.go_on("hoarders go", Mood::Finishing, patience, |run| {
            run.clients.is_empty() && handle.sessions() == 0
        })
    }

    /// What a hoarder sends: more than windows and queue hold, and no more than can be received by the
    /// time that everything is still, with one receive in each turn.
    fn hoard_bytes(&self) -> usize {
        let buffer = usize::try_from(self.plan.buffer_bytes).unwrap_or(usize::MAX);
        let filling = 4 * self.plan.backlog_window + 2 * self.plan.limits.send_bytes_max;
        filling.min(RECEIVES * buffer).min(HOARD_MAX)
    }

    fn be_deaf_until(&mut self, until: Time) -> Checked {
        while self.network.now() < until {
            self.go_round(Mood::Deaf)?;
            self.network.advance_by(TURN);
        }
        Ok(())
    }

    /// Some worker that has lent receive buffers.
    fn with_buffers_on_loan(&self) -> Option<Ledger> {
        let views = (0..self.plan.workers).filter_map(|worker| self.server.worker(worker));
        views.map(|view| view.ledger).find(|ledger| ledger.leased > 0)
    }
}
