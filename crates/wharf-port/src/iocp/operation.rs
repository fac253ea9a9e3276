//! Operations as Windows knows them: by the address of their `OVERLAPPED`.
//!
//! From the call that starts one to the packet that ends it, an operation belongs to the kernel, and so
//! does what it points at. Nothing is freed, moved or used again before that, whatever happens to the
//! socket: a packet comes for every operation that was started, also when its socket is closed.
//!
//! The memory of an operation lives as long as its port. So a packet that a broken system sends twice
//! finds an operation that is not under way, and is dropped.

use std::cell::UnsafeCell;
use std::ptr::NonNull;

use windows_sys::Win32::System::IO::OVERLAPPED;

use super::code::Code;
use crate::ids::{ListenerId, SocketId};

/// What an operation is for. Packets are routed by this, never by the number of a socket, which the
/// system gives out again at once.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Purpose {
    /// A receive: into a buffer of the pool, or, without one, until there is something to receive.
    Receive {
        socket: SocketId,
        buffer: Option<u16>,
    },
    Send {
        socket: SocketId,
    },
    Connect {
        socket: SocketId,
    },
    /// Making a socket ready for its next connection; by place in the list of those that are recycled.
    Recycle {
        place: u32,
    },
    /// An accept, by its place in the listener's pool.
    Accept {
        listener: ListenerId,
        place: u32,
    },
}

/// How an operation has ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Outcome {
    pub(super) purpose: Purpose,
    pub(super) bytes: u32,
    pub(super) failure: Option<Code>,
}

/// An `OVERLAPPED`, and what finds its way back from it.
#[repr(C)]
struct Shared {
    /// First, so that it has the address of the whole.
    overlapped: UnsafeCell<OVERLAPPED>,
    index: u32,
}

#[derive(Debug)]
struct Entry {
    shared: NonNull<Shared>,
    /// `None` when it is not under way.
    purpose: Option<Purpose>,
}

/// The operations of one port.
#[derive(Debug, Default)]
pub(super) struct Operations {
    all: Vec<Entry>,
    free: Vec<u32>,
    pending: usize,
}

/// An operation that is about to be started.
#[derive(Clone, Copy, Debug)]
pub(super) struct Begun {
    pub(super) index: u32,
    pub(super) overlapped: *mut OVERLAPPED,
}

impl Operations {
    /// Gives an operation to the kernel, in advance: it is under way from here on, so that a packet
    /// that is faster than the call that asked for it finds everything in place.
    pub(super) fn begin(&mut self, purpose: Purpose) -> Begun {
        let index = self.free.pop().unwrap_or_else(|| self.add());
        let entry = &mut self.all[index as usize];
        debug_assert!(entry.purpose.is_none(), "operation {index} is under way");
        entry.purpose = Some(purpose);
        self.pending += 1;
        let overlapped = overlapped_of(entry.shared);
        // SAFETY: the operation is not under way, so its memory is ours alone.
        unsafe { overlapped.write(OVERLAPPED::default()) };
        Begun { index, overlapped }
    }

    fn add(&mut self) -> u32 {
        let index = u32::try_from(self.all.len()).unwrap_or_else(|_| std::process::abort());
        let overlapped = UnsafeCell::new(OVERLAPPED::default());
        let shared = NonNull::from(Box::leak(Box::new(Shared { overlapped, index })));
        self.all.push(Entry { shared, purpose: None });
        index
    }

    /// The address of an operation that is under way: what a cancel names.
    pub(super) fn overlapped(&self, index: u32) -> *mut OVERLAPPED {
        overlapped_of(self.all[index as usize].shared)
    }

    /// The kernel has not taken it, or was done with it at once and sends no packet.
    pub(super) fn take_back(&mut self, index: u32) -> Option<Purpose> {
        let purpose = self.all.get_mut(index as usize)?.purpose.take()?;
        self.pending -= 1;
        self.free.push(index);
        Some(purpose)
    }

    /// A packet has come: the kernel is done with the operation. `None` if it was not under way.
    pub(super) fn finish(&mut self, overlapped: *mut OVERLAPPED) -> Option<Purpose> {
        let shared = NonNull::new(overlapped.cast::<Shared>())?;
        // SAFETY: packets with the key of operations bring only addresses that `begin` has given out,
        // and their memory lives until this is dropped, which the port does last.
        let index = unsafe { shared.as_ref() }.index;
        let purpose = self.take_back(index);
        debug_assert!(purpose.is_some(), "a second packet for operation {index}");
        purpose
    }

    /// Operations that the kernel has.
    pub(super) const fn pending(&self) -> usize {
        self.pending
    }
}

/// Where the `OVERLAPPED` of an operation lies: where the operation begins.
const fn overlapped_of(shared: NonNull<Shared>) -> *mut OVERLAPPED {
    shared.as_ptr().cast()
}

impl Drop for Operations {
    /// What the kernel still has is leaked: it may write there.
    fn drop(&mut self) {
        for entry in self.all.iter().filter(|entry| entry.purpose.is_none()) {
            // SAFETY: `add` has leaked it, nobody else frees it, and the kernel does not have it.
            drop(unsafe { Box::from_raw(entry.shared.as_ptr()) });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SEND: Purpose = Purpose::Send { socket: SocketId::from_parts(3, 7) };

    #[test]
    fn a_packet_finds_what_its_operation_was_for_and_the_memory_is_used_again() {
        let mut operations = Operations::default();
        let first = operations.begin(SEND);
        let second = operations.begin(Purpose::Recycle { place: 1 });
        assert_eq!(operations.pending(), 2);
        assert_eq!(operations.finish(first.overlapped), Some(SEND));
        assert_eq!(operations.begin(SEND).overlapped, first.overlapped);
        assert_eq!(operations.finish(second.overlapped), Some(Purpose::Recycle { place: 1 }));
        assert_eq!(operations.take_back(first.index), Some(SEND));
        assert_eq!(operations.pending(), 0);
    }

    #[test]
    #[cfg_attr(debug_assertions, should_panic = "a second packet")]
    fn a_second_packet_is_nobodys() {
        let mut operations = Operations::default();
        let begun = operations.begin(SEND);
        assert_eq!(operations.finish(begun.overlapped), Some(SEND));
        assert_eq!(operations.finish(begun.overlapped), None);
    }
}
