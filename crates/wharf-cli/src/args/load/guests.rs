//! The flags of the modes with sessions that do a server no good.

use std::time::Duration;

use clap::Args;
use wharf_port::SocketId;

use super::messages::LoadArgs;
use crate::args::Given;
use crate::args::values::{MIB, UNBOUNDED, bytes, number, seconds};
use crate::failure::Failure;
use crate::load::{GuestOptions, SlowOptions, Slowness, StormOptions};

#[derive(Debug, Args)]
pub(super) struct GuestArgs {
    #[command(flatten)]
    load: LoadArgs,

    /// How many honest sessions there are beside them: --size, --depth, --rate and --messages are theirs, and
    /// what is measured.
    #[arg(
        long,
        env = "WHARF_HONEST",
        value_name = "N",
        default_value = "10",
        allow_negative_numbers = true,
        value_parser = number(1, SocketId::SLOTS_MAX.into())
    )]
    honest: u64,
}

impl GuestArgs {
    fn check(self, given: &Given<'_>) -> Result<GuestOptions, Failure> {
        let mut honest = self.load.check(given)?;
        let sessions = std::mem::replace(&mut honest.sessions, self.honest);
        Ok(GuestOptions { honest, sessions })
    }
}

#[derive(Debug, Args)]
pub(in crate::args) struct SlowReaderArgs {
    #[command(flatten)]
    guests: GuestArgs,

    /// Bytes that each of them reads per second [default: none; it then notices only a reset].
    #[arg(
        long,
        env = "WHARF_READ_RATE",
        value_name = "BYTES",
        allow_negative_numbers = true,
        value_parser = bytes(1, 1024 * MIB)
    )]
    read_rate: Option<u64>,

    /// Bytes that each of them sends per second.
    #[arg(
        long,
        env = "WHARF_SEND_RATE",
        value_name = "BYTES",
        default_value = "64KiB",
        allow_negative_numbers = true,
        value_parser = bytes(1, 1024 * MIB)
    )]
    send_rate: u64,
}

impl SlowReaderArgs {
    pub(in crate::args) fn check(self, given: &Given<'_>) -> Result<SlowOptions, Failure> {
        let slowness = Slowness::Reader { read_rate: self.read_rate, send_rate: self.send_rate };
        Ok(SlowOptions { guests: self.guests.check(given)?, slowness })
    }
}

#[derive(Debug, Args)]
pub(in crate::args) struct SlowlorisArgs {
    #[command(flatten)]
    guests: GuestArgs,

    /// Seconds from one byte of a session to its next.
    #[arg(
        long,
        env = "WHARF_DRIP",
        value_name = "SECS",
        default_value = "1",
        allow_negative_numbers = true,
        value_parser = seconds(1_000_000)
    )]
    drip: Duration,
}

impl SlowlorisArgs {
    pub(in crate::args) fn check(self, given: &Given<'_>) -> Result<SlowOptions, Failure> {
        let slowness = Slowness::Dripper { every: self.drip };
        Ok(SlowOptions { guests: self.guests.check(given)?, slowness })
    }
}

#[derive(Debug, Args)]
pub(in crate::args) struct StormArgs {
    #[command(flatten)]
    guests: GuestArgs,

    /// What the storm does is drawn from this number, 1 and up; how it meets the server's time is not
    /// [default: a random one, which is told].
    #[arg(
        long,
        env = "WHARF_SEED",
        value_name = "SEED",
        allow_negative_numbers = true,
        value_parser = number(1, UNBOUNDED)
    )]
    seed: Option<u64>,
}

impl StormArgs {
    pub(in crate::args) fn check(self, given: &Given<'_>) -> Result<StormOptions, Failure> {
        Ok(StormOptions { guests: self.guests.check(given)?, seed: self.seed })
    }
}
