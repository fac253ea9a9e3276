//! The comparison of `bench/`: builds what it compares, and runs its harness.
//!
//! | module | what it does |
//! |---|---|
//! | [`native`] | builds and checks the servers in C and C++ |

mod native;

use clap::Subcommand;

use crate::Result;
use crate::totals::Totals;

/// Single steps of the comparison.
#[derive(Debug, Subcommand)]
pub(crate) enum Step {
    /// Builds the servers in C and C++, and installs what is missing for it, as root.
    Native {
        /// Run the checks of behaviour on each, as it is measured and under the sanitizers.
        #[arg(long)]
        check: bool,
    },
}

/// Runs one step.
pub(crate) fn run(step: &Step) -> Result<Totals> {
    let programs = crate::steps::bench_programs();
    let Step::Native { check } = step;
    if *check {
        return native::check(&programs);
    }
    for name in native::build(&programs)? {
        println!("built {name}");
    }
    Ok(Totals::default())
}
