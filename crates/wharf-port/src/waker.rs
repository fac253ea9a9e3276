//! Waking a port that sleeps, from any thread.

use std::sync::Arc;

use crate::sim::Ringer;
use crate::sys::Notifier;
use crate::wake_state::WakeState;

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
    state: WakeState,
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
        Self { shared: Arc::new(Shared { state: WakeState::default(), signal }) }
    }

    /// Wakes the port. Does nothing if the port is gone.
    pub fn wake(&self) {
        if self.shared.state.wake() {
            self.shared.signal.give();
        }
    }

    /// Announces that the port is about to sleep; false if a wake has come already.
    pub(crate) fn fall_asleep(&self) -> bool {
        self.shared.state.fall_asleep()
    }

    /// Says that the port runs again; true if it was woken since the last call.
    pub(crate) fn get_up(&self) -> bool {
        self.shared.state.get_up()
    }
}
