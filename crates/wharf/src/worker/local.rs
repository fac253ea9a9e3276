//! What sessions post to others of their own worker: no lock, no wake, and never within a callback.
//!
//! Frames do not wait here: they are queued at once, and so keep the order of whoever sends them.

use std::collections::VecDeque;

use super::Core;
use crate::inbox::{BYTES_MAX, Message};
use crate::send_queue::SendStatus;
use crate::session_id::SessionId;

/// Messages that sessions of this worker have for each other; as bounded as an inbox is.
#[derive(Debug, Default)]
pub(crate) struct LocalMessages {
    messages: VecDeque<Message>,
    bytes: usize,
}

impl LocalMessages {
    pub(super) fn is_empty(&self) -> bool {
        self.messages.is_empty()
    }

    pub(super) fn len(&self) -> usize {
        self.messages.len()
    }

    pub(super) const fn has_room(&self, bytes: usize) -> bool {
        self.bytes + bytes <= BYTES_MAX
    }

    pub(super) fn push(&mut self, message: Message) -> SendStatus {
        let bytes = message.counted_bytes();
        if !self.has_room(bytes) {
            return SendStatus::Overloaded;
        }
        self.bytes += bytes;
        self.messages.push_back(message);
        SendStatus::Queued
    }

    pub(super) fn pop(&mut self) -> Option<Message> {
        let message = self.messages.pop_front()?;
        self.bytes -= message.counted_bytes();
        if self.messages.is_empty() {
            // What a burst has taken is given back.
            self.messages = VecDeque::new();
        }
        Some(message)
    }
}

impl Core {
    /// Has a message of a session worked on in this turn or the next.
    pub(crate) fn post_here(&mut self, message: Message) -> SendStatus {
        self.local.push(message)
    }

    /// Closes a session of this worker, behind what waits to be posted: a message that the other one was
    /// posted before still arrives.
    pub(crate) fn close_behind(&mut self, session: SessionId) {
        let close = Message::Close(session);
        if self.local.is_empty() || self.local.push(close) != SendStatus::Queued {
            self.begin_close(session.socket(), crate::CloseReason::Closed);
        }
    }
}
