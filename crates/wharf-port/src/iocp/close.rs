//! Cancelling and closing: `CancelIoEx`, `closesocket`, then the packets, then the name.
//!
//! The order in which the notes stumble: a session may be freed when the last of its operations has
//! come back, not when its socket is closed. A packet comes for each operation that was started, and
//! until then the kernel may write to its buffer.

use std::time::Duration;

use super::connection::{Closing, Ended, Incoming, Outgoing};
use super::{Api, Code, Iocp, lookup};
use crate::clock::monotonic_now;
use crate::completion::{Completion, Direction, Received};
use crate::error::{CloseError, UnknownSocket};
use crate::ids::SocketId;
use crate::slots::Slots;

impl<A: Api> Iocp<A> {
    pub(crate) fn cancel(
        &mut self,
        id: SocketId,
        direction: Direction,
    ) -> Result<(), UnknownSocket> {
        let connection = lookup(&mut self.connections, id)?;
        if connection.is_closing() {
            return Ok(());
        }
        match direction {
            Direction::Receive if connection.incoming == Incoming::Started => {
                connection.incoming = Incoming::Cancelled;
            }
            Direction::Send if !matches!(connection.outgoing, Outgoing::Idle) => {
                connection.cancel_outgoing = true;
            }
            _ => return Ok(()),
        }
        self.stage(id)
    }

    /// Has the end of a send, or of a connect, that nobody wants any more.
    pub(super) fn take_outgoing_back(&mut self, id: SocketId) {
        let Ok(connection) = lookup(&mut self.connections, id) else { return };
        if !connection.cancel_outgoing || connection.is_closing() {
            return;
        }
        match (&connection.socket, &mut connection.armed_outgoing) {
            (Some(socket), Some(armed)) => {
                if !std::mem::replace(&mut armed.cancelled, true) {
                    // If it is done already, its packet is on its way.
                    let _ = self.api.cancel(socket, Some(self.operations.overlapped(armed.index)));
                }
            }
            _ => self.outgoing_ended(id),
        }
    }

    /// Makes the final completion of a send or a connect that the kernel does not have.
    fn outgoing_ended(&mut self, id: SocketId) {
        let Ok(connection) = lookup(&mut self.connections, id) else { return };
        match connection.outgoing {
            Outgoing::Sending(_) => self.send_ended(id, Err(Code::ABORTED)),
            Outgoing::Connect(_) | Outgoing::Connecting => {
                self.connect_ended(id, Err(Code::ABORTED));
            }
            Outgoing::Idle => connection.cancel_outgoing = false,
        }
    }

    pub(crate) fn close(&mut self, id: SocketId, reset: bool) -> Result<(), UnknownSocket> {
        let connection = lookup(&mut self.connections, id)?;
        connection.reset |= reset;
        if connection.closing == Closing::No {
            connection.closing = Closing::Asked;
            self.started += 1;
            self.stage(id)?;
        }
        Ok(())
    }

    /// Closes the socket, so that its operations come back. The number may be somebody else's from
    /// here on, and nothing of ours goes by it.
    pub(super) fn begin_close(&mut self, id: SocketId) {
        let Ok(connection) = lookup(&mut self.connections, id) else { return };
        if !connection.is_closing() {
            return;
        }
        let Some(socket) = connection.socket.take() else { return };
        let idle = connection.armed.is_none() && connection.armed_outgoing.is_none();
        if !idle {
            // What is done already has its packet on its way. Closing alone is not enough: under Wine a
            // send that waits for room never comes back from it.
            let _ = self.api.cancel(&socket, None);
        }
        if connection.reset {
            self.api.reset(socket);
            return;
        }
        let may_serve_again = connection.was_accepted && connection.skips;
        if idle && may_serve_again && connection.ended == Some(Ended::Peer) {
            self.recycle(socket);
        }
    }

    /// Ends the close of a socket whose operations have all come back.
    pub(super) fn finish_close(&mut self, id: SocketId) {
        let Ok(connection) = lookup(&mut self.connections, id) else { return };
        let is_back = connection.armed.is_none() && connection.armed_outgoing.is_none();
        let closes = connection.closing == Closing::Asked && connection.socket.is_none();
        if !closes || !is_back {
            return;
        }
        connection.closing = Closing::Joined;
        self.end_receive(id, Received::Cancelled);
        self.outgoing_ended(id);
        self.done.push_back(Completion::Closed { socket: id });
    }

    /// Its `Closed` is taken: the name goes.
    pub(super) fn release(&mut self, id: SocketId) {
        if self.connections.remove(id.slot(), id.generation()).is_some() {
            self.started -= 1;
        }
    }

    /// Closes everything and joins it; see rule 9.
    pub(crate) fn shut_down(&mut self, timeout: Duration) -> Result<(), CloseError> {
        if std::mem::replace(&mut self.closed, true) {
            return Ok(());
        }
        self.recycled.close(&self.api, &self.operations);
        self.stop_all_listeners();
        for (slot, generation) in self.connections.names() {
            let _ = self.close(SocketId::from_parts(slot, generation), false);
        }
        if self.join(timeout) {
            return Ok(());
        }
        Err(CloseError { operations: self.started.max(self.operations.pending()) })
    }

    /// Waits until nothing is in flight; false if that took too long or the port is broken.
    fn join(&mut self, timeout: Duration) -> bool {
        let deadline = monotonic_now() + timeout;
        loop {
            let now = monotonic_now();
            self.tick(now);
            while let Some(completion) = self.take(now) {
                drop(completion);
            }
            if self.started == 0 && self.operations.pending() == 0 {
                return true;
            }
            let left = deadline.since(now);
            if self.wait(Some(left), now).is_err() || (left.is_zero() && !self.has_ready()) {
                return false;
            }
        }
    }
}

impl<A: Api> Drop for Iocp<A> {
    /// What the kernel still has is leaked, with all that it may read from or write to: it was not joined
    /// in time, or a panic has ended that.
    fn drop(&mut self) {
        if self.operations.pending() > 0 {
            std::mem::forget(std::mem::replace(&mut self.connections, Slots::new(0)));
            std::mem::forget(std::mem::take(&mut self.listeners));
        }
    }
}
