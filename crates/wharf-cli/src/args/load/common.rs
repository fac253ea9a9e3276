//! The flags of all modes.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use wharf::IpNet;
use wharf_port::{Backend, SocketId};

use crate::args::values::{Bytes, Target, network, number, seconds};
use crate::failure::Failure;
use crate::json::JsonTarget;
use crate::load::{Framing, Length, LoadOptions, Pace};

#[derive(Debug, Args)]
pub(super) struct CommonArgs {
    // rustdoc would look for a link in the brackets.
    #[arg(
        long,
        help = "The server: IP:PORT, [IPV6]:PORT, NAME:PORT or unix:/path",
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

    /// How long an answer may take that is awaited: of the last messages when sending stops, the server's end of
    /// stream behind them, a connection; with --messages, how long nothing at all may come back; in seconds.
    #[arg(
        long,
        env = "WHARF_PATIENCE",
        value_name = "SECS",
        default_value = "5",
        allow_negative_numbers = true,
        value_parser = seconds(1_000_000)
    )]
    patience: Duration,

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

    /// Process id of the server: its CPU time per message is measured (Linux). Its threads count, also those that
    /// end; child processes do not.
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

    /// The local addresses that sessions come from, in turn: an address, or a network of which up to 65536
    /// are taken [default: any; on 127.0.0.0/8, many of it once ports run out].
    #[arg(long, env = "WHARF_SOURCE", value_name = "ADDR[/PREFIX]", value_parser = network)]
    source: Option<IpNet>,
}

impl CommonArgs {
    /// Checks the flags against each other, with messages of `size`.
    pub(super) fn check(
        self,
        size: u64,
        pace: Pace,
        length: Length,
    ) -> Result<LoadOptions, Failure> {
        let framing = &self.framing;
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
            pace,
            length,
            patience: self.patience,
            connect: self.connect,
            sessions: self.sessions,
            size,
            framing: self.framing,
            backend: self.backend,
            source: self.source,
            server_pid: self.server_pid,
            json: self.json.map(JsonTarget::from),
            plot: self.plot,
        })
    }

    /// The shortest message there is, for those who send none.
    pub(super) fn shortest(&self) -> u64 {
        self.framing.payload_min().max(1)
    }
}
