//! The extended `OVERLAPPED`: what an operation is, behind what the kernel wants to know of it.
//!
//! The kernel gives back the pointer that it was given, and nothing else about the operation. The
//! `OVERLAPPED` is the first field, so that the same pointer is one to the rest.

use std::cell::UnsafeCell;

use windows_sys::Win32::System::IO::OVERLAPPED;

/// What has finished.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::windows) enum Operation {
    Receive,
    Send,
    /// The key of its packet is that of the listener, so the index says which accept it is.
    Accept {
        index: usize,
    },
    Disconnect,
}

/// The state of an operation that the kernel knows, and ours.
#[repr(C)]
pub(in crate::windows) struct OverlappedEx {
    overlapped: UnsafeCell<OVERLAPPED>,
    operation: Operation,
}

// SAFETY: the kernel writes the `OVERLAPPED` during the operation, whoever starts one sets it up before, and
// there is only one at a time, which sessions and accepts keep; the rest never changes.
unsafe impl Sync for OverlappedEx {}
// SAFETY: as above; and it is not moved during an operation, since what keeps it is not.
unsafe impl Send for OverlappedEx {}

impl OverlappedEx {
    pub(in crate::windows) fn new(operation: Operation) -> Self {
        Self { overlapped: UnsafeCell::new(OVERLAPPED::default()), operation }
    }

    /// Made new for the next operation.
    ///
    /// # Safety
    /// None is under way that was started with this.
    pub(in crate::windows) unsafe fn renewed(&self) -> *mut OVERLAPPED {
        let overlapped = self.overlapped.get();
        // SAFETY: the caller says that it is not the kernel's.
        unsafe { overlapped.write(OVERLAPPED::default()) };
        overlapped
    }

    /// What has finished, by the pointer that came back.
    ///
    /// # Safety
    /// The pointer is from [`renewed`](Self::renewed), and what it belongs to still lives.
    pub(in crate::windows) unsafe fn operation_of(overlapped: *mut OVERLAPPED) -> Operation {
        // SAFETY: it is the first field of this, and the second is never written.
        unsafe { (*overlapped.cast::<Self>()).operation }
    }
}
