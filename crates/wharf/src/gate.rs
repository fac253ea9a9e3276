//! Who may come in, before there is a session.

use std::fmt;
use std::sync::Arc;

use ipnet::IpNet;
use wharf_port::{Address, Credentials};

/// A connection that has been accepted and is no session yet.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Incoming {
    /// The address of its peer; of one that comes from a [proxy](crate::Server::proxies), what that says.
    pub peer: Address,
    /// The address that it came to: one of [`ServerHandle::addresses`](crate::ServerHandle::addresses).
    pub listener: Address,
    /// Who its peer is, if it comes over a Unix socket and from no proxy.
    pub credentials: Option<Credentials>,
}

/// What becomes of a connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// It may become a session, if the limits allow it.
    Allow,
    /// It is reset at once, and counted in
    /// [`Stats::refused_by_filter`](crate::Stats::refused_by_filter).
    Deny,
}

/// What is asked of connections.
#[derive(Clone, Debug, Default)]
pub(crate) struct Gate {
    pub(crate) filter: Option<AcceptFilter>,
    /// Who announces the peers of the connections that it forwards.
    pub(crate) proxies: Arc<[IpNet]>,
    /// All that comes over Unix sockets comes from such.
    pub(crate) unix_proxies: bool,
}

impl Gate {
    /// Whether a connection comes from a proxy, and begins with whose it is.
    pub(crate) fn is_proxy(&self, peer: &Address) -> bool {
        let Some(address) = peer.ip() else { return self.unix_proxies };
        !self.proxies.is_empty() && {
            let address = address.to_canonical();
            self.proxies.iter().any(|network| network.contains(&address))
        }
    }
}

/// What a user has to say of connections.
#[derive(Clone)]
pub(crate) struct AcceptFilter(Arc<dyn Fn(&Incoming) -> Verdict + Send + Sync>);

impl AcceptFilter {
    pub(crate) fn new(filter: impl Fn(&Incoming) -> Verdict + Send + Sync + 'static) -> Self {
        Self(Arc::new(filter))
    }

    pub(crate) fn ask(&self, incoming: &Incoming) -> Verdict {
        (self.0)(incoming)
    }
}

impl fmt::Debug for AcceptFilter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AcceptFilter")
    }
}
