//! Many seeds on many threads.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use wharf::sim::FaultKind;

use super::marks::Marks;
use super::options::SimOptions;
use super::record::Violation;
use super::run::{self, Outcome};
use crate::clock;
use crate::failure::Failure;
use crate::terminal;

/// What all runs together have come to.
#[derive(Debug, Default)]
pub(super) struct Findings {
    pub(super) seeds: u64,
    pub(super) replayed: u64,
    pub(super) steps: u64,
    pub(super) time: Duration,
    pub(super) injected: Vec<u64>,
    pub(super) marks: Marks,
    pub(super) trace: Vec<String>,
    /// The first seed that breaks something, and what.
    pub(super) violation: Option<(u64, Violation)>,
}

/// What the threads share.
struct Campaign<'a> {
    options: &'a SimOptions,
    next: AtomicU64,
    broken: AtomicBool,
}

/// Runs all seeds, until one breaks something.
pub(super) fn run(options: &SimOptions) -> Result<Findings, Failure> {
    let began = clock::now();
    let campaign = Campaign { options, next: AtomicU64::new(0), broken: AtomicBool::new(false) };
    let (outcomes, done) = mpsc::channel();
    let mut findings = thread::scope(|scope| {
        for job in 0..options.jobs {
            let (campaign, outcomes) = (&campaign, outcomes.clone());
            let thread = thread::Builder::new().name(format!("seeds-{job}"));
            let started = thread.spawn_scoped(scope, move || campaign.work(&outcomes));
            if let Err(error) = started {
                campaign.broken.store(true, Ordering::Relaxed);
                return Err(Failure::no_thread(error));
            }
        }
        drop(outcomes);
        Ok(collect(options, &done))
    })?;
    findings.time = began.elapsed();
    Ok(findings)
}

impl Campaign<'_> {
    /// Takes the next seed until there is none.
    fn work(&self, outcomes: &Sender<(u64, bool, Outcome)>) {
        while !self.broken.load(Ordering::Relaxed) {
            let number = self.next.fetch_add(1, Ordering::Relaxed);
            if number >= self.options.seeds.count {
                return;
            }
            let seed = self.options.seeds.from.wrapping_add(number);
            let (replayed, outcome) = self.seed(seed);
            if outcome.violation.is_some() {
                self.broken.store(true, Ordering::Relaxed);
            }
            if outcomes.send((seed, replayed, outcome)).is_err() {
                return;
            }
        }
    }

    /// Runs one seed, and again if it is one of those that are replayed.
    fn seed(&self, seed: u64) -> (bool, Outcome) {
        let SimOptions { faults, trace, replays_percent, .. } = self.options;
        let mut outcome = run::run(seed, faults, *trace);
        let replays = seed % 100 < *replays_percent && outcome.violation.is_none();
        if replays {
            let again = run::run(seed, faults, *trace);
            if again.hash != outcome.hash || again.steps != outcome.steps {
                outcome.violation = Some(Violation {
                    invariant: "replay",
                    what: format!("two runs differ: {:x} and {:x}", outcome.hash, again.hash),
                });
            }
        }
        (replays, outcome)
    }
}

/// Adds up what the threads find, and shows how far they are.
fn collect(options: &SimOptions, done: &Receiver<(u64, bool, Outcome)>) -> Findings {
    let bar = progress(options.seeds.count);
    let mut findings = Findings { injected: vec![0; FaultKind::ALL.len()], ..Findings::default() };
    for (seed, replayed, outcome) in done {
        findings.seeds += 1;
        findings.replayed += u64::from(replayed);
        findings.steps += outcome.steps;
        findings.marks.merge(&outcome.marks);
        findings.trace.extend(outcome.trace);
        let sums = findings.injected.iter_mut().zip(&outcome.injected);
        sums.for_each(|(sum, count)| *sum += count);
        if let Some(violation) = outcome.violation {
            let is_first = findings.violation.as_ref().is_none_or(|(first, _)| seed < *first);
            if is_first {
                findings.violation = Some((seed, violation));
            }
        }
        if let Some(bar) = &bar {
            bar.inc(1);
        }
    }
    if let Some(bar) = bar {
        bar.finish_and_clear();
    }
    findings
}

/// A bar, where somebody looks at one.
fn progress(seeds: u64) -> Option<ProgressBar> {
    if !terminal::is_ours() {
        return None;
    }
    let bar = ProgressBar::new(seeds);
    let style = "{bar:40} {human_pos} of {human_len} seeds, {per_sec}, {eta} left";
    if let Ok(style) = ProgressStyle::with_template(style) {
        bar.set_style(style);
    }
    Some(bar)
}
