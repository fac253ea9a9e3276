//! A session, seen from any thread.

use std::fmt;
use std::sync::Arc;

use crate::inbox::{Message, Refused};
use crate::send_queue::SendStatus;
use crate::session_id::SessionId;
use crate::shared::Shared;

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

    /// Sends a frame. It is copied once here; the limit and the policy of the session's queue apply
    /// when its worker gets to it.
    pub fn send(&self, payload: &[u8]) -> SendStatus {
        match self.put(Message::Send(self.id, payload.into())) {
            Ok(()) => SendStatus::Queued,
            Err(Refused::Full) => SendStatus::Overloaded,
            Err(Refused::Ended) => SendStatus::Closed,
        }
    }

    /// Closes the session when what is queued has been sent.
    pub fn close(&self) {
        // A worker that has ended has closed it.
        let _ = self.put(Message::Close(self.id));
    }

    fn put(&self, message: Message) -> Result<(), Refused> {
        self.shared.put(self.id.worker(), message)
    }
}

impl fmt::Debug for SessionRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SessionRef").field(&self.id).finish()
    }
}
