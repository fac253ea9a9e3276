//! The second phase of a run. Nothing goes wrong any more: everybody comes to an end, the server still
//! serves, among others who do their worst, and ends with nothing left.

use std::time::Duration;

use wharf::sim::Faults;
use wharf::{Holdings, OperationCounts, Time};

use super::client::{End, Habits, Mood, Progress};
use super::run::{Checked, Simulation, TURNS_TO_HEAR, violated};

/// What this phase may take beyond the deadlines of the plan, by the clock of the network: who gets no
/// answer gives up after 10 s.
pub(super) const PATIENCE: Duration = Duration::from_secs(60);
/// What a drain may take beyond its deadline.
const DRAIN_SLACK: Duration = Duration::from_secs(1);
/// Steps that one part of this phase may take: a full queue goes byte by byte through the smallest of
/// windows, and each byte is some thirty steps.
const STEPS_MAX: u64 = 4_000_000;
/// Turns of all workers without an event after which nothing will ever happen.
const STILL_MAX: u32 = 16;

/// Clients that only want their echo.
const HONEST: u8 = 3;
/// What they want back fits into any window.
pub(super) const HONEST_BYTES: usize = 32;
/// How long an honest visit may take among others who do their worst, by the clock of the network. It
/// takes 2 ms, and in 3,000 seeds none took 4.
const VISIT: Duration = Duration::from_millis(20);
/// What a worker's turn takes while that is measured.
pub(super) const TURN: Duration = Duration::from_micros(100);

impl Simulation {
    /// Lets everything end, and looks whether it does.
    pub(super) fn calm(&mut self) -> Checked {
        self.network.set_faults(Faults::none());
        self.network.set_descriptors_max(usize::MAX);
        self.network.heal();
        let now = self.network.now();
        self.record.with(|book| book.calm = Some(now));
        if self.is_paused() {
            self.open_door();
        }
        if self.plan.extras.rooms && !self.ending {
            self.let_rooms_tick()?;
        }
        self.let_callers_connect_and_end()?;
        let limits = self.plan.limits.clone();
        let longest =
            limits.idle.into_iter().chain(limits.frame_deadline).chain(limits.first_frame);
        let patience = longest.max().unwrap_or_default() + PATIENCE;
        self.go_on("clients go", Mood::Finishing, patience, |run| run.clients.is_empty())?;
        let mut drain = limits.drain + PATIENCE;
        if !self.ending {
            let handle = self.server.handle();
            self.go_on("sessions end", Mood::Finishing, patience, |_| handle.sessions() == 0)?;
            self.check_that_workers_are_empty()?;
            // Connections of clients that are gone may still wait in the queue, and take few seats.
            if !self.plan.has_few_seats() {
                if self.plan.extras.pauses {
                    self.serve_after_a_pause()?;
                }
                self.hold_out(patience)?;
                if self.plan.extras.overload {
                    self.overload()?;
                }
                self.serve_among_others()?;
            }
            if self.plan.drains_among_others {
                drain = limits.drain + DRAIN_SLACK;
            } else {
                let gone = |run: &Self| run.clients.is_empty() && handle.sessions() == 0;
                self.go_on("the others go", Mood::Finishing, patience, gone)?;
            }
            self.end_server(false);
        }
        self.go_on("the server ends", Mood::AsItLikes, drain, |run| run.server.is_done())?;
        self.clients.clear();
        self.run_last_jobs()?;
        self.check_that_nothing_is_left()
    }

    /// Turns everything in turn until it is done, and moves the clock when nobody does anything.
    pub(super) fn go_on(
        &mut self,
        what: &str,
        mood: Mood,
        patience: Duration,
        is_done: impl Fn(&Self) -> bool,
    ) -> Checked {
        let until: Time = self.network.now() + patience;
        let steps_until = self.network.steps() + STEPS_MAX;
        let mut still = 0;
        loop {
            let idle = self.go_round(mood)?;
            if is_done(self) {
                return Ok(());
            }
            // What workers have for each other needs no event of the network's.
            // A worker that has something left to do does not wait for the clock.
            let stands_still = idle && !self.is_any_worker_busy() && !self.network.advance();
            still = if stands_still { still + 1 } else { 0 };
            if still > STILL_MAX {
                return violated("I8", format!("{what}: nothing will ever happen"));
            }
            if self.network.now() > until || self.network.steps() > steps_until {
                let sessions = self.server.handle().sessions();
                let clients = self.clients.iter().filter(|client| !client.has_vanished()).count();
                return violated(
                    "I8",
                    format!(
                        "{what}: not within {patience:?}; {clients} clients, {sessions} sessions"
                    ),
                );
            }
        }
    }

    fn is_any_worker_busy(&self) -> bool {
        let mut views = (0..self.plan.workers).filter_map(|worker| self.server.worker(worker));
        views.any(|view| view.is_busy) || self.is_any_caller_busy()
    }

    /// Turns every worker and every client once; whether the clients had nothing to do.
    pub(super) fn go_round(&mut self, mood: Mood) -> Checked<bool> {
        let now = self.network.now();
        self.record.with(|book| book.check_deadlines(now));
        for worker in 0..self.plan.workers {
            self.turn(worker)?;
        }
        for worker in 0..self.caller_workers() {
            self.turn_caller(worker)?;
        }
        if self.plan.extras.defers && !self.ending {
            self.run_job()?;
        }
        let mut idle = true;
        for at in (0..self.clients.len()).rev() {
            idle &= self.step_client(at, mood)? == Progress::Nothing;
        }
        Ok(idle)
    }

    /// Honest clients get all of their echo, and soon, though others read nothing, send without end, or
    /// drip.
    fn serve_among_others(&mut self) -> Checked {
        let said_max = self.plan.said_max();
        let others = [Habits::deaf, Habits::sulky, Habits::flood, Habits::drip];
        let others = others.map(|habits| habits(said_max));
        let honest = Habits::honest(said_max.min(HONEST_BYTES));
        // Each from a host of its own: the limit for one address is not meant here.
        for (host, habits) in (90..).zip(others) {
            self.connect(host, habits);
        }
        let warm = self.network.now() + VISIT;
        while self.network.now() < warm {
            self.go_round(Mood::AsItLikes)?;
            self.network.advance_by(TURN);
        }
        let first = self.record.with(|book| book.clients());
        (0..HONEST).for_each(|host| self.connect(100 + host, honest.clone()));
        let began = self.network.now();
        self.visit(first, began + VISIT)?;
        let last = self.record.with(|book| book.clients());
        if (first..last).any(|client| self.record.with(|book| !book.has_got_all(client))) {
            return violated("I3", "an honest client in a calm network lacks some of its echo");
        }
        self.mark("honest among others");
        Ok(())
    }

    /// Goes on until the clients from `first` on have ended, which they have to in order.
    pub(super) fn visit(&mut self, first: usize, until: Time) -> Checked {
        loop {
            for worker in 0..self.plan.workers {
                self.turn(worker)?;
            }
            for at in (0..self.clients.len()).rev() {
                let is_honest = self.clients[at].number >= first;
                let mood = if is_honest { Mood::Eager } else { Mood::AsItLikes };
                let progress = self.step_client(at, mood)?;
                let lost = matches!(progress, Progress::Over(end) if end != End::InOrder);
                if is_honest && lost {
                    return violated(
                        "I8",
                        "an honest client lost its connection in a calm network",
                    );
                }
            }
            if self.clients.iter().all(|client| client.number < first) {
                return Ok(());
            }
            if self.network.now() > until {
                return violated("I9", format!("an honest visit takes more than {VISIT:?}"));
            }
            self.network.advance_by(TURN);
        }
    }

    /// With no session left, a worker has its listeners and its own timer, and all its buffers.
    fn check_that_workers_are_empty(&mut self) -> Checked {
        for worker in 0..self.plan.workers {
            // What was sent to sessions that are gone is looked at, and thrown away.
            self.turn(worker)?;
            self.turn(worker)?;
            let view = self.server.worker(worker).filter(|view| view.sessions == 0);
            // Somebody whose client is long gone may have come out of the queue just now.
            let Some(view) = view else { continue };
            if view.ledger.leased > 0 {
                return violated(
                    "I4",
                    format!("worker {worker}: on loan to nobody: {:?}", view.ledger),
                );
            }
            let Some(Holdings { operations, .. }) = self.server.holdings(worker) else { continue };
            let OperationCounts { accepts, timers, .. } = operations;
            let is_empty = view.queued_bytes_max == 0
                && view.inbox_bytes == 0
                && accepts == view.listeners
                // Its own timer for tidying up, and those of groups that are gone.
                && timers <= 1 + self.group_timers_of(worker)
                && view.operations == accepts + timers;
            if !is_empty {
                return violated("I7", format!("worker {worker} has no session, and {view:?}"));
            }
        }
        self.check_that_rooms_are_empty()?;
        let groups = self.server.handle().groups();
        if groups > 0 && self.server.handle().sessions() == 0 {
            return violated("I7", format!("no session is left, and {groups} groups are"));
        }
        let messages = self.record.with(|book| book.posts.alive());
        if messages > 0 && self.server.handle().sessions() == 0 {
            return violated("I7", format!("no session is left, and {messages} messages are"));
        }
        let others = self.record.with(|book| book.deferred.works() + book.rooms.halls());
        let handlers = self.record.holders() - self.others_with_record - others;
        let sessions = self.server.handle().sessions();
        if sessions == 0 && handlers > 0 {
            return violated("I7", format!("{handlers} handlers of sessions that have ended live"));
        }
        Ok(())
    }

    /// With no session left, no room has a member.
    fn check_that_rooms_are_empty(&mut self) -> Checked {
        let handle = self.server.handle();
        if !self.plan.extras.rooms || handle.sessions() > 0 {
            return Ok(());
        }
        // What a session has said last goes from its worker to the room's.
        for _ in 0..TURNS_TO_HEAR {
            self.go_round(Mood::AsItLikes)?;
        }
        if handle.sessions() == 0 {
            self.record.with(super::record::Book::check_that_rooms_are_empty);
        }
        self.check_record()
    }

    fn check_that_nothing_is_left(&mut self) -> Checked {
        let seats = self.server.handle().sessions();
        let (stats, report) = (self.server.handle().stats(), self.server.report());
        // What the kernel still has to deliver is nobody's any more.
        self.network.advance_by(PATIENCE);
        let left = [
            ("descriptors", self.network.descriptors()),
            ("ends of connections", self.network.open_ends()),
            ("seats", seats),
            ("messages", self.record.with(|book| book.posts.alive())),
        ];
        if let Some((what, count)) = left.iter().find(|(_, count)| *count > 0) {
            return violated("I7", format!("{count} {what} are left at the end"));
        }
        self.record.with(|book| {
            book.marks.add("frames dropped", stats.frames_dropped);
            book.marks.add("refused: sessions", stats.refused_sessions_max);
            book.marks.add("refused: address", stats.refused_per_address);
            book.marks.add("accept delayed", stats.accept_delays);
            book.marks.add("callback panicked", stats.panics);
            book.marks.add("session", stats.accepted);
            book.marks.add("session drained", report.drained);
            book.marks.add("session forced", report.forced);
            book.check_ticks_counted(&stats);
            book.check_that_all_have_ended();
        });
        self.check_record()
    }
}
