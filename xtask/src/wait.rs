//! Time: how long something took, and waiting for something with a bound.

use std::fmt;
use std::time::{Duration, Instant};

/// How often a wait looks.
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// Runs since it was made.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stopwatch(Instant);

impl Stopwatch {
    #[expect(clippy::disallowed_methods, reason = "tools have no port to ask for the time")]
    pub(crate) fn start() -> Self {
        Self(Instant::now())
    }

    pub(crate) fn elapsed(self) -> Duration {
        self.0.elapsed()
    }
}

/// With one decimal: `12.3 s`.
impl fmt::Display for Stopwatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.1} s", self.elapsed().as_secs_f64())
    }
}

/// Waits until `look` gives something, for at most `limit`; `None` if it did not.
pub(crate) fn until<T>(limit: Duration, mut look: impl FnMut() -> Option<T>) -> Option<T> {
    let stopwatch = Stopwatch::start();
    loop {
        if let Some(found) = look() {
            return Some(found);
        }
        if stopwatch.elapsed() >= limit {
            return None;
        }
        pause(LOOK_EVERY);
    }
}

/// Lets time pass: between two looks, or because a peer is to be slow.
#[expect(clippy::disallowed_methods, reason = "every caller has a bound, or acts a slow peer")]
pub(crate) fn pause(time: Duration) {
    std::thread::sleep(time);
}
