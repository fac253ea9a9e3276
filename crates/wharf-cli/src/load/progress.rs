//! One live line on the standard error stream, if that is a terminal.

use std::borrow::Cow;
use std::io::IsTerminal;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use wharf_port::Time;

use super::report::{grouped, per_second};

/// How often it is drawn.
const INTERVAL: Duration = Duration::from_millis(100);

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

/// What a mode calls what it counts, and what it waits for in the end.
#[derive(Debug)]
pub(super) struct Words {
    /// Such as `messages`.
    pub(super) unit: &'static str,
    /// Such as `waiting for the last answers`.
    pub(super) last: &'static str,
}

/// The live line of a run: at most one look in an [`INTERVAL`].
#[derive(Debug)]
pub(super) struct LiveLine {
    progress: Option<Progress>,
    words: &'static Words,
    show_at: Time,
}

impl LiveLine {
    pub(super) const fn new(progress: Option<Progress>, words: &'static Words, now: Time) -> Self {
        Self { progress, words, show_at: now }
    }

    /// When it is to be shown next, if anybody sees it.
    pub(super) fn due(&self) -> Option<Time> {
        self.progress.as_ref().map(|_| self.show_at)
    }

    /// Whether it is to be shown now; then the next time is an interval away.
    pub(super) fn is_due(&mut self, now: Time) -> bool {
        let is_due = self.due().is_some_and(|due| due <= now);
        if is_due {
            self.show_at = now + INTERVAL;
        }
        is_due
    }

    /// What the whole is for the next calls of [`show`](Self::show).
    pub(super) fn expect(&self, whole: u64) {
        self.progress.iter().for_each(|progress| progress.expect(whole));
    }

    /// Says something without moving.
    pub(super) fn say(&self, message: &'static str) {
        self.progress.iter().for_each(|progress| progress.say(message));
    }

    /// Moves to `done` of a whole that is waited for.
    pub(super) fn show_last(&self, done: u64) {
        self.progress.iter().for_each(|progress| progress.show(done, self.words.last));
    }

    /// Says that the end is waited for.
    pub(super) fn say_last(&self) {
        self.say(self.words.last);
    }

    /// Moves to `done` of the whole; `received` messages came within `elapsed`.
    pub(super) fn show(&self, done: u64, received: u64, elapsed: Duration) {
        let Some(progress) = &self.progress else { return };
        let per_second = grouped(per_second(received, elapsed));
        progress.show(done, format!("{per_second} {}/s", self.words.unit));
    }
}

/// Whole milliseconds.
pub(super) fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
