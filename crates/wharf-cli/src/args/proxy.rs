//! The flags of `wharf proxy`.

use std::time::Duration;

use clap::{Args, ValueEnum};
use wharf_port::Backend;

use super::values::{
    KIB, Listen, MIB, OrOff, Target, UNBOUNDED, bytes, chance, number, or_off, seconds,
};
use crate::failure::Failure;
use crate::proxy::{Directions, Faults, ProxyOptions, Trigger};

/// The longest time that a flag takes: a day.
const SECONDS_MAX: u32 = 24 * 60 * 60;

pub(super) const HELP: &str = "\
Try it:  wharf serve echo
         wharf proxy --delay 0.1 --jitter 0.05 --corrupt 0.0001
         nc 127.0.0.1 7778

A chance is above 0 and up to 1. Bytes and ends of streams keep their order,
whatever the delay. What stands still or is slow holds back who sends, once
--send-max waits; a reset or an end goes on behind what came before it, and is
not seen of one who is held back.

With the same --seed, the same is drawn for each connection, by its number in
the order of arrival: whether it is affected, whether it is dropped, and for
each direction at which bytes of its stream it stalls or is reset and which bits
are flipped, however TCP cuts the stream. The jitter is drawn for each run of
bytes as it comes, so only the sequence of its draws repeats. A fault that is
switched on or off changes no draw of another.

Ctrl-C (SIGINT, SIGTERM) resets what is open, and says what has been injected:
delays of runs of bytes and of ends, cuts that --chop made, sends that waited
for --rate, flipped bits, and so on.

Each flag can also come from the environment: --stall-for as WHARF_STALL_FOR.
The command line goes first.

Exit code: 0 ended by a signal, 1 could not start, 2 wrong arguments.";

#[derive(Debug, Args)]
#[command(after_help = HELP)]
pub(super) struct ProxyArgs {
    // rustdoc would look for a link in the brackets.
    #[arg(
        long,
        help = "IP:PORT, [IPV6]:PORT or NAME:PORT, where port 0 is any that is free; or a Unix socket, \
                unix:/path or unix:@name",
        env = "WHARF_LISTEN",
        hide_env = true,
        value_name = "ADDR",
        default_value = "127.0.0.1:7778"
    )]
    listen: Listen,

    #[arg(
        long,
        help = "The server: IP:PORT, [IPV6]:PORT, NAME:PORT or unix:/path",
        env = "WHARF_CONNECT",
        hide_env = true,
        value_name = "ADDR",
        default_value = "127.0.0.1:7777"
    )]
    connect: Target,

    /// What may wait in one direction of a connection, 4KiB and up.
    #[arg(
        long,
        env = "WHARF_SEND_MAX",
        hide_env = true,
        value_name = "BYTES",
        default_value = "256KiB",
        value_parser = bytes(4 * KIB, UNBOUNDED)
    )]
    send_max: u64,

    /// What does the I/O: auto (the best that works here), uring, readiness or iocp.
    #[arg(
        long,
        env = "WHARF_BACKEND",
        hide_env = true,
        value_name = "BACKEND",
        default_value = "auto"
    )]
    backend: Backend,

    /// What the choice of faults follows from, 1 and up [default: any; it is said at the start].
    #[arg(
        long,
        env = "WHARF_SEED",
        hide_env = true,
        value_name = "N",
        value_parser = number(1, UNBOUNDED)
    )]
    seed: Option<u64>,

    /// The directions that are affected: up (to the server), down (to the client) or both.
    #[arg(
        long,
        env = "WHARF_DIRECTION",
        hide_env = true,
        value_name = "WAY",
        help_heading = "Faults",
        default_value = "both"
    )]
    direction: Directions,

    /// The share of connections that are affected, such as 0.05.
    #[arg(
        long,
        env = "WHARF_SHARE",
        hide_env = true,
        value_name = "CHANCE",
        help_heading = "Faults",
        default_value = "1",
        value_parser = chance
    )]
    share: f64,

    /// Reset new connections at once, with this chance.
    #[arg(
        long,
        env = "WHARF_DROP",
        hide_env = true,
        value_name = "CHANCE",
        help_heading = "Faults",
        value_parser = chance
    )]
    drop: Option<f64>,

    /// Hold everything back for so long, in seconds.
    #[arg(
        long,
        env = "WHARF_DELAY",
        hide_env = true,
        value_name = "SECS",
        help_heading = "Faults",
        value_parser = seconds(SECONDS_MAX)
    )]
    delay: Option<Duration>,

    /// Hold each run of bytes back for up to so much longer, in seconds.
    #[arg(
        long,
        env = "WHARF_JITTER",
        hide_env = true,
        value_name = "SECS",
        help_heading = "Faults",
        value_parser = seconds(SECONDS_MAX)
    )]
    jitter: Option<Duration>,

    /// Send pieces of at most so many bytes, up to 16MiB.
    #[arg(
        long,
        env = "WHARF_CHOP",
        hide_env = true,
        value_name = "BYTES",
        help_heading = "Faults",
        value_parser = bytes(1, 16 * MIB)
    )]
    chop: Option<u64>,

    /// Keep pieces apart by so much, in seconds; with --chop. Without, a reader that is slower than
    /// the pieces come may find several at once.
    #[arg(
        long,
        env = "WHARF_CHOP_GAP",
        hide_env = true,
        value_name = "SECS",
        help_heading = "Faults",
        value_parser = seconds(SECONDS_MAX)
    )]
    chop_gap: Option<Duration>,

    /// Pass on so many bytes a second, of each direction of a connection.
    #[arg(
        long,
        env = "WHARF_RATE",
        hide_env = true,
        value_name = "BYTES",
        help_heading = "Faults",
        value_parser = bytes(1, UNBOUNDED)
    )]
    rate: Option<u64>,

    /// Flip a bit of a byte, with this chance for each byte.
    #[arg(
        long,
        env = "WHARF_CORRUPT",
        hide_env = true,
        value_name = "CHANCE",
        help_heading = "Faults",
        value_parser = chance
    )]
    corrupt: Option<f64>,

    /// Stop a direction for a time, with this chance for each KiB of its stream.
    #[arg(
        long,
        env = "WHARF_STALL",
        hide_env = true,
        value_name = "CHANCE",
        help_heading = "Faults",
        value_parser = chance
    )]
    stall: Option<f64>,

    /// Stop a direction for a time after so many bytes, once.
    #[arg(
        long,
        env = "WHARF_STALL_AFTER",
        hide_env = true,
        value_name = "BYTES",
        help_heading = "Faults",
        value_parser = bytes(1, UNBOUNDED)
    )]
    stall_after: Option<u64>,

    /// How long it stops, in seconds, or off: for good [default: 1].
    #[arg(
        long,
        env = "WHARF_STALL_FOR",
        hide_env = true,
        value_name = "SECS",
        help_heading = "Faults",
        value_parser = or_off(seconds(SECONDS_MAX))
    )]
    stall_for: Option<OrOff<Duration>>,

    /// End the stream of a direction after so many bytes; the rest of it goes nowhere.
    #[arg(
        long,
        env = "WHARF_HALF_CLOSE_AFTER",
        hide_env = true,
        value_name = "BYTES",
        help_heading = "Faults",
        value_parser = bytes(1, UNBOUNDED)
    )]
    half_close_after: Option<u64>,

    /// Reset both ends, with this chance for each KiB of a direction's stream.
    #[arg(
        long,
        env = "WHARF_RESET",
        hide_env = true,
        value_name = "CHANCE",
        help_heading = "Faults",
        value_parser = chance
    )]
    reset: Option<f64>,

    /// Reset both ends after so many bytes of a direction.
    #[arg(
        long,
        env = "WHARF_RESET_AFTER",
        hide_env = true,
        value_name = "BYTES",
        help_heading = "Faults",
        value_parser = bytes(1, UNBOUNDED)
    )]
    reset_after: Option<u64>,
}

impl ProxyArgs {
    /// Checks what clap cannot: flags against each other.
    pub(super) fn check(self) -> Result<ProxyOptions, Failure> {
        let stall = Trigger { per_kib: self.stall, after: self.stall_after };
        if self.stall_for.is_some() && stall == Trigger::default() {
            return Err(Failure::arguments(
                "--stall-for says how long, and nothing says when: give --stall or --stall-after",
            ));
        }
        if self.chop_gap.is_some() && self.chop.is_none() {
            return Err(Failure::arguments(
                "--chop-gap keeps pieces apart, and there are none: give --chop",
            ));
        }
        let stall_for = self.stall_for.unwrap_or(OrOff::On(Duration::from_secs(1)));
        Ok(ProxyOptions {
            listen: self.listen,
            connect: self.connect,
            seed: self.seed,
            send_max: self.send_max,
            backend: self.backend,
            faults: Faults {
                directions: self.direction,
                share: self.share,
                drop: self.drop,
                delay: self.delay,
                jitter: self.jitter,
                chop: self.chop,
                chop_gap: self.chop_gap,
                rate: self.rate,
                corrupt: self.corrupt,
                stall,
                stall_for: stall_for.on(),
                half_close_after: self.half_close_after,
                reset: Trigger { per_kib: self.reset, after: self.reset_after },
            },
        })
    }
}

impl ValueEnum for Directions {
    fn value_variants<'a>() -> &'a [Self] {
        &Self::ALL
    }

    fn to_possible_value(&self) -> Option<clap::builder::PossibleValue> {
        Some(self.name().into())
    }
}
