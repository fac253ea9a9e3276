//! What the library has to reach, and whether it does.
//!
//! A bound within 10 % of 1 is finer than two runs of the same server differ, so it takes 15 paired rounds,
//! and is missed only if the whole 90 % interval is beyond it. Any other bound is held against the median.

mod bounds;

use std::fmt::{self, Display};

use crate::contender::is_peer;
use crate::results::{CaseResults, Figure, Outcome, Results, Run};
use crate::statistics::{interval_90, median, range};

pub(crate) use bounds::bounds;

/// Rounds that a bound near 1 takes.
const ROUNDS_MIN: usize = 15;
/// How near to 1 a bound is near.
const NEAR_ONE: f64 = 0.1 + 1e-9;
/// What is asked for where a peer does better than the anchor.
const OF_BETTER_PEER: f64 = 1.05;
/// The server that stands for what the machine allows.
const ANCHOR: &str = "bare";

/// Whom a figure is compared with.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Against {
    /// A server in the same case.
    Server(&'static str),
    /// The peer with the lowest median in the same case.
    BestPeer,
    /// A server in another case that was measured in the same rounds.
    Other(&'static str, String),
    /// The growth of the anchor from another case to this.
    Growth(String),
    /// What its server needs for the same messages, for the generator.
    Loaded,
    /// Nobody: the bound is the figure.
    Nobody,
}

/// What of all rounds counts.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Rule {
    /// The quotient is at most the bound.
    AtMost,
    /// It is at least the bound.
    AtLeast,
    /// The quotient of the best rounds is at most the bound: for tails, which others on the machine make.
    BestAtMost,
}

/// One bound.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    pub(crate) area: &'static str,
    pub(crate) case: String,
    pub(crate) server: &'static str,
    pub(crate) figure: Figure,
    pub(crate) against: Against,
    pub(crate) rule: Rule,
    pub(crate) bound: f64,
}

/// What is to be said of a target.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Verdict {
    Held,
    Missed,
    /// Why nothing can be said.
    Undecided(String),
}

impl Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Held => f.write_str("held"),
            Self::Missed => f.write_str("**missed**"),
            Self::Undecided(why) => write!(f, "undecided: {why}"),
        }
    }
}

/// A target and what came of it.
#[derive(Clone, Debug)]
pub(crate) struct Judged {
    /// Whom it was compared with in the end.
    pub(crate) base: String,
    /// What was asked for in the end.
    pub(crate) bound: f64,
    /// The median, or the figure.
    pub(crate) value: Option<f64>,
    pub(crate) interval: Option<(f64, f64)>,
    pub(crate) rounds: usize,
    pub(crate) verdict: Verdict,
}

/// Holds a target against the results of its area.
pub(crate) fn judge(target: &Target, results: &Results) -> Judged {
    let undecided = |why: String| Judged {
        base: target.against_words(),
        bound: target.bound,
        value: None,
        interval: None,
        rounds: 0,
        verdict: Verdict::Undecided(why),
    };
    let Some(case) = results.case(&target.case) else {
        return undecided("the case was not measured".to_owned());
    };
    let Some(own) = case.server(target.server) else {
        return undecided(format!("{} was not measured", target.server));
    };
    match series(target, results, case, own) {
        Ok(series) => decide(target, series),
        Err(why) => undecided(why),
    }
}

/// What is held against the bound, by round.
struct Series {
    base: String,
    bound: f64,
    values: Vec<f64>,
    /// The quotient of the best rounds, where these count.
    best: Option<f64>,
}

fn series(
    target: &Target,
    results: &Results,
    case: &CaseResults,
    own: &Outcome,
) -> Result<Series, String> {
    let figure = |run: &_| target.figure.of(run);
    let absent = |name: &str| format!("{name} was not measured");
    let with = |base: &Outcome, name: String, bound: f64| Series {
        base: name,
        bound,
        values: own.paired(base, figure),
        best: best(&own.values(figure)).zip(best(&base.values(figure))).map(|(a, b)| a / b),
    };
    match &target.against {
        Against::Server(name) => {
            let base = case.server(name).ok_or_else(|| absent(name))?;
            match better_peer(target, case) {
                Some(peer) if *name == ANCHOR => {
                    Ok(with(peer, format!("{}, better than {ANCHOR}", peer.name), OF_BETTER_PEER))
                }
                _ => Ok(with(base, (*name).to_owned(), target.bound)),
            }
        }
        Against::BestPeer => {
            let best = best_peer(case, target.figure).ok_or_else(|| absent("a peer"))?;
            let is_better = better_peer(target, case).is_some() && target.bound >= 1.0;
            let bound = if is_better { OF_BETTER_PEER } else { target.bound };
            Ok(with(best, best.name.clone(), bound))
        }
        Against::Other(name, other) => {
            let other_case = results.case(other).ok_or_else(|| absent(other))?;
            let base = other_case.server(name).ok_or_else(|| absent(name))?;
            Ok(with(base, format!("{name} in {other}"), target.bound))
        }
        Against::Growth(from) => {
            let from_case = results.case(from).ok_or_else(|| absent(from))?;
            let quotients = |case: &CaseResults| {
                let own = case.server(target.server).ok_or_else(|| absent(target.server))?;
                let anchor = case.server(ANCHOR).ok_or_else(|| absent(ANCHOR))?;
                Ok::<_, String>(own.paired(anchor, figure))
            };
            let pairs = quotients(case)?.into_iter().zip(quotients(from_case)?);
            let values = pairs.map(|(here, there)| here / there).collect();
            let base = format!("growth of {ANCHOR} from {from}");
            Ok(Series { base, bound: target.bound, values, best: None })
        }
        Against::Loaded => Ok(Series {
            base: target.against_words(),
            bound: target.bound,
            values: own.values(Run::generator_ratio),
            best: None,
        }),
        Against::Nobody => Ok(Series {
            base: target.against_words(),
            bound: target.bound,
            values: own.values(figure),
            best: None,
        }),
    }
}

fn decide(target: &Target, series: Series) -> Judged {
    let Series { base, bound, values, best } = series;
    let interval = interval_90(&values);
    let value = if target.rule == Rule::BestAtMost { best } else { median(&values) };
    let is_near = target.against != Against::Nobody && (bound - 1.0).abs() <= NEAR_ONE;
    let verdict = match (value, interval, target.rule) {
        (None, ..) | (_, None, _) => Verdict::Undecided("no round has both".to_owned()),
        (Some(value), _, Rule::BestAtMost) => held(value <= bound),
        _ if is_near && values.len() < ROUNDS_MIN => Verdict::Undecided(format!(
            "{} paired rounds, and {ROUNDS_MIN} are needed for a bound so near to 1",
            values.len()
        )),
        (_, Some((low, _)), Rule::AtMost) if is_near => held(low <= bound),
        (_, Some((_, high)), Rule::AtLeast) if is_near => held(high >= bound),
        (Some(value), _, Rule::AtMost) => held(value <= bound),
        (Some(value), _, Rule::AtLeast) => held(value >= bound),
    };
    // The quotient of two single rounds has none.
    let interval = interval.filter(|_| target.rule != Rule::BestAtMost);
    Judged { base, bound, value, interval, rounds: values.len(), verdict }
}

fn held(holds: bool) -> Verdict {
    if holds { Verdict::Held } else { Verdict::Missed }
}

fn best(values: &[f64]) -> Option<f64> {
    range(values).map(|(least, _)| least)
}

/// The peer with the lowest median.
fn best_peer(case: &CaseResults, figure: Figure) -> Option<&Outcome> {
    let peers = case.servers.iter().filter(|outcome| is_peer(&outcome.name));
    let medians =
        peers.filter_map(|peer| Some((median(&peer.values(|run| figure.of(run)))?, peer)));
    medians.min_by(|left, right| left.0.total_cmp(&right.0)).map(|(_, peer)| peer)
}

/// The best peer, if it does with less CPU than the anchor.
fn better_peer<'a>(target: &Target, case: &'a CaseResults) -> Option<&'a Outcome> {
    if target.figure != Figure::Cpu {
        return None;
    }
    let figure = |run: &_| Figure::Cpu.of(run);
    let anchor = median(&case.server(ANCHOR)?.values(figure))?;
    best_peer(case, Figure::Cpu)
        .filter(|peer| median(&peer.values(figure)).is_some_and(|median| median < anchor))
}

impl Target {
    /// What is asked for, for the table.
    pub(crate) fn words(&self) -> String {
        let figure = match self.figure {
            Figure::Cpu => "CPU",
            Figure::GeneratorCpu => return "wharf load CPU".to_owned(),
            Figure::PerSecond => "a second",
            Figure::P50 => "p50",
            Figure::P90 => "p90",
            Figure::P99 => "p99",
            Figure::SessionBytes => "bytes per session",
        };
        let best = if self.rule == Rule::BestAtMost { " of the best round" } else { "" };
        format!("{} {figure}{best}", self.server)
    }

    fn against_words(&self) -> String {
        match &self.against {
            Against::Server(name) => (*name).to_owned(),
            Against::BestPeer => "best peer".to_owned(),
            Against::Other(name, case) => format!("{name} in {case}"),
            Against::Growth(from) => format!("growth of {ANCHOR} from {from}"),
            Against::Loaded => self.server.to_owned(),
            Against::Nobody => "-".to_owned(),
        }
    }

    /// The bound with its direction.
    pub(crate) fn bound_words(&self, bound: f64) -> String {
        let sign = if self.rule == Rule::AtLeast { "at least" } else { "at most" };
        format!("{sign} {bound}")
    }
}

#[cfg(test)]
mod tests;
