//! The section on targets.

use std::fmt::Write;

use crate::results::Results;
use crate::targets::{Judged, Target, Verdict, bounds, judge};

/// What the library has to reach, of the areas that were measured. Empty if none was.
pub(crate) fn section(all: &[Results]) -> String {
    let judged: Vec<(Target, Judged)> = bounds()
        .into_iter()
        .filter_map(|target| {
            let results = all.iter().find(|results| results.area == target.area)?;
            let judged = judge(&target, results);
            Some((target, judged))
        })
        .collect();
    if judged.is_empty() {
        return String::new();
    }
    let count = |wanted: fn(&Verdict) -> bool| {
        judged.iter().filter(|(_, judged)| wanted(&judged.verdict)).count()
    };
    let mut section = format!(
        "## Targets\n\n{} held, {} missed, {} undecided. A bound within 10 % of 1 takes 15 paired rounds, and is \
         missed if the whole 90 % interval is beyond it; others are held against the median. Where a peer needs \
         less than `bare`, 1.05 of that peer is asked for.\n\n\
         | case | of | against | bound | measured | rounds | target |\n|---|---|---|---|---|---|---|\n",
        count(|verdict| *verdict == Verdict::Held),
        count(|verdict| *verdict == Verdict::Missed),
        count(|verdict| matches!(verdict, Verdict::Undecided(_))),
    );
    for (target, judged) in &judged {
        let _ = writeln!(
            section,
            "| {} | {} | {} | {} | {} | {} | {} |",
            target.case,
            target.words(),
            judged.base,
            target.bound_words(judged.bound),
            measured(judged),
            judged.rounds,
            judged.verdict,
        );
    }
    section
}

fn measured(judged: &Judged) -> String {
    let digits = if judged.bound > 10.0 { 0 } else { 3 };
    match (judged.value, judged.interval) {
        (Some(value), Some((low, high))) => {
            format!("{value:.digits$} [{low:.digits$}, {high:.digits$}]")
        }
        (Some(value), None) => format!("{value:.digits$}"),
        (None, _) => "-".to_owned(),
    }
}
