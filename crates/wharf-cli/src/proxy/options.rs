//! What `wharf proxy` is asked for.

use std::time::Duration;

use wharf_port::Backend;

use crate::args::{Listen, Target};

/// The options of `wharf proxy`; they have been checked.
#[derive(Debug)]
pub(crate) struct ProxyOptions {
    pub(crate) listen: Listen,
    pub(crate) connect: Target,
    pub(crate) faults: Faults,
    /// What the choice of faults follows from; any, if it is not given.
    pub(crate) seed: Option<u64>,
    /// Bytes that may wait in one direction of a connection.
    pub(crate) send_max: u64,
    pub(crate) backend: Backend,
}

/// What is done to connections. Chances lie above 0 and reach up to 1, counts of bytes begin at 1.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Faults {
    /// The directions that are affected.
    pub(crate) directions: Directions,
    /// The share of connections that are affected at all.
    pub(crate) share: f64,
    /// The chance of a new connection to be reset at once.
    pub(crate) drop: Option<f64>,
    /// How long bytes are held back.
    pub(crate) delay: Option<Duration>,
    /// What is added to that at most, drawn for each run of bytes as it comes.
    pub(crate) jitter: Option<Duration>,
    /// Bytes of one send at most.
    pub(crate) chop: Option<u64>,
    /// How long a send of such a piece is kept from the one before.
    pub(crate) chop_gap: Option<Duration>,
    /// Bytes a second, of each direction of a connection.
    pub(crate) rate: Option<u64>,
    /// The chance of a byte to have one of its bits flipped.
    pub(crate) corrupt: Option<f64>,
    /// When a direction stops.
    pub(crate) stall: Trigger,
    /// For how long; without, for good.
    pub(crate) stall_for: Option<Duration>,
    /// When the stream of a direction ends, whatever its sender still sends.
    pub(crate) half_close_after: Option<u64>,
    /// When both ends are reset.
    pub(crate) reset: Trigger,
}

impl Faults {
    /// Nothing is done to anybody.
    #[cfg(test)]
    pub(super) fn none() -> Self {
        Self {
            directions: Directions::Both,
            share: 1.0,
            drop: None,
            delay: None,
            jitter: None,
            chop: None,
            chop_gap: None,
            rate: None,
            corrupt: None,
            stall: Trigger::default(),
            stall_for: None,
            half_close_after: None,
            reset: Trigger::default(),
        }
    }

    /// Whether there is anything to be done to a connection that has been let in.
    pub(super) fn change_streams(&self) -> bool {
        self.delay.is_some()
            || self.jitter.is_some()
            || self.chop.is_some()
            || self.rate.is_some()
            || self.corrupt.is_some()
            || self.stall != Trigger::default()
            || self.half_close_after.is_some()
            || self.reset != Trigger::default()
    }
}

/// When something happens to one direction of a connection.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub(crate) struct Trigger {
    /// The chance to happen within a KiB of the stream.
    pub(crate) per_kib: Option<f64>,
    /// The number of bytes after which it happens, once.
    pub(crate) after: Option<u64>,
}

/// Directions of a connection, as the command line names them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Directions {
    /// From the client to the server.
    Up,
    /// From the server to the client.
    Down,
    Both,
}

impl Directions {
    pub(crate) const ALL: [Self; 3] = [Self::Up, Self::Down, Self::Both];

    /// The name as the command line has it.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Up => "up",
            Self::Down => "down",
            Self::Both => "both",
        }
    }

    pub(super) const fn include(self, direction: Direction) -> bool {
        matches!(
            (self, direction),
            (Self::Both, _) | (Self::Up, Direction::Up) | (Self::Down, Direction::Down)
        )
    }
}

/// A direction of a connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Direction {
    /// From the client to the server.
    Up,
    /// From the server to the client.
    Down,
}

impl Direction {
    pub(super) const BOTH: [Self; 2] = [Self::Up, Self::Down];

    pub(super) const fn other(self) -> Self {
        match self {
            Self::Up => Self::Down,
            Self::Down => Self::Up,
        }
    }
}
