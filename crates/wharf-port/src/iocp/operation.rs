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
    /// The operation: nobody else's before this is looked at.
    pub(super) index: u32,
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
    stage: Stage,
}

/// How far an operation is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Stage {
    Free,
    /// The kernel has it.
    Pending(Purpose),
    /// It is done, and its outcome has not been looked at: somebody may still mean it by its index.
    Done,
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
        debug_assert!(entry.stage == Stage::Free, "operation {index} is under way");
        entry.stage = Stage::Pending(purpose);
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
        self.all.push(Entry { shared, stage: Stage::Free });
        index
    }

    /// The address of an operation that is under way: what a cancel names.
    pub(super) fn overlapped(&self, index: u32) -> *mut OVERLAPPED {
        overlapped_of(self.all[index as usize].shared)
    }

    /// The kernel has not taken it, or was done with it at once, sends no packet, and nobody means it
    /// any more.
    pub(super) fn take_back(&mut self, index: u32) {
        if self.done(index).is_some() {
            self.release(index);
        }
    }

    /// The kernel is done with it. `None` if it was not under way.
    pub(super) fn done(&mut self, index: u32) -> Option<Purpose> {
        let entry = self.all.get_mut(index as usize)?;
        let Stage::Pending(purpose) = entry.stage else { return None };
        entry.stage = Stage::Done;
        self.pending -= 1;
        Some(purpose)
    }

    /// Its outcome is looked at: from here on it may be used for something else.
    pub(super) fn release(&mut self, index: u32) {
        let entry = &mut self.all[index as usize];
        if entry.stage == Stage::Done {
            entry.stage = Stage::Free;
            self.free.push(index);
        }
    }

    /// Whether the kernel has it.
    pub(super) fn is_pending(&self, index: u32) -> bool {
        let entry = self.all.get(index as usize);
        entry.is_some_and(|entry| matches!(entry.stage, Stage::Pending(_)))
    }

    /// A packet has come: the kernel is done with the operation. `None` if it was not under way.
    pub(super) fn finish(&mut self, overlapped: *mut OVERLAPPED) -> Option<(u32, Purpose)> {
        let shared = NonNull::new(overlapped.cast::<Shared>())?;
        // SAFETY: packets with the key of operations bring only addresses that `begin` has given out,
        // and their memory lives until this is dropped, which the port does last.
        let index = unsafe { shared.as_ref() }.index;
        let purpose = self.done(index);
        debug_assert!(purpose.is_some(), "a second packet for operation {index}");
        Some((index, purpose?))
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
        let theirs = |entry: &&Entry| matches!(entry.stage, Stage::Pending(_));
        for entry in self.all.iter().filter(|entry| !theirs(entry)) {
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
    fn a_packet_finds_what_its_operation_was_for() {
        let mut operations = Operations::default();
        let first = operations.begin(SEND);
        let second = operations.begin(Purpose::Recycle { place: 1 });
        assert_eq!(operations.pending(), 2);
        assert_eq!(operations.finish(first.overlapped), Some((first.index, SEND)));
        let recycled = Some((second.index, Purpose::Recycle { place: 1 }));
        assert_eq!(operations.finish(second.overlapped), recycled);
        assert_eq!(operations.pending(), 0);
    }

    #[test]
    fn an_operation_is_used_again_when_its_outcome_has_been_looked_at_and_not_before() {
        let mut operations = Operations::default();
        let first = operations.begin(SEND);
        operations.finish(first.overlapped).unwrap();
        let second = operations.begin(SEND);
        assert_ne!(second.overlapped, first.overlapped);
        operations.release(first.index);
        assert_eq!(operations.begin(SEND).overlapped, first.overlapped);
        operations.take_back(second.index);
        assert_eq!(operations.begin(SEND).overlapped, second.overlapped);
        // What is pending would be leaked.
        operations.take_back(first.index);
        operations.take_back(second.index);
    }

    #[test]
    #[cfg_attr(debug_assertions, should_panic = "a second packet")]
    fn a_second_packet_is_nobodys() {
        let mut operations = Operations::default();
        let begun = operations.begin(SEND);
        assert!(operations.finish(begun.overlapped).is_some());
        assert_eq!(operations.finish(begun.overlapped), None);
    }
}
