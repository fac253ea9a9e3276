//! A Unix socket that listens beside every completion port.

use std::io;
use std::os::unix::net::UnixListener;

use crate::address::UnixAddress;
use crate::error::ListenError;
use crate::socket_options::ListenOptions;
use crate::sys::{ListeningSocket, open_listener};

/// A Unix socket that a program listens on by itself, with a file like that of a port's listener: it takes the
/// place of what a dead server has left, never of one that lives, and it is removed with this.
#[derive(Debug)]
pub struct LocalListener {
    listening: ListeningSocket,
    address: UnixAddress,
}

impl LocalListener {
    /// Listens at a path or under a name. The file has the permission bits of `mode` from its first moment on
    /// Linux, and before anybody can connect elsewhere; `None` is what the mask of the process leaves.
    ///
    /// # Errors
    /// [`ListenError`], if somebody listens there, something other than a socket is there, or the system does
    /// not allow it.
    pub fn bind(address: &UnixAddress, mode: Option<u32>) -> Result<Self, ListenError> {
        let options = ListenOptions { unix_mode: mode, ..ListenOptions::default() };
        let listening = open_listener(&address.clone().into(), &options)?;
        Ok(Self { listening, address: address.clone() })
    }

    /// Where it is.
    pub const fn address(&self) -> &UnixAddress {
        &self.address
    }

    /// The same socket, to accept from: as long as this is there, for its file is this one's.
    ///
    /// # Errors
    /// Of the system, if there is no descriptor left.
    pub fn listener(&self) -> io::Result<UnixListener> {
        let socket = rustix::io::fcntl_dupfd_cloexec(&self.listening.socket, 0)?;
        Ok(UnixListener::from(socket))
    }
}
