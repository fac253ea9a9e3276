//! The shared receive buffers: one ring registered with the kernel, which picks a buffer when data
//! has arrived, not when the receive is armed.
//!
//! A buffer belongs to the kernel or to exactly one [`Lease`]. The lease comes from a completion
//! and goes back with [`Buffers::release`]; [`Buffers::publish`] shows the released ones to the
//! kernel, all at once, at the end of a turn.

use std::io;
use std::sync::atomic::{AtomicU16, Ordering};

use io_uring::types::BufRingEntry;
use rustix::mm::{MapFlags, ProtFlags, mmap_anonymous};

use crate::ring::Ring;

/// The buffer group; there is only one.
pub(crate) const GROUP: u16 = 0;

/// Bytes in a buffer that the kernel has filled and that are ours until released.
///
/// Neither `Copy` nor `Clone`: there is one lease per buffer, or none.
#[derive(Debug)]
pub(crate) struct Lease {
    start: u32,
    len: u32,
    id: u16,
}

impl Lease {
    pub(crate) fn len(&self) -> usize {
        self.len as usize
    }

    /// The part from `start` on, `len` bytes long.
    pub(crate) fn slice(self, start: usize, len: usize) -> Self {
        assert!(start + len <= self.len(), "a part lies within its whole");
        // No truncation: both are at most `self.len`.
        Self { start: self.start + start as u32, len: len as u32, id: self.id }
    }
}

/// The ring of buffers and the memory behind it.
///
/// Both are mapped for the life of the process and never unmapped: closing a ring does not wait for
/// the operations on it, so no moment is known to be safe.
#[derive(Debug)]
pub(crate) struct Buffers {
    entries: *mut BufRingEntry,
    memory: *mut u8,
    count: u16,
    bytes_each: u32,
    /// Place after the last released buffer; wraps, as the kernel's does.
    tail: u16,
    /// Buffers that no lease holds.
    available: u16,
}

impl Buffers {
    /// Maps `count` buffers (a power of two) of `bytes_each` and hands all of them to the kernel.
    pub(crate) fn register(ring: &Ring, count: u16, bytes_each: u32) -> io::Result<Self> {
        let entries = map(usize::from(count) * size_of::<BufRingEntry>())?.cast::<BufRingEntry>();
        let memory = map(usize::from(count) * bytes_each as usize)?;
        // SAFETY: `entries` points to `count` entries, page-aligned, and is never unmapped.
        unsafe { ring.register_buffers(entries as u64, count, GROUP)? };
        let mut buffers = Self { entries, memory, count, bytes_each, tail: 0, available: 0 };
        for id in 0..count {
            buffers.release(Lease { start: 0, len: 0, id });
        }
        buffers.publish();
        Ok(buffers)
    }

    /// Takes the buffer that a receive completion names.
    ///
    /// # Safety
    /// The kernel has just put `len` bytes into buffer `id` and told so by a completion that
    /// nobody else takes a lease from.
    pub(crate) unsafe fn lease(&mut self, id: u16, len: u32) -> Lease {
        assert!(id < self.count && len <= self.bytes_each, "the completion names a buffer of ours");
        self.available -= 1;
        Lease { start: 0, len, id }
    }

    /// The received bytes.
    pub(crate) fn bytes<'a>(&'a self, lease: &'a Lease) -> &'a [u8] {
        // SAFETY: the lease says that the kernel has filled these bytes and writes no more to them
        // before the buffer is released, which needs the lease that is borrowed here.
        unsafe { std::slice::from_raw_parts(self.pointer(lease), lease.len()) }
    }

    /// Where the received bytes lie; valid as long as the lease lives.
    pub(crate) fn pointer(&self, lease: &Lease) -> *const u8 {
        let offset = usize::from(lease.id) * self.bytes_each as usize + lease.start as usize;
        // SAFETY: `lease` and `slice` keep id and range within the mapping.
        unsafe { self.memory.add(offset) }
    }

    /// Gives a buffer back. The kernel sees it after the next [`Buffers::publish`].
    pub(crate) fn release(&mut self, lease: Lease) {
        let place = usize::from(self.tail & (self.count - 1));
        let address = self.memory as u64 + u64::from(lease.id) * u64::from(self.bytes_each);
        // SAFETY: `place` is within the mapping of `count` entries.
        let entry = unsafe { self.entries.add(place) };
        // SAFETY: entries from the published tail on are not read by the kernel, and as each
        // buffer has one lease, no more than `count` are ever released. The reference ends with
        // this function. The setters leave the last field alone, where the tail lies.
        let entry = unsafe { &mut *entry };
        entry.set_addr(address);
        entry.set_len(self.bytes_each);
        entry.set_bid(lease.id);
        self.tail = self.tail.wrapping_add(1);
        self.available += 1;
    }

    /// Shows the kernel what has been released.
    pub(crate) fn publish(&self) {
        // SAFETY: `entries` is the start of the registered ring, zeroed when mapped.
        let tail = unsafe { BufRingEntry::tail(self.entries) };
        // SAFETY: the tail is aligned, mapped for ever, and the kernel only reads it.
        let tail = unsafe { AtomicU16::from_ptr(tail.cast_mut()) };
        tail.store(self.tail, Ordering::Release);
    }

    /// Buffers that no lease holds.
    pub(crate) fn available(&self) -> u16 {
        self.available
    }

    /// Whether at least half of the buffers are free.
    pub(crate) fn half_free(&self) -> bool {
        self.available >= self.count / 2
    }
}

/// Maps zeroed memory that lives as long as the process.
fn map(bytes: usize) -> io::Result<*mut u8> {
    let protection = ProtFlags::READ | ProtFlags::WRITE;
    // SAFETY: a new private mapping at an address of the kernel's choice touches no other memory.
    let memory =
        unsafe { mmap_anonymous(std::ptr::null_mut(), bytes, protection, MapFlags::PRIVATE)? };
    Ok(memory.cast())
}
