//! More is queued than all sessions together may have: load is shed in the order that docs/overload.md
//! tells, and the ceiling holds.

use wharf::{CloseReason, Limits, SendLimits, SessionId};

use super::calm::{PATIENCE, TURN};
use super::client::{Habits, Mood};
use super::record::{Book, ClientNumber};
use super::run::{Checked, Simulation, violated};

/// Clients that say nothing.
const SILENT: u8 = 4;
/// Clients that have much sent to them and read nothing, some more than others.
const GREEDY: u8 = 8;
/// What these are sent by one round, at least.
const ROUND_BYTES: usize = 20_000;
const BURST_FRAMES: usize = super::service::BURST_FRAMES;
/// Rounds within which the ceiling is reached, and more.
const ROUNDS_MAX: u32 = 150;
/// Sessions that are closed for being the fullest before that is enough.
const CLOSED_ENOUGH: usize = 3;
/// By how much a session may seem fuller than one that was closed: what it was sent while that one's end
/// was on its way.
const FULLER: usize = 120_000;
/// Turns of a worker within which it has closed who said nothing.
const SHED_WITHIN: u32 = 8;

/// What all sessions together may have queued in a seed that has this.
pub(super) const CEILING: usize = Limits::SEND_TOTAL_MIN;
/// What a session may have queued that was asked to.
const WIDE: usize = 2 * CEILING;
/// By how much what is counted may lag behind.
const LAG: usize = CEILING / 16;

/// What is known while the total is near its ceiling.
#[derive(Debug)]
pub(super) struct Overload {
    /// What was queued before this turn.
    total: usize,
    /// The most that may have been queued: within a turn it is more than before and after it, if the
    /// fullest are closed in the same turn.
    peak: usize,
    /// By worker: what was queued in its last turn.
    gross: Vec<usize>,
    /// Who was closed for being the fullest. Others that are closed in the same turn end a little later, so
    /// these are compared with those who are left when some rounds have passed.
    closed: Vec<ClientNumber>,
    seen: usize,
    compared: usize,
}

const fn percent(percent: usize) -> usize {
    CEILING / 100 * percent
}

impl Book {
    /// The limits of a session that asks for room, while this goes on.
    pub(super) fn wide_limits(&self) -> Option<SendLimits> {
        self.load.as_ref()?;
        let slow_reader = self.limits.slow_reader;
        Some(SendLimits { bytes_max: WIDE, frames_max: 1 << 16, slow_reader })
    }

    /// A session is made; a listener's worker makes its own as it accepts them.
    pub(super) fn connected_under_load(&mut self, id: SessionId) {
        let Some(load) = &self.load else { return };
        let (total, most) = (load.total, if id.worker() == 0 { percent(75) } else { percent(90) });
        if total > most + LAG {
            self.violate("I11", || format!("{id} connects, and {total} bytes are queued"));
        }
    }

    /// A session has ended for this reason.
    pub(super) fn ended_under_load(&mut self, client: ClientNumber, reason: &CloseReason) {
        let queued = self.queued_in_turn;
        let peak = |load: &Overload| load.peak.max(load.total + queued);
        let Some(peak) = self.load.as_ref().map(peak) else { return };
        match reason {
            CloseReason::Overload if peak + LAG < percent(90) => {
                self.violate("I11", || format!("client {client} is closed, and {peak} bytes are"));
            }
            CloseReason::Overload if !self.has_said_nothing(client) => {
                self.violate("I11", || format!("client {client} is closed before the fullest are"));
            }
            CloseReason::SlowReader if peak + LAG < CEILING => {
                self.violate("I11", || format!("client {client} is closed at {peak} bytes"));
            }
            CloseReason::SlowReader => {
                self.load.iter_mut().for_each(|load| load.closed.push(client));
                self.marks.count("overload: fullest closed");
            }
            _ => {}
        }
    }

    /// Whether those who were closed were the fullest of their workers. Says how many were closed.
    fn check_the_fullest(&mut self) -> usize {
        let Some(load) = &mut self.load else { return 0 };
        let closed = load.closed.clone();
        let (from, to) = (load.compared, load.seen);
        (load.compared, load.seen) = (to, closed.len());
        for &client in &closed[from..to] {
            let owed = self.owed_bytes(client);
            let most = self.neighbours(client).map(|other| self.owed_bytes(other)).max();
            let most = most.unwrap_or_default();
            if most > owed + FULLER {
                self.violate("I11", || {
                    format!("client {client} was closed with {owed} bytes, another has {most}")
                });
            }
        }
        closed.len()
    }
}

impl Simulation {
    fn total(&self) -> usize {
        let views = (0..self.plan.workers).filter_map(|worker| self.server.worker(worker));
        views.map(|view| view.queued_bytes).sum()
    }

    /// Notes what is queued before a turn.
    pub(super) fn begin_turn_under_load(&self) -> Option<u64> {
        if self.record.with(|book| book.load.is_none()) {
            return None;
        }
        let total = self.total();
        self.record.with(|book| {
            if let Some(load) = &mut book.load {
                load.total = total;
            }
        });
        Some(self.server.handle().stats().refused_send_total)
    }

    /// Looks after a turn whether the ceiling holds: it may be exceeded by what all workers have queued in
    /// their last turns, and by what is not counted yet.
    pub(super) fn end_turn_under_load(&self, worker: usize, refused_before: u64) -> Checked {
        let total = self.total();
        let refused = self.server.handle().stats().refused_send_total > refused_before;
        let (before, most) = self.record.with(|book| {
            let queued = book.queued_in_turn;
            let Some(load) = &mut book.load else { return (usize::MAX, usize::MAX) };
            load.gross[worker] = queued;
            load.peak = load.peak.max(total).max(load.total + queued);
            (load.total, CEILING + LAG + load.gross.iter().sum::<usize>())
        });
        if total > most {
            return violated("I6", format!("{total} bytes are queued, and {most} may be at most"));
        }
        if refused {
            self.mark("overload: refused");
        }
        if refused && before + LAG < percent(75) {
            return violated("I11", format!("somebody is refused, and {before} bytes are queued"));
        }
        Ok(())
    }

    /// What one session may have queued while there are some that were asked to.
    pub(super) fn queue_is_wide(&self) -> Option<usize> {
        self.record.with(|book| book.is_wide).then_some(WIDE)
    }

    /// Fills the queues of clients that do not read until the fullest are closed, while others come, and
    /// some say nothing.
    pub(super) fn overload(&mut self) -> Checked {
        let bytes = super::service::BURST_BYTES.min(self.plan.said_max());
        let bursts = ROUND_BYTES.div_ceil(BURST_FRAMES * bytes);
        let first = self.record.with(|book| book.clients());
        (0..SILENT + GREEDY).for_each(|host| self.connect(120 + host, Habits::silent()));
        let gross = vec![0; self.plan.workers];
        self.record.with(|book| {
            book.is_wide = true;
            let closed = Vec::new();
            book.load = Some(Overload { total: 0, peak: 0, gross, closed, seen: 0, compared: 0 });
        });
        self.let_pass(SHED_WITHIN)?;
        let greedy = first + usize::from(SILENT);
        (0..usize::from(GREEDY)).for_each(|at| self.ask(greedy + at, 'w'));
        self.let_pass(SHED_WITHIN)?;
        for round in 0..ROUNDS_MAX {
            if self.record.with(Book::check_the_fullest) >= CLOSED_ENOUGH {
                break;
            }
            for _ in 0..bursts {
                // The first ones more often.
                let at = self.dice.u8(..GREEDY).min(self.dice.u8(..GREEDY));
                self.ask(greedy + usize::from(at), 'b');
            }
            if round % 4 == 0 {
                let host = 140 + u8::try_from(round / 4).unwrap_or_default();
                self.connect(host, Habits::honest(self.plan.said_max().min(8)));
            }
            self.let_pass(1)?;
        }
        self.let_pass(SHED_WITHIN)?;
        for _ in 0..2 {
            self.record.with(Book::check_the_fullest);
        }
        let stays = self.record.with(|book| (first..greedy).find(|client| book.is_alive(*client)));
        if let Some(client) = stays {
            return violated("I11", format!("client {client} has said nothing, and stays"));
        }
        self.record.with(|book| book.load = None);
        let handle = self.server.handle();
        let gone = |run: &Self| run.clients.is_empty() && handle.sessions() == 0;
        self.go_on("the greedy go", Mood::Finishing, PATIENCE, gone)?;
        self.record.with(|book| book.is_wide = false);
        Ok(())
    }

    fn ask(&mut self, number: ClientNumber, kind: char) {
        let client = self.clients.iter_mut().find(|client| client.number == number);
        if let Some(client) = client {
            client.ask(&self.record, kind);
        }
    }

    fn let_pass(&mut self, rounds: u32) -> Checked {
        for _ in 0..rounds {
            self.go_round(Mood::AsItLikes)?;
            self.network.advance_by(TURN);
        }
        Ok(())
    }
}
