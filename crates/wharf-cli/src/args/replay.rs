//! The flags of `wharf replay`.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};
use wharf::{Backend, Framing};
use wharf_capture::{ReplayOptions, Speed};

use super::values::{Target, UNBOUNDED, number, seconds};
use crate::failure::Failure;
use crate::json::JsonTarget;
use crate::replay::{Place, Replay, Service};
use crate::simulate::Seeds;

#[derive(Debug, Args)]
pub(super) struct ReplayArgs {
    /// The capture: a file of wharf serve --capture, or of a program's own.
    #[arg(value_name = "FILE")]
    file: PathBuf,

    // rustdoc would look for a link in the brackets.
    #[arg(
        long,
        help = "The server that it is replayed to: IP:PORT, [IPV6]:PORT, NAME:PORT or unix:/path",
        env = "WHARF_CONNECT",
        value_name = "ADDR"
    )]
    connect: Option<Target>,

    /// Replay it in the simulator, to the sessions of wharf serve echo or wharf serve chat.
    #[arg(long, env = "WHARF_SIM", value_name = "SERVICE")]
    sim: Option<SimulatedService>,

    /// With --sim: on how many simulated networks, each of another seed.
    #[arg(
        long,
        env = "WHARF_SEEDS",
        value_name = "N",
        default_value = "10",
        allow_negative_numbers = true,
        value_parser = number(1, UNBOUNDED)
    )]
    seeds: u64,

    /// With --sim: the first of the seeds.
    #[arg(
        long,
        env = "WHARF_FROM",
        value_name = "SEED",
        default_value = "0",
        allow_negative_numbers = true,
        value_parser = number(0, UNBOUNDED)
    )]
    from: u64,

    /// How many times as fast as it was captured, or max: as fast as the answers come.
    #[arg(long, env = "WHARF_SPEED", value_name = "N", default_value = "1", value_parser = speed)]
    speed: Speed,

    /// The sessions to be replayed, by their numbers, with commas between them [default: all].
    #[arg(
        long,
        env = "WHARF_SESSIONS",
        value_name = "N",
        value_delimiter = ',',
        allow_negative_numbers = true,
        value_parser = number(1, 65_536)
    )]
    sessions: Vec<u64>,

    /// Replay sessions of which something is missing, too.
    #[arg(long, env = "WHARF_INCOMPLETE")]
    incomplete: bool,

    /// How frames are told apart [default: as in the capture].
    #[arg(long, env = "WHARF_FRAMING", value_name = "F")]
    framing: Option<Framing>,

    /// How long is waited for an answer, in seconds.
    #[arg(
        long,
        env = "WHARF_PATIENCE",
        value_name = "SECS",
        default_value = "5",
        value_parser = seconds(3600)
    )]
    patience: Duration,

    /// How long a server is given to hear of something that nothing was sent back for, in seconds.
    #[arg(
        long,
        env = "WHARF_SETTLE",
        value_name = "SECS",
        default_value = "0.02",
        value_parser = seconds(3600)
    )]
    settle: Duration,

    /// What does the I/O of this program: auto, uring, readiness or iocp.
    #[arg(long, env = "WHARF_BACKEND", value_name = "B", default_value = "auto")]
    backend: Backend,

    /// Write the result as JSON to a file, or to the standard output with '-'.
    #[arg(long, env = "WHARF_JSON", value_name = "FILE")]
    json: Option<PathBuf>,
}

/// The sessions that the simulator has.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum SimulatedService {
    /// Every frame goes back to its session.
    Echo,
    /// Every frame goes to every session.
    Chat,
}

fn speed(text: &str) -> Result<Speed, &'static str> {
    if text == "max" {
        return Ok(Speed::Max);
    }
    let times = text.parse::<f64>().ok().filter(|times| (0.001..=1_000_000.0).contains(times));
    times.map(Speed::Times).ok_or("give a number from 0.001 to 1000000, or max")
}

impl ReplayArgs {
    /// Checks flag against flag.
    pub(super) fn check(self) -> Result<Replay, Failure> {
        let place = match (self.connect, self.sim) {
            (Some(target), None) => Place::Server(target),
            (None, Some(service)) => {
                let seeds = Seeds { from: self.from, count: self.seeds };
                let service = match service {
                    SimulatedService::Echo => Service::Echo,
                    SimulatedService::Chat => Service::Chat,
                };
                Place::Simulator(service, seeds)
            }
            _ => {
                return Err(Failure::arguments(
                    "give either --connect with a server's address, such as 127.0.0.1:7777, or --sim echo or \
                     --sim chat",
                ));
            }
        };
        let mut options = ReplayOptions::default();
        options.speed = self.speed;
        options.patience = self.patience;
        options.settle = self.settle;
        options.framing = self.framing;
        options.incomplete = self.incomplete;
        options.backend = self.backend;
        let sessions = self.sessions.into_iter().map(super::serve::size);
        options.sessions = Some(sessions.collect()).filter(|all: &Vec<usize>| !all.is_empty());
        let json = self.json.map(JsonTarget::from);
        Ok(Replay { file: self.file, place, options, json })
    }
}
