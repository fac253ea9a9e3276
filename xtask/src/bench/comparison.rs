//! The whole comparison, area by area: builds what is missing, runs the harness, makes the report.

use std::ffi::OsString;

use clap::Args;

use super::{native, short};
use crate::totals::Totals;
use crate::{Result, bench_programs, process};

/// What is compared, and how long.
#[derive(Debug, Args)]
pub(crate) struct Comparison {
    /// Under three minutes: a few servers, a few cases, one round; shows that everything works, and measures
    /// nothing.
    #[arg(long, conflicts_with_all = ["set", "cases", "servers", "rounds", "seconds", "arguments"])]
    short: bool,

    /// Only these areas, separated by commas, such as framed,accept: `cargo xtask bench -- --help` lists them. Each
    /// leaves a file in bench/results/, and the report is made anew [default: all of them, which takes hours].
    #[arg(long, value_name = "NAMES")]
    set: Option<String>,

    /// These cases instead, such as 1000x64x1:raw; nothing is kept.
    #[arg(long, value_name = "CASES", conflicts_with = "set")]
    cases: Option<String>,

    /// Only these servers, separated by commas.
    #[arg(long, value_name = "NAMES")]
    servers: Option<String>,

    /// Rounds; each runs every server once in every case.
    #[arg(long, value_name = "N")]
    rounds: Option<String>,

    /// Seconds that each run is measured for.
    #[arg(long, value_name = "SECS")]
    seconds: Option<String>,

    /// What else the harness is told.
    #[arg(last = true)]
    arguments: Vec<OsString>,
}

/// Runs the comparison.
pub(super) fn run(comparison: &Comparison) -> Result<Totals> {
    let Comparison { short, set, cases, servers, rounds, seconds, arguments } = comparison;
    if *short {
        return short::run();
    }
    native::build(&bench_programs::folder(bench_programs::RELEASE))?;
    let mut harness = bench_programs::harness(&["--workspace"])?;
    let named = [("--cases", cases), ("--servers", servers), ("--rounds", rounds)];
    for (word, value) in named.into_iter().chain([("--seconds", seconds)]) {
        if let Some(value) = value {
            harness.args([word, value]);
        }
    }
    // Words that are for the harness alone say what is run.
    let is_by_area = set.is_some() || (cases.is_none() && arguments.is_empty());
    if is_by_area {
        harness.args(["--save", "results", "--set", set.as_deref().unwrap_or("all")]);
    }
    let ran = process::succeed(harness.args(arguments));
    // What did run is worth a report even if something did not.
    if is_by_area {
        report()?;
    }
    ran?;
    Ok(Totals::default())
}

/// Makes the report and its pictures of all that was kept.
pub(super) fn report() -> Result<Totals> {
    let folder = bench_programs::build(bench_programs::RELEASE, &["--package=harness"])?;
    process::succeed(bench_programs::harness_in(&folder).arg("report"))?;
    println!("bench/results.md and bench/plots/ are made of bench/results/");
    Ok(Totals::default())
}
