//! Memory of the driver's, which the kernel may touch from the start of an operation to its packet.
//!
//! It is written to as early and as often as a kernel might: at the start with rubbish, at the end with
//! the result. So what was freed, lent or read too early is found, by the tests or by a sanitizer.

use std::ops::Range;

use windows_sys::Win32::Foundation::STATUS_PENDING;
use windows_sys::Win32::System::IO::OVERLAPPED;

use crate::iocp::api::{ADDRESS_BYTES, Slice};

/// What a buffer is full of before anything was received.
const RUBBISH: u8 = 0xEE;

/// The `OVERLAPPED` of an operation, by its address.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Operation(pub(super) *mut OVERLAPPED);

// SAFETY: it is a name; who writes through it has started the operation and not ended it.
unsafe impl Send for Operation {}

impl Operation {
    /// # Safety
    /// The caller of the API keeps the operation where it is until its packet.
    pub(super) unsafe fn begin(self) {
        // SAFETY: as above.
        unsafe { (*self.0).Internal = STATUS_PENDING.cast_unsigned() as usize };
    }

    /// # Safety
    /// As for [`begin`](Self::begin); its packet has not been dequeued.
    pub(super) unsafe fn end(self, bytes: u32, status: usize) {
        // SAFETY: as above.
        unsafe { (*self.0).InternalHigh = bytes as usize };
        // SAFETY: as above.
        unsafe { (*self.0).Internal = status };
    }
}

/// Memory, by the addresses of its bytes.
pub(super) type Bytes = Range<usize>;

/// Where a receive or an accept writes to.
#[derive(Clone, Copy, Debug)]
pub(super) struct Room {
    start: *mut u8,
    pub(super) len: usize,
}

// SAFETY: between start and packet it is the kernel's alone.
unsafe impl Send for Room {}

impl Room {
    pub(super) const fn of_receive(start: *mut u8, len: u32) -> Self {
        Self { start, len: len as usize }
    }

    pub(super) const fn of_accept(start: *mut u8, first: u32) -> Self {
        Self { start, len: first as usize + 2 * ADDRESS_BYTES }
    }

    pub(super) fn bytes(self) -> Bytes {
        let start = self.start.addr();
        start..start + self.len
    }

    /// # Safety
    /// The operation that owns the room has been started, and its packet has not been dequeued.
    pub(super) unsafe fn spoil(self) {
        // SAFETY: as above.
        unsafe { self.start.write_bytes(RUBBISH, self.len) };
    }

    /// # Safety
    /// As for [`spoil`](Self::spoil).
    pub(super) unsafe fn put(self, at: usize, bytes: &[u8]) {
        assert!(at + bytes.len() <= self.len, "{} bytes at {at} of {}", bytes.len(), self.len);
        // SAFETY: it lies within the room (asserted above).
        let start = unsafe { self.start.add(at) };
        // SAFETY: as above; the caller says that the room is the kernel's.
        unsafe { start.copy_from_nonoverlapping(bytes.as_ptr(), bytes.len()) };
    }
}

/// What a send reads from.
#[derive(Debug)]
pub(super) struct Gather {
    slices: Vec<Slice>,
    /// Bytes that have been read.
    pub(super) read: usize,
}

// SAFETY: between start and packet nobody writes to what the slices point at.
unsafe impl Send for Gather {}

impl Gather {
    pub(super) fn new(slices: &[Slice]) -> Self {
        Self { slices: slices.to_vec(), read: 0 }
    }

    pub(super) fn len(&self) -> usize {
        self.slices.iter().map(|slice| slice.len as usize).sum()
    }

    pub(super) fn bytes(&self) -> Vec<Bytes> {
        let bytes = |slice: &Slice| slice.start.addr()..slice.start.addr() + slice.len as usize;
        self.slices.iter().map(bytes).collect()
    }

    pub(super) fn is_over(&self) -> bool {
        self.read == self.len()
    }

    /// Reads at most so many bytes on.
    ///
    /// # Safety
    /// The send has been started, and its packet has not been dequeued.
    pub(super) unsafe fn take(&mut self, most: usize) -> Vec<u8> {
        let mut taken = Vec::new();
        let mut before = 0;
        for slice in &self.slices {
            // SAFETY: the caller says that the bytes are there.
            let all = unsafe { std::slice::from_raw_parts(slice.start, slice.len as usize) };
            let skipped = self.read.saturating_sub(before).min(all.len());
            let count = (all.len() - skipped).min(most.saturating_sub(taken.len()));
            taken.extend_from_slice(&all[skipped..skipped + count]);
            before += all.len();
        }
        self.read += taken.len();
        taken
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gather_is_read_in_order_and_in_parts() {
        let parts: [&[u8]; 4] = [b"ab", b"", b"cde", b"f"];
        let slices =
            parts.map(|it| Slice { start: it.as_ptr(), len: u32::try_from(it.len()).unwrap() });
        let mut gather = Gather::new(&slices);
        let mut read = Vec::new();
        for most in [1, 0, 3, 9] {
            // SAFETY: the slices are constants.
            read.push(unsafe { gather.take(most) });
        }
        assert_eq!(read, [&b"a"[..], b"", b"bcd", b"ef"]);
        assert!(gather.is_over());
    }
}
