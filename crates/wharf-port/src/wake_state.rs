//! Who has to notify whom: what a port that falls asleep and those who wake it agree on.
//!
//! Invariant: once [`wake`](WakeState::wake) has returned, either the port will not block before it
//! takes the wake, or the caller was told to notify it.

use crate::sync::{AtomicU8, Ordering};

/// The port runs, or will look before it sleeps.
const AWAKE: u8 = 0;
/// The port sleeps, or is about to: who wakes it must also notify the kernel.
const ASLEEP: u8 = 1;
/// A wake that the port has not taken yet.
const NOTIFIED: u8 = 2;

/// Whether one port runs, sleeps, or has been woken. Any thread wakes; only the port's own falls
/// asleep and gets up.
#[derive(Debug)]
pub(crate) struct WakeState(AtomicU8);

impl Default for WakeState {
    /// That of a port that runs.
    fn default() -> Self {
        Self(AtomicU8::new(AWAKE))
    }
}

impl WakeState {
    /// Leaves a wake for the port; true if it sleeps, or is about to: then it must be notified.
    #[must_use]
    pub(crate) fn wake(&self) -> bool {
        self.0.swap(NOTIFIED, Ordering::AcqRel) == ASLEEP
    }

    /// Announces that the port is about to sleep; false if a wake has come already.
    #[must_use]
    pub(crate) fn fall_asleep(&self) -> bool {
        self.0.compare_exchange(AWAKE, ASLEEP, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }

    /// Says that the port runs again; true if it was woken since the last call. What was written
    /// before those wakes can be read then.
    #[must_use]
    pub(crate) fn get_up(&self) -> bool {
        // A wake that is missed here is found by `fall_asleep`, before the port can block.
        if self.0.load(Ordering::Relaxed) == AWAKE {
            return false;
        }
        self.0.swap(AWAKE, Ordering::AcqRel) == NOTIFIED
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wakes_before_the_port_looks_are_one_and_keep_it_from_sleeping() {
        let state = WakeState::default();
        assert!(!state.wake(), "a port that runs is not notified");
        assert!(!state.wake());
        assert!(!state.fall_asleep());
        assert!(state.get_up());
        assert!(!state.get_up());
        assert!(state.fall_asleep());
        assert!(!state.get_up());
    }

    #[test]
    fn a_port_that_sleeps_is_notified_once() {
        let state = WakeState::default();
        assert!(state.fall_asleep());
        assert!(state.wake());
        assert!(!state.wake());
        assert!(state.get_up());
    }
}
