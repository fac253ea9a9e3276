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
    /// A frame that was sent [with a key](crate::Context::send_keyed) takes the place of the one with the
    /// same key that waits, whether the queue is full or not: right for positions and other states, of
    /// which only the newest matters. The new one stands at the end. A queue that is full all the same
    /// drops its oldest frames. Not with [`Framing::RAW`](crate::Framing::RAW).
    Coalesce,
    /// The frame is not taken, and the sender is told: [`SendStatus::Full`](crate::SendStatus::Full), and
    /// [`on_writable`](crate::Session::on_writable) when there is room again. Right where the sender can
    /// make something better of it than any policy. A broadcast does not ask: a member that is full does
    /// not get it.
    Refuse,
}

impl SlowReader {
    const NAMED: [(&'static str, Self); 6] = [
        ("pause", Self::Pause),
        ("disconnect", Self::Disconnect),
        ("drop-newest", Self::DropNewest),
        ("drop-oldest", Self::DropOldest),
        ("coalesce", Self::Coalesce),
        ("refuse", Self::Refuse),
    ];

    /// The name as the command line has it.
    pub fn name(self) -> &'static str {
        Self::NAMED.iter().find(|(_, policy)| *policy == self).map_or("", |(name, _)| name)
    }

    /// Whether frames may be left out, which a stream without frames cannot bear.
    pub(crate) const fn drops(self) -> bool {
        matches!(self, Self::DropNewest | Self::DropOldest | Self::Coalesce)
    }

    /// Whether the queue must know where its frames begin.
    pub(crate) const fn needs_frames(self) -> bool {
        matches!(self, Self::DropOldest | Self::Coalesce)
    }
}

/// What a policy makes of one more frame for a queue that is full.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Room {
    /// The queue takes it; so many older ones have been dropped for it.
    Made { dropped: usize },
    /// It is dropped.
    None,
    /// It is not taken, and its sender is told.
    Refused,
    /// The session ends.
    Disconnect,
}

impl SendQueue {
    /// Makes room for a payload of `wanted` bytes in a queue that is full, as its policy wants it, or says
    /// what is to be done instead.
    #[cold]
    pub(crate) fn make_room(&mut self, wanted: usize, chunks: &mut Chunks) -> Room {
        match self.policy() {
            SlowReader::Pause if !self.has_reached(self.capacity().doubled()) => {
                Room::Made { dropped: 0 }
            }
            SlowReader::Pause | SlowReader::Disconnect => Room::Disconnect,
            SlowReader::DropNewest => Room::None,
            SlowReader::Refuse => Room::Refused,
            // What is with the port cannot be dropped. If that alone is too much, the queue still
            // takes one frame: the newest is what these policies are for.
            SlowReader::DropOldest | SlowReader::Coalesce => {
                Room::Made { dropped: self.drop_oldest(wanted, chunks) }
            }
        }
    }
}

impl FromStr for SlowReader {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        let found = Self::NAMED.iter().find(|(known, _)| *known == name);
        found.map(|(_, policy)| *policy).ok_or_else(|| {
            format!(
                "no policy '{name}': pause, disconnect, drop-newest, drop-oldest, coalesce or refuse"
            )
        })
    }
}
