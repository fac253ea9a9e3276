//! What all systems have: the models that need nothing but the standard library, and what several models share.

pub(crate) mod listener;
// Windows has use for it as well, once its reactors are here.
#[cfg(target_os = "linux")]
pub(crate) mod reactive;
pub(crate) mod thread_per_connection;
pub(crate) mod wharf;
