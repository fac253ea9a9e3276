//! What a callback of a room can do.

use std::sync::Arc;

use wharf_port::Time;

use super::RoomState;
use crate::close_reason::CloseReason;
use crate::group::Group;
use crate::send_queue::SendStatus;
use crate::session_id::SessionId;
use crate::session_ref::SessionRef;
use crate::shared_frame::SharedFrame;
use crate::worker::Core;

/// What a callback of a room can do: speak to its members and to any session, close them, ask for the time.
#[derive(Debug)]
pub struct RoomContext<'worker> {
    core: &'worker mut Core,
    state: &'worker Arc<RoomState>,
    closes: bool,
}

impl<'worker> RoomContext<'worker> {
    pub(crate) const fn new(core: &'worker mut Core, state: &'worker Arc<RoomState>) -> Self {
        Self { core, state, closes: false }
    }

    /// The time as of this turn. It does not move within a callback.
    pub const fn now(&self) -> Time {
        self.core.now
    }

    /// The members.
    pub fn group(&self) -> Group {
        Group::of(Arc::clone(self.state.group()), Arc::clone(self.core.shared()))
    }

    /// Sends a frame to all members. It is encoded once and shared; what a room says in one turn is one send
    /// for each member.
    pub fn broadcast(&mut self, payload: &[u8]) -> SendStatus {
        let group = self.group();
        self.core.broadcast(&group, payload, None)
    }

    /// Sends a frame to all members but this one.
    pub fn broadcast_except(&mut self, except: SessionId, payload: &[u8]) -> SendStatus {
        let group = self.group();
        self.core.broadcast(&group, payload, Some(except))
    }

    /// Sends a frame that is encoded already to all members.
    pub fn broadcast_frame(&mut self, frame: &SharedFrame) -> SendStatus {
        let group = self.group();
        self.core.broadcast_frame(&group, frame, None)
    }

    /// Sends a frame to any session of the server.
    pub fn send_to(&mut self, session: SessionId, payload: &[u8]) -> SendStatus {
        if session.worker() == self.state.worker {
            return self.core.send(session.socket(), payload);
        }
        self.session_ref(session).send(payload)
    }

    /// Closes a session when what is queued for it has been sent.
    pub fn close_session(&mut self, session: SessionId) -> SendStatus {
        if session.worker() == self.state.worker {
            self.core.begin_close(session.socket(), CloseReason::Closed);
            return SendStatus::Queued;
        }
        self.session_ref(session).close()
    }

    /// A handle to a session that any thread may use.
    pub fn session_ref(&self, session: SessionId) -> SessionRef {
        SessionRef::new(session, Arc::clone(self.core.shared()))
    }

    /// Closes the room behind this callback. Its members stay.
    pub const fn close(&mut self) {
        self.closes = true;
    }

    /// A random number, for a game's dice; not for secrets.
    pub fn random(&mut self) -> u64 {
        self.core.random()
    }

    pub(crate) const fn closes(&self) -> bool {
        self.closes
    }
}
