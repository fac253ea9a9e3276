//! Timers, ordered by deadline; the same on every backend.
//!
//! An ordered set and not a timer wheel: sessions keep one timer each and move it once in many
//! seconds (they look at their own deadlines when it fires), so an insertion of some 100 ns is never
//! on the path of a message, and a cancelled timer is gone at once instead of when it would be due.

use std::collections::BTreeSet;

use crate::clock::Time;
use crate::ids::TimerId;
use crate::slots::Slots;

/// Timers that one port can hold.
const TIMERS_MAX: u32 = 1 << 23;

#[derive(Debug)]
pub(crate) struct Timers {
    slots: Slots<Timer>,
    by_deadline: BTreeSet<(Time, u32)>,
}

#[derive(Debug)]
struct Timer {
    deadline: Time,
    token: u64,
}

impl Timers {
    pub(crate) const fn new() -> Self {
        Self { slots: Slots::new(TIMERS_MAX), by_deadline: BTreeSet::new() }
    }

    pub(crate) const fn len(&self) -> usize {
        self.slots.len()
    }

    /// `None` when the table is full.
    pub(crate) fn start(&mut self, deadline: Time, token: u64) -> Option<TimerId> {
        let (slot, generation) = self.slots.insert(Timer { deadline, token }).ok()?;
        self.by_deadline.insert((deadline, slot));
        Some(TimerId { slot, generation })
    }

    /// The token of the timer, if it had not fired yet.
    pub(crate) fn cancel(&mut self, id: TimerId) -> Option<u64> {
        let timer = self.slots.remove(id.slot, id.generation)?;
        self.by_deadline.remove(&(timer.deadline, id.slot));
        Some(timer.token)
    }

    pub(crate) fn next_deadline(&self) -> Option<Time> {
        self.by_deadline.first().map(|&(deadline, _)| deadline)
    }

    /// Takes out one timer that is due.
    pub(crate) fn pop_due(&mut self, now: Time) -> Option<(TimerId, u64)> {
        let &(deadline, slot) = self.by_deadline.first()?;
        if deadline > now {
            return None;
        }
        self.by_deadline.pop_first();
        let generation = self.slots.generation(slot)?;
        let timer = self.slots.remove(slot, generation)?;
        Some((TimerId { slot, generation }, timer.token))
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
        let tokens: Vec<u64> =
            std::iter::from_fn(|| timers.pop_due(at(99))).map(|(_, t)| t).collect();
        assert_eq!(tokens, [1, 3]);
        assert_eq!(timers.len(), 0);
    }

    #[test]
    fn a_name_that_fired_cancels_no_later_timer() {
        let mut timers = Timers::new();
        let first = timers.start(at(1), 1).unwrap();
        timers.pop_due(at(1)).unwrap();
        timers.start(at(2), 2).unwrap();
        assert_eq!(timers.cancel(first), None);
        assert_eq!(timers.len(), 1);
    }
}
