//! A server that accepts nobody for a while: it makes no session meanwhile, and serves who has waited.

use std::time::Duration;

use super::calm::TURN;
use super::client::{Habits, Mood};
use super::run::{Checked, Simulation, TURNS_TO_HEAR, violated};

/// Clients that wait for the end of a pause.
const WAITING: u8 = 3;
/// How long they do.
const PAUSE: Duration = Duration::from_millis(2);
/// Within what time they are served from then on: see [`Simulation::visit`].
const SERVED_WITHIN: Duration = Duration::from_millis(20);

/// Whether the server accepts.
#[derive(Debug, Default)]
pub(super) enum Door {
    #[default]
    Open,
    /// It has been told not to. When the listener has heard of it, others may still be given who was
    /// accepted before.
    Shutting { settled_at: Vec<u64>, listener_has_heard: bool },
    /// Nobody may come any more.
    Shut,
}

impl Simulation {
    /// Has the server pause, or accept again.
    pub(super) fn swing_door(&mut self) {
        if self.is_paused() { self.open_door() } else { self.shut_door() }
    }

    pub(super) const fn is_paused(&self) -> bool {
        !matches!(self.door, Door::Open)
    }

    fn shut_door(&mut self) {
        self.server.handle().pause_accepting();
        let settled_at = self.turns_from_now();
        self.door = Door::Shutting { settled_at, listener_has_heard: false };
        self.mark("accepting paused");
        self.check_whether_accepting(false);
    }

    pub(super) fn open_door(&mut self) {
        self.server.handle().resume_accepting();
        self.door_opens();
        self.mark("accepting resumed");
        self.check_whether_accepting(true);
    }

    /// Sessions may come again: the server accepts, or ends, which lets those in who wait.
    pub(super) fn door_opens(&mut self) {
        self.door = Door::Open;
        self.record.with(|book| book.is_shut = false);
    }

    fn check_whether_accepting(&self, accepting: bool) {
        if !self.ending && self.server.handle().is_accepting() != accepting {
            self.record.with(|book| {
                book.violate("I10", || format!("whether it accepts is not {accepting}"));
            });
        }
    }

    pub(super) fn turns_from_now(&self) -> Vec<u64> {
        self.turns.iter().map(|turns| turns + TURNS_TO_HEAR).collect()
    }

    /// Looks after a turn whether everybody has heard of the pause.
    pub(super) fn watch_door(&mut self) {
        let Door::Shutting { settled_at, listener_has_heard } = &mut self.door else { return };
        let listens = if *listener_has_heard { settled_at.len() } else { 1 };
        let mut awaited = self.turns.iter().zip(settled_at.iter()).take(listens);
        if awaited.any(|(turns, at)| turns < at) {
            return;
        }
        if *listener_has_heard {
            self.door = Door::Shut;
            self.record.with(|book| book.is_shut = true);
        } else {
            let settled_at = self.turns_from_now();
            self.door = Door::Shutting { settled_at, listener_has_heard: true };
        }
    }

    /// Clients that come during a pause wait, and are served after it.
    pub(super) fn serve_after_a_pause(&mut self) -> Checked {
        self.shut_door();
        while !matches!(self.door, Door::Shut) {
            self.go_round(Mood::AsItLikes)?;
        }
        let first = self.record.with(|book| book.clients());
        let honest = Habits::honest(self.plan.said_max().min(super::calm::HONEST_BYTES));
        (0..WAITING).for_each(|host| self.connect(110 + host, honest.clone()));
        let until = self.network.now() + PAUSE;
        while self.network.now() < until {
            self.go_round(Mood::AsItLikes)?;
            self.network.advance_by(TURN);
        }
        self.open_door();
        let began = self.network.now();
        self.visit(first, began + SERVED_WITHIN)?;
        let last = self.record.with(|book| book.clients());
        if (first..last).any(|client| self.record.with(|book| !book.has_got_all(client))) {
            return violated("I10", "who has waited for the end of a pause lacks some of its echo");
        }
        self.mark("honest after a pause");
        Ok(())
    }
}
