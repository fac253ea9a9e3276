//! Experiments: what goes wrong in a model, or how it behaves, shown by a run and explained beside it.

mod io_count;
mod socket_number;
mod stage;

use std::io;

/// Something to try, and what it shows.
#[derive(Clone, Copy, Debug)]
pub struct Experiment {
    /// Lower-case words with hyphens; no two have the same.
    pub name: &'static str,
    /// Where it runs, such as `any` or `Windows`.
    pub system: &'static str,
    /// What it shows, in a line.
    pub summary: &'static str,
    /// Runs it, and writes what was done, what was seen and why.
    pub run: fn(&mut dyn io::Write) -> io::Result<Verdict>,
}

/// Whether what was seen is what the experiment is there to show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is.
    Shown,
    /// It is not: the report says what was seen instead.
    NotShown,
}

/// The experiments that run on this system.
#[must_use]
pub fn experiments() -> Vec<Experiment> {
    #[cfg_attr(not(windows), expect(unused_mut, reason = "Windows has more"))]
    let mut experiments = vec![io_count::EXPERIMENT, socket_number::EXPERIMENT];
    #[cfg(windows)]
    experiments.extend(crate::windows::EXPERIMENTS);
    experiments
}
