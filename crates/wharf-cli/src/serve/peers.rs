//! Who may connect.

use wharf::{Address, IpNet, Verdict};

/// The networks of `--allow`, `--deny` and `--proxy-from`.
#[derive(Clone, Debug, Default)]
pub(crate) struct Peers {
    /// All, if it is empty.
    pub(crate) allow: Vec<IpNet>,
    /// Goes before `allow`.
    pub(crate) deny: Vec<IpNet>,
    /// Those that say whose connections they forward.
    pub(crate) proxies: Vec<IpNet>,
    /// All that comes over Unix sockets is such.
    pub(crate) unix_proxies: bool,
}

impl Peers {
    /// Whether anybody is kept out.
    pub(super) fn are_limited(&self) -> bool {
        !(self.allow.is_empty() && self.deny.is_empty())
    }

    /// Unix sockets are in no network: who may connect to them is a matter of their files.
    pub(super) fn verdict(&self, peer: &Address) -> Verdict {
        let Some(peer) = peer.ip() else { return Verdict::Allow };
        let is_in = |networks: &[IpNet]| {
            let peer = peer.to_canonical();
            networks.iter().any(|network| network.contains(&peer))
        };
        if is_in(&self.deny) || !(self.allow.is_empty() || is_in(&self.allow)) {
            Verdict::Deny
        } else {
            Verdict::Allow
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdicts(allow: &[&str], deny: &[&str], peers: [&str; 4]) -> [bool; 4] {
        let networks = |texts: &[&str]| texts.iter().map(|text| text.parse().unwrap()).collect();
        let limits = Peers { allow: networks(allow), deny: networks(deny), ..Peers::default() };
        assert_eq!(limits.are_limited(), !(allow.is_empty() && deny.is_empty()));
        let unix = limits.verdict(&"unix:/a".parse().unwrap());
        assert_eq!(unix, Verdict::Allow, "it has no address that could be denied");
        let address =
            |peer: &str| Address::Tcp((peer.parse::<std::net::IpAddr>().unwrap(), 1).into());
        peers.map(|peer| limits.verdict(&address(peer)) == Verdict::Allow)
    }

    #[test]
    fn deny_goes_before_allow_and_allow_alone_shuts_the_others_out() {
        let peers = ["10.0.0.1", "::ffff:10.9.0.1", "192.0.2.1", "2001:db8::1"];
        assert_eq!(verdicts(&[], &[], peers), [true; 4]);
        assert_eq!(verdicts(&["10.0.0.0/8"], &[], peers), [true, true, false, false]);
        assert_eq!(verdicts(&["10.0.0.0/8"], &["10.9.0.0/16"], peers), [true, false, false, false]);
        assert_eq!(verdicts(&[], &["2001:db8::/64", "0.0.0.0/0"], peers), [false; 4]);
    }
}
