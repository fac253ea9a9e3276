//! The flags of `wharf load`.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand};
use wharf_port::{Backend, SocketId};

use super::Given;
use super::values::{Bytes, MIB, OrOff, Target, bytes, number, or_off, seconds};
use crate::failure::Failure;
use crate::json::JsonTarget;
use crate::load::{Framing, Length, LoadOptions, Pace};

#[derive(Debug, Subcommand)]
pub(super) enum LoadMode {
    /// Send messages, expect each of them back, and compare every byte.
    ///
    /// Exit code: 0 all is well, 1 wrong or missing bytes (or it could not start), 2 wrong arguments,
    /// 4 could not connect all sessions.
    Echo(LoadArgs),
    /// Have one session of a chat send messages, expect each of them at every session, and compare every
    /// byte. Throughput, latencies and counts are of deliveries: a message that comes to a hundred
    /// sessions is a hundred.
    ///
    /// Exit code: 0 all is well, 1 wrong or missing bytes (or it could not start, or the server is no
    /// chat), 2 wrong arguments, 4 could not connect all sessions.
    #[command(
        mut_arg("framing", |framing| framing.default_value("lines")),
        mut_arg("sessions", |sessions| sessions.help("How many sessions; one of them sends")),
        mut_arg("depth", |depth| depth.help(CHAT_DEPTH)),
        mut_arg("rate", |rate| rate.help(CHAT_RATE)),
        mut_arg("messages", |messages| messages.help(CHAT_MESSAGES)),
    )]
    Chat(LoadArgs),
}

const CHAT_DEPTH: &str = "How many messages are in flight: sent, and not come to all sessions \
                          [default: 1; with --rate: no limit]";
const CHAT_RATE: &str = "Messages per second that are sent, due at even distances whether or not the \
                         server keeps up; latency counts from when a message was due [default: the next \
                         is sent when one has come to all]";
const CHAT_MESSAGES: &str =
    "Instead of a duration: this many messages are sent, all of them measured";

#[derive(Debug, Args)]
pub(super) struct LoadArgs {
    // rustdoc would look for a link in the brackets.
    #[arg(
        long,
        help = "The server: IP:PORT, [IPV6]:PORT or NAME:PORT",
        env = "WHARF_CONNECT",
        value_name = "ADDR",
        default_value = "127.0.0.1:7777"
    )]
    connect: Target,

    /// How many sessions.
    #[arg(
        long,
        env = "WHARF_SESSIONS",
        value_name = "N",
        default_value = "100",
        allow_negative_numbers = true,
        value_parser = number(1, SocketId::SLOTS_MAX.into())
    )]
    sessions: u64,

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

    // rustdoc would look for a link in the brackets.
    #[arg(
        long,
        help = "How messages are told apart: raw, lines, u16le, u16be, u32le, u32be, game, fixed:N, \
                delimiter:TEXT or length:OFFSET:WIDTH:le|be[:whole][:ADJUSTMENT]",
        env = "WHARF_FRAMING",
        value_name = "F",
        default_value = "raw"
    )]
    framing: Framing,

    /// What does the I/O of this program: auto, uring, readiness or iocp.
    #[arg(long, env = "WHARF_BACKEND", value_name = "B", default_value = "auto")]
    backend: Backend,

    /// Process id of the server: its CPU time per message is measured (Linux).
    #[arg(
        long,
        env = "WHARF_SERVER_PID",
        value_name = "PID",
        allow_negative_numbers = true,
        value_parser = number(1, 1 << 22)
    )]
    server_pid: Option<u64>,

    /// Write the result as JSON to a file, or to the standard output with '-'.
    #[arg(long, env = "WHARF_JSON", value_name = "FILE")]
    json: Option<PathBuf>,

    /// Draw the result to a file: latency by percentile, and throughput over time.
    #[arg(long, env = "WHARF_PLOT", value_name = "FILE.svg")]
    plot: Option<PathBuf>,
}

impl LoadArgs {
    /// Checks what clap cannot: flags against each other.
    pub(super) fn check(self, given: &Given<'_>) -> Result<LoadOptions, Failure> {
        let (size, framing) = (self.size, &self.framing);
        let (payload_min, payload_max) = (framing.payload_min(), framing.payload_max());
        if payload_min == payload_max && size != payload_min {
            return Err(Failure::arguments(format_args!(
                "--size {} is not that of --framing {framing}: give {payload_min}",
                Bytes(size),
            )));
        }
        if size > payload_max {
            return Err(Failure::arguments(format_args!(
                "--size {} does not fit into the length of --framing {framing}: give at most \
                 {payload_max}, or a u32 framing",
                Bytes(size),
            )));
        }
        if size < payload_min {
            return Err(Failure::arguments(format_args!(
                "--size {} is less than --framing {framing} can say: give {payload_min} or more",
                Bytes(size),
            )));
        }
        Ok(LoadOptions {
            pace: match self.rate {
                Some(per_second) => Pace::Rate { per_second, depth: self.depth },
                None => Pace::Closed { depth: self.depth.unwrap_or(1) },
            },
            length: self.length(given)?,
            connect: self.connect,
            sessions: self.sessions,
            size: self.size,
            framing: self.framing,
            backend: self.backend,
            server_pid: self.server_pid,
            json: self.json.map(JsonTarget::from),
            plot: self.plot,
        })
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
