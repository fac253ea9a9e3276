//! Networks that may not connect for now.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::PoisonError;

use ipnet::{IpNet, Ipv4Net};
use thiserror::Error;
use wharf_port::Time;

use crate::sync::{AtomicBool, Mutex, MutexGuard, Ordering};

/// How many networks may be banned at a time.
const BANS_MAX: usize = 65_536;

/// A network from which no connection is taken.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Ban {
    /// Which; a single address is a network of its own.
    pub network: IpNet,
    /// Until when; `None` is until it is lifted.
    pub until: Option<Time>,
}

/// As many networks are banned as there may be: 65,536.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
#[error("65,536 networks are banned: lift bans, ban larger networks, or for shorter times")]
pub struct TooManyBans;

/// The bans of a server. Looked at once for each connection that is accepted.
#[derive(Debug, Default)]
pub(crate) struct Bans {
    /// There may be some; without, nobody takes the lock.
    any: AtomicBool,
    table: Mutex<Table>,
}

#[derive(Debug, Default)]
struct Table {
    until: BTreeMap<IpNet, Option<Time>>,
    /// How many networks there are of each kind, which is what has to be looked for.
    kinds: BTreeMap<Kind, usize>,
}

/// A family of addresses and the length of a prefix.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
struct Kind {
    is_ipv4: bool,
    prefix_len: u8,
}

impl Bans {
    pub(crate) fn ban(
        &self,
        network: IpNet,
        until: Option<Time>,
        now: Time,
    ) -> Result<(), TooManyBans> {
        let network = canonical(network);
        let mut table = self.table();
        if table.until.len() >= BANS_MAX && !table.until.contains_key(&network) {
            table.drop_expired(now);
            if table.until.len() >= BANS_MAX {
                return Err(TooManyBans);
            }
        }
        table.insert(network, until);
        self.any.store(true, Ordering::Release);
        Ok(())
    }

    /// Whether there was one of just this network.
    pub(crate) fn lift(&self, network: IpNet) -> bool {
        let mut table = self.table();
        let lifted = table.remove(canonical(network));
        self.any.store(!table.until.is_empty(), Ordering::Release);
        lifted
    }

    /// Whether an address is in a network that is banned.
    pub(crate) fn covers(&self, address: IpAddr, now: Time) -> bool {
        self.any.load(Ordering::Acquire) && self.table().covers(address.to_canonical(), now)
    }

    pub(crate) fn list(&self, now: Time) -> Vec<Ban> {
        let mut table = self.table();
        table.drop_expired(now);
        table.until.iter().map(|(&network, &until)| Ban { network, until }).collect()
    }

    /// A panic leaves the table right: it happens between its steps, if at all.
    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Table {
    fn insert(&mut self, network: IpNet, until: Option<Time>) {
        if self.until.insert(network, until).is_none() {
            *self.kinds.entry(Kind::of(network)).or_default() += 1;
        }
    }

    fn remove(&mut self, network: IpNet) -> bool {
        let removed = self.until.remove(&network).is_some();
        let kind = Kind::of(network);
        if let Some(count) = self.kinds.get_mut(&kind).filter(|_| removed) {
            *count -= 1;
            if *count == 0 {
                self.kinds.remove(&kind);
            }
        }
        removed
    }

    fn covers(&mut self, address: IpAddr, now: Time) -> bool {
        let is_ipv4 = address.is_ipv4();
        let lengths = self.kinds.keys().filter(|kind| kind.is_ipv4 == is_ipv4);
        let networks = lengths.filter_map(|kind| IpNet::new(address, kind.prefix_len).ok());
        let found = networks.map(|network| network.trunc());
        let banned = |network| self.until.get(&network).is_some_and(|until| is_on(*until, now));
        found.into_iter().any(banned)
    }

    fn drop_expired(&mut self, now: Time) {
        let expired: Vec<IpNet> = self
            .until
            .iter()
            .filter(|(_, until)| !is_on(**until, now))
            .map(|(net, _)| *net)
            .collect();
        for network in expired {
            self.remove(network);
        }
    }
}

impl Kind {
    fn of(network: IpNet) -> Self {
        Self { is_ipv4: matches!(network, IpNet::V4(_)), prefix_len: network.prefix_len() }
    }
}

fn is_on(until: Option<Time>, now: Time) -> bool {
    until.is_none_or(|until| now < until)
}

/// A network as its addresses are looked for: with no bits behind its prefix, and IPv4 as such.
pub(crate) fn canonical(network: IpNet) -> IpNet {
    /// Where the IPv4 address begins in an IPv6 address that holds one.
    const MAPPED_BITS: u8 = 96;
    let network = network.trunc();
    let IpNet::V6(v6) = network else { return network };
    let mapped = v6.addr().to_ipv4_mapped();
    let of_ipv4 = mapped.zip(v6.prefix_len().checked_sub(MAPPED_BITS));
    let ipv4 = of_ipv4.and_then(|(address, len)| Ipv4Net::new(address, len).ok());
    ipv4.map_or(network, IpNet::V4)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Time = Time::from_nanos(1_000);
    const LATER: Time = Time::from_nanos(1_001);

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn ban(bans: &Bans, network: &str, until: Option<Time>) {
        bans.ban(network.parse().unwrap(), until, NOW).unwrap();
    }

    #[test]
    fn addresses_networks_and_mapped_addresses_are_found() {
        let bans = Bans::default();
        assert!(!bans.covers(ip("10.1.2.3"), NOW));
        ban(&bans, "10.1.2.3/32", None);
        ban(&bans, "172.16.5.9/12", None);
        ban(&bans, "2001:db8:0:7::1/64", None);
        ban(&bans, "::ffff:192.168.4.0/120", None);
        for inside in
            ["10.1.2.3", "::ffff:10.1.2.3", "172.31.255.255", "2001:db8:0:7:1:2:3:4", "192.168.4.9"]
        {
            assert!(bans.covers(ip(inside), NOW), "{inside}");
        }
        for outside in ["10.1.2.4", "172.32.0.0", "2001:db8:0:8::1", "192.168.5.0", "::1"] {
            assert!(!bans.covers(ip(outside), NOW), "{outside}");
        }
        let all = bans.list(NOW).into_iter().map(|ban| ban.network.to_string());
        let expected = ["10.1.2.3/32", "172.16.0.0/12", "192.168.4.0/24", "2001:db8:0:7::/64"];
        assert_eq!(all.collect::<Vec<_>>(), expected);
    }

    #[test]
    fn a_ban_ends_at_its_time_or_when_it_is_lifted() {
        let bans = Bans::default();
        ban(&bans, "10.0.0.0/8", Some(LATER));
        ban(&bans, "10.1.0.0/16", None);
        assert!(bans.covers(ip("10.2.0.0"), NOW));
        assert!(!bans.covers(ip("10.2.0.0"), LATER));
        assert!(bans.covers(ip("10.1.0.0"), LATER), "a longer one of a smaller network");
        assert_eq!(bans.list(LATER).len(), 1);
        assert!(!bans.lift("10.0.0.0/8".parse().unwrap()), "it has ended");
        assert!(bans.lift("10.1.9.9/16".parse().unwrap()));
        assert!(!bans.covers(ip("10.1.0.0"), LATER));
        assert!(bans.table().kinds.is_empty() && !bans.any.load(Ordering::Acquire));
    }

    #[test]
    fn the_table_is_bounded_and_takes_the_place_of_what_has_ended() {
        let bans = Bans::default();
        for number in 0..u32::try_from(BANS_MAX).unwrap() {
            let until = (number == 7).then_some(LATER);
            bans.ban(IpAddr::from(number.to_be_bytes()).into(), until, NOW).unwrap();
        }
        let one_more = "2001:db8::/32".parse().unwrap();
        assert_eq!(bans.ban(one_more, None, NOW), Err(TooManyBans));
        let known = IpAddr::from([0, 0, 0, 9]).into();
        assert_eq!(bans.ban(known, Some(LATER), NOW), Ok(()), "its time is only changed");
        assert_eq!(bans.ban(one_more, None, LATER), Ok(()));
        assert_eq!(bans.list(LATER).len(), BANS_MAX - 1);
    }
}
