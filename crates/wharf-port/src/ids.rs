//! Names of what a completion port holds: sockets, listeners, timers.

use std::fmt;
use std::num::NonZeroU32;

use crate::clock::Time;

/// The name of one socket of one completion port.
///
/// A slot number and a generation. The slot of a closed socket is used again, the pair never is:
/// a slot whose generations are used up is retired. A descriptor number or a `SOCKET` value is no
/// name, since the operating system hands it out again at once.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SocketId {
    slot: u32,
    generation: u32,
}

impl SocketId {
    /// Sockets that one port can hold: slot numbers stay below this.
    pub const SLOTS_MAX: u32 = 1 << 22;

    /// Puts a name together from its parts.
    pub const fn from_parts(slot: u32, generation: u32) -> Self {
        Self { slot, generation }
    }

    /// Where the socket lies in its port's table; below [`SocketId::SLOTS_MAX`].
    pub const fn slot(self) -> u32 {
        self.slot
    }

    /// How often the slot has been used, counted from 1.
    pub const fn generation(self) -> u32 {
        self.generation
    }
}

impl fmt::Debug for SocketId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "socket {}#{}", self.slot, self.generation)
    }
}

/// The name of one listener of one completion port; never used again.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct ListenerId(pub(crate) u32);

/// The name of one timer of one completion port; never used again.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct TimerId {
    pub(crate) deadline: Time,
    pub(crate) slot: u32,
    /// Counted from 1, so that an optional name is no larger.
    pub(crate) generation: NonZeroU32,
}

impl TimerId {
    /// When the timer fires.
    pub const fn deadline(self) -> Time {
        self.deadline
    }
}
