//! What `wharf load echo` is asked for.

use std::fmt;
use std::time::Duration;

use wharf_port::Backend;

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
    pub(crate) backend: Backend,
    pub(crate) server_pid: Option<u64>,
    pub(crate) json: Option<JsonTarget>,
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

/// How messages are told apart in the stream.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Framing {
    /// Not at all: a message is just the next so many bytes.
    Raw,
    /// LF after each.
    Lines,
    /// The payload's length before each, as two bytes, the low one first.
    U16Le,
    /// The same, the high one first.
    U16Be,
    /// The payload's length before each, as four bytes, the low one first.
    U32Le,
    /// The same, the high one first.
    U32Be,
}

impl Framing {
    pub(crate) const ALL: [Self; 6] =
        [Self::Raw, Self::Lines, Self::U16Le, Self::U16Be, Self::U32Le, Self::U32Be];

    /// The name as the command line has it.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Raw => "raw",
            Self::Lines => "lines",
            Self::U16Le => "u16le",
            Self::U16Be => "u16be",
            Self::U32Le => "u32le",
            Self::U32Be => "u32be",
        }
    }

    /// The longest payload that its length can tell.
    pub(crate) const fn payload_max(self) -> u64 {
        match self {
            Self::U16Le | Self::U16Be => u16::MAX as u64,
            Self::U32Le | Self::U32Be => u32::MAX as u64,
            Self::Raw | Self::Lines => u64::MAX,
        }
    }

    /// What stands before a payload of `size` bytes.
    ///
    /// # Panics
    /// If `size` is above [`payload_max`](Self::payload_max).
    pub(crate) fn header(self, size: u64) -> Vec<u8> {
        assert!(size <= self.payload_max(), "{size} bytes as {self}");
        let [low, high, third, fourth, ..] = size.to_le_bytes();
        match self {
            Self::Raw | Self::Lines => Vec::new(),
            Self::U16Le => vec![low, high],
            Self::U16Be => vec![high, low],
            Self::U32Le => vec![low, high, third, fourth],
            Self::U32Be => vec![fourth, third, high, low],
        }
    }

    /// What stands after a payload.
    pub(crate) const fn trailer(self) -> &'static [u8] {
        match self {
            Self::Lines => b"\n",
            _ => b"",
        }
    }

    /// Whether a payload may hold any byte. A line holds no LF, and to keep clear of the CR that a
    /// server drops before one, no CR either.
    pub(crate) const fn takes_any_byte(self) -> bool {
        !matches!(self, Self::Lines)
    }
}

impl fmt::Display for Framing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}
