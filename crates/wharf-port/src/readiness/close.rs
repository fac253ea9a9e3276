//! Cancelling and closing. Nothing of ours is with the kernel, so both only have to make the final
//! completions that are owed, in the wait after.

use std::collections::VecDeque;
use std::mem;
use std::time::Duration;

use super::connection::{Connection, Incoming, Outgoing};
use super::{Readiness, lookup};
use crate::completion::{Completion, Direction, Received};
use crate::error::{CloseError, ConnectError, SendError, UnknownSocket};
use crate::ids::SocketId;
use crate::sys;

impl Readiness {
    pub(crate) fn cancel(
        &mut self,
        id: SocketId,
        direction: Direction,
    ) -> Result<(), UnknownSocket> {
        let connection = lookup(&mut self.connections, id)?;
        let started = match direction {
            Direction::Receive => connection.is_receiving(),
            Direction::Send => connection.is_sending(),
        };
        if !started {
            return Ok(());
        }
        match direction {
            Direction::Receive => connection.incoming = Incoming::Cancelled,
            Direction::Send => connection.cancel_outgoing = true,
        }
        connection.stage(id, &mut self.staged);
        Ok(())
    }

    pub(crate) fn close(&mut self, id: SocketId, reset: bool) -> Result<(), UnknownSocket> {
        let connection = lookup(&mut self.connections, id)?;
        connection.reset |= reset;
        if !connection.closing {
            connection.closing = true;
            connection.stage(id, &mut self.staged);
            self.operations += 1;
        }
        Ok(())
    }

    /// Ends in one go, whatever the timeout: there is nothing to wait for.
    pub(crate) fn shut_down(&mut self, _: Duration) -> Result<(), CloseError> {
        for (slot, generation) in self.connections.names() {
            let _ = self.close(SocketId::from_parts(slot, generation), false);
        }
        for listener in self.listeners.drain(..) {
            self.done.push_back(Completion::ListenerClosed { listener: listener.id() });
        }
        self.carry_out();
        while let Some(completion) = self.done.pop_front() {
            self.settle(&completion);
        }
        self.line.clear();
        self.turns = 0;
        assert_eq!(self.pool.ledger().kernel, 0, "a buffer is lent to nobody");
        match self.operations {
            0 => Ok(()),
            operations => Err(CloseError { operations }),
        }
    }
}

impl Connection {
    const fn is_receiving(&self) -> bool {
        matches!(self.incoming, Incoming::Started | Incoming::Cancelled)
    }

    const fn is_sending(&self) -> bool {
        matches!(self.outgoing, Outgoing::Connect(_) | Outgoing::Connecting | Outgoing::Sending(_))
    }

    const fn is_to_close(&self) -> bool {
        self.closing && self.socket.is_some()
    }

    /// Whether somebody has asked for the end of an operation that is still there, or of all.
    pub(super) fn owes_an_end(&self) -> bool {
        self.is_to_close()
            || self.incoming == Incoming::Cancelled
            || (self.cancel_outgoing && self.is_sending())
    }

    /// Makes the final completions of what is cancelled, and of everything if it closes.
    pub(super) fn end(&mut self, id: SocketId, done: &mut VecDeque<Completion>) {
        let closes = self.is_to_close();
        if self.incoming == Incoming::Cancelled || (closes && self.is_receiving()) {
            self.incoming = Incoming::Ended;
            done.push_back(Completion::Received { socket: id, what: Received::Cancelled });
        }
        if closes || self.cancel_outgoing {
            done.extend(self.cancel_outgoing(id));
        }
        if closes {
            self.close_descriptor();
            done.push_back(Completion::Closed { socket: id });
        }
    }

    fn cancel_outgoing(&mut self, socket: SocketId) -> Option<Completion> {
        match self.outgoing {
            Outgoing::Sending(_) => self.finish_send(socket, Err(SendError::Cancelled)),
            Outgoing::Connect(_) | Outgoing::Connecting => {
                self.end_outgoing();
                Some(Completion::Connected { socket, result: Err(ConnectError::Cancelled) })
            }
            Outgoing::Idle | Outgoing::Ended => None,
        }
    }

    /// Ends the send or the connect, and what was asked of it.
    pub(super) fn end_outgoing(&mut self) -> Outgoing {
        self.cancel_outgoing = false;
        mem::replace(&mut self.outgoing, Outgoing::Ended)
    }

    fn close_descriptor(&mut self) {
        if let Some(socket) = self.socket.take()
            && self.reset
        {
            sys::reset(socket);
        }
    }
}
