//! The ends of connections that are not a port's.

use std::io::{self, ErrorKind, Read, Write};
use std::time::Duration;

use super::network::Network;
use super::world::{Accepted, Connecting, EndId, Failure, Holder, Unlistenable, World};
use crate::address::Address;
use crate::error::ListenError;
use crate::socket_options::{ListenOptions, SocketOptions};

/// How long [`Read`], [`Write`] and an accept wait unless told otherwise.
const TIMEOUT: Duration = Duration::from_secs(10);

/// The other end of a server's connection: a client of a test.
///
/// Nothing here blocks, but for [`Read`] and [`Write`]: these wait, at most the time that was set with
/// [`set_timeout`](Peer::set_timeout). At a virtual pace they let the network run on meanwhile, though
/// no port. Dropping a peer closes its end.
///
/// ```
/// use wharf_port::sim::{Network, NetworkOptions};
///
/// let network = Network::new(NetworkOptions::default());
/// let mut peer = network.connect("10.0.0.1:7777".parse::<wharf_port::Address>().unwrap());
/// while peer.is_connecting() {
///     network.advance();
/// }
/// // Nobody listens there.
/// assert!(!peer.is_connected());
/// ```
#[derive(Debug)]
pub struct Peer {
    network: Network,
    end: Option<EndId>,
    timeout: Duration,
}

impl Peer {
    pub(super) fn connect(network: Network, to: &Address, options: &SocketOptions) -> Self {
        let end = network.with(|world| {
            let to = world.place_of(to)?;
            let end = world.open_end(to, options, Holder::Peer).ok()?;
            world.start_connect(end);
            Some(end)
        });
        Self::new(network, end)
    }

    const fn new(network: Network, end: Option<EndId>) -> Self {
        Self { network, end, timeout: TIMEOUT }
    }

    fn look<T>(&self, at: impl FnOnce(&World, EndId) -> Option<T>) -> Option<T> {
        let end = self.end?;
        self.network.with(|world| at(world, end))
    }

    fn state(&self) -> Connecting {
        self.look(|world, id| Some(world.end(id)?.connecting)).unwrap_or(Connecting::No)
    }

    /// Whether the connect is under way.
    pub fn is_connecting(&self) -> bool {
        self.state() == Connecting::Started
    }

    /// Whether it has been connected. A connection that has been lost since counts as well.
    pub fn is_connected(&self) -> bool {
        self.state() == Connecting::Connected
    }

    /// Sends what there is room for now.
    ///
    /// # Errors
    /// `WouldBlock` if there is no room, or the connect is under way; `ConnectionRefused`,
    /// `ConnectionReset`, `TimedOut`; `BrokenPipe` after [`end`](Self::end), and once a failure has been
    /// told; `OutOfMemory` if the network had no local address or no room left for this peer.
    pub fn try_write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let id = self.end.ok_or(ErrorKind::OutOfMemory)?;
        self.network.with(|world| write(world, id, bytes))
    }

    /// Receives what is there; 0 is the end of the stream, or that `into` is empty.
    ///
    /// # Errors
    /// `WouldBlock` if nothing is there; `ConnectionRefused`; `ConnectionReset` and `TimedOut`, which all
    /// kernels but Windows' tell once, whoever asks first, and then call the end of the stream;
    /// `OutOfMemory` as for [`try_write`](Self::try_write).
    pub fn try_read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let id = self.end.ok_or(ErrorKind::OutOfMemory)?;
        self.network.with(|world| read(world, id, into))
    }

    /// Bytes that have come and have not been read.
    pub fn readable_bytes(&self) -> usize {
        self.look(|world, id| Some(world.end(id)?.readable_bytes())).unwrap_or(0)
    }

    /// Whether [`try_read`](Self::try_read) would find something: bytes, an end, or a failure.
    pub fn is_readable(&self) -> bool {
        self.look(|world, id| Some(world.end(id)?.is_readable())).unwrap_or(true)
    }

    /// Ends this end's stream behind what was sent; the other direction stays.
    pub fn end(&self) {
        if let Some(id) = self.end {
            self.network.with(|world| world.end_stream(id));
        }
    }

    /// Closes the connection so that the other end sees a reset.
    pub fn reset(mut self) {
        if let Some(id) = self.end.take() {
            self.network.with(|world| world.close_end(id, true));
        }
    }

    /// Dies without a word: nothing is delivered on this connection any more, in either direction.
    pub fn vanish(&self) {
        if let Some(id) = self.end {
            self.network.with(|world| world.vanish(id));
        }
    }

    /// Whether this connection is dead, and nobody was told.
    pub fn has_vanished(&self) -> bool {
        self.look(|world, id| Some(world.end(id)?.vanished)).unwrap_or(false)
    }

    /// The address of this end.
    pub fn local_address(&self) -> Option<Address> {
        self.look(|world, id| Some(world.address_at(world.end(id)?.local)))
    }

    /// The address of the other end.
    pub fn peer_address(&self) -> Option<Address> {
        self.look(|world, id| Some(world.address_at(world.end(id)?.remote)))
    }

    /// How much this end holds that was received and not read; 0 is taken for 1.
    pub fn set_window(&self, bytes: usize) {
        if let Some(id) = self.end {
            self.network.with(|world| world.set_window(id, bytes));
        }
    }

    /// How long [`Read`] and [`Write`] wait, by the network's clock; default 10 s.
    pub const fn set_timeout(&mut self, timeout: Duration) {
        self.timeout = timeout;
    }

    /// Waits until the connect has ended, as [`Read`] waits.
    ///
    /// # Errors
    /// As [`try_write`](Self::try_write); `TimedOut` if it takes too long.
    pub fn wait_connected(&mut self) -> io::Result<()> {
        self.patiently(|world, id| connected(world, id))
    }

    /// Tries again until it works, lets the network run on meanwhile.
    fn patiently<T>(
        &self,
        mut work: impl FnMut(&mut World, EndId) -> io::Result<T>,
    ) -> io::Result<T> {
        let id = self.end.ok_or(ErrorKind::OutOfMemory)?;
        // One lock for both the try and the sleep: what happened between two would wake nobody.
        let mut world = self.network.lock();
        let until = world.now + self.timeout;
        let done = loop {
            match work(&mut world, id) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                done => break done,
            }
            if world.now >= until {
                break Err(ErrorKind::TimedOut.into());
            }
            let woken = self.network.sleep(world, Some(until));
            world = woken.ok_or(ErrorKind::TimedOut)?;
        };
        self.network.unlock(world);
        done
    }
}

/// What one try gives.
fn write(world: &mut World, id: EndId, bytes: &[u8]) -> io::Result<usize> {
    connected(world, id)?;
    Ok(world.write(id, bytes).ok_or(ErrorKind::WouldBlock)??)
}

fn read(world: &mut World, id: EndId, into: &mut [u8]) -> io::Result<usize> {
    connected(world, id)?;
    if into.is_empty() {
        return Ok(0);
    }
    Ok(world.read(id, into).ok_or(ErrorKind::WouldBlock)??)
}

fn connected(world: &World, id: EndId) -> io::Result<()> {
    match world.end(id).map_or(Connecting::No, |end| end.connecting) {
        Connecting::Connected => Ok(()),
        Connecting::Started => Err(ErrorKind::WouldBlock.into()),
        Connecting::TimedOut => Err(ErrorKind::TimedOut.into()),
        Connecting::No | Connecting::Refused => Err(ErrorKind::ConnectionRefused.into()),
    }
}

impl Read for Peer {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        self.patiently(|world, id| read(world, id, into))
    }
}

impl Write for Peer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.patiently(|world, id| write(world, id, bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        if let Some(id) = self.end {
            self.network.with(|world| world.close_end(id, false));
        }
    }
}

/// A listener that is no port's: for ports that connect.
#[derive(Debug)]
pub struct PeerListener {
    network: Network,
    address: std::net::SocketAddr,
}

impl PeerListener {
    pub(super) fn listen(
        network: Network,
        address: &Address,
        options: &ListenOptions,
    ) -> Result<Self, ListenError> {
        let listening = network.with(|world| {
            let place = world.place_of(address).ok_or(Unlistenable::Nowhere)?;
            world.listen(place, options, None)
        });
        let address = listening.map_err(|problem| problem.at(address.clone()))?;
        Ok(Self { network, address })
    }

    /// Where it listens.
    pub fn address(&self) -> Address {
        self.network.with(|world| world.address_at(self.address))
    }

    /// A connection, if one waits.
    pub fn try_accept(&self) -> Option<Peer> {
        self.network.with(|world| self.take(world))
    }

    /// A connection, waited for as [`Read`] for a [`Peer`] waits.
    ///
    /// # Errors
    /// `TimedOut` if none comes within 10 s, or, at a virtual pace, if none will ever come.
    pub fn accept(&self) -> io::Result<Peer> {
        let mut world = self.network.lock();
        let until = world.now + TIMEOUT;
        loop {
            let accepted = self.take(&mut world);
            if accepted.is_some() || world.now >= until {
                self.network.unlock(world);
                return accepted.ok_or_else(|| ErrorKind::TimedOut.into());
            }
            let woken = self.network.sleep(world, Some(until));
            world = woken.ok_or(ErrorKind::TimedOut)?;
        }
    }

    fn take(&self, world: &mut World) -> Option<Peer> {
        loop {
            match world.accept(self.address, Holder::Peer) {
                Accepted::Connection(id, _) => {
                    return Some(Peer::new(self.network.clone(), Some(id)));
                }
                // Only that one is gone: the next may be there. Nothing else fails for a peer.
                Accepted::Gone | Accepted::Failed(_) => {}
                Accepted::Nobody => return None,
            }
        }
    }
}

impl Drop for PeerListener {
    fn drop(&mut self) {
        self.network.with(|world| world.close_listener(self.address));
    }
}

impl Unlistenable {
    pub(super) fn at(self, address: Address) -> ListenError {
        match self {
            Self::Nowhere => ListenError::Unsupported(address),
            Self::InUse => ListenError::AddressInUse(address),
            Self::NotLocal => ListenError::AddressNotLocal(address),
            Self::NoDescriptor => ListenError::Shortage {
                address,
                source: io::Error::other("too many open files (simulated)"),
            },
        }
    }
}

impl From<Failure> for io::Error {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Reset => ErrorKind::ConnectionReset.into(),
            Failure::TimedOut => ErrorKind::TimedOut.into(),
            Failure::Broken => ErrorKind::BrokenPipe.into(),
        }
    }
}
