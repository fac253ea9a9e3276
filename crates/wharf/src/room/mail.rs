//! What members have for rooms, gathered for one worker until the end of a turn.

use std::ops::Range;
use std::sync::Arc;

use super::RoomState;
use crate::session_id::SessionId;

/// What of one worker's sessions is on its way to the rooms of another, or to those of its own.
#[derive(Debug, Default)]
pub(crate) struct RoomMail {
    rooms: Vec<Arc<RoomState>>,
    entries: Vec<Entry>,
    bytes: Vec<u8>,
}

#[derive(Clone, Debug)]
struct Entry {
    room: usize,
    member: SessionId,
    what: What<Range<usize>>,
}

/// Rooms that are looked at whether it is one of them that is spoken to.
const LOOKED_AT: usize = 16;

/// What a member does.
#[derive(Clone, Debug)]
pub(crate) enum What<F> {
    Enters,
    Says(F),
    Leaves,
}

impl RoomMail {
    /// Frames and their book-keeping that may be gathered for one worker.
    pub(crate) const BYTES_MAX: usize = 4 << 20;

    pub(crate) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// What it counts towards a bound.
    pub(crate) fn counted_bytes(&self) -> usize {
        self.bytes.len() + self.entries.len() * size_of::<Entry>()
    }

    /// Whether another frame finds room.
    pub(crate) fn has_room(&self, frame: usize) -> bool {
        self.counted_bytes() + frame + size_of::<Entry>() <= Self::BYTES_MAX
    }

    pub(crate) fn push(&mut self, room: &Arc<RoomState>, member: SessionId, what: What<&[u8]>) {
        // Most of what is said in one turn is said to few rooms; one that is not found stands there twice.
        let mut known = self.rooms.iter().rev().take(LOOKED_AT);
        let known = known.position(|known| Arc::ptr_eq(known, room));
        if known.is_none() {
            self.rooms.push(Arc::clone(room));
        }
        let room = self.rooms.len() - 1 - known.unwrap_or(0);
        let what = match what {
            What::Enters => What::Enters,
            What::Leaves => What::Leaves,
            What::Says(frame) => {
                let start = self.bytes.len();
                self.bytes.extend_from_slice(frame);
                What::Says(start..self.bytes.len())
            }
        };
        self.entries.push(Entry { room, member, what });
    }

    /// What there is, in the order in which it came.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&Arc<RoomState>, SessionId, What<&[u8]>)> {
        self.entries.iter().map(|entry| {
            let what = match &entry.what {
                What::Enters => What::Enters,
                What::Leaves => What::Leaves,
                What::Says(range) => What::Says(&self.bytes[range.clone()]),
            };
            (&self.rooms[entry.room], entry.member, what)
        })
    }

    /// Empties it and keeps its memory, unless that is much.
    pub(crate) fn clear(&mut self) {
        let capacity = self.bytes.capacity() + self.entries.capacity() * size_of::<Entry>();
        if capacity > Self::BYTES_MAX / 16 {
            *self = Self::default();
        } else {
            self.rooms.clear();
            self.entries.clear();
            self.bytes.clear();
        }
    }
}
