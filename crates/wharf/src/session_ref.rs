//! A session, seen from any thread.

use std::fmt;
use std::sync::Arc;

use crate::group::Group;
use crate::inbox::{Message, Refused};
use crate::owned_payload::OwnedPayload;
use crate::send_queue::SendStatus;
use crate::session_id::SessionId;
use crate::shared::Shared;
use crate::shared_frame::SharedFrame;

/// A handle to a session for any thread. It keeps nothing alive: what is sent to a session that has
/// ended goes nowhere, and never to another one.
#[derive(Clone)]
pub struct SessionRef {
    id: SessionId,
    shared: Arc<Shared>,
}

impl SessionRef {
    pub(crate) const fn new(id: SessionId, shared: Arc<Shared>) -> Self {
        Self { id, shared }
    }

    /// The session.
    pub const fn id(&self) -> SessionId {
        self.id
    }

    /// Sends a frame. It is copied once here, and if it is short once more; the limit and the policy of
    /// the session's queue apply when its worker gets to it.
    pub fn send(&self, payload: &[u8]) -> SendStatus {
        self.put(Message::Send(self.id, payload.to_vec().into()))
    }

    /// Sends a frame of a payload that is given away: it is not copied here, and not later either if
    /// [`Context::send_owned`](crate::Context::send_owned) would not.
    pub fn send_owned(&self, payload: impl Into<OwnedPayload>) -> SendStatus {
        self.put(Message::Send(self.id, payload.into().shrunk()))
    }

    /// Sends a frame that is encoded already, without a copy.
    pub fn send_frame(&self, frame: &SharedFrame) -> SendStatus {
        match self.shared.own_frame(frame) {
            Ok(frame) => self.put(Message::SendFrame(self.id, frame)),
            Err(error) => error.into(),
        }
    }

    /// Has the session join a group when its worker gets to it, unless it is closing by then or in too
    /// many; a group of another server it does not join.
    pub fn join(&self, group: &Group) -> SendStatus {
        if !group.is_of(&self.shared) {
            return SendStatus::Closed;
        }
        self.put(Message::Join(self.id, Arc::clone(group.state()), None))
    }

    /// Has the session leave a group when its worker gets to it.
    pub fn leave(&self, group: &Group) -> SendStatus {
        self.put(Message::Leave(self.id, Arc::clone(group.state())))
    }

    /// Closes the session when what is queued has been sent. The answer may be ignored, unless it is
    /// [`SendStatus::Overloaded`]: then nothing was closed.
    pub fn close(&self) -> SendStatus {
        self.put(Message::Close(self.id))
    }

    /// Resets the session at once: what is queued for it is lost. For the answer see [`close`](Self::close).
    pub fn reset(&self) -> SendStatus {
        self.put(Message::Reset(self.id))
    }

    /// Has the session receive nothing, from when its worker gets to it until it is
    /// [resumed](Self::resume_receiving): see
    /// [`Context::pause_receiving`](crate::Context::pause_receiving). The answer may be ignored, unless it is
    /// [`SendStatus::Overloaded`]: then nothing has changed.
    pub fn pause_receiving(&self) -> SendStatus {
        self.put(Message::PauseReceiving(self.id))
    }

    /// Ends the pause of a session. Whoever gets [`SendStatus::Overloaded`] has to try again: nothing else
    /// resumes it.
    pub fn resume_receiving(&self) -> SendStatus {
        self.put(Message::ResumeReceiving(self.id))
    }

    pub(crate) const fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    pub(crate) fn put(&self, message: Message) -> SendStatus {
        match self.shared.put(self.id.worker(), message) {
            Ok(()) => SendStatus::Queued,
            Err(Refused::Full) => SendStatus::Overloaded,
            Err(Refused::Ended) => SendStatus::Closed,
        }
    }
}

impl fmt::Debug for SessionRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SessionRef").field(&self.id).finish()
    }
}
