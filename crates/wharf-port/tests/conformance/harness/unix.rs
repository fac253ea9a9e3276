//! Unix sockets, named by tests as TCP is.
//!
//! Some hosts stand for them: each address of theirs for an abstract name. So a test has one way to say
//! what it listens on and connects to. Peers have names, too, by which they are known when accepted.

use std::io;
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

#[cfg(target_os = "linux")]
use socket2::{Domain, Type};
use socket2::{SockAddr, Socket};
use wharf_port::{Address, UnixAddress};

/// How the hosts begin that stand for Unix sockets.
pub(super) const HOSTS: [u8; 2] = [127, 77];
const PORT_FIRST: u16 = 1_000;

/// Ports of such hosts that have been given out.
static PORTS: AtomicU16 = AtomicU16::new(PORT_FIRST);

pub(super) fn is_unix(address: SocketAddr) -> bool {
    matches!(address.ip(), IpAddr::V4(host) if host.octets()[..2] == HOSTS)
}

/// An address as ports take it.
pub(crate) fn to_port(mut address: SocketAddr) -> Address {
    if !is_unix(address) {
        return address.into();
    }
    if address.port() == 0 {
        address.set_port(PORTS.fetch_add(1, Ordering::Relaxed).max(PORT_FIRST));
    }
    UnixAddress::named(format!("wharf {} {address}", std::process::id())).unwrap().into()
}

/// What stands for an address of a port's. A socket without a name has that of nobody.
pub(crate) fn of_port(address: &Address) -> SocketAddr {
    let Some(unix) = address.unix() else { return address.tcp().unwrap() };
    of_name(unix.name().unwrap_or_default())
}

/// What stands for an address of the system's.
pub(super) fn of_system(address: &SockAddr) -> SocketAddr {
    #[cfg(target_os = "linux")]
    if address.is_unix() {
        return of_name(address.as_abstract_namespace().unwrap_or_default());
    }
    address.as_socket().unwrap()
}

fn of_name(name: &[u8]) -> SocketAddr {
    let name = std::str::from_utf8(name).unwrap();
    let address = name.rsplit(' ').next().and_then(|address| address.parse().ok());
    address.unwrap_or_else(|| SocketAddr::from(([HOSTS[0], HOSTS[1], 0, 0], 0)))
}

/// A connection of the system's.
pub(crate) fn connected(to: SocketAddr, timeout: Duration) -> io::Result<Socket> {
    #[cfg(target_os = "linux")]
    if is_unix(to) {
        let socket = bound(&to_port(SocketAddr::new(to.ip(), 0)));
        socket.set_write_timeout(Some(timeout))?;
        socket.connect(&to_system(&to_port(to)))?;
        return Ok(socket);
    }
    TcpStream::connect_timeout(&to, timeout).map(Socket::from)
}

#[cfg(target_os = "linux")]
pub(super) fn listening(address: &Address, backlog: i32) -> Socket {
    let listener = bound(address);
    listener.listen(backlog).unwrap();
    listener
}

#[cfg(target_os = "linux")]
fn bound(address: &Address) -> Socket {
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None).unwrap();
    socket.bind(&to_system(address)).unwrap();
    socket
}

#[cfg(target_os = "linux")]
fn to_system(address: &Address) -> SockAddr {
    let name = address.unix().unwrap().name().unwrap();
    SockAddr::unix(format!("\0{}", std::str::from_utf8(name).unwrap())).unwrap()
}
