//! The ring of receive buffers that the kernel takes from (`io_uring_register_buf_ring(3)`).

use std::io;
use std::ptr::NonNull;
use std::rc::Rc;
use std::sync::atomic::{AtomicU16, Ordering};

use io_uring::types::BufRingEntry;
use rustix::mm::{MapFlags, ProtFlags, mmap_anonymous, munmap};

use super::ring::Ring;
use crate::buffer::{BufferPool, Lease};

/// The group that receives name; a port has only one.
pub(super) const GROUP: u16 = 0;

/// Buffers on their way to the kernel and back. Its memory must outlive the ring: it is a field
/// behind it.
#[derive(Debug)]
pub(super) struct Provided {
    pool: Rc<BufferPool>,
    entries: NonNull<BufRingEntry>,
    bytes: usize,
    mask: u16,
    tail: u16,
    /// Whether the kernel may still use the entries: then they are leaked, not unmapped.
    leaked: bool,
}

impl Provided {
    /// Registers a ring that can hold every buffer of the pool.
    pub(super) fn register(ring: &Ring, pool: Rc<BufferPool>) -> io::Result<Self> {
        let count = u16::try_from(pool.total()).unwrap_or(u16::MAX);
        debug_assert!(count.is_power_of_two());
        let bytes = usize::from(count) * size_of::<BufRingEntry>();
        let protection = ProtFlags::READ | ProtFlags::WRITE;
        // SAFETY: a new private mapping at an address of the kernel's choice aliases nothing.
        let memory =
            unsafe { mmap_anonymous(std::ptr::null_mut(), bytes, protection, MapFlags::PRIVATE) }?;
        let Some(entries) = NonNull::new(memory.cast()) else {
            return Err(io::Error::from(io::ErrorKind::OutOfMemory));
        };
        let this = Self { pool, entries, bytes, mask: count - 1, tail: 0, leaked: false };
        // SAFETY: the mapping holds `count` entries, page-aligned, and stays until `this` is dropped,
        // which `Uring` does after the ring is gone (declaration order).
        unsafe {
            ring.inner().submitter().register_buf_ring_with_flags(memory as u64, count, GROUP, 0)
        }?;
        Ok(this)
    }

    /// Gives the kernel every buffer that lies free in the pool.
    pub(super) fn refill(&mut self) {
        let before = self.tail;
        while let Some(buffer) = self.pool.lend() {
            self.put(buffer);
        }
        if self.tail != before {
            self.publish();
        }
    }

    fn put(&mut self, buffer: u16) {
        let address = self.pool.start_of(buffer).as_ptr() as u64;
        let length = u32::try_from(self.pool.buffer_bytes()).unwrap_or(u32::MAX);
        let index = usize::from(self.tail & self.mask);
        // SAFETY: `index` is below the number of entries (masked), so the entry lies in the mapping.
        let mut entry = unsafe { self.entries.add(index) };
        // SAFETY: the kernel reads an entry only between the published tail and its own head. There
        // are as many entries as buffers and this buffer was in the pool, so this one lies outside.
        let entry = unsafe { entry.as_mut() };
        entry.set_addr(address);
        entry.set_len(length);
        entry.set_bid(buffer);
        self.tail = self.tail.wrapping_add(1);
    }

    fn publish(&self) {
        // SAFETY: `entries` is the base of the registered ring.
        let tail = unsafe { BufRingEntry::tail(self.entries.as_ptr()) };
        // SAFETY: the tail lies in the mapping, aligned, and only this thread writes it; the kernel
        // reads it atomically, so both sides go through atomics.
        let tail = unsafe { AtomicU16::from_ptr(tail.cast_mut()) };
        tail.store(self.tail, Ordering::Release);
    }

    /// Takes a buffer over that the kernel has filled with `len` bytes.
    pub(super) fn lease(&self, buffer: u16, len: usize) -> Lease {
        self.pool.lease(buffer, len)
    }

    /// Takes a buffer back that an operation had picked and not filled.
    pub(super) fn take_back(&self, buffer: u16) {
        self.pool.take_back(buffer);
    }

    pub(super) fn pool(&self) -> &BufferPool {
        &self.pool
    }

    /// Says that the kernel may write to the buffers for ever.
    pub(super) const fn leak(&mut self) {
        self.leaked = true;
    }
}

impl Drop for Provided {
    fn drop(&mut self) {
        if self.leaked {
            return;
        }
        // The ring is gone by now, joined before: nothing of the kernel's reads the entries or writes
        // to the buffers.
        self.pool.take_back_all();
        // SAFETY: the mapping that `register` made, with its length; `entries` is not used again.
        let unmapped = unsafe { munmap(self.entries.as_ptr().cast(), self.bytes) };
        debug_assert!(unmapped.is_ok());
    }
}
