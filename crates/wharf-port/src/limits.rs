//! What the process may open.

/// Raises the number of descriptors that the process may open to what the system allows, and returns
/// it; `None` if there is no limit.
///
/// On Unix that is `RLIMIT_NOFILE`, the soft limit raised to the hard one. Windows has no such limit.
pub fn raise_descriptor_limit() -> Option<u64> {
    crate::sys::raise_descriptor_limit()
}
