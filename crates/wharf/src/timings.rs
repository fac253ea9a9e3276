//! How long a worker's turns take, and how late its timers fire.

use crate::histogram::{Histogram, HistogramOfWorker};

/// One turn in so many is timed: a reading of the clock costs as much as a small callback. A prime, so that what
/// happens every second or every eighth turn is met as often as the rest.
pub(crate) const TURNS_PER_SAMPLE: u32 = 17;

/// How long the turns of a worker take, and how late its timers fire. On a simulated network no time
/// passes within a turn.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Timings {
    /// From the end of a turn's wait to the end of the turn: its callbacks, and what wharf does around
    /// them. One turn in seventeen is timed, so a rare long turn may be missed here; what blocks for long is
    /// in [`Stats::callbacks_blocked`](crate::Stats::callbacks_blocked).
    pub turn: Histogram,
    /// By how much timers fire late: of the timers that fire in one turn, the latest. It is what a session
    /// waits because its worker is busy, or because the system does not run the thread.
    pub timer_lag: Histogram,
}

/// Those of one worker, where other threads can read them. Only the worker writes.
#[derive(Debug, Default)]
#[repr(align(128))]
pub(crate) struct TimingsOfWorker {
    pub(crate) turn: HistogramOfWorker,
    pub(crate) timer_lag: HistogramOfWorker,
}

impl TimingsOfWorker {
    pub(crate) fn read(&self) -> Timings {
        Timings { turn: self.turn.read(), timer_lag: self.timer_lag.read() }
    }
}
