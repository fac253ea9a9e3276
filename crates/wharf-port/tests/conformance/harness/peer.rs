//! The other end of a connection.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use rustix::net::sockopt;

use super::LIMIT;

/// How a stream ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Ending {
    End,
    Reset,
}

/// The other end of a connection: a blocking socket of the standard library whose calls are bounded.
///
/// Used on the thread of the port, it must not write more than the kernel holds for it.
#[derive(Debug)]
pub(crate) struct Peer {
    stream: TcpStream,
    address: SocketAddr,
}

impl Peer {
    pub(crate) fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect_timeout(&address, LIMIT);
        Self::from(stream.unwrap_or_else(|error| panic!("a peer connects to {address}: {error}")))
    }

    /// A listener of the standard library, for a port that connects.
    pub(crate) fn listener() -> (TcpListener, SocketAddr) {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        (listener, address)
    }

    /// An address where nobody listens.
    pub(crate) fn nobody() -> SocketAddr {
        (Ipv4Addr::LOCALHOST, 1).into()
    }

    /// Accepts from a listener that is known to have a connection.
    pub(crate) fn accept(listener: &TcpListener) -> Self {
        Self::from(listener.accept().expect("a connection that is there").0)
    }

    /// The address of this end.
    pub(crate) const fn address(&self) -> SocketAddr {
        self.address
    }

    /// The address of the other end.
    pub(crate) fn far_address(&self) -> SocketAddr {
        self.stream.peer_addr().unwrap()
    }

    #[track_caller]
    pub(crate) fn write(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).expect("a peer writes");
    }

    /// Writes to an end that may be gone.
    pub(crate) fn try_write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes)
    }

    pub(crate) fn write_in_chunks(&mut self, bytes: &[u8], chunk: usize) {
        bytes.chunks(chunk).for_each(|chunk| self.write(chunk));
    }

    #[track_caller]
    pub(crate) fn read(&mut self, count: usize) -> Vec<u8> {
        let mut bytes = vec![0; count];
        self.stream.read_exact(&mut bytes).expect("a peer reads");
        bytes
    }

    /// What still comes, and how it ends.
    #[track_caller]
    pub(crate) fn read_to_ending(&mut self) -> (Vec<u8>, Ending) {
        let mut bytes = Vec::new();
        match self.stream.read_to_end(&mut bytes) {
            Ok(_) => (bytes, Ending::End),
            Err(error) if is_reset(error.kind()) => (bytes, Ending::Reset),
            Err(error) => panic!("after {} bytes neither end nor reset: {error}", bytes.len()),
        }
    }

    /// What has come by now: nothing, perhaps, or the end.
    pub(crate) fn read_what_is_there(&mut self) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; 64 << 10];
        self.stream.set_nonblocking(true)?;
        let read = self.stream.read(&mut bytes);
        self.stream.set_nonblocking(false)?;
        match read {
            Ok(count) => bytes.truncate(count),
            Err(error) if error.kind() == ErrorKind::WouldBlock => bytes.clear(),
            Err(error) => return Err(error),
        }
        Ok(bytes)
    }

    /// Whether nothing has come: neither a byte nor an end.
    pub(crate) fn has_nothing(&self) -> bool {
        self.stream.set_nonblocking(true).unwrap();
        let peeked = self.stream.peek(&mut [0]);
        self.stream.set_nonblocking(false).unwrap();
        peeked.is_err_and(|error| error.kind() == ErrorKind::WouldBlock)
    }

    /// Ends the stream to an end that may be gone.
    pub(crate) fn try_end(&self) -> io::Result<()> {
        self.stream.shutdown(Shutdown::Write)
    }

    /// Ends this end's stream; the other direction stays.
    pub(crate) fn end(&self) {
        self.try_end().expect("a peer ends its stream");
    }

    /// Closes the connection so that the other end sees a reset.
    pub(crate) fn reset(self) {
        sockopt::set_socket_linger(&self.stream, Some(Duration::ZERO)).unwrap();
    }

    pub(crate) fn shrink_receive_buffer(&self) {
        sockopt::set_socket_recv_buffer_size(&self.stream, 64 << 10).unwrap();
    }
}

impl From<TcpStream> for Peer {
    fn from(stream: TcpStream) -> Self {
        stream.set_read_timeout(Some(LIMIT)).unwrap();
        stream.set_write_timeout(Some(LIMIT)).unwrap();
        stream.set_nodelay(true).unwrap();
        let address = stream.local_addr().unwrap();
        Self { stream, address }
    }
}

const fn is_reset(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::ConnectionReset | ErrorKind::ConnectionAborted)
}
