//! Memory for what is sent and could not stay where it was.

use wharf_port::{OwnedBytes, Segment};

/// Bytes of a chunk. Frames that are longer get an allocation of their own.
pub(crate) const CHUNK_BYTES: usize = 4 << 10;
/// Chunks that are kept for use again: 1 MiB.
const CHUNKS_MAX: usize = 256;
/// Lists of segments that are kept for use again: a broadcast to a large group needs one for each member,
/// of some 160 bytes.
const LISTS_MAX: usize = 1 << 16;
/// Segments that a list may have room for and still be kept.
const LIST_ROOM_MAX: usize = 64;

/// Chunks and lists that have been used and will be again, so that sending allocates nothing, and an
/// idle session owns neither.
#[derive(Debug, Default)]
pub(crate) struct Chunks {
    chunks: Vec<Vec<u8>>,
    lists: Vec<Vec<Segment>>,
}

impl Chunks {
    /// Memory for at least `bytes`.
    pub(super) fn take(&mut self, bytes: usize) -> OwnedBytes {
        if bytes > CHUNK_BYTES {
            return OwnedBytes::from(Vec::with_capacity(bytes));
        }
        let chunk = self.chunks.pop().unwrap_or_else(|| Vec::with_capacity(CHUNK_BYTES));
        OwnedBytes::from(chunk)
    }

    pub(super) fn take_list(&mut self) -> Vec<Segment> {
        self.lists.pop().unwrap_or_default()
    }

    /// Takes back what a send is done with.
    pub(crate) fn give_back(&mut self, mut segments: Vec<Segment>) {
        segments.drain(..).for_each(|segment| self.give_back_one(segment));
        if self.lists.len() < LISTS_MAX && segments.capacity() <= LIST_ROOM_MAX {
            self.lists.push(segments);
        }
    }

    /// Takes back one segment.
    pub(super) fn give_back_one(&mut self, segment: Segment) {
        if let Segment::Owned(owned) = segment {
            self.give_back_chunk(owned);
        }
    }

    fn give_back_chunk(&mut self, owned: OwnedBytes) {
        let mut chunk = owned.into_vec();
        if chunk.capacity() == CHUNK_BYTES && self.chunks.len() < CHUNKS_MAX {
            chunk.clear();
            self.chunks.push(chunk);
        }
    }
}
