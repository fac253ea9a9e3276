//! Waiting, never for ever and never blindly.

use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

/// Longer than anything here takes on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// What a deadline of the server's may be late by on a busy machine.
pub(crate) const SLACK: Duration = Duration::from_secs(3);

/// How often a condition is looked at.
const GLANCE: Duration = Duration::from_millis(1);

/// Lets `duration` pass, for what can only be shown by nothing happening.
pub(crate) fn let_pass(duration: Duration) {
    let (_kept, nothing) = channel::<()>();
    let _ = nothing.recv_timeout(duration);
}

/// Waits until a condition holds; `what` says which.
#[track_caller]
pub(crate) fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    let watch = Stopwatch::start();
    while !holds() {
        assert!(watch.elapsed() < PATIENCE, "waited in vain until {what}");
        let_pass(GLANCE);
    }
}

/// Waits until a value has stayed the same for `quiet`, and returns it.
#[track_caller]
pub(crate) fn wait_until_stable<T: PartialEq + Copy>(
    what: &str,
    quiet: Duration,
    mut value: impl FnMut() -> T,
) -> T {
    let watch = Stopwatch::start();
    let mut last = value();
    let mut since = Stopwatch::start();
    while since.elapsed() < quiet {
        assert!(watch.elapsed() < PATIENCE, "{what} never came to rest");
        let_pass(GLANCE);
        let now = value();
        if now != last {
            last = now;
            since = Stopwatch::start();
        }
    }
    last
}

/// How long something takes, as a client sees it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stopwatch(Instant);

impl Stopwatch {
    #[expect(clippy::disallowed_methods, reason = "clients have a clock of their own")]
    pub(crate) fn start() -> Self {
        Self(Instant::now())
    }

    pub(crate) fn elapsed(self) -> Duration {
        self.0.elapsed()
    }
}
