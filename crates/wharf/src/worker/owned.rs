//! Payloads that are given away to be sent.

use wharf_port::SocketId;

use super::Core;
use crate::owned_payload::OwnedPayload;
use crate::send_queue::{OWNED_BYTES_MIN, SendStatus};

impl Core {
    /// Queues a frame, and does not copy its payload if that is not worth it.
    pub(crate) fn send_owned(&mut self, socket: SocketId, payload: OwnedPayload) -> SendStatus {
        if payload.as_slice().len() < OWNED_BYTES_MIN {
            return self.send(socket, payload.as_slice());
        }
        let mut wrapped = None;
        let keep = |_: &mut Self, envelope: &_| wrapped = Some(*envelope);
        let status = self.send_wrapped(socket, &[payload.as_slice()], keep);
        let Self { connections, chunks, .. } = self;
        if let Some(envelope) = wrapped
            && let Some(connection) = connections.get_mut(socket)
        {
            connection.queue.push_owned(&envelope, payload.into_segment(), chunks);
            self.was_queued(socket);
        }
        status
    }
}
