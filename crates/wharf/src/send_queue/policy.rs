//! What happens to a session that reads too slowly.

use std::str::FromStr;

use super::{Chunks, SendQueue};

/// What happens to a session whose send queue is full, because its peer reads more slowly than it is
/// sent to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum SlowReader {
    /// Nothing more is received from the session until its queue has drained to half: right where what
    /// is sent answers what was received. If the queue grows beyond twice its limit all the same, since
    /// others send to the session too, it is disconnected.
    Pause,
    /// The session is disconnected: right where a slow one must not hold up the rest.
    Disconnect,
    /// The frame that does not fit is dropped. Not with [`Framing::RAW`](crate::Framing::RAW).
    DropNewest,
    /// The oldest frames that have not gone are dropped until the new one fits. Not with
    /// [`Framing::RAW`](crate::Framing::RAW).
    DropOldest,
}

impl SlowReader {
    const NAMED: [(&'static str, Self); 4] = [
        ("pause", Self::Pause),
        ("disconnect", Self::Disconnect),
        ("drop-newest", Self::DropNewest),
        ("drop-oldest", Self::DropOldest),
    ];

    /// The name as the command line has it.
    pub fn name(self) -> &'static str {
        Self::NAMED.iter().find(|(_, policy)| *policy == self).map_or("", |(name, _)| name)
    }

    /// Whether frames may be left out, which a stream without frames cannot bear.
    pub(crate) const fn drops(self) -> bool {
        matches!(self, Self::DropNewest | Self::DropOldest)
    }
}

/// What a policy makes of one more frame for a queue that is full.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Room {
    /// The queue takes it; so many older ones have been dropped for it.
    Made { dropped: usize },
    /// It is dropped.
    None,
    /// The session ends.
    Disconnect,
}

impl SlowReader {
    /// Makes room for a payload of `wanted` bytes in a queue that has reached `max`, or says what is to
    /// be done instead.
    #[cold]
    pub(crate) fn make_room(
        self,
        queue: &mut SendQueue,
        wanted: usize,
        max: usize,
        chunks: &mut Chunks,
    ) -> Room {
        match self {
            Self::Pause if queue.bytes() < max.saturating_mul(2) => Room::Made { dropped: 0 },
            Self::Pause | Self::Disconnect => Room::Disconnect,
            Self::DropNewest => Room::None,
            // What is with the port cannot be dropped. If that alone is too much, the queue still
            // takes one frame: the newest is what this policy is for.
            Self::DropOldest => Room::Made { dropped: queue.drop_oldest(wanted, max, chunks) },
        }
    }
}

impl FromStr for SlowReader {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        let found = Self::NAMED.iter().find(|(known, _)| *known == name);
        found.map(|(_, policy)| *policy).ok_or_else(|| {
            format!("no policy '{name}': pause, disconnect, drop-newest or drop-oldest")
        })
    }
}
