//! Waking a port that sleeps in the kernel, from any thread.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use crate::sim::Ringer;
use crate::sys::Notifier;

/// The port runs, or will look before it sleeps.
const AWAKE: u8 = 0;
/// The port sleeps, or is about to: who wakes it must also notify the kernel.
const ASLEEP: u8 = 1;
/// A wake that the port has not taken yet.
const NOTIFIED: u8 = 2;

/// Wakes one completion port from any thread.
///
/// Wakes that come before the port has taken the first of them are one [`Completion::Wake`]; none is
/// lost. Whatever was written before [`wake`](Waker::wake) is visible to the port's thread once it
/// has taken that completion. To wake a port that is awake is one atomic exchange, no system call.
///
/// [`Completion::Wake`]: crate::Completion::Wake
#[derive(Clone, Debug)]
pub struct Waker {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    state: AtomicU8,
    signal: Signal,
}

/// What interrupts a wait.
#[derive(Debug)]
pub(crate) enum Signal {
    System(Notifier),
    Simulated(Ringer),
}

impl Signal {
    fn give(&self) {
        match self {
            Self::System(notifier) => notifier.notify(),
            Self::Simulated(ringer) => ringer.ring(),
        }
    }
}

impl Waker {
    pub(crate) fn new(signal: Signal) -> Self {
        Self { shared: Arc::new(Shared { state: AtomicU8::new(AWAKE), signal }) }
    }

    /// Wakes the port. Does nothing if the port is gone.
    pub fn wake(&self) {
        if self.shared.state.swap(NOTIFIED, Ordering::AcqRel) == ASLEEP {
            self.shared.signal.give();
        }
    }

    /// Announces that the port is about to sleep; false if a wake has come already.
    pub(crate) fn fall_asleep(&self) -> bool {
        self.shared
            .state
            .compare_exchange(AWAKE, ASLEEP, Ordering::AcqRel, Ordering::Acquire)
            .is_ok()
    }

    /// Says that the port runs again; true if it was woken since the last call.
    pub(crate) fn get_up(&self) -> bool {
        if self.shared.state.load(Ordering::Relaxed) == AWAKE {
            return false;
        }
        self.shared.state.swap(AWAKE, Ordering::AcqRel) == NOTIFIED
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wakes_before_the_port_looks_are_one_and_keep_it_from_sleeping() {
        let waker = Waker::new(Signal::System(Notifier::new().unwrap()));
        waker.wake();
        waker.clone().wake();
        assert!(!waker.fall_asleep());
        assert!(waker.get_up());
        assert!(!waker.get_up());
        assert!(waker.fall_asleep());
        assert!(!waker.get_up());
    }
}
