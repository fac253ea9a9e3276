//! Unix sockets of a simulated network: each name stands for a host that is nobody else's.
//!
//! So the rest of the network knows one kind of address. The end that connects to a name is on its host,
//! at a port, and is shown as one without a name.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use super::World;
use crate::address::{Address, UnixAddress};

/// The hosts of names: those of the discard prefix (RFC 6666), which nobody has.
const PREFIX: [u16; 4] = [0x100, 0, 0, 0];
/// The port of a host at which its socket is. Ends that connect have others.
const PORT: u16 = 1;

/// The names that have been asked for, by the number of their host.
#[derive(Debug, Default)]
pub(super) struct Names(Vec<UnixAddress>);

impl World {
    /// Where an address is on this network; `None` is nowhere.
    pub(in crate::sim) fn place_of(&mut self, address: &Address) -> Option<SocketAddr> {
        let address = match address {
            Address::Tcp(address) => return Some(*address),
            Address::Unix(address) if address.is_unnamed() => return None,
            Address::Unix(address) => address,
        };
        let names = &mut self.names.0;
        let number = names.iter().position(|name| name == address).unwrap_or_else(|| {
            names.push(address.clone());
            names.len() - 1
        });
        let number = u64::try_from(number).unwrap_or(u64::MAX);
        let host = Ipv6Addr::from_bits(Ipv6Addr::from(prefixed()).to_bits() | u128::from(number));
        Some((host, PORT).into())
    }

    /// The address of what is at a place.
    pub(in crate::sim) fn address_at(&self, place: SocketAddr) -> Address {
        if !is_name(place) {
            return Address::Tcp(place);
        }
        let IpAddr::V6(host) = place.ip() else { return Address::Tcp(place) };
        let number = usize::try_from(host.to_bits() & u128::from(u64::MAX)).ok();
        let name =
            number.filter(|_| place.port() == PORT).and_then(|number| self.names.0.get(number));
        name.cloned().unwrap_or_else(UnixAddress::unnamed).into()
    }
}

const fn prefixed() -> [u16; 8] {
    let [a, b, c, d] = PREFIX;
    [a, b, c, d, 0, 0, 0, 0]
}

/// Whether a host is that of a Unix socket.
pub(super) fn is_name(place: SocketAddr) -> bool {
    matches!(place.ip(), IpAddr::V6(host) if host.segments()[..4] == PREFIX)
}
