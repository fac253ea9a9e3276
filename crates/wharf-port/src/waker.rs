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
    #[cfg(loom)]
    Modelled(Arc<crate::modelled::Edge>),
}

impl Signal {
    fn give(&self) {
        match self {
            Self::System(notifier) => notifier.notify(),
            Self::Simulated(ringer) => ringer.ring(),
            #[cfg(loom)]
            Self::Modelled(edge) => edge.rise(),
        }
    }

    /// Notes that the port has been woken while it runs. The kernel need not know; a simulated network
    /// must not move its clock before the port has looked.
    fn note(&self) {
        if let Self::Simulated(ringer) = self {
            ringer.note();
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
        } else {
            self.shared.signal.note();
        }
    }

    /// Carries out a wait of the port, which is told whether it may block; true beside its result if
    /// the port was woken since the last one.
    pub(crate) fn sleep<T>(&self, may_block: bool, wait: impl FnOnce(bool) -> T) -> (T, bool) {
        let blocks = may_block && self.shared.state.fall_asleep();
        let waited = wait(blocks);
        (waited, self.shared.state.get_up())
    }
}
