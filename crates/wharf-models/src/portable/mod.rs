//! What all systems have: the models that need nothing but the standard library, and what several models share.

pub(crate) mod listener;
#[cfg(any(target_os = "linux", windows))]
pub(crate) mod reactive;
pub(crate) mod thread_per_connection;
pub(crate) mod wharf;
