//! The receive ring: the kernel fills what is free, the session takes what is filled, and no byte is copied
//! to the front.
//!
//! What is free may go round the end, and is then two pieces. A receive takes both at once, as two `WSABUF`s,
//! and fills the first one first. There is one receive at a time, so a ring needs no lock between those who
//! fill it; between its session's threads it has that of its session.

use std::cell::UnsafeCell;

use windows_sys::Win32::Networking::WinSock::WSABUF;

use crate::windows::winsock::length;

/// How many bytes a ring holds.
const RING_BYTES: usize = 16 * 1024;

/// Bytes in the order of their coming.
pub(super) struct ReceiveRing {
    /// In cells, since the kernel writes the free part while the rest is looked at.
    bytes: Box<[UnsafeCell<u8>]>,
    /// Where the filled part begins.
    start: usize,
    filled: usize,
}

impl ReceiveRing {
    pub(super) fn new() -> Self {
        let bytes = (0..RING_BYTES).map(|_| UnsafeCell::new(0)).collect();
        Self { bytes, start: 0, filled: 0 }
    }

    pub(super) const fn is_full(&self) -> bool {
        self.filled == RING_BYTES
    }

    /// Both pieces of what is free; the second may have no bytes.
    pub(super) fn free(&self) -> [WSABUF; 2] {
        let free = RING_BYTES - self.filled;
        let start = (self.start + self.filled) % RING_BYTES;
        let first = free.min(RING_BYTES - start);
        [self.piece(start, first), self.piece(0, free - first)]
    }

    fn piece(&self, start: usize, len: usize) -> WSABUF {
        WSABUF { len: length(len), buf: self.bytes[start..start + len].as_ptr().cast_mut().cast() }
    }

    /// The kernel has filled as much of what was free.
    pub(super) fn fill(&mut self, bytes: usize) {
        self.filled += bytes;
        assert!(self.filled <= RING_BYTES, "more was received than there was room for");
    }

    /// The oldest bytes, as far as they lie together.
    pub(super) fn front(&self) -> &[u8] {
        let len = self.filled.min(RING_BYTES - self.start);
        let cells = &self.bytes[self.start..self.start + len];
        // SAFETY: what is filled is written by nobody, until `take` has given it up, which needs this
        // borrow to be over. A cell is as its content in memory.
        unsafe { std::slice::from_raw_parts(cells.as_ptr().cast(), len) }
    }

    /// Gives up the oldest bytes.
    pub(super) fn take(&mut self, bytes: usize) {
        assert!(bytes <= self.filled, "more is taken than there is");
        self.start = (self.start + bytes) % RING_BYTES;
        self.filled -= bytes;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Writes as the kernel does: through the pieces, the first one first.
    fn receive(ring: &mut ReceiveRing, bytes: &[u8]) {
        let mut rest = bytes.iter();
        for piece in ring.free() {
            for (at, byte) in rest.by_ref().take(piece.len as usize).enumerate() {
                // SAFETY: the ring says that these bytes are free, and nobody looks at them.
                unsafe { piece.buf.wrapping_add(at).write(*byte) };
            }
        }
        assert!(rest.next().is_none(), "no room");
        ring.fill(bytes.len());
    }

    #[test]
    fn bytes_that_go_round_the_end_come_out_in_order() {
        let mut ring = ReceiveRing::new();
        let first: Vec<u8> = (0..=250).cycle().take(RING_BYTES - 10).collect();
        receive(&mut ring, &first);
        assert_eq!(ring.front(), first);
        ring.take(first.len() - 5);
        receive(&mut ring, b"goes round the end of the ring");
        let mut out = Vec::new();
        while !ring.front().is_empty() {
            out.extend_from_slice(ring.front());
            ring.take(ring.front().len());
        }
        assert_eq!(&out[..5], &first[first.len() - 5..]);
        assert_eq!(&out[5..], b"goes round the end of the ring");
    }

    #[test]
    fn a_full_ring_has_no_free_piece() {
        let mut ring = ReceiveRing::new();
        receive(&mut ring, &[7; RING_BYTES]);
        assert!(ring.is_full());
        assert_eq!(ring.free().map(|piece| piece.len), [0, 0]);
    }
}
