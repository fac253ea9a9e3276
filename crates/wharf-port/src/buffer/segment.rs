//! What is handed to the port to be sent.

use std::ops::Range;
use std::sync::Arc;

use super::Lease;

/// A piece of what is to be sent. It owns its bytes, so they live for as long as the kernel needs
/// them; the port gives it back with the completion of the send.
#[derive(Debug)]
pub enum Segment {
    /// Received bytes, sent from where the kernel put them.
    Received(Lease),
    /// Bytes of this one send.
    Owned(OwnedBytes),
    /// Bytes that many sends share.
    Shared(SharedBytes),
}

impl Segment {
    /// The bytes that are still to be sent.
    #[inline]
    pub fn as_slice(&self) -> &[u8] {
        match self {
            Self::Received(lease) => lease,
            Self::Owned(owned) => owned.as_slice(),
            Self::Shared(shared) => shared.as_slice(),
        }
    }

    /// How many bytes are still to be sent.
    pub fn len(&self) -> usize {
        self.as_slice().len()
    }

    /// Whether no byte is left.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Leaves the first `count` bytes out.
    ///
    /// # Panics
    /// If there are fewer.
    pub fn advance(&mut self, count: usize) {
        match self {
            Self::Received(lease) => lease.advance(count),
            Self::Owned(owned) => owned.advance(count),
            Self::Shared(shared) => shared.advance(count),
        }
    }

    /// Copies received bytes out, so that their buffer goes back to the pool: for what has to wait.
    pub fn detach(&mut self) {
        if let Self::Received(lease) = self {
            *self = Self::Owned(OwnedBytes::from(lease.to_vec()));
        }
    }
}

/// Bytes of one send, and how many of them have gone.
#[derive(Debug, Default)]
pub struct OwnedBytes {
    bytes: Vec<u8>,
    start: usize,
}

impl OwnedBytes {
    /// The bytes that have not gone.
    #[inline]
    pub fn as_slice(&self) -> &[u8] {
        &self.bytes[self.start..]
    }

    /// How many bytes can be appended without moving those that are there.
    #[inline]
    pub fn room(&self) -> usize {
        self.bytes.capacity() - self.bytes.len()
    }

    /// Appends bytes without moving those that are there; false, and nothing done, if they do not
    /// fit into what was allocated.
    #[inline]
    pub fn try_extend(&mut self, bytes: &[u8]) -> bool {
        let fits = self.room() >= bytes.len();
        if fits {
            self.bytes.extend_from_slice(bytes);
        }
        fits
    }

    /// Takes a part out from among the bytes that have not gone.
    ///
    /// # Panics
    /// If the range does not lie within them.
    pub fn remove(&mut self, range: Range<usize>) {
        self.bytes.drain(self.start + range.start..self.start + range.end);
    }

    /// The allocation, for use again.
    pub fn into_vec(self) -> Vec<u8> {
        self.bytes
    }

    fn advance(&mut self, count: usize) {
        assert!(count <= self.bytes.len() - self.start, "advanced beyond the end");
        self.start += count;
    }
}

impl From<Vec<u8>> for OwnedBytes {
    fn from(bytes: Vec<u8>) -> Self {
        Self { bytes, start: 0 }
    }
}

/// A part of bytes that many sends share.
#[derive(Clone, Debug)]
pub struct SharedBytes {
    bytes: Arc<[u8]>,
    start: usize,
    end: usize,
}

impl SharedBytes {
    /// A part of `bytes`.
    ///
    /// # Panics
    /// If the range does not lie within them.
    pub fn new(bytes: Arc<[u8]>, range: Range<usize>) -> Self {
        assert!(
            range.start <= range.end && range.end <= bytes.len(),
            "{range:?} of {}",
            bytes.len()
        );
        Self { bytes, start: range.start, end: range.end }
    }

    /// The bytes that have not gone.
    #[inline]
    pub fn as_slice(&self) -> &[u8] {
        &self.bytes[self.start..self.end]
    }

    /// A part of this one.
    ///
    /// # Panics
    /// If the range does not lie within it.
    #[must_use]
    pub fn slice(&self, range: Range<usize>) -> Self {
        let whole = self.start..self.end;
        assert!(range.start <= range.end && range.end <= whole.len(), "{range:?} of {whole:?}");
        let (start, end) = (self.start + range.start, self.start + range.end);
        Self { bytes: Arc::clone(&self.bytes), start, end }
    }

    fn advance(&mut self, count: usize) {
        assert!(count <= self.end - self.start, "advanced beyond the end");
        self.start += count;
    }
}

impl From<Arc<[u8]>> for SharedBytes {
    fn from(bytes: Arc<[u8]>) -> Self {
        let end = bytes.len();
        Self { bytes, start: 0, end }
    }
}

/// Leaves the first `count` bytes of a run of segments out, and with them the segments they fill.
/// The segments that have gone stay in front, empty; the index of the first that has not is
/// returned.
pub(crate) fn advance_all(segments: &mut [Segment], mut first: usize, mut count: usize) -> usize {
    while count > 0 {
        let segment = &mut segments[first];
        let step = count.min(segment.len());
        segment.advance(step);
        count -= step;
        if segment.is_empty() {
            first += 1;
        }
    }
    first
}
