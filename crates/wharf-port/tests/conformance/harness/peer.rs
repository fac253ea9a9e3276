//! The other end of a connection.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::Duration;

use socket2::Socket;
use wharf_port::sim;

use super::LIMIT;
use super::place::{network_of, settle};
use super::unix::{connected, of_system};

/// How a stream ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Ending {
    End,
    Reset,
}

/// The other end of a connection, whose calls block and are bounded.
///
/// Used on the thread of the port, it must not write more than the kernel holds for it.
#[derive(Debug)]
pub(crate) struct Peer {
    stream: Stream,
    address: SocketAddr,
}

/// A socket of the standard library, or an end on a simulated network.
#[derive(Debug)]
enum Stream {
    System(Socket),
    Simulated(sim::Peer),
}

impl Peer {
    pub(crate) fn connect(address: SocketAddr) -> Self {
        let connected = Self::try_connect(address);
        connected.unwrap_or_else(|error| panic!("a peer connects to {address}: {error}"))
    }

    /// Connects to where perhaps nobody listens.
    pub(crate) fn try_connect(address: SocketAddr) -> io::Result<Self> {
        Self::try_connect_within(address, LIMIT)
    }

    /// Connects to where perhaps nobody answers.
    pub(crate) fn try_connect_within(address: SocketAddr, timeout: Duration) -> io::Result<Self> {
        let Some(network) = network_of(address.ip()) else {
            return connected(address, timeout).map(Self::of);
        };
        let mut peer = network.connect(address);
        peer.set_timeout(timeout);
        peer.wait_connected()?;
        peer.set_timeout(LIMIT);
        Ok(Self::from(peer))
    }

    /// The address of this end.
    pub(crate) const fn address(&self) -> SocketAddr {
        self.address
    }

    /// The address of the other end.
    pub(crate) fn far_address(&self) -> SocketAddr {
        match &self.stream {
            Stream::System(stream) => of_system(&stream.peer_addr().unwrap()),
            Stream::Simulated(peer) => peer.peer_address().unwrap().tcp().unwrap(),
        }
    }

    #[track_caller]
    pub(crate) fn write(&mut self, bytes: &[u8]) {
        self.try_write(bytes).expect("a peer writes");
    }

    /// Writes to an end that may be gone.
    pub(crate) fn try_write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.io().write_all(bytes)
    }

    pub(crate) fn write_in_chunks(&mut self, bytes: &[u8], chunk: usize) {
        bytes.chunks(chunk).for_each(|chunk| self.write(chunk));
    }

    #[track_caller]
    pub(crate) fn read(&mut self, count: usize) -> Vec<u8> {
        let mut bytes = vec![0; count];
        self.stream.io().read_exact(&mut bytes).expect("a peer reads");
        bytes
    }

    /// What still comes, and how it ends.
    #[track_caller]
    pub(crate) fn read_to_ending(&mut self) -> (Vec<u8>, Ending) {
        let mut bytes = Vec::new();
        match self.stream.io().read_to_end(&mut bytes) {
            Ok(_) => (bytes, Ending::End),
            Err(error) if is_reset(error.kind()) => (bytes, Ending::Reset),
            Err(error) => panic!("after {} bytes neither end nor reset: {error}", bytes.len()),
        }
    }

    /// What has come by now: nothing, perhaps, or the end.
    pub(crate) fn read_what_is_there(&mut self) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; 64 << 10];
        match self.stream.read_now(&mut bytes) {
            Ok(count) => bytes.truncate(count),
            Err(error) if error.kind() == ErrorKind::WouldBlock => bytes.clear(),
            Err(error) => return Err(error),
        }
        Ok(bytes)
    }

    /// Whether nothing has come, or is on its way: neither a byte nor an end.
    pub(crate) fn has_nothing(&self) -> bool {
        match &self.stream {
            Stream::System(stream) => {
                stream.set_nonblocking(true).unwrap();
                let peeked = stream.peek(&mut [std::mem::MaybeUninit::uninit()]);
                stream.set_nonblocking(false).unwrap();
                peeked.is_err_and(|error| error.kind() == ErrorKind::WouldBlock)
            }
            Stream::Simulated(peer) => {
                self.has_arrived();
                !peer.is_readable()
            }
        }
    }

    /// Waits until what was written has arrived, as it has on a loopback when a write returns.
    pub(crate) fn has_arrived(&self) {
        network_of(self.address.ip()).iter().for_each(settle);
    }

    /// Ends the stream to an end that may be gone.
    pub(crate) fn try_end(&self) -> io::Result<()> {
        match &self.stream {
            Stream::System(stream) => stream.shutdown(Shutdown::Write),
            Stream::Simulated(peer) => {
                peer.end();
                Ok(())
            }
        }
    }

    /// Ends this end's stream; the other direction stays.
    pub(crate) fn end(&self) {
        self.try_end().expect("a peer ends its stream");
    }

    /// Closes the connection so that the other end sees a reset.
    pub(crate) fn reset(self) {
        match self.stream {
            Stream::System(stream) => {
                stream.set_linger(Some(Duration::ZERO)).unwrap();
            }
            Stream::Simulated(peer) => peer.reset(),
        }
    }

    pub(crate) fn shrink_receive_buffer(&self) {
        const BYTES: usize = 64 << 10;
        match &self.stream {
            Stream::System(stream) => stream.set_recv_buffer_size(BYTES).unwrap(),
            Stream::Simulated(peer) => peer.set_window(BYTES),
        }
    }
}

trait ReadWrite: Read + Write {}

impl<T: Read + Write> ReadWrite for T {}

impl Stream {
    fn io(&mut self) -> &mut dyn ReadWrite {
        match self {
            Self::System(stream) => stream,
            Self::Simulated(peer) => peer,
        }
    }

    fn read_now(&mut self, into: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::System(stream) => {
                stream.set_nonblocking(true)?;
                let read = stream.read(into);
                stream.set_nonblocking(false)?;
                read
            }
            Self::Simulated(peer) => peer.try_read(into),
        }
    }
}

impl Peer {
    pub(crate) fn of(stream: Socket) -> Self {
        stream.set_read_timeout(Some(LIMIT)).unwrap();
        stream.set_write_timeout(Some(LIMIT)).unwrap();
        let address = stream.local_addr().unwrap();
        if address.as_socket().is_some() {
            stream.set_tcp_nodelay(true).unwrap();
        }
        let address = of_system(&address);
        Self { stream: Stream::System(stream), address }
    }
}

impl From<TcpStream> for Peer {
    fn from(stream: TcpStream) -> Self {
        Self::of(stream.into())
    }
}

impl From<sim::Peer> for Peer {
    fn from(peer: sim::Peer) -> Self {
        let address = peer.local_address().unwrap().tcp().unwrap();
        Self { stream: Stream::Simulated(peer), address }
    }
}

const fn is_reset(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::ConnectionReset | ErrorKind::ConnectionAborted)
}
