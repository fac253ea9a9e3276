//! Windows, as far as its completion port does not do it itself.

mod notifier;
mod socket;

pub(crate) use notifier::Notifier;
pub(crate) use socket::{Socket, adapt, reset};

/// There is no limit but memory.
pub(crate) const fn raise_descriptor_limit() -> Option<u64> {
    None
}

/// The heap of Windows gives memory back by itself.
pub(crate) const fn release_free_memory() {}
