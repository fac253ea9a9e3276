//! The comparison of `bench/`: builds what it compares, and runs its harness.
//!
//! | module | what it does |
//! |---|---|
//! | [`comparison`] | what is run in earnest, area by area, and the report |
//! | [`mod@short`] | what CI runs |
//! | [`native`] | builds and checks the servers in C and C++ |

mod comparison;
mod native;
mod short;

use clap::{Args, Subcommand};

use crate::totals::Totals;
use crate::{Result, bench_programs};

/// What `cargo xtask bench` is told.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct BenchArgs {
    #[command(subcommand)]
    step: Option<Step>,
    #[command(flatten)]
    comparison: comparison::Comparison,
}

/// Single steps of the comparison.
#[derive(Debug, Subcommand)]
enum Step {
    /// Makes bench/results.md and bench/plots/ of the files in bench/results/.
    Report,
    /// Builds the servers in C and C++, and installs what is missing for it, as root.
    Native {
        /// Run the checks of behaviour on each, as it is measured and under the sanitizers.
        #[arg(long)]
        check: bool,
    },
}

/// Runs the comparison, or a step of it.
pub(crate) fn run(args: &BenchArgs) -> Result<Totals> {
    let programs = bench_programs::folder(bench_programs::RELEASE);
    match args.step {
        None => comparison::run(&args.comparison),
        Some(Step::Report) => comparison::report(),
        Some(Step::Native { check: true }) => native::check(&programs),
        Some(Step::Native { check: false }) => {
            for name in native::build(&programs)? {
                println!("built {name}");
            }
            Ok(Totals::default())
        }
    }
}

/// The short form, as a step of CI.
pub(crate) fn short() -> Result<Totals> {
    short::run()
}
