//! Where an accept writes addresses and first bytes.

use std::ptr::NonNull;

use super::super::api::ADDRESS_BYTES;

/// Memory that the kernel writes to while an accept is under way: nothing else points at it then.
#[derive(Debug)]
pub(super) struct Output(NonNull<[u8]>);

// SAFETY: it owns its bytes, as a box does.
unsafe impl Send for Output {}

impl Output {
    /// Room for two addresses, behind that for this many bytes.
    pub(super) fn new(first: u32) -> Self {
        let bytes = vec![0u8; first as usize + 2 * ADDRESS_BYTES].into_boxed_slice();
        Self(NonNull::from(Box::leak(bytes)))
    }

    pub(super) const fn start(&self) -> *mut u8 {
        self.0.as_ptr().cast()
    }

    /// What was written.
    ///
    /// # Safety
    /// No accept that was given this is under way.
    pub(super) unsafe fn bytes(&self) -> &[u8] {
        // SAFETY: the bytes are initialised, live as long as `self`, and the caller says that nobody
        // writes.
        unsafe { self.0.as_ref() }
    }

    /// Gives the memory back.
    ///
    /// # Safety
    /// No accept that was given this is under way, or ever will be.
    pub(super) unsafe fn free(&self) {
        // SAFETY: `new` has leaked it, and the caller frees it once and last.
        drop(unsafe { Box::from_raw(self.0.as_ptr()) });
    }
}
