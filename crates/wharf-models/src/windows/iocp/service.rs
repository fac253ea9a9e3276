//! What all threads of a server share, and what each of its workers does.

use std::os::windows::io::OwnedSocket;

use super::overlapped_ex::OverlappedEx;
use super::port::{CompletionPort, Packet};
use super::session::{Counted, Session};
use super::session_table::{SessionId, SessionTable};
use super::{Operation, transfer};
use crate::ModelError;
use crate::windows::winsock::raw;

/// One port, one table.
pub(in crate::windows) struct Service {
    pub(in crate::windows) port: CompletionPort,
    pub(super) table: SessionTable,
    extension: Option<Box<dyn Extension>>,
}

/// What a server may have besides: sockets that come and go in another way.
pub(in crate::windows) trait Extension: Send + Sync {
    /// An operation is over that is neither a receive nor a send.
    fn completed(
        &self,
        service: &Service,
        operation: Operation,
        packet: &Packet,
    ) -> Result<(), ModelError>;

    /// A session has had its last packet. To drop it closes its socket.
    fn released(&self, service: &Service, session: Box<Session>);
}

impl Service {
    pub(in crate::windows) fn new(
        extension: Option<Box<dyn Extension>>,
    ) -> Result<Self, ModelError> {
        // As many threads run as there are processors, however many wait.
        let port = CompletionPort::open(0)?;
        Ok(Self { port, table: SessionTable::default(), extension })
    }

    /// A worker: takes what is finished and starts what comes next, forever.
    pub(in crate::windows) fn work(&self) -> Result<(), ModelError> {
        loop {
            let packet = self.port.take()?;
            // SAFETY: all operations of this port are started with one, in what lives until its packet has
            // come.
            let operation = unsafe { OverlappedEx::operation_of(packet.overlapped) };
            match operation {
                Operation::Receive | Operation::Send => {
                    // SAFETY: its count was kept for it, and a port gives each packet once.
                    let session = unsafe { Counted::of_packet(self, packet.key) };
                    let Some(session) = session else { continue };
                    if operation == Operation::Receive {
                        transfer::received(&session, packet.outcome);
                    } else {
                        transfer::sent(&session, packet.outcome);
                    }
                    // Here the count of the operation goes, and not before: whatever follows it has one of
                    // its own by now.
                }
                Operation::Accept { .. } | Operation::Disconnect => {
                    if let Some(extension) = &self.extension {
                        extension.completed(self, operation, &packet)?;
                    }
                }
            }
        }
    }

    /// Begins with a connection.
    pub(in crate::windows) fn open(&self, socket: OwnedSocket) -> Result<(), ModelError> {
        self.open_session(Session::new(socket))
    }

    /// Begins with a connection whose session was made in advance.
    pub(in crate::windows) fn open_session(
        &self,
        mut session: Box<Session>,
    ) -> Result<(), ModelError> {
        let is_associated = std::mem::replace(&mut session.is_associated, true);
        let session = Counted::first(self, session);
        if !is_associated {
            self.port.associate(raw(&session.socket), session.key())?;
        }
        transfer::receive(&session, &mut session.receiving());
        Ok(())
    }

    /// The code of those who use a server: it is told that bytes have come, and sends to whom it likes, by
    /// id. How many of the bytes are dealt with; what is left comes again when the queue of the session has
    /// room.
    pub(super) fn on_received(&self, id: SessionId, bytes: &[u8]) -> usize {
        self.send(id, bytes)
    }

    /// Sends to a session, from any thread: how many bytes its queue has taken. Those for a session that has
    /// gone are gone too.
    pub(super) fn send(&self, id: SessionId, bytes: &[u8]) -> usize {
        Counted::find(self, id).map_or(bytes.len(), |session| transfer::send(&session, bytes))
    }

    pub(super) fn released(&self, session: Box<Session>) {
        if let Some(extension) = &self.extension {
            extension.released(self, session);
        }
    }
}
