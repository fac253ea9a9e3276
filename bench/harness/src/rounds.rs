//! Interleaved rounds: every server once per round and case, in an order that rotates.

use std::collections::HashMap;
use std::io::{self, IsTerminal};
use std::path::PathBuf;
use std::time::Duration;

use crate::Result;
use crate::case::{Case, Framing, Messages, Pace};
use crate::contender::Contender;
use crate::load;
use crate::results::{CaseResults, Outcome, Run};

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
    /// All that may be used where nothing is pinned.
    pub(crate) cpus_allowed: Vec<usize>,
    pub(crate) nice: i32,
    /// A run with a larger foreign share is repeated.
    pub(crate) disturbed_share: f64,
    pub(crate) repeats: u32,
}

impl Plan {
    /// The CPUs of the server and of the generator.
    pub(crate) fn cpus(&self, case: Case) -> (Vec<usize>, Vec<usize>) {
        if case.is_unpinned() {
            (self.cpus_allowed.clone(), self.cpus_allowed.clone())
        } else {
            (vec![self.server_cpu], vec![self.load_cpu])
        }
    }
}

/// What servers can do, where it has been found out: by the case that asks them for all.
pub(crate) type Capacities = HashMap<String, f64>;

/// Runs all rounds of cases that are measured together.
pub(crate) fn run(
    plan: &Plan,
    cases: &[Case],
    capacities: &mut Capacities,
) -> Result<Vec<CaseResults>> {
    let mut all = Vec::new();
    for &case in cases {
        let new =
            |contender: &Contender| Outcome { name: contender.name.clone(), ..Outcome::default() };
        all.push(CaseResults {
            case: case.to_string(),
            asked_per_second: asked(plan, case, capacities)?,
            servers: plan.contenders.iter().map(new).collect(),
        });
    }
    let count = plan.contenders.len();
    for round in 0..plan.rounds as usize {
        for place in 0..count {
            let turn = (place + round) % count;
            for (case, results) in cases.iter().zip(&mut all) {
                let rate = results.asked_per_second;
                let outcome = &mut results.servers[turn];
                progress(&format!("{case} round {}/{} {}", round + 1, plan.rounds, outcome.name));
                let run = attempt(plan, &plan.contenders[turn], *case, rate, outcome);
                outcome.runs.push(run);
            }
        }
    }
    progress("");
    for results in &all {
        if results.servers.iter().all(|outcome| outcome.runs.iter().all(Option::is_none)) {
            let failure = results.servers.iter().find_map(|outcome| outcome.failure.clone());
            let failure = failure.unwrap_or_default();
            return Err(format!("nothing works in {}: {failure}", results.case).into());
        }
    }
    Ok(all)
}

/// The messages a second that a case asks for, if it asks for any.
fn asked(plan: &Plan, case: Case, capacities: &mut Capacities) -> Result<Option<u64>> {
    let Case::Messages(messages) = case else { return Ok(None) };
    let (depth, parts) = match messages.pace {
        Pace::Closed { .. } => return Ok(None),
        Pace::Rate { per_second } => return Ok(Some(per_second)),
        Pace::Share { depth, parts } => (depth, parts),
    };
    let closed = Messages { pace: Pace::Closed { depth }, ..messages };
    let capacity = capacity(plan, closed, capacities)?;
    Ok(Some(two_digits(capacity / f64::from(parts))))
}

/// The next lower number of two digits and noughts: no more are worth being asked for.
fn two_digits(rate: f64) -> u64 {
    let unit = 10_f64.powf((rate.max(1.0).log10().floor() - 1.0).max(0.0));
    ((rate / unit).floor() * unit).max(1.0) as u64
}

/// What the slowest server does in a closed loop: messages that are sent, a second.
fn capacity(plan: &Plan, closed: Messages, capacities: &mut Capacities) -> Result<f64> {
    let key = closed.to_string();
    if let Some(known) = capacities.get(&key) {
        return Ok(*known);
    }
    let mut slowest = f64::INFINITY;
    for contender in &plan.contenders {
        progress(&format!("{key} how much {} can do", contender.name));
        match load::run(plan, contender, Case::Messages(closed), None) {
            Ok(run) => slowest = run.per_second.map_or(slowest, |rate| slowest.min(rate)),
            // It will fail in the rounds as well, and is told there.
            Err(error) => eprintln!("{key} {}: {error}", contender.name),
        }
    }
    progress("");
    if slowest.is_infinite() {
        return Err(format!("nothing works in {key}, so no part of it can be asked for").into());
    }
    // A message of a chat is delivered to each session, and deliveries are what is counted.
    let each = if closed.framing == Framing::Chat { f64::from(closed.sessions) } else { 1.0 };
    capacities.insert(key, slowest / each);
    Ok(slowest / each)
}

/// Runs a server until a run is quiet; if none is, takes the quietest.
fn attempt(
    plan: &Plan,
    contender: &Contender,
    case: Case,
    rate: Option<u64>,
    outcome: &mut Outcome,
) -> Option<Run> {
    let mut quietest: Option<Run> = None;
    for _ in 0..=plan.repeats {
        match load::run(plan, contender, case, rate) {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_asked_for_with_two_digits() {
        assert_eq!([0.4, 7.9, 99.0, 263.5, 51_283.0].map(two_digits), [1, 7, 99, 260, 51_000]);
    }
}
