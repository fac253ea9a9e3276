//! Addresses as the system has them.

use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketAddrAny, SocketAddrUnix, getpeername, getsockname};

use super::Socket;
use crate::address::{Address, UnixAddress};

/// Where the path begins in a `sockaddr_un`, on every system that is one of these.
const PATH_OFFSET: usize = 2;

pub(super) const fn family_of(address: &Address) -> AddressFamily {
    match address {
        Address::Tcp(address) if address.is_ipv4() => AddressFamily::INET,
        Address::Tcp(_) => AddressFamily::INET6,
        Address::Unix(_) => AddressFamily::UNIX,
    }
}

/// Whether there is something to listen on or to connect to: not without an address, nor under a name
/// where there are none.
pub(super) fn is_somewhere(address: &Address) -> bool {
    address.unix().is_none_or(|unix| {
        unix.path_bytes().is_some() || (unix.name().is_some() && cfg!(target_os = "linux"))
    })
}

/// An address as system calls take it; `INVAL` if it is [nowhere](is_somewhere).
pub(crate) fn to_system(address: &Address) -> Result<SocketAddrAny, Errno> {
    Ok(match address {
        Address::Tcp(address) => (*address).into(),
        Address::Unix(address) => unix_to_system(address)?.into(),
    })
}

fn unix_to_system(address: &UnixAddress) -> Result<SocketAddrUnix, Errno> {
    #[cfg(target_os = "linux")]
    if let Some(name) = address.name() {
        return SocketAddrUnix::new_abstract_name(name);
    }
    SocketAddrUnix::new(address.path_bytes().ok_or(Errno::INVAL)?)
}

pub(crate) fn local_address(socket: &Socket) -> Option<Address> {
    of_system(getsockname(socket).ok()?)
}

/// `None` if the peer is gone already, or there is none.
pub(crate) fn peer_address(socket: &Socket) -> Option<Address> {
    getpeername(socket).ok()?.and_then(of_system)
}

/// The conversions of `rustix` go by the 0 at the end of a path, and panic if a peer has bound itself to
/// one that has no room for it.
fn of_system(address: SocketAddrAny) -> Option<Address> {
    if address.address_family() != AddressFamily::UNIX {
        return address.try_into().ok().map(Address::Tcp);
    }
    let (start, bytes) = (address.as_ptr().cast::<u8>(), address.addr_len() as usize);
    // SAFETY: so many bytes of the storage are initialised, and it lives until the end of this function.
    let bytes = unsafe { std::slice::from_raw_parts(start, bytes) };
    Some(UnixAddress::of_system(bytes.get(PATH_OFFSET..).unwrap_or_default()).into())
}
