//! Timers, ordered by deadline; the same on every backend.
//!
//! An ordered map and not a timer wheel: sessions keep one timer each and move it once in many
//! seconds (they look at their own deadlines when it fires), so an insertion of some 100 ns is never
//! on the path of a message, and a cancelled timer is gone at once instead of when it would be due.

use std::collections::BTreeMap;
use std::num::NonZeroU64;

use crate::clock::Time;
use crate::ids::TimerId;

/// Timers that one port can hold.
const TIMERS_MAX: usize = 1 << 23;

/// The timers of one port, with the tokens that they were started with.
#[derive(Debug)]
pub(crate) struct Timers {
    running: BTreeMap<TimerId, u64>,
    /// Counts every timer that was ever started, so that no name comes again.
    started: NonZeroU64,
}

impl Timers {
    pub(crate) const fn new() -> Self {
        Self { running: BTreeMap::new(), started: NonZeroU64::MIN }
    }

    pub(crate) fn len(&self) -> usize {
        self.running.len()
    }

    /// `None` if too many are running.
    pub(crate) fn start(&mut self, deadline: Time, token: u64) -> Option<TimerId> {
        if self.running.len() >= TIMERS_MAX {
            return None;
        }
        let id = TimerId { deadline, number: self.started };
        self.started = self.started.checked_add(1)?;
        self.running.insert(id, token);
        Some(id)
    }

    /// The token of the timer, if it had not fired yet.
    pub(crate) fn cancel(&mut self, id: TimerId) -> Option<u64> {
        self.running.remove(&id)
    }

    pub(crate) fn next_deadline(&self) -> Option<Time> {
        self.running.first_key_value().map(|(id, _)| id.deadline)
    }

    /// Takes out one timer that is due.
    pub(crate) fn pop_due(&mut self, now: Time) -> Option<(TimerId, u64)> {
        let first = self.running.first_entry()?;
        (first.key().deadline <= now).then(|| first.remove_entry())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(nanos: u64) -> Time {
        Time::from_nanos(nanos)
    }

    #[test]
    fn due_timers_come_in_order_and_cancelled_ones_never() {
        let mut timers = Timers::new();
        timers.start(at(30), 3).unwrap();
        timers.start(at(10), 1).unwrap();
        let second = timers.start(at(20), 2).unwrap();
        assert_eq!(timers.next_deadline(), Some(at(10)));
        assert_eq!(timers.cancel(second), Some(2));
        assert_eq!(timers.cancel(second), None);
        assert!(timers.pop_due(at(9)).is_none());
        let due = std::iter::from_fn(|| timers.pop_due(at(99)));
        assert_eq!(due.map(|(_, token)| token).collect::<Vec<u64>>(), [1, 3]);
        assert_eq!(timers.len(), 0);
    }

    #[test]
    fn a_name_that_fired_cancels_no_later_timer() {
        let mut timers = Timers::new();
        let first = timers.start(at(1), 1).unwrap();
        timers.pop_due(at(1)).unwrap();
        timers.start(at(1), 2).unwrap();
        assert_eq!(timers.cancel(first), None);
        assert_eq!(timers.len(), 1);
    }
}
