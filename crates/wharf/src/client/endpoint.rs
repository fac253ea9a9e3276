//! What an address text names, and the order in which its addresses are tried.

use std::collections::VecDeque;
use std::net::SocketAddr;

use wharf_port::{Address, AddressError};

/// Addresses of one name that are tried. A name with more has them for balance, not for reach.
const ADDRESSES_MAX: usize = 16;

/// What an address text names.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Endpoint {
    Address(Address),
    Name { host: Box<str>, port: u16 },
}

impl Endpoint {
    /// `IP:PORT`, `[IPv6]:PORT`, `NAME:PORT` or a Unix socket.
    pub(crate) fn parse(text: &str) -> Result<Self, NoEndpoint> {
        match text.parse::<Address>() {
            Ok(address) => Ok(Self::Address(address)),
            Err(AddressError::Unknown(_)) => Self::of_name(text).ok_or(NoEndpoint::Unknown),
            Err(problem) => Err(NoEndpoint::Unix(problem)),
        }
    }

    fn of_name(text: &str) -> Option<Self> {
        let (host, port) = text.rsplit_once(':')?;
        let port = port.parse().ok()?;
        let malformed = host.is_empty() || host.contains([':', '[', ']', '/', ' ']);
        (!malformed).then(|| Self::Name { host: host.into(), port })
    }

    /// `None` for a Unix socket.
    pub(crate) const fn port(&self) -> Option<u16> {
        match self {
            Self::Address(Address::Tcp(address)) => Some(address.port()),
            Self::Address(Address::Unix(_)) => None,
            Self::Name { port, .. } => Some(*port),
        }
    }
}

/// Why a text names nothing.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum NoEndpoint {
    Unknown,
    /// It begins as a Unix socket.
    Unix(AddressError),
}

/// The order in which addresses are tried (RFC 8305, section 4): as the resolver has sorted them, but
/// the families in turn, so that one which leads nowhere costs one step and not all of its addresses.
pub(crate) fn in_order(addresses: &[SocketAddr]) -> VecDeque<SocketAddr> {
    let Some(first) = addresses.first() else { return VecDeque::new() };
    let of_first = |address: &&SocketAddr| address.is_ipv4() == first.is_ipv4();
    let mut families = [
        addresses.iter().filter(of_first).collect::<VecDeque<_>>(),
        addresses.iter().filter(|address| !of_first(address)).collect(),
    ];
    let mut order = VecDeque::new();
    let mut turn = 0;
    while order.len() < ADDRESSES_MAX && families.iter().any(|family| !family.is_empty()) {
        if let Some(address) = families[turn].pop_front()
            && !order.contains(address)
        {
            order.push_back(*address);
        }
        turn = 1 - turn;
    }
    order
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_and_names_are_told_apart() {
        let address = |text: &str| Ok(Endpoint::Address(text.parse().unwrap()));
        assert_eq!(Endpoint::parse("127.0.0.1:80"), address("127.0.0.1:80"));
        assert_eq!(Endpoint::parse("[::1]:80"), address("[::1]:80"));
        let name = Endpoint::Name { host: "localhost".into(), port: 80 };
        assert_eq!(Endpoint::parse("localhost:80"), Ok(name));
        assert_eq!(Endpoint::parse("unix:/a:80"), address("unix:/a:80"));
        assert_eq!(Endpoint::parse("unix:"), Err(NoEndpoint::Unix(AddressError::NoPath)));
        for bad in ["", "here", "127.0.0.1", "::1:80", "host:99999", "[::1]", ":80", "a b:1"] {
            assert_eq!(Endpoint::parse(bad), Err(NoEndpoint::Unknown), "{bad}");
        }
    }

    fn ordered(addresses: &[&str]) -> Vec<String> {
        let addresses: Vec<SocketAddr> = addresses.iter().map(|it| it.parse().unwrap()).collect();
        in_order(&addresses).iter().map(SocketAddr::to_string).collect()
    }

    #[test]
    fn families_take_turns_and_the_resolver_says_which_is_first() {
        let [a, b, c] = ["[::1]:1", "[::2]:1", "[::3]:1"];
        let [x, y] = ["1.0.0.1:1", "1.0.0.2:1"];
        assert_eq!(ordered(&[a, b, c, x, y]), [a, x, b, y, c]);
        assert_eq!(ordered(&[x, a, b, c]), [x, a, b, c]);
        assert_eq!(ordered(&[x, y]), [x, y]);
        assert_eq!(ordered(&[a, a, x, x]), [a, x], "none is tried twice");
        assert!(ordered(&[]).is_empty());
    }

    #[test]
    fn a_name_with_a_thousand_addresses_has_sixteen_tried() {
        let many: Vec<String> = (0..1000).map(|port| format!("1.0.0.1:{}", port + 1)).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        assert_eq!(ordered(&many).len(), ADDRESSES_MAX);
    }
}
