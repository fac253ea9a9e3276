//! The cells of the tables.

use crate::results::{Outcome, Run};
use crate::statistics::{interval_90, median, range};

/// Median, smallest and largest of a figure.
pub(super) fn cell(outcome: &Outcome, figure: impl Fn(&Run) -> Option<f64>) -> String {
    let values = outcome.values(figure);
    match (median(&values), range(&values)) {
        (Some(median), Some((smallest, largest))) => {
            format!("{} ({}..{})", short(median), short(smallest), short(largest))
        }
        _ => "-".into(),
    }
}

/// The median of a figure alone.
pub(super) fn median_of(outcome: &Outcome, figure: impl Fn(&Run) -> Option<f64>) -> String {
    median(&outcome.values(figure)).map_or("-".into(), short)
}

/// The generator's CPU time for that of the server's own threads: the median of the rounds.
pub(super) fn generator_ratio(outcome: &Outcome) -> String {
    let ratios = outcome.values(Run::generator_ratio);
    median(&ratios).map_or("-".into(), |ratio| format!("{ratio:.2}"))
}

/// The share of the server's busiest thread.
pub(super) fn busiest_thread(outcome: &Outcome) -> String {
    let share = |run: &Run| run.busiest_thread_share.map(|share| share * 100.0);
    format!("{} %", median_of(outcome, share))
}

/// The ratio of the medians.
pub(super) fn ratio(outcome: &Outcome, base: &Outcome) -> String {
    let medians = [outcome, base].map(|outcome| median(&outcome.values(|run| run.cpu_ns)));
    match medians {
        [Some(own), Some(base)] => format!("{:.2}", own / base),
        _ => "-".into(),
    }
}

/// The median of the ratios within the rounds, with its interval.
pub(super) fn paired(outcome: &Outcome, base: &Outcome) -> String {
    if outcome.name == base.name {
        return "1".into();
    }
    let ratios = outcome.paired(base, |run| run.cpu_ns);
    match (median(&ratios), interval_90(&ratios)) {
        (Some(median), Some((low, high))) => format!("{median:.3} [{low:.3}, {high:.3}]"),
        _ => "-".into(),
    }
}

/// Three or four digits, and a letter for thousands or millions.
pub(super) fn short(value: f64) -> String {
    match value {
        1e7.. => format!("{:.1}M", value / 1e6),
        1e6.. => format!("{:.2}M", value / 1e6),
        1e4.. => format!("{:.1}k", value / 1e3),
        _ => format!("{value:.0}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(name: &str, cpu: &[f64]) -> Outcome {
        let run = |cpu: &f64| Some(Run { cpu_ns: Some(*cpu), ..Run::default() });
        Outcome { name: name.into(), runs: cpu.iter().map(run).collect(), ..Outcome::default() }
    }

    #[test]
    fn rounds_are_paired() {
        // The machine was twice as fast in the second round: the ratios do not care.
        let (own, base) =
            (outcome("own", &[200.0, 100.0, 150.0]), outcome("bare", &[100.0, 50.0, 75.0]));
        assert_eq!(paired(&own, &base), "2.000 [2.000, 2.000]");
        assert_eq!(ratio(&own, &base), "2.00");
    }

    #[test]
    fn a_failed_round_is_left_out() {
        let mut own = outcome("own", &[200.0, 0.0]);
        own.runs[1] = None;
        assert_eq!(paired(&own, &outcome("bare", &[100.0, 100.0])), "2.000 [2.000, 2.000]");
        assert_eq!(paired(&own, &outcome("bare", &[])), "-");
    }

    #[test]
    fn figures_are_short() {
        let figures = [209.4, 3278.0, 28_140.0, 300_200.0, 4_569_000.0].map(short);
        assert_eq!(figures, ["209", "3278", "28.1k", "300.2k", "4.57M"]);
    }
}
