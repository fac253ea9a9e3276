//! The flags of the modes that send messages.

use std::time::Duration;

use clap::Args;

use super::common::CommonArgs;
use crate::args::Given;
use crate::args::values::{MIB, OrOff, bytes, number, or_off, seconds};
use crate::failure::Failure;
use crate::load::{Length, LoadOptions, Pace};

#[derive(Debug, Args)]
pub(in crate::args) struct LoadArgs {
    #[command(flatten)]
    common: CommonArgs,

    /// Payload of a message, up to 16MiB; framed with u16, up to 65535.
    #[arg(
        long,
        env = "WHARF_SIZE",
        value_name = "BYTES",
        default_value = "64",
        allow_negative_numbers = true,
        value_parser = bytes(1, 16 * MIB)
    )]
    size: u64,

    /// How many messages a session has in flight [default: 1; with --rate: no limit].
    #[arg(
        long,
        env = "WHARF_DEPTH",
        value_name = "N",
        allow_negative_numbers = true,
        value_parser = number(1, 65_536)
    )]
    depth: Option<u64>,

    /// Messages per second over all sessions, due at even distances whether or not the server keeps
    /// up; latency counts from when a message was due [default: a session sends when it gets an answer].
    #[arg(
        long,
        env = "WHARF_RATE",
        value_name = "N",
        allow_negative_numbers = true,
        value_parser = number(1, 100_000_000)
    )]
    rate: Option<u64>,

    /// How long to measure, in seconds, after the warm-up [default: 10].
    #[arg(
        long,
        env = "WHARF_DURATION",
        value_name = "SECS",
        allow_negative_numbers = true,
        value_parser = seconds(1_000_000)
    )]
    duration: Option<Duration>,

    /// How long to load the server before measuring, in seconds, or off; answers are verified from
    /// the start [default: 0.5].
    #[arg(
        long,
        env = "WHARF_WARMUP",
        value_name = "SECS",
        allow_negative_numbers = true,
        value_parser = or_off(seconds(1_000_000))
    )]
    warmup: Option<OrOff<Duration>>,

    /// Instead of a duration: each session sends this many messages, all of them measured.
    #[arg(
        long,
        env = "WHARF_MESSAGES",
        value_name = "N",
        allow_negative_numbers = true,
        value_parser = number(1, 1 << 32)
    )]
    messages: Option<u64>,
}

impl LoadArgs {
    /// Checks what clap cannot: flags against each other.
    pub(in crate::args) fn check(self, given: &Given<'_>) -> Result<LoadOptions, Failure> {
        let pace = match self.rate {
            Some(per_second) => Pace::Rate { per_second, depth: self.depth },
            None => Pace::Closed { depth: self.depth.unwrap_or(1) },
        };
        let length = self.length(given)?;
        self.common.check(self.size, pace, length)
    }

    /// A duration or a number of messages. What stands on the command line goes before what stands
    /// in the environment; in the same place they exclude each other.
    fn length(&self, given: &Given<'_>) -> Result<Length, Failure> {
        let time = given.source("duration").max(given.source("warmup"));
        match self.messages {
            Some(messages) if given.source("messages") > time => Ok(Length::Messages(messages)),
            Some(_) if given.source("messages") == time => Err(Failure::arguments(
                "--messages excludes --duration and --warmup: it measures all that it sends; give \
                 one or the other",
            )),
            _ => Ok(Length::Time {
                warmup: match self.warmup {
                    Some(warmup) => warmup.on().unwrap_or_default(),
                    None => Duration::from_millis(500),
                },
                duration: self.duration.unwrap_or(Duration::from_secs(10)),
            }),
        }
    }
}
