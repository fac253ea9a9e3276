//! What the process may open, and what it holds on to.

/// Raises the number of descriptors that the process may open to what the system allows, and returns
/// it; `None` if there is no limit.
///
/// On Unix that is `RLIMIT_NOFILE`, the soft limit raised to the hard one. Windows has no such limit.
pub fn raise_descriptor_limit() -> Option<u64> {
    crate::sys::raise_descriptor_limit()
}

/// Gives memory that has been freed back to the system, as far as the allocator can be told to: glibc
/// keeps it for itself otherwise, in an arena for each thread. It takes milliseconds after large
/// amounts have been in use, so it is for moments in which nothing is to be done.
pub fn release_free_memory() {
    crate::sys::release_free_memory();
}
