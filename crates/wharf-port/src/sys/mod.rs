//! What a platform gives besides its completion port. Every platform provides:
//!
//! - `Socket`: an owned socket, closed when dropped; `open_listener`, `open_stream`, and the calls
//!   that finish at once: options, addresses, shutdown, reset.
//! - `Notifier`: what a [`Waker`](crate::Waker) notifies the kernel with.
//! - `raise_descriptor_limit`: how many sockets the process may open.
//! - `release_free_memory`: gives freed memory back to the system.

#[cfg(unix)]
mod unix;
#[cfg(unix)]
pub(crate) use unix::*;

#[cfg(windows)]
mod windows;
#[cfg(windows)]
pub(crate) use windows::*;
