//! Where sockets are: an address of TCP, or a Unix domain socket on this machine.

mod text;
mod unix;

use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};

pub use self::text::AddressError;
pub use self::unix::UnixAddress;

/// An address to listen on, to connect to, or of a peer. Cloning it is cheap: no bytes are copied.
///
/// As text it is `IP:PORT`, `[IPv6]:PORT`, `unix:/path`, or on Linux `unix:@name` for a name that is no
/// file. In a path or a name a backslash is written twice, and any byte may be written as `\xNN`: what cannot
/// be printed is displayed so, and spaces and commas, so that addresses in a line stay apart.
/// What is displayed can be parsed again, but for the peer without a name, which is `unix:(unnamed)`.
///
/// ```
/// use wharf_port::Address;
///
/// let address: Address = "unix:/run/chat.sock".parse()?;
/// assert_eq!(address.to_string(), "unix:/run/chat.sock");
/// assert_eq!(address.ip(), None);
/// assert!("127.0.0.1:7777".parse::<Address>()?.ip().is_some());
/// # Ok::<(), wharf_port::AddressError>(())
/// ```
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Address {
    /// An IP address and a port.
    Tcp(SocketAddr),
    /// A stream socket of the Unix domain.
    Unix(UnixAddress),
}

impl Address {
    /// The IP address and port, if it is TCP.
    pub const fn tcp(&self) -> Option<SocketAddr> {
        match self {
            Self::Tcp(address) => Some(*address),
            Self::Unix(_) => None,
        }
    }

    /// The IP address, if it is TCP: a Unix socket has none.
    pub const fn ip(&self) -> Option<IpAddr> {
        match self {
            Self::Tcp(address) => Some(address.ip()),
            Self::Unix(_) => None,
        }
    }

    /// The Unix socket, if it is one.
    pub const fn unix(&self) -> Option<&UnixAddress> {
        match self {
            Self::Tcp(_) => None,
            Self::Unix(address) => Some(address),
        }
    }

    /// Whether it is a Unix socket.
    pub const fn is_unix(&self) -> bool {
        self.unix().is_some()
    }
}

impl From<SocketAddr> for Address {
    fn from(address: SocketAddr) -> Self {
        Self::Tcp(address)
    }
}

impl From<&Self> for Address {
    fn from(address: &Self) -> Self {
        address.clone()
    }
}

impl From<UnixAddress> for Address {
    fn from(address: UnixAddress) -> Self {
        Self::Unix(address)
    }
}

impl PartialEq<SocketAddr> for Address {
    fn eq(&self, other: &SocketAddr) -> bool {
        self.tcp() == Some(*other)
    }
}

impl PartialEq<Address> for SocketAddr {
    fn eq(&self, other: &Address) -> bool {
        other == self
    }
}

/// For [`TcpStream`](std::net::TcpStream) and its like: a Unix socket is an error there.
impl ToSocketAddrs for Address {
    type Iter = std::option::IntoIter<SocketAddr>;

    fn to_socket_addrs(&self) -> io::Result<Self::Iter> {
        let no_tcp = || io::Error::new(io::ErrorKind::InvalidInput, format!("{self} is no TCP"));
        self.tcp().ok_or_else(no_tcp)?.to_socket_addrs()
    }
}

/// Who is at the other end of a Unix socket, as the kernel has it: what the peer says does not matter.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub struct Credentials {
    /// The user, as of when it connected.
    pub uid: u32,
    /// The group, as of when it connected.
    pub gid: u32,
    /// The process that connected; `None` on the systems that do not tell (the BSDs and macOS), and for
    /// one of another namespace. It may have ended, and its number be another's, by the time you look.
    pub pid: Option<u32>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_as_small_as_one_of_tcp() {
        assert!(size_of::<Address>() <= size_of::<SocketAddr>(), "{} bytes", size_of::<Address>());
    }

    #[test]
    fn one_of_tcp_goes_where_the_standard_library_takes_addresses() {
        let tcp: SocketAddr = "127.0.0.1:7".parse().unwrap();
        assert!(Address::from(tcp).to_socket_addrs().unwrap().eq([tcp]));
        let unix: Address = "unix:/a".parse().unwrap();
        let refused = unix.to_socket_addrs().unwrap_err();
        assert_eq!(refused.to_string(), "unix:/a is no TCP");
        assert!(unix != tcp && Address::Tcp(tcp) == tcp);
    }
}
