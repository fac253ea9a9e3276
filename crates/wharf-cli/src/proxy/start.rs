//! From names and options to a listener and the addresses of a server.

use std::fmt;
use std::net::ToSocketAddrs;

use wharf_port::{Address, Backend, CompletionPort, ListenError, OpenError, PortOptions, SocketId};

use super::options::ProxyOptions;
use crate::args::Target;
use crate::failure::{Exit, Failure};

/// Descriptors besides those of connections: the standard streams, the port's own, the listener, and
/// some to accept with what is turned away.
const DESCRIPTORS_RESERVED: u64 = 32;

/// The server: its addresses, of which the one that answered last is tried first.
#[derive(Debug)]
pub(super) struct Upstream {
    name: String,
    addresses: Vec<Address>,
    preferred: usize,
}

impl Upstream {
    /// Resolves the target.
    pub(super) fn resolve(options: &ProxyOptions) -> Result<Self, Failure> {
        Ok(Self::new(resolve(&options.connect)?, options.connect.to_string()))
    }

    pub(super) const fn new(addresses: Vec<Address>, name: String) -> Self {
        Self { name, addresses, preferred: 0 }
    }

    /// The address to try after so many attempts.
    pub(super) fn address(&self, attempts: usize) -> &Address {
        &self.addresses[(self.preferred + attempts) % self.addresses.len()]
    }

    pub(super) const fn addresses(&self) -> usize {
        self.addresses.len()
    }

    /// An address has answered.
    pub(super) fn prefer(&mut self, address: &Address) {
        if let Some(at) = self.addresses.iter().position(|known| known == address) {
            self.preferred = at;
        }
    }

    /// Whether a connection to the server would come back to a listener on `own`.
    pub(super) fn is_reached_at(&self, own: &Address) -> bool {
        let Some(own) = own.tcp() else { return self.addresses.contains(own) };
        self.addresses.iter().filter_map(Address::tcp).any(|server| {
            let same_family = own.is_ipv4() == server.is_ipv4();
            let anywhere = own.ip().is_unspecified() && server.ip().is_loopback() && same_family;
            server.port() == own.port() && (server.ip() == own.ip() || anywhere)
        })
    }
}

impl fmt::Display for Upstream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

/// The addresses of a target, at least one.
pub(super) fn resolve(target: &Target) -> Result<Vec<Address>, Failure> {
    let (name, port) = match target {
        Target::Address(address) => return Ok(vec![address.clone()]),
        Target::Name(name, port) => (name.as_str(), *port),
    };
    let fail = |why: &str| {
        Failure::new(
            Exit::Failed,
            format_args!("cannot resolve '{target}': {why}; check the name, or give an IP address"),
        )
    };
    let found = (name, port).to_socket_addrs().map_err(|error| fail(&error.to_string()))?;
    let addresses: Vec<Address> = found.map(Address::Tcp).collect();
    if addresses.is_empty() { Err(fail("it has no address")) } else { Ok(addresses) }
}

pub(super) fn open_port(backend: Backend) -> Result<CompletionPort, Failure> {
    let options = PortOptions { backend, ..PortOptions::default() };
    CompletionPort::open(&options).map_err(|error| {
        let advice = match error {
            OpenError::Unavailable { .. } => "; --backend auto takes the best that works here",
            _ => "",
        };
        Failure::new(Exit::Failed, format_args!("{error}{advice}"))
    })
}

/// Why the proxy does not listen, in the words of the command line.
pub(super) fn no_listener(error: &ListenError) -> Failure {
    let advice = match error {
        ListenError::Shortage { .. } => "; raise the limit of descriptors (ulimit -n)",
        ListenError::Os { .. } | ListenError::Unsupported(_) => {
            "; give another address with --listen"
        }
        _ => "",
    };
    Failure::new(Exit::Failed, format_args!("{error}{advice}"))
}

/// How many sockets of connections there are descriptors for, with the limit raised.
pub(super) fn sockets_max() -> usize {
    let limit = wharf_port::raise_descriptor_limit().unwrap_or(u64::MAX);
    let sockets = limit.saturating_sub(DESCRIPTORS_RESERVED).min(SocketId::SLOTS_MAX.into());
    usize::try_from(sockets).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn upstream(addresses: &[&str]) -> Upstream {
        let addresses = addresses.iter().map(|address| address.parse().unwrap());
        Upstream::new(addresses.collect(), "the server".to_owned())
    }

    #[test]
    fn the_address_that_answered_last_is_tried_first_and_the_others_after_it() {
        let mut upstream = upstream(&["127.0.0.1:1", "127.0.0.2:2", "127.0.0.3:3"]);
        let order =
            |upstream: &Upstream| [0, 1, 2].map(|at| upstream.address(at).tcp().unwrap().port());
        assert_eq!(order(&upstream), [1, 2, 3]);
        upstream.prefer(&upstream.address(1).clone());
        assert_eq!(order(&upstream), [2, 3, 1]);
        upstream.prefer(&upstream.address(2).clone());
        assert_eq!(order(&upstream), [1, 2, 3]);
    }

    #[test]
    fn a_server_is_reached_at_its_address_or_at_all_addresses_of_its_family() {
        let upstream = upstream(&["[::1]:7777", "127.0.0.1:7777"]);
        for own in ["127.0.0.1:7777", "[::1]:7777", "0.0.0.0:7777", "[::]:7777"] {
            assert!(upstream.is_reached_at(&own.parse().unwrap()), "{own}");
        }
        for own in ["127.0.0.1:7778", "127.0.0.2:7777", "0.0.0.0:7778"] {
            assert!(!upstream.is_reached_at(&own.parse().unwrap()), "{own}");
        }
        let only_v4 = self::upstream(&["127.0.0.1:7777"]);
        assert!(!only_v4.is_reached_at(&"[::]:7777".parse().unwrap()), "it takes IPv6 only");
        let unix = self::upstream(&["unix:/a"]);
        let at = |own: &str| unix.is_reached_at(&own.parse().unwrap());
        assert_eq!(["unix:/a", "unix:/b", "127.0.0.1:7777"].map(at), [true, false, false]);
    }
}
