//! What sessions post to others of their own worker: no lock, no wake, and never within a callback.
//!
//! What a session sends does not wait, unless it is behind what the same session has posted: the others
//! of its worker are not in its way.

use std::collections::VecDeque;

use wharf_port::SocketId;

use super::Core;
use super::connection::Connection;
use crate::inbox::{BYTES_MAX, Message};
use crate::send_queue::SendStatus;
use crate::session_id::SessionId;

/// Messages that sessions of this worker have for each other; as bounded as an inbox is.
#[derive(Debug, Default)]
pub(crate) struct LocalMessages {
    messages: VecDeque<Message>,
    bytes: usize,
    /// How many there have been before those that wait. It wraps.
    taken: u32,
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
        self.taken = self.taken.wrapping_add(1);
        if self.messages.is_empty() {
            // What a burst has taken is given back.
            self.messages = VecDeque::new();
        }
        Some(message)
    }

    /// Takes out the frames that wait for a session, in order. Their places stay, as others count them: what
    /// is left there is nothing to do.
    fn take_frames(&mut self, session: SessionId) -> Vec<Message> {
        let mut frames = Vec::new();
        for message in &mut self.messages {
            if let Message::Send(to, _) | Message::SendKeyed(to, ..) | Message::SendFrame(to, _) =
                message
                && *to == session
            {
                self.bytes -= message.counted_bytes();
                frames.push(std::mem::replace(message, Message::Look));
            }
        }
        frames
    }

    /// Whether the message waits that was the last of so many. A session that was silent for four billion
    /// messages may be taken for one that waits, and then does.
    fn has(&self, end: u32) -> bool {
        let ahead = end.wrapping_sub(self.taken);
        ahead != 0 && ahead <= self.waiting()
    }

    /// No more wait than their bytes allow.
    fn waiting(&self) -> u32 {
        u32::try_from(self.messages.len()).unwrap_or(u32::MAX)
    }
}

impl Core {
    /// Has a message of a session worked on in this turn or the next.
    pub(crate) fn post_here(&mut self, sender: SocketId, message: Message) -> SendStatus {
        let sends = !matches!(message, Message::Post(..));
        let status = self.local.push(message);
        let Self { local, connections, .. } = self;
        if status == SendStatus::Queued
            && let Some(connection) = connections.get_mut(sender)
        {
            connection.sends_wait &= local.has(connection.messages_end);
            connection.sends_wait |= sends;
            connection.messages_end = local.taken.wrapping_add(local.waiting());
        }
        status
    }

    /// Whether something that this session has sent waits here, so that what it sends now must, too.
    #[inline]
    pub(crate) fn must_wait(&self, sender: SocketId) -> bool {
        !self.local.is_empty() && self.has_waiting(sender, |connection| connection.sends_wait)
    }

    /// Sends what waits here for a session that is about to close: it was told that this is queued, and its
    /// stream ends behind it.
    pub(super) fn send_waiting(&mut self, socket: SocketId) {
        if !self.must_wait(socket) {
            return;
        }
        for message in self.local.take_frames(self.session_id(socket)) {
            match message {
                Message::Send(_, payload) => self.send_owned(socket, payload),
                Message::SendKeyed(_, key, payload) => {
                    self.send_keyed(socket, key, payload.as_slice())
                }
                Message::SendFrame(_, frame) => self.send_frame(socket, &frame),
                _ => SendStatus::Queued,
            };
        }
    }

    fn waits_behind_own(&self, sender: SocketId) -> bool {
        !self.local.is_empty() && self.has_waiting(sender, |_| true)
    }

    /// A session that is gone waits behind everything.
    #[cold]
    fn has_waiting(&self, sender: SocketId, which: impl FnOnce(&Connection) -> bool) -> bool {
        let Some(connection) = self.connections.get(sender) else { return true };
        self.local.has(connection.messages_end) && which(connection)
    }

    /// Sends a frame to a session of this worker, behind what the sender has posted.
    pub(crate) fn send_behind(
        &mut self,
        sender: SocketId,
        session: SessionId,
        payload: &[u8],
    ) -> SendStatus {
        if self.waits_behind_own(sender) {
            return self.post_here(sender, Message::Send(session, payload.to_vec().into()));
        }
        self.send(session.socket(), payload)
    }

    /// Closes a session of this worker, behind what the other one has posted.
    pub(crate) fn close_behind(&mut self, sender: SocketId, session: SessionId) {
        let waits = self.waits_behind_own(sender);
        if !waits || self.post_here(sender, Message::Close(session)) != SendStatus::Queued {
            self.begin_close(session.socket(), crate::CloseReason::Closed);
        }
    }
}
