//! What the factory of sessions is told.

use std::sync::Arc;

use wharf_port::{Address, Credentials};

use crate::client::Outgoing;
use crate::group::Group;
use crate::session_id::SessionId;
use crate::session_ref::SessionRef;
use crate::shared::Shared;

/// A connection that is about to become a session.
#[derive(Debug)]
pub struct Arrival {
    id: SessionId,
    peer: Address,
    credentials: Option<Credentials>,
    outgoing: Option<Outgoing>,
    shared: Arc<Shared>,
}

impl Arrival {
    pub(crate) const fn new(id: SessionId, peer: Address, shared: Arc<Shared>) -> Self {
        Self { id, peer, credentials: None, outgoing: None, shared }
    }

    /// This side has made it.
    pub(crate) fn made_by(mut self, outgoing: Outgoing) -> Self {
        self.outgoing = Some(outgoing);
        self
    }

    /// Its peer is this, as the kernel says.
    pub(crate) const fn with_credentials(mut self, credentials: Option<Credentials>) -> Self {
        self.credentials = credentials;
        self
    }

    /// The id that the session will have.
    pub const fn id(&self) -> SessionId {
        self.id
    }

    /// The address of its peer. Who comes over a Unix socket mostly has none: `unix:(unnamed)`.
    pub const fn peer(&self) -> &Address {
        &self.peer
    }

    /// Who its peer is, if it has been accepted from a Unix socket: user, group and process, as the kernel
    /// has them. `None` for TCP, on a simulated network, for what this side has connected, and for one that
    /// a [proxy](crate::Server::unix_proxies) forwards: the kernel knows the proxy alone.
    pub const fn credentials(&self) -> Option<Credentials> {
        self.credentials
    }

    /// What this side has connected, if it has: which target, and for which time. `None` for a connection
    /// that was accepted.
    pub const fn outgoing(&self) -> Option<&Outgoing> {
        self.outgoing.as_ref()
    }

    /// The group of this name, which is made if there is none. The session is not in it before it
    /// [joins](crate::Context::join).
    pub fn group(&self, name: &str) -> Group {
        Group::named(&self.shared, name)
    }

    /// A handle to the session for other threads.
    pub fn session_ref(&self) -> SessionRef {
        SessionRef::new(self.id, Arc::clone(&self.shared))
    }
}
