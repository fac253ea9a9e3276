//! Connecting.

use super::connection::{Connection, InKernel, Outgoing};
use super::{Sim, lookup};
use crate::address::Address;
use crate::completion::Completion;
use crate::error::{ConnectError, lacking};
use crate::ids::SocketId;
use crate::sim::world::{Connecting, Holder, Unopenable};
use crate::socket_options::SocketOptions;

/// What a system says when it has no descriptor left (Linux: `EMFILE`).
const NO_DESCRIPTOR: i32 = 24;
/// What it says when all local addresses are taken (Linux: `EADDRNOTAVAIL`).
const NO_LOCAL_ADDRESS: i32 = 99;
/// What it says when it has no memory (Linux: `ENOMEM`).
const NO_MEMORY: i32 = 12;

impl From<Unopenable> for ConnectError {
    fn from(problem: Unopenable) -> Self {
        Self::Shortage(match problem {
            Unopenable::Descriptors => NO_DESCRIPTOR,
            Unopenable::LocalAddresses => NO_LOCAL_ADDRESS,
            Unopenable::Memory => NO_MEMORY,
        })
    }
}

impl Sim {
    pub(crate) fn connect(
        &mut self,
        address: Address,
        options: &SocketOptions,
    ) -> Result<SocketId, ConnectError> {
        let end = self.network.with(|world| {
            let nowhere = ConnectError::Unsupported(lacking(&address));
            let place = world.place_of(&address).ok_or(nowhere)?;
            Ok::<_, ConnectError>(world.open_end(place, options, Holder::Fresh)?)
        })?;
        let connection = Connection::new(end, Outgoing::Connect);
        let Ok((slot, generation)) = self.connections.insert(connection) else {
            self.network.with(|world| world.close_end(end, true));
            return Err(ConnectError::Shortage(NO_DESCRIPTOR));
        };
        let id = SocketId::from_parts(slot, generation);
        self.network.with(|world| world.hold(end, Holder::Port(self.number, id)));
        self.operations += 1;
        // It exists: it was just inserted.
        let _ = self.stage(id);
        Ok(id)
    }

    /// The kernel says how a connect went.
    pub(super) fn connect_ended(&mut self, id: SocketId, how: Connecting) {
        let result = match how {
            Connecting::Connected => Ok(()),
            Connecting::Refused => Err(ConnectError::Refused),
            Connecting::TimedOut => Err(ConnectError::TimedOut),
            Connecting::No | Connecting::Started => Err(ConnectError::Cancelled),
        };
        self.finish_connect(id, result);
    }

    pub(super) fn finish_connect(&mut self, socket: SocketId, result: Result<(), ConnectError>) {
        let Ok(connection) = lookup(&mut self.connections, socket) else { return };
        if !matches!(connection.outgoing, Outgoing::Connect | Outgoing::Connecting) {
            return;
        }
        connection.send = InKernel::default();
        connection.cancel_outgoing = false;
        connection.outgoing = Outgoing::Ended;
        self.done.push_back(Completion::Connected { socket, result });
    }
}
