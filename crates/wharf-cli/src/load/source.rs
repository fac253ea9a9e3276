//! The local addresses that sessions come from.
//!
//! A pair of addresses has as many connections as there are ports, some 28,000 on Linux, and a connection
//! that this side has ended keeps its port for a minute. So a run of many connections needs many addresses:
//! those of `--source`, in turn; or, once ports run out on the way to an address of the loopback, those of
//! 127.0.0.0/8, all of which are this machine's.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use wharf::IpNet;
use wharf_port::{Address, ConnectError, SocketOptions};

use crate::failure::Failure;

/// The most addresses that are taken in turn.
const ADDRESSES_MAX: u128 = 1 << 16;
/// What is changed over to when ports run out.
const LOOPBACK: Range =
    Range { first: IpAddr::V4(Ipv4Addr::new(127, 1, 0, 1)), count: ADDRESSES_MAX };
/// Systems on which all of 127.0.0.0/8 are addresses of the machine.
const HAS_MANY_LOOPBACKS: bool = cfg!(any(target_os = "linux", windows));

/// Consecutive addresses.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Range {
    first: IpAddr,
    count: u128,
}

/// Where the next connection comes from.
#[derive(Clone, Debug)]
pub(super) struct Sources {
    range: Option<Range>,
    /// Whether there is a range to change over to.
    may_spread: bool,
    next: u128,
}

impl Sources {
    /// The sources of connections to an address.
    ///
    /// # Errors
    /// If there is no way from `given` to that address.
    pub(super) fn new(given: Option<IpNet>, to: &Address) -> Result<Self, Failure> {
        let Some(given) = given else {
            let is_loopback =
                matches!(to, Address::Tcp(SocketAddr::V4(to)) if to.ip().is_loopback());
            let may_spread = is_loopback && HAS_MANY_LOOPBACKS;
            return Ok(Self { range: None, may_spread, next: 0 });
        };
        let fits = matches!(to, Address::Tcp(to) if to.is_ipv4() == given.addr().is_ipv4());
        if !fits {
            return Err(Failure::arguments(format_args!(
                "--source {given} does not lead to {to}: give one of the same family, and none for a \
                 Unix socket"
            )));
        }
        Ok(Self { range: Some(Range::of(given)), may_spread: false, next: 0 })
    }

    /// The options of the next connection.
    pub(super) fn options(&mut self) -> SocketOptions {
        let bind = self.range.map(|range| {
            let address = range.at(self.next % range.count);
            self.next += 1;
            SocketAddr::new(address, 0)
        });
        SocketOptions { bind, ..SocketOptions::default() }
    }

    /// Changes over to many addresses if a connect, made with these options, failed for want of a port;
    /// whether to try it again.
    pub(super) fn spread(&mut self, made_with: &SocketOptions, error: ConnectError) -> bool {
        let was_any = made_with.bind.is_none();
        let spreads = self.may_spread && was_any && matches!(error, ConnectError::Shortage(_));
        if spreads {
            self.range = Some(LOOPBACK);
        }
        spreads
    }
}

impl Range {
    /// The addresses of a network; of one of IPv4 that has more than two, not its first and its last.
    fn of(network: IpNet) -> Self {
        let bits = u32::from(network.max_prefix_len() - network.prefix_len());
        let all = 1u128.checked_shl(bits).unwrap_or(u128::MAX);
        let edge = u128::from(network.addr().is_ipv4() && bits > 1);
        let first = Self { first: network.network(), count: all }.at(edge);
        Self { first, count: (all - 2 * edge).min(ADDRESSES_MAX) }
    }

    fn at(self, number: u128) -> IpAddr {
        match self.first {
            IpAddr::V4(first) => {
                let offset = u32::try_from(number).unwrap_or(u32::MAX);
                Ipv4Addr::from_bits(first.to_bits().saturating_add(offset)).into()
            }
            IpAddr::V6(first) => Ipv6Addr::from_bits(first.to_bits().saturating_add(number)).into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn to(text: &str) -> Address {
        text.parse().unwrap()
    }

    fn addresses(sources: &mut Sources, count: usize) -> Vec<String> {
        let mut next = || sources.options().bind.map_or_else(String::new, |at| at.ip().to_string());
        (0..count).map(|_| next()).collect()
    }

    #[test]
    fn the_addresses_of_a_network_are_taken_in_turn() {
        let any = SocketOptions::default();
        for (given, at, expected) in [
            ("10.0.0.0/30", "10.9.9.9:1", ["10.0.0.1", "10.0.0.2", "10.0.0.1"]),
            ("10.0.0.0/31", "10.9.9.9:1", ["10.0.0.0", "10.0.0.1", "10.0.0.0"]),
            ("10.0.0.7/32", "10.9.9.9:1", ["10.0.0.7", "10.0.0.7", "10.0.0.7"]),
            ("fd00::/64", "[fd00::9]:1", ["fd00::", "fd00::1", "fd00::2"]),
            ("::/0", "[fd00::9]:1", ["::", "::1", "::2"]),
        ] {
            let mut sources = Sources::new(Some(given.parse().unwrap()), &to(at)).unwrap();
            assert_eq!(addresses(&mut sources, 3), expected, "{given}");
            assert!(!sources.spread(&any, ConnectError::Shortage(0)), "{given}");
        }
    }

    #[test]
    fn a_source_of_another_family_is_refused() {
        for at in ["[::1]:1", "unix:/a"] {
            let refused = Sources::new(Some("127.0.0.1/32".parse().unwrap()), &to(at)).unwrap_err();
            assert!(refused.parts().1.contains("same family"), "{refused:?}");
        }
    }

    #[test]
    fn when_ports_run_out_on_the_loopback_all_of_it_is_used_once() {
        let any = SocketOptions::default();
        let mut sources = Sources::new(None, &to("127.0.0.1:1")).unwrap();
        assert_eq!(addresses(&mut sources, 1), [""]);
        assert!(!sources.spread(&any, ConnectError::Refused));
        // All of those under way fail then.
        for _ in 0..2 {
            assert_eq!(sources.spread(&any, ConnectError::Shortage(0)), HAS_MANY_LOOPBACKS);
        }
        if HAS_MANY_LOOPBACKS {
            assert_eq!(addresses(&mut sources, 2), ["127.1.0.1", "127.1.0.2"]);
            let bound = sources.options();
            assert!(!sources.spread(&bound, ConnectError::Shortage(0)));
        }
        let mut far = Sources::new(None, &to("192.0.2.1:1")).unwrap();
        assert!(!far.spread(&any, ConnectError::Shortage(0)));
    }
}
