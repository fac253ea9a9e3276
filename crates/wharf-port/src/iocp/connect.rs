//! Connecting, by `ConnectEx`.

use std::net::SocketAddr;

use super::api::Started;
use super::connection::{Armed, Outgoing};
use super::operation::{Outcome, Purpose};
use super::{Api, Code, Iocp, lookup};
use crate::address::Address;
use crate::completion::Completion;
use crate::error::{ConnectError, lacking};
use crate::ids::SocketId;
use crate::socket_options::SocketOptions;

impl<A: Api> Iocp<A> {
    pub(crate) fn connect(
        &mut self,
        address: Address,
        options: &SocketOptions,
    ) -> Result<SocketId, ConnectError> {
        let address = address.tcp().ok_or_else(|| ConnectError::Unsupported(lacking(&address)))?;
        let socket = self.api.open_socket(address)?;
        self.api.set_options(&socket, options)?;
        // ConnectEx takes no socket that is not bound.
        self.api.bind(&socket, address, options.bind)?;
        self.api.associate(&self.port, &socket)?;
        let id = self.register(socket, Outgoing::Connect(Box::new(address)))?;
        self.started += 1;
        let _ = self.stage(id);
        Ok(id)
    }

    pub(super) fn start_connect(&mut self, id: SocketId, address: SocketAddr) {
        let Ok(connection) = lookup(&mut self.connections, id) else { return };
        if connection.is_closing() {
            return;
        }
        let Some(socket) = &connection.socket else { return };
        let begun = self.operations.begin(Purpose::Connect { socket: id });
        connection.outgoing = Outgoing::Connecting;
        connection.armed_outgoing = Some(Armed::new(begun.index));
        // SAFETY: the operation is the kernel's until `connected` gets the outcome.
        let started = unsafe { self.api.connect_ex(socket, address, begun.overlapped) };
        let outcome = match started {
            Ok(Started::Done(_)) if connection.skips => Ok(()),
            Ok(_) => return,
            Err(code) => Err(code),
        };
        connection.armed_outgoing = None;
        self.operations.take_back(begun.index);
        self.connect_ended(id, outcome);
    }

    /// A connect has come back from the kernel.
    pub(super) fn connected(&mut self, id: SocketId, outcome: Outcome) -> Option<Completion> {
        let connection = lookup(&mut self.connections, id).ok()?;
        connection.armed_outgoing = None;
        self.connect_ended(id, outcome.failure.map_or(Ok(()), Err));
        self.finish_close(id);
        None
    }

    /// Makes the final completion of a connect.
    pub(super) fn connect_ended(&mut self, id: SocketId, outcome: Result<(), Code>) {
        let Ok(connection) = lookup(&mut self.connections, id) else { return };
        connection.outgoing = Outgoing::Idle;
        connection.cancel_outgoing = false;
        let outcome = outcome.and_then(|()| match &connection.socket {
            Some(socket) => self.api.update_connected(socket),
            None => Err(Code::ABORTED),
        });
        let closing = connection.is_closing();
        if !closing {
            connection.failure = outcome.err().filter(|code| !code.is_cancelled());
        }
        let result = outcome.map_err(|code| match closing {
            true => ConnectError::Cancelled,
            false => ConnectError::from(code),
        });
        self.started -= 1;
        self.done.push_back(Completion::Connected { socket: id, result });
    }
}
