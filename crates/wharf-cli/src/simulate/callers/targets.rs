//! Targets: what must be told of each, how often, and when it may be tried again.

use std::time::Duration;

use wharf::{ConnectFailure, Outgoing, Reconnect, SessionId, TargetRef, Time};

use super::super::record::Book;
use super::super::run::TURNS_TO_HEAR;

/// A target, by its tag.
pub(super) type TargetNumber = usize;

/// By how much an attempt may be late in the second phase, if its worker is turned.
const LATE: Duration = Duration::from_millis(100);
/// What the library's arithmetic may differ by.
const ROUNDING: Duration = Duration::from_nanos(2);

/// All targets of a run.
#[derive(Default)]
pub(in crate::simulate) struct Targets {
    pub(super) known: Vec<Known>,
    /// Turns of each worker of the client.
    pub(super) turns: Vec<u64>,
    /// Sessions and failures that there have been.
    connected: u64,
    failures: u64,
    /// The client has ended: nothing may be told any more.
    pub(super) is_over: bool,
}

impl Targets {
    /// Sessions and failures that there have been.
    pub(super) const fn counted(&self) -> (u64, u64) {
        (self.connected, self.failures)
    }
}

/// What is known of one.
pub(super) struct Known {
    pub(super) terms: Terms,
    /// `None` until the client has taken it, or has told something of it.
    pub(super) target: Option<TargetRef>,
    pub(super) phase: Phase,
    /// When an attempt was due, and when its worker was turned next: the clock may have run ahead of a timer
    /// that the worker has started since it last waited.
    overdue: Option<(Time, Time)>,
    /// The turns of its worker after which nothing may come of it, if it was told to stop.
    stops_at: Option<u64>,
    /// They have passed.
    is_stopped: bool,
    /// Attempts that have failed since its last session.
    failed: u32,
    sessions: u64,
    /// What it waits before the next attempt, without its jitter.
    delay: Duration,
    /// The failure that its opener may be told next.
    untold: Option<u32>,
    pub(super) connected_at: Option<Time>,
}

/// What a target was set up with.
#[derive(Clone, Debug)]
pub(super) struct Terms {
    pub(super) timeout: Duration,
    pub(super) reconnect: Option<Reconnect>,
    pub(super) idle: Option<Duration>,
    pub(super) opener: Option<SessionId>,
    /// Somebody listens there.
    pub(super) leads_somewhere: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Phase {
    /// Its next attempt begins between these.
    Trying {
        from: Time,
        until: Time,
    },
    Connected {
        session: SessionId,
        since: Time,
    },
    /// It has ended or was given up.
    Over,
}

impl Known {
    pub(super) fn new(terms: Terms, now: Time) -> Self {
        let delay = terms.reconnect.map_or(Duration::ZERO, |reconnect| reconnect.delay_min);
        Self {
            terms,
            target: None,
            phase: Phase::Trying { from: now, until: now },
            overdue: None,
            stops_at: None,
            is_stopped: false,
            failed: 0,
            sessions: 0,
            delay,
            untold: None,
            connected_at: None,
        }
    }

    /// The shortest and the longest that the next delay may be; the one after it is longer.
    fn next_delay(&mut self, reconnect: &Reconnect) -> (Duration, Duration) {
        let delay = self.delay;
        self.delay = delay.mul_f64(reconnect.factor).min(reconnect.delay_max);
        let least = delay.mul_f64(1.0 - reconnect.jitter).saturating_sub(ROUNDING);
        (least, delay + ROUNDING)
    }

    /// An attempt has failed; says what is wrong with what is told of it.
    fn fails(&mut self, failure: &ConnectFailure, now: Time) -> Option<String> {
        let Phase::Trying { from, .. } = self.phase else {
            return Some(format!("and it is {:?}", self.phase));
        };
        self.failed += 1;
        self.untold = Some(self.failed);
        if failure.attempts() != self.failed {
            return Some(format!("and {} have failed", self.failed));
        }
        if now < from {
            return Some(format!("and it was not to be tried before {from:?}"));
        }
        if failure.opener() != self.terms.opener {
            return Some(format!("and {:?} has opened it", self.terms.opener));
        }
        let may_go_on = |terms: &Reconnect| terms.attempts_max.is_none_or(|max| self.failed < max);
        let reconnect = self.terms.reconnect.filter(may_go_on);
        match (failure.retry_after(), reconnect) {
            (None, None) => self.phase = Phase::Over,
            (Some(after), Some(reconnect)) => {
                let (least, most) = self.next_delay(&reconnect);
                if !(least..=most).contains(&after) {
                    return Some(format!("and {least:?} to {most:?} are to pass"));
                }
                self.phase = Phase::Trying { from: now + after, until: now + after };
            }
            (_, reconnect) => return Some(format!("and {reconnect:?} is to be done")),
        }
        None
    }

    /// It is connected; says what is wrong with that.
    fn connects(&mut self, session: SessionId, how: &Outgoing, now: Time) -> Option<String> {
        let (attempts, sessions) = (self.failed + 1, self.sessions);
        let before = self.phase;
        self.phase = Phase::Connected { session, since: now };
        (self.failed, self.sessions, self.connected_at) = (0, sessions + 1, Some(now));
        match before {
            Phase::Trying { from, .. } if now < from => {
                Some(format!("and it was not to be tried before {from:?}"))
            }
            Phase::Trying { .. } if how.attempts() != attempts => Some(format!("not {attempts}")),
            Phase::Trying { .. } if how.reconnects() != sessions => Some(format!("not {sessions}")),
            Phase::Trying { .. } => None,
            other => Some(format!("and it is {other:?}")),
        }
    }

    /// Its session has ended: the next attempt comes when it has waited as long as it is to.
    fn ends(&mut self, session: SessionId, now: Time) -> Option<String> {
        let Phase::Connected { session: own, since } = self.phase else {
            return Some(format!("and it is {:?}", self.phase));
        };
        if own != session {
            return Some(format!("and {own} is connected"));
        }
        self.phase = Phase::Over;
        if let Some(reconnect) = self.terms.reconnect.filter(|_| !self.is_stopped) {
            if now >= since + reconnect.stable_after {
                self.delay = reconnect.delay_min;
            }
            let (least, most) = self.next_delay(&reconnect);
            self.phase = Phase::Trying { from: now + least, until: now + most };
        }
        None
    }

    /// It is told to stop. Until its worker hears of that, all may come that would have come.
    fn stops(&mut self, turns: &[u64]) {
        let at = turns[self.worker()] + TURNS_TO_HEAR;
        self.stops_at.get_or_insert(at);
    }

    fn worker(&self) -> usize {
        self.target.as_ref().map_or(0, |target| target.id().worker())
    }

    /// A worker has been turned.
    fn settle(&mut self, turned: usize, turns: &[u64], now: Time) {
        let worker = self.worker();
        if let Phase::Trying { until, .. } = self.phase
            && turned == worker
            && now >= until
        {
            self.overdue = self.overdue.filter(|(due, _)| *due == until).or(Some((until, now)));
        }
        self.is_stopped |= self.stops_at.is_some_and(|at| turns[worker] > at);
        if self.is_stopped && matches!(self.phase, Phase::Trying { .. }) {
            self.phase = Phase::Over;
        }
    }

    /// Whether it should have been heard of by now.
    pub(super) fn is_late(&self, calm: Time, now: Time) -> bool {
        match (self.phase, self.overdue) {
            (Phase::Trying { until, .. }, Some((due, turned))) => {
                let is_due = due == until && self.stops_at.is_none();
                is_due && now > turned.max(calm) + self.terms.timeout + LATE
            }
            _ => false,
        }
    }

    /// Whether it is over, or about to be.
    pub(super) fn is_over(&self) -> bool {
        self.phase == Phase::Over || self.stops_at.is_some()
    }

    /// Whether it has been connected since a time, or need not be.
    pub(super) fn has_come_through(&self, calm: Time) -> bool {
        self.is_over()
            || !self.terms.leads_somewhere
            || matches!(self.phase, Phase::Connected { .. })
            || self.connected_at.is_some_and(|at| at >= calm)
    }
}

impl Book {
    fn target(&mut self, tag: u64) -> Option<(TargetNumber, &mut Known)> {
        let number = usize::try_from(tag).ok()?;
        Some((number, self.targets.known.get_mut(number)?))
    }

    /// Something is told of a target, and `wrong` says what is wrong with it.
    fn told(&mut self, tag: u64, what: &str, wrong: impl FnOnce(&mut Known) -> Option<String>) {
        let is_over = self.targets.is_over;
        let Some((number, known)) = self.target(tag) else {
            return self.violate("I12", || format!("{what}, of target {tag}, which is none"));
        };
        let wrong = wrong(known).or_else(|| is_over.then(|| "and the client is over".to_owned()));
        if let Some(wrong) = wrong {
            self.violate("I12", || format!("target {number}: {what}, {wrong}"));
        }
    }

    pub(super) fn connect_failed(&mut self, failure: &ConnectFailure, now: Time) {
        self.marks.count("connect failed");
        self.targets.failures += 1;
        if failure.retry_after().is_none() {
            self.marks.count("target given up");
        }
        let what = format!("{failure} ({} attempts, {now:?})", failure.attempts());
        self.told(failure.target().tag(), &what, |known| {
            known.target.get_or_insert_with(|| failure.target().clone());
            known.fails(failure, now)
        });
    }

    /// The session that has asked for a target hears of a failure, behind everybody else.
    pub(super) fn opener_told(&mut self, opener: SessionId, failure: &ConnectFailure) {
        self.marks.count("opener told of a failure");
        self.told(failure.target().tag(), "its opener is told", |known| {
            let is_right = known.untold.take() == Some(failure.attempts())
                && known.terms.opener == Some(opener);
            (!is_right).then(|| format!("{opener} of attempt {}", failure.attempts()))
        });
    }

    pub(super) fn target_connects(&mut self, session: SessionId, how: &Outgoing, now: Time) {
        let name = if how.reconnects() > 0 { "target reconnected" } else { "target connected" };
        self.marks.count(name);
        self.targets.connected += 1;
        let (attempts, before) = (how.attempts(), how.reconnects());
        let what = format!("{session} at {now:?}, attempt {attempts} behind {before} sessions");
        self.told(how.target().tag(), &what, |known| {
            known.target.get_or_insert_with(|| how.target().clone());
            known.connects(session, how, now)
        });
    }

    pub(super) fn target_ends(&mut self, session: SessionId, tag: u64, now: Time) {
        let what = format!("{session} ends at {now:?}");
        self.told(tag, &what, |known| known.ends(session, now));
    }

    /// A target is told to stop.
    pub(super) fn target_stops(&mut self, number: TargetNumber) {
        let Targets { known, turns, .. } = &mut self.targets;
        known[number].stops(turns);
    }

    /// All targets are told to stop, or the client is.
    pub(super) fn all_targets_stop(&mut self) {
        let Targets { known, turns, .. } = &mut self.targets;
        known.iter_mut().for_each(|known| known.stops(turns));
    }

    /// A worker of the client has been turned.
    pub(super) fn settle_targets(&mut self, worker: usize, now: Time) {
        let Targets { known, turns, .. } = &mut self.targets;
        turns[worker] += 1;
        known.iter_mut().for_each(|known| known.settle(worker, turns, now));
        let Some(calm) = self.calm else { return };
        let late = self.targets.known.iter().position(|known| known.is_late(calm, now));
        if let Some(number) = late {
            self.violate("I12", || format!("target {number} is not heard of, at {now:?}"));
        }
    }
}
