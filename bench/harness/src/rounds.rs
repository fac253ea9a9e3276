//! Interleaved rounds: every server once per round, in an order that rotates.

use std::io::{self, IsTerminal};
use std::path::PathBuf;
use std::time::Duration;

use crate::Result;
use crate::case::Case;
use crate::contender::Contender;
use crate::load::{self, Run};

/// What is run, and how.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) contenders: Vec<Contender>,
    pub(crate) load: PathBuf,
    pub(crate) rounds: u32,
    pub(crate) window: Duration,
    pub(crate) warmup: Duration,
    pub(crate) server_cpu: usize,
    pub(crate) load_cpu: usize,
    pub(crate) nice: i32,
    /// A run with a larger foreign share is repeated.
    pub(crate) disturbed_share: f64,
    pub(crate) repeats: u32,
}

/// What one server has shown in one case.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) name: String,
    /// One per round; none where every attempt failed.
    pub(crate) runs: Vec<Option<Run>>,
    /// Runs thrown away because they were disturbed.
    pub(crate) repeated: u32,
    /// Runs kept though they were disturbed, because no attempt was quiet.
    pub(crate) disturbed: u32,
    /// Why the last failed attempt failed.
    pub(crate) failure: Option<String>,
}

/// Runs all rounds of a case.
pub(crate) fn run(plan: &Plan, case: Case) -> Result<Vec<Outcome>> {
    let new = |contender: &Contender| Outcome {
        name: contender.name.clone(),
        runs: Vec::new(),
        repeated: 0,
        disturbed: 0,
        failure: None,
    };
    let mut outcomes: Vec<_> = plan.contenders.iter().map(new).collect();
    let count = outcomes.len();
    for round in 0..plan.rounds as usize {
        for place in 0..count {
            let turn = (place + round) % count;
            let outcome = &mut outcomes[turn];
            progress(&format!("{case} round {}/{} {}", round + 1, plan.rounds, outcome.name));
            let run = attempt(plan, &plan.contenders[turn], case, outcome);
            outcome.runs.push(run);
        }
    }
    progress("");
    if outcomes.iter().all(|outcome| outcome.runs.iter().all(Option::is_none)) {
        let failure = outcomes.into_iter().find_map(|outcome| outcome.failure);
        return Err(format!("nothing works: {}", failure.unwrap_or_default()).into());
    }
    Ok(outcomes)
}

/// Runs a server until a run is quiet; if none is, takes the quietest.
fn attempt(plan: &Plan, contender: &Contender, case: Case, outcome: &mut Outcome) -> Option<Run> {
    let mut quietest: Option<Run> = None;
    for _ in 0..=plan.repeats {
        match load::run(plan, contender, case) {
            Ok(run) if run.foreign_share <= plan.disturbed_share => {
                outcome.repeated += u32::from(quietest.is_some());
                return Some(run);
            }
            Ok(run) => {
                outcome.repeated += u32::from(quietest.is_some());
                if quietest.is_none_or(|other| run.foreign_share < other.foreign_share) {
                    quietest = Some(run);
                }
            }
            Err(error) => {
                let failure = error.to_string();
                progress("");
                eprintln!("{case} {}: {failure}", outcome.name);
                outcome.failure = Some(failure);
            }
        }
    }
    outcome.disturbed += u32::from(quietest.is_some());
    quietest
}

/// Shows what is going on, on a terminal only.
fn progress(line: &str) {
    if io::stderr().is_terminal() {
        // Back to the first column, erase, write.
        eprint!("\r\x1b[K{line}");
    }
}
