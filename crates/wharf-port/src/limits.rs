//! What the process may open, what it holds on to, and where its threads run.

use std::io;

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

/// Has this thread run on one core and on no other: the `number`th of those that the process may use,
/// counted over again when they are used up.
///
/// # Errors
/// What the system says, or that it does not say which cores there are.
pub fn pin_to_core(number: usize) -> io::Result<()> {
    let unknown = || io::Error::other("the system does not say which cores there are");
    let cores = core_affinity::get_core_ids().filter(|cores| !cores.is_empty());
    let cores = cores.ok_or_else(unknown)?;
    if core_affinity::set_for_current(cores[number % cores.len()]) {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}
