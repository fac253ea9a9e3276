//! Listeners that somebody else has opened.

use std::net::TcpListener;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixListener;
use std::sync::Arc;

/// A socket that listens already, of TCP or of the Unix domain: what a service manager hands to a program that
/// it starts, or what the program has opened itself in a way that is not to be had otherwise.
///
/// Whoever has opened it may have it still, as service managers do: then its queue outlives the port, and who
/// waits there is accepted by whoever comes next. A clone is the same socket.
#[derive(Clone, Debug)]
pub struct ReadyListener(Arc<OwnedFd>);

impl From<TcpListener> for ReadyListener {
    fn from(listener: TcpListener) -> Self {
        OwnedFd::from(listener).into()
    }
}

impl From<UnixListener> for ReadyListener {
    fn from(listener: UnixListener) -> Self {
        OwnedFd::from(listener).into()
    }
}

/// Whether it listens is looked at when a port takes it.
impl From<OwnedFd> for ReadyListener {
    fn from(socket: OwnedFd) -> Self {
        Self(Arc::new(socket))
    }
}

impl AsFd for ReadyListener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
