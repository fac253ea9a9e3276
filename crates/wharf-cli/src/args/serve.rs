//! The flags of `wharf serve`.

use std::path::PathBuf;
use std::time::Duration;

use clap::{ArgAction, Args, Subcommand};
use tracing_subscriber::filter::LevelFilter;
use wharf::{Backend, Framing, Limits, OverRate, Rate, SlowReader};

use super::admin::AdminArgs;
use super::capture::CaptureArgs;
use super::peers::PeerArgs;
use super::sockets::SocketArgs;
use super::values::{
    Bytes, KIB, Listen, MIB, OrOff, UNBOUNDED, bytes, log_level, number, or_off, rate, seconds,
    slow_reader, switch,
};
use crate::failure::Failure;
use crate::serve::ServeOptions;

/// The longest time that a flag takes: a year.
const SECONDS_MAX: u32 = 365 * 24 * 60 * 60;

/// What stands below the help of every mode.
macro_rules! help_of_all {
    () => {
        "

Ctrl-C (SIGINT, SIGTERM) ends the server in order: it takes no more
connections, sends what is queued and tells its peers. A second one ends it at
once.

Listeners that systemd hands over (socket activation) take the place of
--listen.

Each flag can also come from the environment: --frame-max as WHARF_FRAME_MAX;
WHARF_LISTEN takes several addresses, with commas. The command line goes first,
then the environment, then the file of --config.

Exit code: 0 ended in order, 1 could not start, 2 wrong arguments, 3 queued
bytes were lost or a second signal ended it."
    };
}

#[derive(Debug, Subcommand)]
pub(super) enum ServeMode {
    /// Send every frame back to the session that it came from.
    #[command(after_help = ECHO_HELP)]
    Echo(Box<ServeArgs>),
    /// Send every frame to every session, the one that it came from included.
    #[command(
        after_help = CHAT_HELP,
        mut_arg("framing", |framing| framing.default_value("lines")),
        mut_arg("idle", |idle| idle.default_value("off")),
        mut_arg("slow", |slow| slow.default_value("disconnect")),
        mut_arg("unsent_max", |unsent| unsent.default_value("64KiB"))
    )]
    Chat(Box<ServeArgs>),
}

const ECHO_HELP: &str = concat!(
    "Try it:  wharf serve echo        and, in another terminal:  nc 127.0.0.1 7777",
    help_of_all!()
);
const CHAT_HELP: &str = concat!(
    "Try it:  wharf serve chat        and, in two other terminals:  nc 127.0.0.1 7777",
    help_of_all!()
);

#[derive(Debug, Args)]
pub(super) struct ServeArgs {
    /// A file of options in TOML: each key is a flag without its dashes; flags and environment go
    /// before it.
    #[arg(long, env = "WHARF_CONFIG", hide_env = true, value_name = "FILE")]
    pub(super) config: Option<PathBuf>,

    /// Print a config file with all that is in force and where it comes from, and end.
    #[arg(long, env = "WHARF_PRINT_CONFIG", hide_env = true)]
    pub(super) print_config: bool,

    // rustdoc would look for a link in the brackets.
    #[arg(
        long,
        help = "IP:PORT, [IPV6]:PORT or NAME:PORT, where port 0 is any that is free; or a Unix socket, \
                unix:/path or unix:@name; give it again for more",
        env = "WHARF_LISTEN",
        hide_env = true,
        value_name = "ADDR",
        value_delimiter = ',',
        default_value = "127.0.0.1:7777"
    )]
    listen: Vec<Listen>,

    // rustdoc would look for a link in the brackets.
    #[arg(
        long,
        help = "How frames are told apart: raw (not at all), lines, a length before each (u16le, u16be, \
                u32le, u32be), game (u16le size of all, u16le id), fixed:N (bytes), delimiter:TEXT (\\n, \
                \\r, \\t, \\0, \\\\, \\xHH) or length:OFFSET:WIDTH:le|be[:whole][:ADJUSTMENT] (a field of \
                1 to 8 bytes)",
        env = "WHARF_FRAMING",
        hide_env = true,
        value_name = "FRAMING",
        default_value = "raw"
    )]
    framing: Framing,

    /// Worker threads, 1 to 1024 [default: one per core].
    #[arg(
        long,
        env = "WHARF_WORKERS",
        hide_env = true,
        value_name = "N",
        value_parser = number(1, 1024)
    )]
    workers: Option<u64>,

    /// Whether each worker has a core of its own, on or off.
    #[arg(
        long,
        env = "WHARF_PIN",
        hide_env = true,
        value_name = "SWITCH",
        action = ArgAction::Set,
        default_value = "off",
        value_parser = switch
    )]
    pin: bool,

    /// How long a worker looks for something to do before it sleeps, in microseconds, or off.
    #[arg(
        long,
        env = "WHARF_SPIN",
        hide_env = true,
        value_name = "N",
        default_value = "off",
        value_parser = or_off(number(1, 1_000_000))
    )]
    spin: OrOff<u64>,

    /// What does the I/O: auto (the best that works here), uring, readiness or iocp.
    #[arg(
        long,
        env = "WHARF_BACKEND",
        hide_env = true,
        value_name = "BACKEND",
        default_value = "auto"
    )]
    backend: Backend,

    /// How long the sessions may take when the server is to end, in seconds.
    #[arg(
        long,
        env = "WHARF_DRAIN",
        hide_env = true,
        value_name = "SECS",
        default_value = "10",
        value_parser = seconds(SECONDS_MAX)
    )]
    drain: Duration,

    /// A frame that every session is sent last when the server is to end.
    #[arg(long, env = "WHARF_FAREWELL", hide_env = true, value_name = "TEXT")]
    farewell: Option<String>,

    /// What is logged, to stderr: off, error, warn, info, debug or trace.
    #[arg(
        long,
        env = "WHARF_LOG",
        hide_env = true,
        value_name = "LEVEL",
        default_value = "warn",
        value_parser = log_level
    )]
    log: LevelFilter,

    #[command(flatten)]
    admin: AdminArgs,

    /// Sessions at a time [default: what the descriptor limit allows].
    #[arg(
        long,
        env = "WHARF_SESSIONS_MAX",
        hide_env = true,
        value_name = "N",
        help_heading = "Limits",
        value_parser = number(1, UNBOUNDED)
    )]
    sessions_max: Option<u64>,

    /// Sessions at a time from one address, or off; loopback is exempt.
    #[arg(
        long,
        env = "WHARF_PER_ADDRESS_MAX",
        hide_env = true,
        value_name = "N",
        help_heading = "Limits",
        default_value = "64",
        value_parser = or_off(number(1, UNBOUNDED))
    )]
    per_address_max: OrOff<u64>,

    /// Connections that are accepted: N a second, BURST at once (as many if it is not given), or off.
    #[arg(
        long,
        env = "WHARF_ACCEPT_RATE",
        hide_env = true,
        value_name = "N[:BURST]",
        help_heading = "Limits",
        default_value = "off",
        value_parser = or_off(rate)
    )]
    accept_rate: OrOff<Rate>,

    /// Frames that one session may send: N a second, BURST at once, or off.
    #[arg(
        long,
        env = "WHARF_FRAME_RATE",
        hide_env = true,
        value_name = "N[:BURST]",
        help_heading = "Limits",
        default_value = "off",
        value_parser = or_off(rate)
    )]
    frame_rate: OrOff<Rate>,

    /// Bytes that one session may send: N a second, BURST at once, or off.
    #[arg(
        long,
        env = "WHARF_BYTE_RATE",
        hide_env = true,
        value_name = "N[:BURST]",
        help_heading = "Limits",
        default_value = "off",
        value_parser = or_off(rate)
    )]
    byte_rate: OrOff<Rate>,

    /// What becomes of a session beyond either: throttle (nothing is received from it until it may
    /// send again) or disconnect.
    #[arg(
        long,
        env = "WHARF_OVER_RATE",
        hide_env = true,
        value_name = "POLICY",
        help_heading = "Limits",
        default_value = "throttle"
    )]
    over_rate: OverRate,

    /// Payload of a frame, up to 16MiB; with u16, up to 65535 [default: 64KiB; with u16, 65535].
    #[arg(
        long,
        env = "WHARF_FRAME_MAX",
        hide_env = true,
        value_name = "BYTES",
        help_heading = "Limits",
        value_parser = bytes(1, 16 * MIB)
    )]
    frame_max: Option<u64>,

    /// How long nothing may come from a session, in seconds, or off.
    #[arg(
        long,
        env = "WHARF_IDLE",
        hide_env = true,
        value_name = "SECS",
        help_heading = "Limits",
        default_value = "300",
        value_parser = or_off(seconds(SECONDS_MAX))
    )]
    idle: OrOff<Duration>,

    /// How long the first frame of a session may take, in seconds, or off.
    #[arg(
        long,
        env = "WHARF_FIRST_FRAME",
        hide_env = true,
        value_name = "SECS",
        help_heading = "Limits",
        default_value = "off",
        value_parser = or_off(seconds(SECONDS_MAX))
    )]
    first_frame: OrOff<Duration>,

    /// How long a frame may take from its first byte, in seconds, or off.
    #[arg(
        long,
        env = "WHARF_FRAME_DEADLINE",
        hide_env = true,
        value_name = "SECS",
        help_heading = "Limits",
        default_value = "10",
        value_parser = or_off(seconds(SECONDS_MAX))
    )]
    frame_deadline: OrOff<Duration>,

    /// What may wait to be sent to a session, 4KiB and up.
    #[arg(
        long,
        env = "WHARF_SEND_MAX",
        hide_env = true,
        value_name = "BYTES",
        help_heading = "Limits",
        default_value = "256KiB",
        value_parser = bytes(4 * KIB, UNBOUNDED)
    )]
    send_max: u64,

    /// What may wait to be sent to all sessions together, 1MiB and up; near it new connections are
    /// refused, then silent sessions closed, then slow ones.
    #[arg(
        long,
        env = "WHARF_SEND_TOTAL",
        hide_env = true,
        value_name = "BYTES",
        help_heading = "Limits",
        default_value = "1024MiB",
        value_parser = bytes(1024 * KIB, UNBOUNDED)
    )]
    send_total: u64,

    /// Frames that may wait to be sent to a session.
    #[arg(
        long,
        env = "WHARF_SEND_FRAMES",
        hide_env = true,
        value_name = "N",
        help_heading = "Limits",
        default_value = "65536",
        value_parser = number(1, UNBOUNDED)
    )]
    send_frames: u64,

    /// What may wait beyond --send-max for a second at most, or off.
    #[arg(
        long,
        env = "WHARF_SEND_BURST",
        hide_env = true,
        value_name = "BYTES",
        help_heading = "Limits",
        default_value = "off",
        value_parser = or_off(bytes(1, UNBOUNDED))
    )]
    send_burst: OrOff<u64>,

    /// What the system may have taken and not sent to a session, which no policy sees, or off (Linux).
    #[arg(
        long,
        env = "WHARF_UNSENT_MAX",
        hide_env = true,
        value_name = "BYTES",
        help_heading = "Limits",
        default_value = "1MiB",
        value_parser = or_off(bytes(4 * KIB, 1 << 30))
    )]
    unsent_max: OrOff<u64>,

    /// How long the system may take for what it was given to send to a session (and a second more for
    /// each 16KiB), in seconds, or off; then the session is reset.
    #[arg(
        long,
        env = "WHARF_SEND_DEADLINE",
        hide_env = true,
        value_name = "SECS",
        help_heading = "Limits",
        default_value = "30",
        value_parser = or_off(seconds(SECONDS_MAX))
    )]
    send_deadline: OrOff<Duration>,

    /// What becomes of a session when more waits: pause (nothing is received from it until it has
    /// read), disconnect, drop-newest, drop-oldest (these two drop frames; not with raw).
    #[arg(
        long,
        env = "WHARF_SLOW",
        hide_env = true,
        value_name = "POLICY",
        help_heading = "Limits",
        default_value = "pause",
        value_parser = slow_reader
    )]
    slow: SlowReader,

    #[command(flatten)]
    sockets: SocketArgs,

    #[command(flatten)]
    peers: PeerArgs,

    #[command(flatten)]
    capture: CaptureArgs,
}

impl ServeArgs {
    /// Checks what clap cannot: flags against each other.
    pub(super) fn check(self) -> Result<ServeOptions, Failure> {
        let twice = |(at, address): &(usize, &Listen)| {
            address.is_fixed() && self.listen[..*at].contains(address)
        };
        if let Some((_, address)) = self.listen.iter().enumerate().find(twice) {
            return Err(Failure::arguments(format_args!(
                "--listen {address} is given twice: one server listens there; leave one out"
            )));
        }
        let (frame_bytes_max, slow_reader) = (self.frame_max()?, self.slow_reader()?);
        let admin = self.admin.place()?;
        Ok(ServeOptions {
            limits: Limits {
                sessions_max: self.sessions_max.map(size),
                per_address_max: self.per_address_max.on().map(size),
                accept_rate: self.accept_rate.on(),
                frames_per_second: self.frame_rate.on(),
                bytes_per_second: self.byte_rate.on(),
                over_rate: self.over_rate,
                frame_bytes_max,
                first_frame: self.first_frame.on(),
                frame_deadline: self.frame_deadline.on(),
                idle: self.idle.on(),
                send_bytes_max: size(self.send_max),
                send_total_max: size(self.send_total),
                send_frames_max: size(self.send_frames),
                send_burst_bytes: self.send_burst.on().map_or(0, size),
                send_deadline: self.send_deadline.on(),
                slow_reader,
                drain: self.drain,
                ..Limits::default()
            },
            sockets: self.sockets.listen_options(&self.listen, self.unsent_max)?,
            peers: self.peers.peers(&self.listen)?,
            capture: self.capture.place(admin.as_ref(), &self.framing)?,
            admin,
            listen: self.listen,
            workers: self.workers.map(size),
            pin: self.pin,
            spin: self.spin.on().map_or(Duration::ZERO, Duration::from_micros),
            backend: self.backend,
            framing: self.framing,
            log: self.log,
            farewell: self.farewell,
        })
    }

    fn frame_max(&self) -> Result<usize, Failure> {
        let framing = &self.framing;
        let (payload_min, payload_max) = (framing.payload_min(), framing.payload_max());
        let asked = self.frame_max.map(size);
        let default = Limits::default().frame_bytes_max.max(payload_min).min(payload_max);
        let frame_max = asked.unwrap_or(default);
        if frame_max > payload_max {
            return Err(Failure::arguments(format_args!(
                "--frame-max {} is more than the length of --framing {framing} can say: give at most \
                 {payload_max}, or a u32 framing",
                Bytes(frame_max as u64),
            )));
        }
        if frame_max > Limits::FRAME_BYTES_MAX {
            return Err(Failure::arguments(format_args!(
                "--framing {framing} has frames of {payload_min} bytes or more: 16MiB are the most \
                 that a frame may have",
            )));
        }
        if frame_max < payload_min {
            return Err(Failure::arguments(format_args!(
                "--frame-max {} is less than every frame of --framing {framing} has: give \
                 {payload_min} or more",
                Bytes(frame_max as u64),
            )));
        }
        Ok(frame_max)
    }

    fn slow_reader(&self) -> Result<SlowReader, Failure> {
        let drops = matches!(self.slow, SlowReader::DropNewest | SlowReader::DropOldest);
        if drops && !self.framing.has_frames() {
            return Err(Failure::arguments(format_args!(
                "--slow {} leaves out frames, and --framing raw has none: give pause or disconnect, \
                 or another framing",
                self.slow.name(),
            )));
        }
        Ok(self.slow)
    }
}

/// What is more than this machine can count is as good as no limit, or as sure to be refused.
pub(super) fn size(count: u64) -> usize {
    usize::try_from(count).unwrap_or(usize::MAX)
}
