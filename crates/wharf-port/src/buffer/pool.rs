//! The receive buffers of one port, and the ledger that says who has which.

use std::cell::{Cell, RefCell};
use std::ptr::NonNull;
use std::rc::Rc;

use super::Lease;

/// Where the buffers begin: at a page. The kernel copies with `rep movsb`, and processors differ
/// widely in what they make of it when the destination is not aligned: on an AMD EPYC, 16 bytes
/// behind the start of a page, where `malloc` puts what is large, it took five times as long.
const PAGE: usize = 4096;

/// Who has the receive buffers of a port: `free + leased + kernel = total`, always.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Ledger {
    /// Buffers that exist.
    pub total: usize,
    /// Buffers that lie in the pool.
    pub free: usize,
    /// Buffers that a [`Lease`] keeps.
    pub leased: usize,
    /// Buffers that the kernel may write to.
    pub kernel: usize,
}

/// Who has one buffer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Owner {
    Pool,
    Kernel,
    /// With the number of leases that keep it.
    Leases(u32),
}

/// A fixed number of equal buffers in one piece of memory. Free buffers are kept last-in first-out: the
/// warm one is used again.
#[derive(Debug)]
pub(crate) struct BufferPool {
    /// What was allocated: the buffers, and room to begin at a page.
    allocation: NonNull<[u8]>,
    /// Where the first buffer begins.
    memory: NonNull<u8>,
    buffer_bytes: usize,
    owners: Box<[Cell<Owner>]>,
    free: RefCell<Vec<u16>>,
    leased: Cell<usize>,
    kernel: Cell<usize>,
}

impl BufferPool {
    /// A pool of `count` buffers of `buffer_bytes` each, all free. Its memory is touched here, so that
    /// no receive meets a page fault, and what a port costs is known from the start.
    pub(crate) fn new(count: u16, buffer_bytes: u32) -> Rc<Self> {
        let buffer_bytes = buffer_bytes as usize;
        let bytes = usize::from(count) * buffer_bytes + PAGE;
        let allocation = NonNull::from(Box::leak(vec![0u8; bytes].into_boxed_slice()));
        let unaligned: NonNull<u8> = allocation.cast();
        let skipped = unaligned.align_offset(PAGE);
        assert!(skipped < PAGE, "the allocation has no aligned byte");
        // SAFETY: less than `PAGE` bytes are skipped (asserted above), and the allocation is
        // longer than that.
        let memory = unsafe { unaligned.add(skipped) };
        for page in (0..bytes - PAGE).step_by(PAGE) {
            // SAFETY: `bytes - PAGE` bytes lie behind `memory`, and the page begins within them.
            let start = unsafe { memory.add(page) };
            // SAFETY: the byte is ours: nobody else has seen the allocation yet.
            unsafe { start.write_volatile(0) };
        }
        Rc::new(Self {
            allocation,
            memory,
            buffer_bytes,
            owners: vec![Cell::new(Owner::Pool); usize::from(count)].into_boxed_slice(),
            free: RefCell::new((0..count).rev().collect()),
            leased: Cell::new(0),
            kernel: Cell::new(0),
        })
    }

    pub(crate) const fn buffer_bytes(&self) -> usize {
        self.buffer_bytes
    }

    pub(crate) fn total(&self) -> usize {
        self.owners.len()
    }

    /// Buffers that lie in the pool.
    pub(crate) fn free(&self) -> usize {
        self.free.borrow().len()
    }

    /// Buffers that the kernel has.
    #[cfg(target_os = "linux")]
    pub(crate) fn in_kernel(&self) -> usize {
        self.kernel.get()
    }

    pub(crate) fn ledger(&self) -> Ledger {
        let ledger = Ledger {
            total: self.total(),
            free: self.free(),
            leased: self.leased.get(),
            kernel: self.kernel.get(),
        };
        assert_eq!(ledger.free + ledger.leased + ledger.kernel, ledger.total, "buffer ledger");
        ledger
    }

    /// Asserts that the ledger agrees with what is noted of each buffer. It looks at all of them,
    /// where [`ledger`](Self::ledger) adds up three numbers.
    pub(crate) fn audit(&self) {
        let Ledger { free, leased, kernel, .. } = self.ledger();
        let (mut in_pool, mut in_kernel) = (0, 0);
        for owner in &self.owners {
            in_pool += usize::from(owner.get() == Owner::Pool);
            in_kernel += usize::from(owner.get() == Owner::Kernel);
        }
        let noted = (in_pool, self.total() - in_pool - in_kernel, in_kernel);
        assert_eq!((free, leased, kernel), noted, "buffer ledger: free, leased, kernel");
    }

    /// Falsifies the ledger: it counts a lease that there is not, until this is called with false.
    #[cfg(test)]
    pub(crate) fn miscount(&self, more: bool) {
        let leased = self.leased.get();
        self.leased.set(if more { leased + 1 } else { leased - 1 });
    }

    /// Falsifies what is noted of a buffer, and leaves the sum as it is; again puts it right.
    #[cfg(test)]
    pub(crate) fn swap_owners(&self) {
        let (first, last) = (&self.owners[0], &self.owners[self.owners.len() - 1]);
        if first.get() == last.get() {
            let other = if first.get() == Owner::Pool { Owner::Kernel } else { Owner::Pool };
            first.set(other);
        } else {
            first.set(last.get());
        }
    }

    /// Gives a free buffer to the kernel: it alone may touch the bytes until
    /// [`lease`](Self::lease) or [`take_back`](Self::take_back).
    pub(crate) fn lend(&self) -> Option<u16> {
        let id = self.free.borrow_mut().pop()?;
        let owner = self.owners[usize::from(id)].replace(Owner::Kernel);
        assert_eq!(owner, Owner::Pool, "buffer {id} was lent twice");
        self.kernel.set(self.kernel.get() + 1);
        Some(id)
    }

    /// Where a buffer begins; `buffer_bytes` lie there until the pool is dropped.
    pub(crate) fn start_of(&self, id: u16) -> NonNull<u8> {
        assert!(usize::from(id) < self.owners.len(), "no buffer {id}");
        // SAFETY: `id` is below the number of buffers (asserted above), so the offset lies within the
        // one allocation that `new` made and that lives until `drop`.
        unsafe { self.memory.add(usize::from(id) * self.buffer_bytes) }
    }

    /// Takes a buffer over from the kernel, which has written `len` bytes to it and is done with it.
    pub(crate) fn lease(self: &Rc<Self>, id: u16, len: usize) -> Lease {
        assert!(len <= self.buffer_bytes, "{len} bytes in a buffer of {}", self.buffer_bytes);
        let owner = self.owners[usize::from(id)].replace(Owner::Leases(1));
        assert_eq!(owner, Owner::Kernel, "buffer {id} came from nowhere");
        self.kernel.set(self.kernel.get() - 1);
        self.leased.set(self.leased.get() + 1);
        Lease::new(Rc::clone(self), id, len)
    }

    /// Takes a buffer back that the kernel is done with and has not written to.
    pub(crate) fn take_back(&self, id: u16) {
        let owner = self.owners[usize::from(id)].replace(Owner::Pool);
        assert_eq!(owner, Owner::Kernel, "buffer {id} came from nowhere");
        self.kernel.set(self.kernel.get() - 1);
        self.free.borrow_mut().push(id);
    }

    /// Takes back everything that the kernel has, which must have let go of it.
    #[cfg(any(target_os = "linux", test))]
    pub(crate) fn take_back_all(&self) {
        for (id, owner) in (0u16..).zip(self.owners.iter()) {
            if owner.get() == Owner::Kernel {
                self.take_back(id);
            }
        }
    }

    #[inline]
    pub(super) fn keep(&self, id: u16) {
        let owner = &self.owners[usize::from(id)];
        let Owner::Leases(count) = owner.get() else { unreachable!("buffer {id} has no lease") };
        // Leases that were forgotten can overflow it; then the buffer must not be taken for free.
        let Some(count) = count.checked_add(1) else { std::process::abort() };
        owner.set(Owner::Leases(count));
    }

    #[inline]
    pub(super) fn let_go(&self, id: u16) {
        let owner = &self.owners[usize::from(id)];
        let Owner::Leases(count) = owner.get() else { unreachable!("buffer {id} has no lease") };
        if count > 1 {
            owner.set(Owner::Leases(count - 1));
            return;
        }
        owner.set(Owner::Pool);
        self.leased.set(self.leased.get() - 1);
        self.free.borrow_mut().push(id);
    }
}

impl Drop for BufferPool {
    fn drop(&mut self) {
        if self.kernel.get() > 0 {
            // The kernel may still write there (rule 9): to leak is the lesser evil.
            return;
        }
        // SAFETY: this is the allocation that `new` leaked, and the only place that takes it back. No
        // lease is left, since each keeps the pool alive, and the kernel has no buffer (checked
        // above).
        drop(unsafe { Box::from_raw(self.allocation.as_ptr()) });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ledger_balances_through_every_step() {
        let pool = BufferPool::new(4, 64);
        let a = pool.lend().unwrap();
        let b = pool.lend().unwrap();
        assert_eq!(pool.ledger(), Ledger { total: 4, free: 2, leased: 0, kernel: 2 });
        let lease = pool.lease(a, 10);
        let part = lease.slice(2..5);
        assert_eq!(pool.ledger(), Ledger { total: 4, free: 2, leased: 1, kernel: 1 });
        drop(lease);
        assert_eq!(pool.ledger().leased, 1, "a part keeps the whole buffer");
        drop(part);
        pool.take_back(b);
        assert_eq!(pool.ledger(), Ledger { total: 4, free: 4, leased: 0, kernel: 0 });
    }

    #[test]
    fn a_pool_gives_no_more_than_it_has() {
        let pool = BufferPool::new(2, 64);
        assert!(pool.lend().is_some());
        assert!(pool.lend().is_some());
        assert!(pool.lend().is_none());
        pool.take_back_all();
        assert_eq!(pool.free(), 2);
    }
}
