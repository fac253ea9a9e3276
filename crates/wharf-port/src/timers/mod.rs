//! Timers, ordered by deadline; the same on every backend.
//!
//! A hierarchical timer wheel: sessions start and cancel timers far more often than timers fire, so
//! that both are a step on a list, however many are running. See [`wheel`] for how the order is kept
//! to the nanosecond, and [`slab`] for how a name is never used twice.

mod slab;
#[cfg(test)]
mod tests;
mod wheel;

use self::slab::Slab;
use self::wheel::Wheel;
use crate::clock::Time;
use crate::ids::TimerId;

/// Timers that one port can hold: 256 MiB of them.
const TIMERS_MAX: u32 = 1 << 23;

/// The timers of one port, with the tokens that they were started with.
///
/// Timers with the same deadline fire in the order in which they were started.
#[derive(Debug)]
pub(crate) struct Timers {
    slab: Slab,
    wheel: Wheel,
}

impl Timers {
    pub(crate) fn new() -> Self {
        Self { slab: Slab::new(TIMERS_MAX), wheel: Wheel::new() }
    }

    pub(crate) const fn len(&self) -> usize {
        self.slab.len()
    }

    /// `None` if too many are running.
    pub(crate) fn start(&mut self, deadline: Time, token: u64) -> Option<TimerId> {
        let (slot, generation) = self.slab.insert(deadline, token)?;
        self.wheel.insert(&mut self.slab, slot);
        Some(TimerId { deadline, slot, generation })
    }

    /// The token of the timer, if it had not fired yet.
    pub(crate) fn cancel(&mut self, id: TimerId) -> Option<u64> {
        if !self.slab.holds(id.slot, id.generation) {
            return None;
        }
        self.wheel.unlink(&mut self.slab, id.slot);
        Some(self.slab.remove(id.slot).1)
    }

    /// A time before which no timer is due. It is the first deadline, unless the timer that had it was
    /// cancelled: then it may be up to that one's, and [`pop_due`](Self::pop_due) puts it right once it
    /// has come.
    #[inline]
    pub(crate) fn next_deadline(&self) -> Option<Time> {
        self.wheel.earliest()
    }

    /// Takes out one timer that is due: of all that are, the one with the first deadline.
    #[inline]
    pub(crate) fn pop_due(&mut self, now: Time) -> Option<(TimerId, u64)> {
        let slot = self.wheel.pop_due(&mut self.slab, now)?;
        let generation = self.slab.generation(slot)?;
        let (deadline, token) = self.slab.remove(slot);
        Some((TimerId { deadline, slot, generation }, token))
    }
}
