//! What a callback can do.

use std::net::SocketAddr;
use std::sync::Arc;

use wharf_port::Time;

use crate::close_reason::CloseReason;
use crate::send_queue::SendStatus;
use crate::session_id::SessionId;
use crate::session_ref::SessionRef;
use crate::worker::Core;

/// What a callback can do: send to its own session, to others, close them, ask for the time.
#[derive(Debug)]
pub struct Context<'worker> {
    core: &'worker mut Core,
    id: SessionId,
    peer: SocketAddr,
}

impl<'worker> Context<'worker> {
    pub(crate) const fn new(core: &'worker mut Core, id: SessionId, peer: SocketAddr) -> Self {
        Self { core, id, peer }
    }

    /// The session that this callback belongs to.
    pub const fn id(&self) -> SessionId {
        self.id
    }

    /// The address of the session's peer.
    pub const fn peer(&self) -> SocketAddr {
        self.peer
    }

    /// The time as of this turn. It does not move within a callback.
    pub const fn now(&self) -> Time {
        self.core.now
    }

    /// Sends a frame to this session. Never blocks; everything that is queued within a turn goes out
    /// with one system call at its end. A frame that was just received is sent without a copy.
    #[inline]
    pub fn send(&mut self, payload: &[u8]) -> SendStatus {
        self.core.send(self.id.socket(), payload)
    }

    /// Sends a frame to any session of the server.
    pub fn send_to(&mut self, session: SessionId, payload: &[u8]) -> SendStatus {
        if session.worker() == self.id.worker() {
            return self.core.send(session.socket(), payload);
        }
        self.session_ref(session).send(payload)
    }

    /// Closes this session when what is queued has been sent. Frames that have been received and not
    /// delivered are thrown away.
    pub fn close(&mut self) {
        self.core.begin_close(self.id.socket(), CloseReason::Closed);
    }

    /// Closes any session of the server, in the same way.
    pub fn close_session(&mut self, session: SessionId) {
        if session.worker() == self.id.worker() {
            self.core.begin_close(session.socket(), CloseReason::Closed);
        } else {
            self.session_ref(session).close();
        }
    }

    /// A handle to a session that any thread may use.
    pub fn session_ref(&self, session: SessionId) -> SessionRef {
        SessionRef::new(session, Arc::clone(self.core.shared()))
    }

    /// Bytes that wait to be sent to this session.
    pub fn queued_bytes(&self) -> usize {
        self.core.queued_bytes(self.id.socket())
    }

    /// A random number for jitter and hash seeds; not for secrets.
    pub fn random(&mut self) -> u64 {
        self.core.random()
    }
}
