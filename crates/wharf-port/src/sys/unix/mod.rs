//! Linux, the BSDs and macOS, through `rustix`.

mod descriptors;
mod memory;
mod notifier;
mod socket;

pub(crate) use descriptors::raise_descriptor_limit;
pub(crate) use memory::release_free_memory;
pub(crate) use notifier::Notifier;
pub(crate) use socket::{
    Socket, accept_now, adapt, is_gone, local_address, no_delay, open_listener, open_stream,
    peer_address, reset, shutdown_both, shutdown_send, start_connect, take_error,
};
