//! A socket that has had no operation yet.

use std::net::TcpStream;

use crate::address::{Address, Credentials};
#[cfg(test)]
use crate::iocp::MockedSocket;
use crate::sim::{FreshEnd, Network};
use crate::sys;

/// A connected socket that has had no operation yet, so that any port may adopt it.
///
/// This is what a listener gives, and the only thing of a port's that may cross threads besides the
/// [`Waker`](crate::Waker). Dropping it closes the connection.
#[derive(Debug)]
pub struct FreshSocket {
    from: Origin,
    peer: Address,
    /// Few have them, and completions carry sockets.
    credentials: Option<Box<Credentials>>,
    /// The port that it is with already, if it is a socket that was used before.
    stays_with: Option<usize>,
    /// A pooled accept has made it.
    #[cfg(any(windows, test))]
    was_accepted: bool,
    /// Bytes that came with the accept.
    #[cfg(any(windows, test))]
    first: Vec<u8>,
}

/// Where a fresh socket comes from.
#[derive(Debug)]
enum Origin {
    System {
        socket: sys::Socket,
        nonblocking: bool,
    },
    Simulated(FreshEnd),
    #[cfg(test)]
    Mocked(MockedSocket),
}

impl FreshSocket {
    pub(crate) const fn new(socket: sys::Socket, nonblocking: bool, peer: Address) -> Self {
        Self::of(Origin::System { socket, nonblocking }, peer)
    }

    pub(crate) const fn simulated(end: FreshEnd, peer: Address) -> Self {
        Self::of(Origin::Simulated(end), peer)
    }

    const fn of(from: Origin, peer: Address) -> Self {
        Self {
            from,
            peer,
            credentials: None,
            stays_with: None,
            #[cfg(any(windows, test))]
            was_accepted: false,
            #[cfg(any(windows, test))]
            first: Vec::new(),
        }
    }

    /// Notes who the peer is.
    #[cfg(unix)]
    pub(crate) fn with_credentials(mut self, credentials: Option<Credentials>) -> Self {
        self.credentials = credentials.map(Box::new);
        self
    }

    /// Whether only the port that has accepted it may adopt it: see [`Recycling`](crate::Recycling).
    pub const fn must_stay(&self) -> bool {
        self.stays_with.is_some()
    }

    /// The address of the other end.
    pub const fn peer(&self) -> &Address {
        &self.peer
    }

    /// Who the peer is, if it has come over a Unix socket of the system's.
    pub fn credentials(&self) -> Option<Credentials> {
        self.credentials.as_deref().copied()
    }

    /// Closes the connection so that the peer sees a reset, and nothing of it stays in the kernel. Over a
    /// Unix socket the peer sees its end.
    pub fn reset(self) {
        match self.from {
            Origin::System { socket, .. } => sys::reset(socket),
            Origin::Simulated(end) => end.reset(),
            #[cfg(test)]
            Origin::Mocked(socket) => socket.reset(),
        }
    }

    /// The system's socket, made to block or not, as a backend needs it.
    pub(crate) fn into_system(self, nonblocking: bool) -> std::io::Result<sys::Socket> {
        let Origin::System { socket, nonblocking: is } = self.from else {
            return Err(wrong_network("a simulated socket on a port of the system's"));
        };
        if is != nonblocking {
            sys::adapt(&socket, nonblocking)?;
        }
        Ok(socket)
    }

    /// The end on a simulated network, which must be that of the port that adopts it.
    pub(crate) fn into_simulated(self, network: &Network) -> std::io::Result<FreshEnd> {
        match self.from {
            Origin::Simulated(end) if end.is_on(network) => Ok(end),
            Origin::Simulated(_) => Err(wrong_network("a socket of another simulated network")),
            _ => Err(wrong_network("a socket of the system's on a simulated port")),
        }
    }
}

#[cfg(any(windows, test))]
impl FreshSocket {
    pub(crate) fn with_first_bytes(mut self, first: Vec<u8>) -> Self {
        self.first = first;
        self
    }

    pub(crate) fn take_first_bytes(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.first)
    }

    pub(crate) const fn stays_with(&self) -> Option<usize> {
        self.stays_with
    }

    /// Notes that a pooled accept has made it, and the port that its socket stays with.
    pub(crate) const fn note_accept(&mut self, stays_with: Option<usize>) {
        self.was_accepted = true;
        self.stays_with = stays_with;
    }

    pub(crate) const fn was_accepted(&self) -> bool {
        self.was_accepted
    }
}

#[cfg(test)]
impl FreshSocket {
    pub(crate) const fn mocked(socket: MockedSocket, peer: Address) -> Self {
        Self::of(Origin::Mocked(socket), peer)
    }

    /// The socket of a Windows that is made up.
    pub(crate) fn into_mocked(self) -> std::io::Result<MockedSocket> {
        match self.from {
            Origin::Mocked(socket) => Ok(socket),
            _ => Err(wrong_network("a socket of the system's on a port that is made up")),
        }
    }
}

fn wrong_network(what: &str) -> std::io::Error {
    std::io::Error::new(std::io::ErrorKind::InvalidInput, what)
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
        Ok(Self::new(stream.into(), false, peer.into()))
    }
}

#[cfg(unix)]
impl TryFrom<std::os::unix::net::UnixStream> for FreshSocket {
    type Error = std::io::Error;

    /// Takes over a stream that was made elsewhere.
    ///
    /// # Errors
    /// What the system says, if the stream cannot be asked.
    fn try_from(stream: std::os::unix::net::UnixStream) -> Result<Self, std::io::Error> {
        stream.set_nonblocking(false)?;
        let socket = sys::Socket::from(stream);
        let peer = sys::peer_address(&socket).ok_or(std::io::ErrorKind::NotConnected)?;
        let credentials = sys::credentials(&socket);
        Ok(Self::new(socket, false, peer).with_credentials(credentials))
    }
}
