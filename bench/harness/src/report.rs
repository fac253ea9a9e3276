//! The tables.

use std::fmt::Write;

use serde_json::{Value, json};

use crate::case::Case;
use crate::load::Run;
use crate::procfs;
use crate::rounds::{Outcome, Plan};
use crate::statistics::{interval_90, median, range};

/// The servers that the others are compared with.
const BASES: [&str; 2] = ["bare", "tokio"];

/// What stands above the tables.
pub(crate) fn header(plan: &Plan) -> String {
    format!(
        "# Server CPU per message\n\n\
         {}; server on CPU {}, generator on CPU {}; {} rounds of {} s after {} s of warm-up.\n\n\
         Cells: median (smallest..largest) of the rounds. Ratio: of the medians. Paired: median of \
         the ratios within each round, and its 90 % interval; an interval that includes 1 shows no \
         difference. Compare ratios, not figures: these belong to this machine and this hour.\n",
        procfs::machine(),
        plan.server_cpu,
        plan.load_cpu,
        plan.rounds,
        plan.window.as_secs_f64(),
        plan.warmup.as_secs_f64(),
    )
}

/// The table of a case.
pub(crate) fn table(case: Case, plan: &Plan, outcomes: &[Outcome]) -> String {
    let bases = BASES.map(|name| outcomes.iter().find(|outcome| outcome.name == name));
    let bases: Vec<_> = bases.into_iter().flatten().collect();
    let mut table = format!("## {case}\n\n| server | CPU ns per message |");
    for base in &bases {
        let _ = write!(table, " / {} | / {} paired |", base.name, base.name);
    }
    table += " messages/s | p50 us | p99 us | note |\n|---|---|";
    table += &"---|---|".repeat(bases.len());
    table += "---|---|---|---|\n";
    for outcome in outcomes {
        let _ = write!(table, "| {} | {} |", outcome.name, cell(outcome, |run| run.cpu_ns));
        for base in &bases {
            let _ = write!(table, " {} | {} |", ratio(outcome, base), paired(outcome, base));
        }
        let columns: [fn(&Run) -> f64; 3] =
            [|run| run.per_second, |run| run.p50_us, |run| run.p99_us];
        for value in columns {
            let _ = write!(table, " {} |", cell(outcome, value));
        }
        let _ = writeln!(table, " {} |", note(outcome, plan));
    }
    table
}

/// Every single run of a case.
pub(crate) fn json(case: Case, outcomes: &[Outcome]) -> Value {
    let run = |run: &Option<Run>| {
        run.map(|run| {
            json!({
                "cpu_ns": run.cpu_ns,
                "softirq_thread_ns": run.softirq_thread_ns,
                "per_second": run.per_second,
                "p50_us": run.p50_us,
                "p99_us": run.p99_us,
                "foreign_share": run.foreign_share,
            })
        })
    };
    let outcome = |outcome: &Outcome| {
        let rounds: Vec<_> = outcome.runs.iter().map(run).collect();
        (outcome.name.clone(), json!(rounds))
    };
    let servers: serde_json::Map<_, _> = outcomes.iter().map(outcome).collect();
    json!({ "case": case.to_string(), "servers": servers })
}

fn values(outcome: &Outcome, value: impl Fn(&Run) -> f64) -> Vec<f64> {
    outcome.runs.iter().flatten().map(value).collect()
}

fn cell(outcome: &Outcome, value: impl Fn(&Run) -> f64) -> String {
    let values = values(outcome, value);
    match (median(&values), range(&values)) {
        (Some(median), Some((smallest, largest))) => {
            format!("{} ({}..{})", short(median), short(smallest), short(largest))
        }
        _ => "-".into(),
    }
}

/// The ratio of the medians.
fn ratio(outcome: &Outcome, base: &Outcome) -> String {
    let medians = [outcome, base].map(|outcome| median(&values(outcome, |run| run.cpu_ns)));
    match medians {
        [Some(own), Some(base)] => format!("{:.2}", own / base),
        _ => "-".into(),
    }
}

/// The median of the ratios within the rounds, with its interval.
fn paired(outcome: &Outcome, base: &Outcome) -> String {
    if outcome.name == base.name {
        return "1".into();
    }
    let rounds = outcome.runs.iter().zip(&base.runs);
    let ratios: Vec<f64> = rounds
        .filter_map(|(own, base)| Some(own.as_ref()?.cpu_ns / base.as_ref()?.cpu_ns))
        .collect();
    match (median(&ratios), interval_90(&ratios)) {
        (Some(median), Some((low, high))) => format!("{median:.3} [{low:.3}, {high:.3}]"),
        _ => "-".into(),
    }
}

fn note(outcome: &Outcome, plan: &Plan) -> String {
    let mut notes = Vec::new();
    if outcome.repeated > 0 {
        notes.push(format!("{} repeated", outcome.repeated));
    }
    if outcome.disturbed > 0 {
        let percent = plan.disturbed_share * 100.0;
        notes.push(format!("{} kept with over {percent} % foreign", outcome.disturbed));
    }
    if let Some(failure) = &outcome.failure {
        let failed = outcome.runs.iter().filter(|run| run.is_none()).count();
        notes.push(format!("{failed} rounds without a result: {failure}"));
    }
    notes.join("; ")
}

/// Three or four digits, and a letter for thousands or millions.
fn short(value: f64) -> String {
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
        let run = |cpu_ns: &f64| {
            Some(Run {
                cpu_ns: *cpu_ns,
                softirq_thread_ns: 0.0,
                per_second: 1e6,
                p50_us: 10.0,
                p99_us: 20.0,
                foreign_share: 0.0,
            })
        };
        let runs = cpu.iter().map(run).collect();
        Outcome { name: name.into(), runs, repeated: 0, disturbed: 0, failure: None }
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
