//! A ring of receive buffers that the kernel takes from as bytes arrive (`io_uring_register_buf_ring(3)`).

use std::alloc::{Layout, alloc_zeroed, handle_alloc_error};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU16, Ordering};

use io_uring::cqueue;
use io_uring::types::BufRingEntry;

use super::uring::Ring;
use crate::ModelError;

/// The name of the ring: a receive names it instead of a buffer.
pub(super) const GROUP: u16 = 0;
/// How many there are, for all connections together; a power of two. Tests have few, so that they run out.
const COUNT: u16 = if cfg!(test) { 2 } else { 256 };
/// Bytes of one.
const BYTES: u32 = 16 * 1024;
/// The kernel wants the ring to begin at a page.
const PAGE_BYTES: usize = 4096;

/// The buffers. Their memory is never freed: the kernel may write to it as long as the process lives.
pub(super) struct Buffers {
    entries: NonNull<BufRingEntry>,
    memory: NonNull<u8>,
    tail: u16,
}

impl Buffers {
    /// Registers the ring, and gives all buffers to the kernel.
    pub(super) fn register(ring: &Ring) -> Result<Self, ModelError> {
        let entries = leaked(usize::from(COUNT) * size_of::<BufRingEntry>());
        let memory = leaked(usize::from(COUNT) * BYTES as usize);
        let mut buffers = Self { entries: entries.cast(), memory, tail: 0 };
        // SAFETY: as many entries lie there, at the beginning of a page, and are never freed.
        let registered = unsafe {
            ring.submitter().register_buf_ring_with_flags(entries.as_ptr() as u64, COUNT, GROUP, 0)
        };
        registered.map_err(ModelError::of("io_uring_register"))?;
        (0..COUNT).for_each(|buffer| buffers.give(buffer));
        Ok(buffers)
    }

    /// What the kernel has put there.
    pub(super) fn bytes(&self, taken: &Taken) -> &[u8] {
        // SAFETY: the buffer lies within the memory (asserted when it was taken).
        let start = unsafe { self.memory.add(usize::from(taken.buffer) * BYTES as usize) };
        // SAFETY: so do its bytes, which were zeroed at first. The kernel does not write to a buffer before it is given
        // back, which takes `self` exclusively and ends `taken`.
        unsafe { std::slice::from_raw_parts(start.as_ptr(), taken.length as usize) }
    }

    /// Gives a buffer back to the kernel.
    pub(super) fn give_back(&mut self, taken: Taken) {
        let Taken { buffer, .. } = taken;
        self.give(buffer);
    }

    /// Gives a buffer to the kernel, which may write to it from now on.
    fn give(&mut self, buffer: u16) {
        // SAFETY: the place is below the number of entries (masked).
        let mut entry = unsafe { self.entries.add(usize::from(self.tail & (COUNT - 1))) };
        // SAFETY: the kernel reads entries between its own head and the tail alone, and this one lies behind the tail:
        // there are no more buffers than entries, and this buffer is ours.
        let entry = unsafe { entry.as_mut() };
        // SAFETY: a buffer of the ring lies within the memory.
        let start = unsafe { self.memory.add(usize::from(buffer) * BYTES as usize) };
        entry.set_addr(start.as_ptr() as u64);
        entry.set_len(BYTES);
        entry.set_bid(buffer);
        self.tail = self.tail.wrapping_add(1);
        // SAFETY: `entries` is the beginning of the registered ring.
        let tail = unsafe { BufRingEntry::tail(self.entries.as_ptr()) };
        // SAFETY: the tail lies in the ring, aligned; the kernel reads it, and this thread alone writes it.
        let tail = unsafe { AtomicU16::from_ptr(tail.cast_mut()) };
        tail.store(self.tail, Ordering::Release);
    }
}

/// A buffer that the kernel has filled, until it is given back. There is one of it for each time.
pub(super) struct Taken {
    buffer: u16,
    length: u32,
}

impl Taken {
    /// What a completion of a receive has brought; `None` if that is no bytes.
    pub(super) fn with(completion: &cqueue::Entry) -> Option<Self> {
        let buffer = cqueue::buffer_select(completion.flags())?;
        let length = u32::try_from(completion.result()).ok().filter(|&length| length > 0)?;
        assert!(buffer < COUNT && length <= BYTES, "the kernel gave what it does not have");
        Some(Self { buffer, length })
    }
}

/// Zeroed memory that begins at a page and is never freed.
fn leaked(bytes: usize) -> NonNull<u8> {
    let Ok(layout) = Layout::from_size_align(bytes, PAGE_BYTES) else {
        unreachable!("{bytes} bytes are a size")
    };
    // SAFETY: the size is not zero: there are buffers, and they are not empty.
    let memory = unsafe { alloc_zeroed(layout) };
    NonNull::new(memory).unwrap_or_else(|| handle_alloc_error(layout))
}
