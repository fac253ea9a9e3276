//! Memory that the allocator has and nobody uses.

#[cfg(all(target_os = "linux", target_env = "gnu"))]
pub(crate) fn release_free_memory() {
    // SAFETY: it touches only free memory of the allocator, under the allocator's own locks.
    unsafe { libc::malloc_trim(0) };
}

/// Other allocators do it by themselves, or have no way to be told.
#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
pub(crate) const fn release_free_memory() {}
