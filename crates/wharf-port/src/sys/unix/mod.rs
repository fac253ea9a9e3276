//! Linux, the BSDs and macOS, through `rustix`.

mod accept_queue;
mod addresses;
mod credentials;
mod descriptors;
mod fresh;
mod keepalive;
mod listener;
mod memory;
mod notifier;
#[cfg(not(target_os = "linux"))]
mod queue;
mod socket;
mod socket_file;

pub(crate) use accept_queue::accept_backlog;
#[cfg(target_os = "linux")]
pub(crate) use addresses::to_system;
pub(crate) use addresses::{local_address, peer_address};
pub(crate) use credentials::credentials;
pub(crate) use descriptors::raise_descriptor_limit;
pub(crate) use fresh::NO_SIGNAL;
use fresh::accept_now;
pub(crate) use listener::{ListeningSocket, open_listener, take_over};
pub(crate) use memory::release_free_memory;
#[cfg(not(target_os = "linux"))]
pub(crate) use notifier::NOTIFIED;
pub(crate) use notifier::Notifier;
#[cfg(not(target_os = "linux"))]
pub(crate) use queue::Queue;
pub(crate) use socket::{
    Socket, adapt, no_delay, open_stream, reset, shutdown_send, start_connect, take_error,
};
#[cfg(target_os = "linux")]
pub(crate) use socket::{is_gone, shutdown_both};
