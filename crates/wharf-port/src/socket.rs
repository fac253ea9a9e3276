//! A socket that has had no operation yet.

use std::net::{SocketAddr, TcpStream};

use crate::sys;

/// A connected socket that has had no operation yet, so that any port may adopt it.
///
/// This is what a listener gives, and the only thing of a port's that may cross threads besides the
/// [`Waker`](crate::Waker). Dropping it closes the connection.
#[derive(Debug)]
pub struct FreshSocket {
    pub(crate) socket: sys::Socket,
    pub(crate) nonblocking: bool,
    peer: SocketAddr,
}

impl FreshSocket {
    pub(crate) const fn new(socket: sys::Socket, nonblocking: bool, peer: SocketAddr) -> Self {
        Self { socket, nonblocking, peer }
    }

    /// The address of the other end.
    pub const fn peer(&self) -> SocketAddr {
        self.peer
    }

    /// Closes the connection so that the peer sees a reset, and nothing of it stays in the kernel.
    pub fn reset(self) {
        sys::reset(self.socket);
    }

    /// Makes the socket block or not, as a backend needs it.
    pub(crate) fn adapt(&mut self, nonblocking: bool) -> std::io::Result<()> {
        if self.nonblocking != nonblocking {
            sys::adapt(&self.socket, nonblocking)?;
            self.nonblocking = nonblocking;
        }
        Ok(())
    }
}

impl TryFrom<TcpStream> for FreshSocket {
    type Error = std::io::Error;

    /// Takes over a stream that was made elsewhere.
    ///
    /// # Errors
    /// What the system says, if the stream has no peer any more.
    fn try_from(stream: TcpStream) -> Result<Self, std::io::Error> {
        let peer = stream.peer_addr()?;
        stream.set_nonblocking(false)?;
        Ok(Self { socket: stream.into(), nonblocking: false, peer })
    }
}
