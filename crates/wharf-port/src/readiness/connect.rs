//! Connecting: started by a wait, ended by the edge that says the socket is writable.

use std::net::SocketAddr;

use rustix::io::Errno;

use super::connection::{Connection, Outgoing};
use super::{Readiness, lookup};
use crate::completion::Completion;
use crate::error::ConnectError;
use crate::ids::SocketId;
use crate::sys::{self, Socket};

impl Readiness {
    pub(crate) fn connect(
        &mut self,
        socket: Socket,
        address: SocketAddr,
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

impl Connection {
    /// The first edge is the end of the connect: a socket that is not connected is not writable to a
    /// kqueue, and epoll asks it again before it reports that it is, and by then it is connecting.
    pub(super) fn start_connect(
        &mut self,
        id: SocketId,
        address: SocketAddr,
    ) -> Option<Completion> {
        match sys::start_connect(self.socket.as_ref()?, address) {
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
