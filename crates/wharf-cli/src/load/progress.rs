//! One live line on the standard error stream, if that is a terminal.

use std::borrow::Cow;
use std::io::IsTerminal;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// How often it is drawn.
pub(super) const INTERVAL: Duration = Duration::from_millis(100);

/// A progress bar. It draws when it is told to, so it needs no thread of its own.
#[derive(Debug)]
pub(super) struct Progress {
    bar: ProgressBar,
}

impl Progress {
    /// `None` if nobody would see it.
    pub(super) fn new() -> Option<Self> {
        if !std::io::stderr().is_terminal() {
            return None;
        }
        let bar = ProgressBar::with_draw_target(Some(0), ProgressDrawTarget::stderr_with_hz(20));
        if let Ok(style) = ProgressStyle::with_template("{bar:30} {percent:>3}%  {msg}") {
            bar.set_style(style.progress_chars("=> "));
        }
        Some(Self { bar })
    }

    /// What the whole is for the next calls of [`show`](Self::show).
    pub(super) fn expect(&self, whole: u64) {
        self.bar.set_length(whole);
        self.bar.set_position(0);
    }

    /// Says something without moving.
    pub(super) fn say(&self, message: &'static str) {
        self.bar.set_message(message);
        self.bar.tick();
    }

    pub(super) fn show(&self, done: u64, message: impl Into<Cow<'static, str>>) {
        self.bar.set_message(message);
        self.bar.set_position(done);
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}
