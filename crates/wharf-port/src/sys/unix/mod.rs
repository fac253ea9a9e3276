//! Linux, the BSDs and macOS, through `rustix`.

mod descriptors;
mod fresh;
mod keepalive;
mod memory;
mod notifier;
#[cfg(not(target_os = "linux"))]
mod queue;
mod socket;

pub(crate) use descriptors::raise_descriptor_limit;
pub(crate) use fresh::{NO_SIGNAL, accept_now};
pub(crate) use memory::release_free_memory;
#[cfg(not(target_os = "linux"))]
pub(crate) use notifier::NOTIFIED;
pub(crate) use notifier::Notifier;
#[cfg(not(target_os = "linux"))]
pub(crate) use queue::Queue;
pub(crate) use socket::{
    Socket, adapt, local_address, no_delay, open_listener, open_stream, peer_address, reset,
    shutdown_send, start_connect, take_error,
};
#[cfg(target_os = "linux")]
pub(crate) use socket::{is_gone, shutdown_both};
