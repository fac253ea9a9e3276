//! What the factory of sessions is told.

use std::net::SocketAddr;
use std::sync::Arc;

use crate::client::Outgoing;
use crate::group::Group;
use crate::session_id::SessionId;
use crate::session_ref::SessionRef;
use crate::shared::Shared;

/// A connection that is about to become a session.
#[derive(Debug)]
pub struct Arrival {
    id: SessionId,
    peer: SocketAddr,
    outgoing: Option<Outgoing>,
    shared: Arc<Shared>,
}

impl Arrival {
    pub(crate) const fn new(id: SessionId, peer: SocketAddr, shared: Arc<Shared>) -> Self {
        Self { id, peer, outgoing: None, shared }
    }

    /// This side has made it.
    pub(crate) fn made_by(mut self, outgoing: Outgoing) -> Self {
        self.outgoing = Some(outgoing);
        self
    }

    /// The id that the session will have.
    pub const fn id(&self) -> SessionId {
        self.id
    }

    /// The address of its peer.
    pub const fn peer(&self) -> SocketAddr {
        self.peer
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
