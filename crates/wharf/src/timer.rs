//! Names of timers that users start.

use wharf_port::{Time, TimerId};

/// The name of a timer of a session; never used again. See
/// [`Context::start_timer`](crate::Context::start_timer).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct SessionTimer(pub(crate) TimerName);

/// The name of a timer of a group; never used again. See
/// [`Context::start_group_timer`](crate::Context::start_group_timer).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct GroupTimer {
    pub(crate) worker: u16,
    pub(crate) name: TimerName,
}

/// Where a timer stands on its worker, and what tells it from others that stood there.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) struct TimerName {
    pub(crate) index: u32,
    pub(crate) timer: TimerId,
}

impl SessionTimer {
    /// When it fires.
    pub const fn deadline(self) -> Time {
        self.0.timer.deadline()
    }
}

impl GroupTimer {
    /// When it fires.
    pub const fn deadline(self) -> Time {
        self.name.timer.deadline()
    }
}
