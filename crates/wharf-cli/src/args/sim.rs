//! The flags of `wharf sim`.

use std::num::NonZero;
use std::path::PathBuf;
use std::thread;

use clap::Args;
use wharf::sim::Faults;

use super::values::{UNBOUNDED, number};
use crate::failure::Failure;
use crate::json::JsonTarget;
use crate::simulate::{Seeds, SimOptions};

#[derive(Debug, Args)]
pub(super) struct SimArgs {
    /// How many seeds to run.
    #[arg(
        long,
        env = "WHARF_SEEDS",
        value_name = "N",
        default_value = "1000",
        allow_negative_numbers = true,
        value_parser = number(1, UNBOUNDED)
    )]
    seeds: u64,

    /// The first of them.
    #[arg(
        long,
        env = "WHARF_FROM",
        value_name = "SEED",
        default_value = "0",
        allow_negative_numbers = true,
        value_parser = number(0, UNBOUNDED)
    )]
    from: u64,

    /// What may go wrong: all, none, or names with commas between them.
    #[arg(long, env = "WHARF_FAULTS", value_name = "LIST", default_value = "all", value_parser = faults)]
    faults: (String, Faults),

    /// Threads [default: as many as there are cores].
    #[arg(
        long,
        env = "WHARF_JOBS",
        value_name = "N",
        allow_negative_numbers = true,
        value_parser = number(1, 1_024)
    )]
    jobs: Option<u64>,

    /// Of how many seeds in a hundred the run is repeated and compared.
    #[arg(
        long,
        env = "WHARF_REPLAYS",
        value_name = "PERCENT",
        default_value = "1",
        allow_negative_numbers = true,
        value_parser = number(0, 100)
    )]
    replays: u64,

    /// Print every step of the one seed.
    #[arg(long, env = "WHARF_TRACE")]
    trace: bool,

    /// Write the result as JSON; - is the standard output.
    #[arg(long, env = "WHARF_JSON", value_name = "FILE")]
    json: Option<PathBuf>,
}

/// The faults, and their names as they were given.
fn faults(list: &str) -> Result<(String, Faults), String> {
    let faults = Faults::parse(list).map_err(|error| error.to_string())?;
    Ok((list.to_owned(), faults))
}

impl SimArgs {
    /// Checks flag against flag.
    pub(super) fn check(self) -> Result<SimOptions, Failure> {
        if self.trace && self.seeds > 1 {
            return Err(Failure::arguments(format_args!(
                "--trace prints one seed, and --seeds is {}: give --seeds 1 and the seed with --from",
                self.seeds
            )));
        }
        let cores = thread::available_parallelism().map_or(1, NonZero::get);
        let jobs = self.jobs.map_or(cores, |jobs| usize::try_from(jobs).unwrap_or(cores));
        let (faults_asked, faults) = self.faults;
        Ok(SimOptions {
            seeds: Seeds { from: self.from, count: self.seeds },
            faults,
            faults_asked,
            jobs,
            replays_percent: self.replays,
            trace: self.trace,
            json: self.json.map(JsonTarget::from),
        })
    }
}
