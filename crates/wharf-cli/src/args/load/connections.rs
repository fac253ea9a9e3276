//! The flags of the modes that are about connections.

use std::time::Duration;

use clap::Args;

use super::common::CommonArgs;
use crate::args::values::{MIB, OrOff, bytes, number, or_off, seconds};
use crate::failure::Failure;
use crate::load::{AcceptOptions, Ending, IdleOptions, Length, LoadOptions, Pace};

#[derive(Debug, Args)]
pub(super) struct ConnectionArgs {
    #[command(flatten)]
    common: CommonArgs,

    /// Connections per second, due at even distances whether or not the server keeps up; latency counts
    /// from when one was due [default: as many as the server takes].
    #[arg(
        long,
        env = "WHARF_RATE",
        value_name = "N",
        allow_negative_numbers = true,
        value_parser = number(1, 100_000_000)
    )]
    rate: Option<u64>,

    /// How long, in seconds.
    #[arg(
        long,
        env = "WHARF_DURATION",
        value_name = "SECS",
        default_value = "10",
        allow_negative_numbers = true,
        value_parser = seconds(1_000_000)
    )]
    duration: Duration,

    /// Payload of a message, up to 16MiB; framed with u16, up to 65535 [default: no message is sent].
    #[arg(
        long,
        env = "WHARF_SIZE",
        value_name = "BYTES",
        allow_negative_numbers = true,
        value_parser = bytes(1, 16 * MIB)
    )]
    size: Option<u64>,
}

impl ConnectionArgs {
    fn check(self, warmup: Duration) -> Result<LoadOptions, Failure> {
        let pace = match self.rate {
            Some(per_second) => Pace::Rate { per_second, depth: None },
            None => Pace::Closed { depth: 1 },
        };
        let length = Length::Time { warmup, duration: self.duration };
        let size = self.size.unwrap_or_else(|| self.common.shortest());
        self.common.check(size, pace, length)
    }
}

#[derive(Debug, Args)]
pub(in crate::args) struct AcceptArgs {
    #[command(flatten)]
    connections: ConnectionArgs,

    /// How a connection is ended by this side.
    #[arg(long, env = "WHARF_ENDING", value_name = "HOW", default_value = "reset")]
    ending: Ending,

    /// How long to load the server before measuring, in seconds, or off.
    #[arg(
        long,
        env = "WHARF_WARMUP",
        value_name = "SECS",
        default_value = "0.5",
        allow_negative_numbers = true,
        value_parser = or_off(seconds(1_000_000))
    )]
    warmup: OrOff<Duration>,
}

impl AcceptArgs {
    pub(in crate::args) fn check(self) -> Result<AcceptOptions, Failure> {
        let echoes = self.connections.size.is_some();
        let load = self.connections.check(self.warmup.on().unwrap_or_default())?;
        Ok(AcceptOptions { load, echoes, ending: self.ending })
    }
}

#[derive(Debug, Args)]
pub(in crate::args) struct IdleArgs {
    #[command(flatten)]
    connections: ConnectionArgs,

    /// Seconds from one message of a session to its next [default: no message is sent].
    #[arg(
        long,
        env = "WHARF_EVERY",
        value_name = "SECS",
        allow_negative_numbers = true,
        value_parser = seconds(1_000_000)
    )]
    every: Option<Duration>,
}

impl IdleArgs {
    pub(in crate::args) fn check(mut self) -> Result<IdleOptions, Failure> {
        let size = &mut self.connections.size;
        if size.is_some() && self.every.is_none() {
            return Err(Failure::arguments("--size is that of messages: give --every as well"));
        }
        if self.every.is_some() {
            size.get_or_insert(64);
        }
        Ok(IdleOptions { load: self.connections.check(Duration::ZERO)?, every: self.every })
    }
}
