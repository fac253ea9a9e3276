//! The commands and flags of `wharf models`.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand};
use wharf_models::Model;
use wharf_models::experiments::{Experiment, experiments};

use super::Command;
use super::values::{number, seconds};
use crate::failure::Failure;
use crate::json::JsonTarget;
use crate::models::{CompareOptions, RunOptions};

/// What there is to do with the models.
#[derive(Debug, Subcommand)]
pub(super) enum ModelsMode {
    /// Tell which models and experiments this system has.
    List,
    /// Serve as one of the models, until killed.
    ///
    /// Exit code: 1 the server could not start or not go on, 2 wrong arguments.
    Run {
        /// Which model, as the list has it.
        #[arg(value_parser = model)]
        name: Model,

        // rustdoc would look for a link in the brackets.
        #[arg(
            long,
            help = "Where to listen: IP:PORT or [IPV6]:PORT; port 0 is any free one",
            env = "WHARF_LISTEN",
            value_name = "ADDR",
            default_value = "127.0.0.1:7777",
            value_parser = address
        )]
        listen: SocketAddr,

        /// End when the standard input ends, with exit code 0: whoever started it is gone then.
        #[arg(long)]
        until_input_ends: bool,
    },
    /// Run models one after the other under the same load, a closed loop of one message of 64 bytes on each
    /// connection, and print what each brings and what it costs.
    ///
    /// Exit code: 0 all is well, 1 a model failed or returned wrong bytes, 2 wrong arguments.
    Compare(CompareArgs),
    /// Run an experiment: what goes wrong in a model, or how it behaves.
    ///
    /// Exit code: 0 it shows what it is there to show, 1 it does not, 2 wrong arguments.
    Experiment {
        /// Which one, as the list has it.
        #[arg(value_parser = experiment)]
        name: Experiment,
    },
}

#[derive(Debug, Args)]
pub(super) struct CompareArgs {
    /// With how many connections, with commas between the numbers.
    #[arg(
        long,
        env = "WHARF_CONNECTIONS",
        value_name = "N,...",
        default_value = "1,64,1000,10000",
        value_delimiter = ',',
        allow_negative_numbers = true,
        value_parser = number(1, 1_000_000)
    )]
    connections: Vec<u64>,

    /// How long to measure each, in seconds, after half a second of warm-up.
    #[arg(
        long,
        env = "WHARF_SECONDS",
        value_name = "SECS",
        default_value = "3",
        allow_negative_numbers = true,
        value_parser = seconds(3_600)
    )]
    seconds: Duration,

    /// How often each is measured, in turn with the others; the medians are told.
    #[arg(
        long,
        env = "WHARF_ROUNDS",
        value_name = "N",
        default_value = "3",
        allow_negative_numbers = true,
        value_parser = number(1, 99)
    )]
    rounds: u64,

    /// Which models, with commas between the names [default: all that this system has].
    #[arg(long, env = "WHARF_MODELS", value_name = "NAME,...", value_delimiter = ',', value_parser = model)]
    models: Vec<Model>,

    /// Draw throughput, CPU time and latency over connections, each to a file in this folder.
    #[arg(long, env = "WHARF_PLOT", value_name = "DIR")]
    plot: Option<PathBuf>,

    /// Write the result as JSON to a file, or to the standard output with '-'.
    #[arg(long, env = "WHARF_JSON", value_name = "FILE")]
    json: Option<PathBuf>,
}

impl ModelsMode {
    /// Checks what clap cannot.
    pub(super) fn check(self) -> Result<Command, Failure> {
        Ok(match self {
            Self::List => Command::ModelsList,
            Self::Run { name, listen, until_input_ends } => {
                Command::ModelsRun(RunOptions { model: name, listen, until_input_ends })
            }
            Self::Compare(args) => Command::ModelsCompare(Box::new(args.check()?)),
            Self::Experiment { name } => Command::ModelsExperiment(name),
        })
    }
}

impl CompareArgs {
    fn check(self) -> Result<CompareOptions, Failure> {
        let all = if self.models.is_empty() { wharf_models::models() } else { self.models };
        let mut models: Vec<Model> = Vec::new();
        for model in all {
            if models.iter().any(|other| other.name == model.name) {
                return Err(Failure::arguments(format_args!(
                    "--models names {} twice: give each once",
                    model.name
                )));
            }
            models.push(model);
        }
        let connections = BTreeSet::from_iter(self.connections);
        Ok(CompareOptions {
            models,
            connections: connections.into_iter().collect(),
            duration: self.seconds,
            rounds: usize::try_from(self.rounds).unwrap_or(1),
            plot: self.plot,
            json: self.json.map(JsonTarget::from),
        })
    }
}

fn model(name: &str) -> Result<Model, String> {
    named(&wharf_models::models(), name, |model| model.name)
}

fn experiment(name: &str) -> Result<Experiment, String> {
    named(&experiments(), name, |experiment| experiment.name)
}

/// The one of that name, or what names there are.
fn named<T: Copy>(all: &[T], name: &str, name_of: impl Fn(&T) -> &str) -> Result<T, String> {
    let found = all.iter().find(|one| name_of(one) == name).copied();
    found.ok_or_else(|| {
        let names = all.iter().map(name_of).collect::<Vec<_>>().join(", ");
        format!("give one of those that this system has: {names}")
    })
}

fn address(text: &str) -> Result<SocketAddr, &'static str> {
    text.parse().map_err(|_| "give IP:PORT or [IPV6]:PORT, such as 127.0.0.1:7777")
}
