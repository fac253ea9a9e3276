//! Cancelling, closing, and shutting the port down: everything comes back before anything is freed.

use std::time::Duration;

use super::connection::{Closing, InKernel, Incoming, Outgoing};
use super::{Sim, lookup};
use crate::completion::{Completion, Direction};
use crate::error::{CloseError, UnknownSocket};
use crate::ids::SocketId;
use crate::sim::world::World;

impl Sim {
    pub(crate) fn cancel(
        &mut self,
        id: SocketId,
        direction: Direction,
    ) -> Result<(), UnknownSocket> {
        let connection = lookup(&mut self.connections, id)?;
        match direction {
            Direction::Receive if connection.is_receiving() => {
                connection.incoming = Incoming::Cancelled;
            }
            Direction::Send if connection.is_outgoing() => connection.cancel_outgoing = true,
            Direction::Receive | Direction::Send => return Ok(()),
        }
        self.stage(id)
    }

    pub(crate) fn close(&mut self, id: SocketId, reset: bool) -> Result<(), UnknownSocket> {
        let connection = lookup(&mut self.connections, id)?;
        connection.reset |= reset;
        if connection.closing == Closing::No {
            connection.closing = Closing::Asked;
            self.operations += 1;
        }
        self.stage(id)
    }

    /// Closes the descriptor before the operations are back, where that is the habit: they are aborted
    /// by it, unless they have succeeded just before.
    pub(super) fn begin_close(&mut self, world: &mut World, id: SocketId) {
        if !self.personality.closes_first() {
            return;
        }
        let Ok(connection) = lookup(&mut self.connections, id) else { return };
        if connection.closing != Closing::Asked {
            return;
        }
        connection.closing = Closing::DescriptorClosed;
        if let Outgoing::Connecting = connection.outgoing {
            self.outgoing_is_back(id);
        }
        let Ok(connection) = lookup(&mut self.connections, id) else { return };
        world.abort_all(connection.end);
        world.close_end(connection.end, connection.reset);
    }

    /// Closes a socket whose operations are all back.
    pub(super) fn finish_close(&mut self, world: &mut World, id: SocketId) {
        let Ok(connection) = lookup(&mut self.connections, id) else { return };
        let left = connection.is_receiving() || connection.is_outgoing();
        if left || matches!(connection.closing, Closing::No | Closing::Ended) {
            return;
        }
        if connection.closing == Closing::Asked {
            world.close_end(connection.end, connection.reset);
        }
        connection.closing = Closing::Ended;
        connection.late.clear();
        self.done.push_back(Completion::Closed { socket: id });
    }

    /// The kernel has ended an operation that did nothing.
    pub(super) fn aborted(&mut self, id: SocketId, direction: Direction, number: u32) {
        if let Some(operation) = self.in_kernel(id, direction)
            && operation.armed == Some(number)
        {
            *operation = InKernel::default();
        }
    }

    /// A cancel has not found its operation: it is sent again if that is still there and unwanted.
    pub(super) fn cancel_missed(&mut self, id: SocketId, direction: Direction, number: u32) {
        if let Some(operation) = self.in_kernel(id, direction)
            && operation.armed.unwrap_or_default() == number
        {
            operation.cancelling = false;
        }
    }

    fn in_kernel(&mut self, id: SocketId, direction: Direction) -> Option<&mut InKernel> {
        let connection = lookup(&mut self.connections, id).ok()?;
        Some(match direction {
            Direction::Receive => &mut connection.receive,
            Direction::Send => &mut connection.send,
        })
    }

    /// Closes everything and joins it; does nothing the second time.
    pub(crate) fn shut_down(&mut self, timeout: Duration) -> Result<(), CloseError> {
        if std::mem::replace(&mut self.is_shut_down, true) {
            return Ok(());
        }
        for (slot, generation) in self.connections.names() {
            let _ = self.close(SocketId::from_parts(slot, generation), false);
        }
        self.listeners.iter().for_each(|listener| listener.close(&self.network));
        self.operations -= self.listeners.len();
        self.listeners.clear();
        let until = self.clock() + timeout;
        let mut left = timeout;
        while self.operations > 0 && !left.is_zero() && self.wait(Some(left)).is_ok() {
            while self.take().is_some() {}
            left = until.since(self.clock());
        }
        self.network.with(|world| world.close_port(self.number));
        match self.operations {
            0 => Ok(()),
            operations => Err(CloseError { operations }),
        }
    }
}
