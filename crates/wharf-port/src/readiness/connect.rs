//! Connecting: started by a wait, ended by the edge that says the socket is writable.

use rustix::io::Errno;

use super::connection::{Connection, Outgoing};
use super::{Readiness, lookup};
use crate::address::Address;
use crate::clock::Time;
use crate::completion::Completion;
use crate::error::ConnectError;
use crate::ids::SocketId;
use crate::sys::{self, Socket};

impl Readiness {
    pub(crate) fn connect(
        &mut self,
        socket: Socket,
        address: Address,
    ) -> Result<SocketId, ConnectError> {
        sys::adapt(&socket, true)?;
        let id = self.register(socket, Outgoing::Connect(Box::new(address)))?;
        if let Ok(connection) = lookup(&mut self.connections, id) {
            connection.stage(id, &mut self.staged);
        }
        self.operations += 1;
        Ok(id)
    }
}

impl Readiness {
    /// Has the next wait try those again that found a queue full.
    pub(super) fn retry_connects(&mut self, now: Time) {
        for id in self.full_queues.take_due(now) {
            if let Ok(connection) = lookup(&mut self.connections, id) {
                connection.stage(id, &mut self.staged);
            }
        }
    }
}

impl Connection {
    /// The first edge is the end of the connect: a socket that is not connected is not writable to a
    /// kqueue, and epoll asks it again before it reports that it is, and by then it is connecting.
    pub(super) fn start_connect(&mut self, id: SocketId) -> Option<Completion> {
        let Outgoing::Connect(address) = &self.outgoing else { return None };
        match sys::start_connect(self.socket.as_ref()?, address) {
            // It waits for room in the listener's queue, as TCP does.
            Err(Errno::AGAIN) if address.is_unix() => None,
            Err(Errno::INPROGRESS | Errno::INTR) => {
                self.outgoing = Outgoing::Connecting;
                None
            }
            outcome => Some(self.connected(id, outcome)),
        }
    }

    pub(super) fn finish_connect(&mut self, id: SocketId) -> Option<Completion> {
        let outcome = sys::take_error(self.socket.as_ref()?);
        Some(self.connected(id, outcome))
    }

    fn connected(&mut self, socket: SocketId, outcome: Result<(), Errno>) -> Completion {
        self.failure = outcome.err();
        self.end_outgoing();
        Completion::Connected { socket, result: outcome.map_err(ConnectError::from) }
    }
}
