//! Who may come in, before there is a session.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

/// A connection that has been accepted and is no session yet.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Incoming {
    /// The address of its peer.
    pub peer: SocketAddr,
    /// The address that it came to: one of [`ServerHandle::addresses`](crate::ServerHandle::addresses).
    pub listener: SocketAddr,
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
