//! Connecting.

use std::collections::BTreeMap;
use std::os::fd::AsRawFd;

use io_uring::opcode;
use io_uring::types::Fd;
use rustix::io::Errno;
use rustix::net::SocketAddrAny;

use super::Uring;
use super::ring::Outcome;
use super::socket::Send;
use super::token::{Kind, Token};
use crate::address::Address;
use crate::clock::Time;
use crate::completion::Completion;
use crate::error::ConnectError;
use crate::full_queues::FullQueues;
use crate::ids::SocketId;
use crate::sys;

/// The address of a connect, which lies boxed until the kernel has taken its entry.
#[derive(Debug)]
pub(super) struct PeerAddress(SocketAddrAny);

/// Unix sockets that connect. That is never under way: it happens at once, in a wait, or has no room.
#[derive(Debug, Default)]
pub(super) struct UnixConnects {
    to: BTreeMap<SocketId, Address>,
    /// For the next wait.
    staged: Vec<SocketId>,
    pub(super) full_queues: FullQueues,
}

impl Uring {
    pub(crate) fn connect(
        &mut self,
        socket: sys::Socket,
        address: Address,
    ) -> Result<SocketId, ConnectError> {
        let shortage = ConnectError::Shortage(Errno::NOBUFS.raw_os_error());
        if address.is_unix() {
            sys::adapt(&socket, true)?;
            let id = self.insert(socket).ok_or(shortage)?;
            self.unix_connects.to.insert(id, address);
            self.unix_connects.staged.push(id);
            self.set_connecting(id, Send::Unstarted);
            return Ok(id);
        }
        let fd = Fd(socket.as_raw_fd());
        let address = Box::new(PeerAddress(sys::to_system(&address)?));
        let id = self.insert(socket).ok_or(shortage)?;
        let entry = opcode::Connect::new(fd, address.0.as_ptr().cast(), address.0.addr_len());
        self.addresses.push(address);
        self.set_connecting(id, Send::Connecting);
        self.stage(entry.build(), Token::new(Kind::Connect, id));
        Ok(id)
    }

    fn set_connecting(&mut self, id: SocketId, how: Send) {
        if let Ok(socket) = self.find(id) {
            socket.send = how;
        }
        self.operations += 1;
    }

    pub(super) fn connected(&mut self, id: SocketId, outcome: Outcome) -> Option<Completion> {
        self.connect_ended(id, outcome.checked().map(|_| ()));
        None
    }

    fn connect_ended(&mut self, id: SocketId, outcome: Result<(), Errno>) {
        let Ok(socket) = self.find(id) else { return };
        socket.send = Send::Idle;
        socket.send_cancelled = false;
        let result = match outcome {
            Ok(()) if socket.closing.is_some() => Err(ConnectError::Cancelled),
            Ok(()) => Ok(()),
            Err(errno) => {
                socket.failure = Some(errno).filter(|errno| *errno != Errno::CANCELED);
                Err(ConnectError::from(errno))
            }
        };
        self.operations -= 1;
        self.ready.push_back(Completion::Connected { socket: id, result });
        self.finish_close(id);
    }

    /// Connects the Unix sockets that are staged.
    pub(super) fn connect_unix(&mut self) {
        if self.unix_connects.staged.is_empty() {
            return;
        }
        for id in std::mem::take(&mut self.unix_connects.staged) {
            let Some(address) = self.unix_connects.to.get(&id) else { continue };
            let Some(socket) = self.socket(id) else { continue };
            match sys::start_connect(socket, address) {
                Err(Errno::AGAIN) => self.unix_connects.full_queues.add(id),
                outcome => self.unix_connect_ended(id, outcome),
            }
        }
    }

    fn unix_connect_ended(&mut self, id: SocketId, outcome: Result<(), Errno>) {
        self.unix_connects.to.remove(&id);
        if let Some(socket) = self.socket(id) {
            // It fails only on what is no socket.
            let _ = sys::adapt(socket, false);
        }
        self.connect_ended(id, outcome);
    }

    /// The end of a connect was asked for that the kernel knows nothing of.
    pub(super) fn cancel_unstarted(&mut self, id: SocketId) {
        self.unix_connect_ended(id, Err(Errno::CANCELED));
    }

    /// Has the next wait try those again that found a queue full.
    pub(super) fn retry_connects(&mut self, now: Time) {
        let due = self.unix_connects.full_queues.take_due(now);
        self.unix_connects.staged.extend(due);
    }
}
