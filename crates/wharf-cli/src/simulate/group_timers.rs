//! Timers of groups: who must hear of them, when, and who must not.

use std::collections::BTreeSet;
use std::time::Duration;

use wharf::{Context, Group, GroupTimer, SessionId, Time};

use super::groups::{self, GroupNumber};
use super::record::{Book, ClientNumber};
use super::run::{Simulation, TURNS_TO_HEAR};
use super::service::Service;

/// By how much a timer may be late, if its worker is turned.
const LATE: Duration = Duration::from_millis(100);
/// How long they take at most: they fire among other things, and also when nothing else happens.
const AFTER_MICROS: [u64; 3] = [0, 500, 50_000];
/// Timers that are watched at a time.
const WATCHED_MAX: usize = 16;

/// All timers of groups of a run, by their tokens.
#[derive(Default)]
pub(super) struct GroupTimers {
    started: Vec<Started>,
    /// The tokens of those that must still be heard.
    watched: Vec<usize>,
}

struct Started {
    which: GroupNumber,
    /// Where it runs.
    worker: usize,
    timer: GroupTimer,
    due: Time,
    /// When it was started, among those who joined.
    moment: u64,
    state: State,
    heard: BTreeSet<ClientNumber>,
    /// The turns after which it must have been heard, once it is due.
    settled_at: Option<Vec<u64>>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Running,
    Stopped,
    /// A session of another worker has asked for it.
    AskedToStop,
    /// Its group was gone.
    Void,
}

impl GroupTimers {
    pub(super) const fn are_watched(&self) -> bool {
        !self.watched.is_empty()
    }

    /// Every group was gone: none of these may ever be heard of.
    fn end_all(&mut self) {
        for token in self.watched.drain(..) {
            self.started[token].state = State::Void;
        }
    }

    /// Timers of a worker that may run still.
    fn running(&self, worker: usize, now: Time) -> usize {
        let runs = |timer: &&Started| timer.worker == worker && now <= timer.due + LATE;
        self.started.iter().filter(runs).count()
    }

    /// A timer that must have been heard by now.
    fn take_settled(&mut self, now: Time, turns: &[u64]) -> Option<usize> {
        let Self { started, watched } = self;
        let is_settled = |token: &usize| {
            let timer = &mut started[*token];
            if now <= timer.due + LATE {
                return false;
            }
            let soon = || turns.iter().map(|turns| turns + TURNS_TO_HEAR).collect();
            let settled_at = timer.settled_at.get_or_insert_with(soon);
            turns.iter().zip(settled_at).all(|(turns, at)| turns >= at)
        };
        watched.iter().position(is_settled).map(|at| watched.swap_remove(at))
    }
}

impl Book {
    fn group_timer_started(&mut self, which: GroupNumber, id: SessionId, timer: GroupTimer) {
        self.marks.count("group timer started");
        let started = Started {
            which,
            worker: id.worker(),
            timer,
            due: timer.deadline(),
            moment: self.groups.moment(),
            state: State::Running,
            heard: BTreeSet::new(),
            settled_at: None,
        };
        self.group_timers.watched.push(self.group_timers.started.len());
        self.group_timers.started.push(started);
    }

    /// A member of a group has heard of a timer.
    fn group_timer_heard(&mut self, client: ClientNumber, group: &str, token: u64, now: Time) {
        self.marks.count("group timer heard");
        self.must_be_connected(client, "a group's timer");
        let at = usize::try_from(token).unwrap_or(usize::MAX);
        let wrong = match self.group_timers.started.get_mut(at) {
            Some(timer) if groups::name(timer.which) == group => {
                let is_member = self.groups.is_in(timer.which, client);
                timer.heard_by(client, is_member, now)
            }
            _ => Some(("I5", "is no timer of it")),
        };
        if let Some((invariant, wrong)) = wrong {
            self.violate(invariant, || {
                format!("client {client}, {group}: timer {token} at {now:?} {wrong}")
            });
        }
    }

    /// Whether stopping a timer has gone as it must.
    fn group_timer_stopped(&mut self, token: usize, id: SessionId, was_there: bool, now: Time) {
        let timer = &mut self.group_timers.started[token];
        if timer.worker != id.worker() {
            timer.state = State::AskedToStop;
        } else if was_there {
            timer.state = State::Stopped;
            self.marks.count("group timer stopped");
        } else if timer.state == State::Running && now < timer.due {
            let due = timer.due;
            self.violate("I2", || format!("timer {token} for {due:?} is gone at {now:?}"));
        }
    }

    /// Finds who should have heard of a timer and has not: who was a member when it was started, and is
    /// one now. The group was there for all that time.
    fn check_that_all_have_heard(&mut self, token: usize, members: &[SessionId]) {
        let timer = &self.group_timers.started[token];
        if timer.state != State::Running {
            return;
        }
        let was_in = |client: &ClientNumber| {
            self.groups.since(timer.which, *client).is_some_and(|since| since < timer.moment)
        };
        let owed = members.iter().filter_map(|id| self.client_of(*id)).filter(was_in);
        let (heard, deaf): (Vec<_>, Vec<_>) = owed.partition(|it| timer.heard.contains(it));
        let due = timer.due;
        self.marks.add("group timer was due to", heard.len() as u64);
        if let Some(client) = deaf.first() {
            self.violate("I8", || format!("client {client} never heard of {token} for {due:?}"));
        }
    }
}

impl Started {
    fn heard_by(
        &mut self,
        client: ClientNumber,
        is_member: bool,
        now: Time,
    ) -> Option<(&'static str, &'static str)> {
        match self.state {
            State::Stopped => Some(("I2", "was stopped")),
            State::Void => Some(("I2", "is of a group that was gone")),
            _ if now < self.due => Some(("I8", "comes too early")),
            _ if !is_member => Some(("I2", "is for members")),
            _ if !self.heard.insert(client) => Some(("I2", "comes a second time")),
            _ => None,
        }
    }
}

impl Service {
    /// Starts a timer of a group, or stops one.
    pub(super) fn time(&self, ctx: &mut Context<'_>, what: u8) {
        let watched = self.record.with(|book| book.group_timers.watched.len());
        if what == b't' && watched < WATCHED_MAX {
            return self.start_group_timer(ctx);
        }
        if watched == 0 {
            return;
        }
        let (token, timer) = self.record.with(|book| {
            let token = book.group_timers.watched[book.dice.usize(..watched)];
            (token, book.group_timers.started[token].timer)
        });
        let was_there = ctx.cancel_group_timer(timer);
        let now = ctx.now();
        self.record.with(|book| book.group_timer_stopped(token, ctx.id(), was_there, now));
    }

    fn start_group_timer(&self, ctx: &mut Context<'_>) {
        let (which, micros, token) = self.record.with(|book| {
            let which = groups::group_of(book.dice.u64(..));
            let most = AFTER_MICROS[book.dice.usize(..AFTER_MICROS.len())];
            (which, book.dice.u64(..=most), book.group_timers.started.len())
        });
        let group = ctx.group(&groups::name(which));
        let timer = ctx.start_group_timer(&group, Duration::from_micros(micros), token as u64);
        self.record.with(|book| match timer {
            Some(timer) => book.group_timer_started(which, ctx.id(), timer),
            None => book.violate("I8", || format!("timer {token} of a group cannot be started")),
        });
    }

    /// A timer of a group that this session is in: it answers, or leaves, while others are told.
    pub(super) fn hear_group_timer(&mut self, ctx: &mut Context<'_>, group: &Group, token: u64) {
        let (client, now) = (self.client, ctx.now());
        self.record.with(|book| book.group_timer_heard(client, group.name(), token, now));
        if !self.is_due("a group's timer") {
            return;
        }
        match (token + client as u64) % 8 {
            1 => self.send_own(ctx, 'T', 20),
            2 => {
                ctx.leave(group);
                self.record.with(|book| book.groups.left_by_name(group.name(), client));
            }
            _ => {}
        }
    }
}

impl Simulation {
    /// Timers of groups that may run on a worker, whether anybody is to hear of them or not.
    pub(super) fn group_timers_of(&self, worker: usize) -> usize {
        let now = self.network.now();
        self.record.with(|book| book.group_timers.running(worker, now))
    }

    /// Looks after a turn whether the timers of groups have been heard.
    pub(super) fn check_group_timers(&self) {
        if self.ending || !self.record.with(|book| book.group_timers.are_watched()) {
            return;
        }
        let handle = self.server.handle();
        if handle.groups() == 0 {
            return self.record.with(|book| book.group_timers.end_all());
        }
        let now = self.network.now();
        let next = || self.record.with(|book| book.group_timers.take_settled(now, &self.turns));
        while let Some(token) = next() {
            let which = self.record.with(|book| book.group_timers.started[token].which);
            let members = handle.group(&groups::name(which)).members();
            let members: Vec<SessionId> = members.iter().map(|member| member.session).collect();
            self.record.with(|book| book.check_that_all_have_heard(token, &members));
        }
    }
}
