//! The result of a replay, for people and for scripts.

use std::fmt;
use std::time::Duration;

use serde::Serialize;
use wharf_capture::{Difference, Recording, Report};

use crate::counted::Counted;
use crate::failure::{Exit, Failure};

/// Differences that are shown to people; scripts get up to a hundred of each run.
const SHOWN_MAX: usize = 5;

/// What has come of all runs.
#[derive(Debug)]
pub(super) struct Results {
    sessions: usize,
    runs: u64,
    frames_sent: u64,
    frames_equal: u64,
    different: u64,
    ended_for_others: u64,
    took: Duration,
    /// With the seed of their run.
    differences: Vec<(Option<u64>, Difference)>,
}

/// The JSON of `wharf replay`. Scripts rely on the names.
#[derive(Debug, Serialize)]
pub(super) struct Json {
    sessions: usize,
    runs: u64,
    frames_sent: u64,
    frames_equal: u64,
    different: u64,
    ended_for_others: u64,
    seconds: f64,
    differences: Vec<JsonDifference>,
}

#[derive(Debug, Serialize)]
struct JsonDifference {
    seed: Option<u64>,
    session: usize,
    frame: usize,
    problem: String,
}

impl Results {
    pub(super) fn new(recording: &Recording) -> Self {
        Self {
            sessions: recording.sessions.len(),
            runs: 0,
            frames_sent: 0,
            frames_equal: 0,
            different: 0,
            ended_for_others: 0,
            took: Duration::ZERO,
            differences: Vec::new(),
        }
    }

    pub(super) fn add(&mut self, seed: Option<u64>, report: Report) {
        self.sessions = report.sessions;
        self.runs += 1;
        self.frames_sent += report.frames_sent;
        self.frames_equal += report.frames_equal;
        self.different += report.different;
        self.ended_for_others += report.ended_for_others;
        self.took += report.took;
        self.differences.extend(report.differences.into_iter().map(|it| (seed, it)));
    }

    pub(super) fn json(&self) -> Json {
        let difference = |(seed, it): &(Option<u64>, Difference)| JsonDifference {
            seed: *seed,
            session: it.session,
            frame: it.frame,
            problem: it.problem.to_string(),
        };
        Json {
            sessions: self.sessions,
            runs: self.runs,
            frames_sent: self.frames_sent,
            frames_equal: self.frames_equal,
            different: self.different,
            ended_for_others: self.ended_for_others,
            seconds: self.took.as_secs_f64(),
            differences: self.differences.iter().map(difference).collect(),
        }
    }

    /// What the command fails with, if anything was different.
    pub(super) fn failure(&self) -> Option<Failure> {
        let (seed, first) = self.differences.first()?;
        let seed = seed.map_or_else(String::new, |seed| format!(" with seed {seed}"));
        let count = Counted(self.different, "difference");
        Some(Failure::new(Exit::Failed, format_args!("{count}; the first{seed}: {first}")))
    }
}

impl fmt::Display for Results {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} replayed", Counted(self.sessions as u64, "session"))?;
        if self.runs > 1 {
            write!(f, " {} times", self.runs)?;
        }
        writeln!(
            f,
            " in {:.3} s; {} sent, {} came back equal, {} different",
            self.took.as_secs_f64(),
            Counted(self.frames_sent, "frame"),
            self.frames_equal,
            self.different,
        )?;
        if self.ended_for_others > 0 {
            let ended = Counted(self.ended_for_others, "session");
            writeln!(f, "  {ended} ended here, since no frame had ended them in the capture")?;
        }
        for (seed, difference) in self.differences.iter().take(SHOWN_MAX) {
            match seed {
                Some(seed) => writeln!(f, "  seed {seed}, {difference}")?,
                None => writeln!(f, "  {difference}")?,
            }
        }
        if self.different > SHOWN_MAX as u64 {
            writeln!(f, "  and {} more", self.different - SHOWN_MAX as u64)?;
        }
        Ok(())
    }
}
