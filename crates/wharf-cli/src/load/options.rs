//! What `wharf load echo` is asked for.

use std::path::PathBuf;
use std::time::Duration;

use clap::ValueEnum;
use wharf::IpNet;
use wharf_port::Backend;

use super::framing::Framing;
use crate::args::Target;
use crate::json::JsonTarget;

/// The options of `wharf load echo`; they have been checked.
#[derive(Debug)]
pub(crate) struct LoadOptions {
    pub(crate) connect: Target,
    pub(crate) sessions: u64,
    /// Bytes of a message's payload.
    pub(crate) size: u64,
    pub(crate) framing: Framing,
    pub(crate) pace: Pace,
    pub(crate) length: Length,
    /// How long the server has for an answer that is awaited.
    pub(crate) patience: Duration,
    pub(crate) backend: Backend,
    /// The local addresses that sessions come from, in turn.
    pub(crate) source: Option<IpNet>,
    pub(crate) server_pid: Option<u64>,
    pub(crate) json: Option<JsonTarget>,
    pub(crate) plot: Option<PathBuf>,
}

/// What `wharf load chat` is asked for beyond that.
#[derive(Debug)]
pub(crate) struct ChatOptions {
    pub(crate) load: LoadOptions,
    /// Whether the server sends to the one that sends, too.
    pub(crate) echo_to_sender: bool,
}

/// What `wharf load accept` is asked for beyond that. The pace is of connections, if it has a rate.
#[derive(Debug)]
pub(crate) struct AcceptOptions {
    pub(crate) load: LoadOptions,
    /// Whether each connection has a message echoed.
    pub(crate) echoes: bool,
    pub(crate) ending: Ending,
}

/// How a connection is ended by this side.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub(crate) enum Ending {
    /// By a reset.
    Reset,
    /// By an end of stream.
    Close,
}

/// What `wharf load idle` is asked for beyond that. The pace is that of opening, if it has a rate.
#[derive(Debug)]
pub(crate) struct IdleOptions {
    pub(crate) load: LoadOptions,
    /// How often each session sends a message.
    pub(crate) every: Option<Duration>,
}

/// What the modes with sessions that do no good are asked for.
#[derive(Debug)]
pub(crate) struct GuestOptions {
    /// What the honest ones do, and how many there are.
    pub(crate) honest: LoadOptions,
    /// How many do no good.
    pub(crate) sessions: u64,
}

/// What `wharf load slow-reader` and `wharf load slowloris` are asked for.
#[derive(Debug)]
pub(crate) struct SlowOptions {
    pub(crate) guests: GuestOptions,
    pub(crate) slowness: Slowness,
}

/// How a session is slow.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Slowness {
    /// It reads so many bytes a second, or none, and sends so many.
    Reader { read_rate: Option<u64>, send_rate: u64 },
    /// It sends a byte of a frame now and then.
    Dripper { every: Duration },
}

/// What `wharf load storm` is asked for.
#[derive(Debug)]
pub(crate) struct StormOptions {
    pub(crate) guests: GuestOptions,
    pub(crate) seed: Option<u64>,
}

/// When a message is due.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Pace {
    /// As soon as one of `depth` messages of its session has come back.
    Closed { depth: u64 },
    /// At its place in a timetable, of so many messages a second over all sessions. With a depth, a
    /// session has no more than that in flight; what is due then waits, and grows old.
    Rate { per_second: u64, depth: Option<u64> },
}

impl Pace {
    /// How many messages a session may have in flight.
    pub(crate) fn depth(self) -> u64 {
        match self {
            Self::Closed { depth } => depth,
            Self::Rate { depth, .. } => depth.unwrap_or(u64::MAX),
        }
    }
}

/// When to stop sending.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Length {
    /// After a time. The warm-up is not measured, but verified.
    Time { warmup: Duration, duration: Duration },
    /// After so many messages of each session.
    Messages(u64),
}

impl Length {
    /// How long nothing is measured.
    pub(crate) const fn warmup(self) -> Duration {
        match self {
            Self::Time { warmup, .. } => warmup,
            Self::Messages(_) => Duration::ZERO,
        }
    }

    /// How long to measure; without, until all messages have come.
    pub(crate) const fn duration(self) -> Option<Duration> {
        match self {
            Self::Time { duration, .. } => Some(duration),
            Self::Messages(_) => None,
        }
    }

    /// How many messages are sent at most.
    pub(crate) const fn messages_max(self) -> u64 {
        match self {
            Self::Time { .. } => u64::MAX,
            Self::Messages(count) => count,
        }
    }
}
