//! Connecting.

use std::collections::BTreeMap;
use std::os::fd::AsRawFd;
use std::time::Duration;

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
use crate::ids::SocketId;
use crate::sys;

/// How soon a Unix socket whose queue was full is tried again: nothing tells when it has room, but to a
/// thread of the kernel for each that waits.
const FULL_RETRY: Duration = Duration::from_millis(10);

/// The address of a connect, which lies boxed until the kernel has taken its entry.
#[derive(Debug)]
pub(super) struct PeerAddress(SocketAddrAny);

/// Unix sockets that connect. They do not block meanwhile, so that a full queue is an answer.
#[derive(Debug, Default)]
pub(super) struct UnixConnects {
    to: BTreeMap<SocketId, Address>,
    /// Those that found the queue full, and wait.
    resting: Vec<SocketId>,
    tried_at: Time,
}

impl UnixConnects {
    /// When those that rest are tried again.
    pub(super) fn next_deadline(&self) -> Option<Time> {
        (!self.resting.is_empty()).then(|| self.tried_at + FULL_RETRY)
    }
}

impl Uring {
    pub(crate) fn connect(
        &mut self,
        socket: sys::Socket,
        address: Address,
    ) -> Result<SocketId, ConnectError> {
        if address.is_unix() {
            sys::adapt(&socket, true)?;
        }
        let shortage = ConnectError::Shortage(Errno::NOBUFS.raw_os_error());
        let to = sys::to_system(&address)?;
        let id = self.insert(socket).ok_or(shortage)?;
        self.operations += 1;
        self.stage_connect(id, to);
        if address.is_unix() {
            self.unix_connects.to.insert(id, address);
        }
        Ok(id)
    }

    fn stage_connect(&mut self, id: SocketId, to: SocketAddrAny) {
        let Ok(socket) = self.find(id) else { return };
        socket.send = Send::Connecting;
        let fd = Fd(socket.socket.as_raw_fd());
        let address = Box::new(PeerAddress(to));
        let entry = opcode::Connect::new(fd, address.0.as_ptr().cast(), address.0.addr_len());
        self.addresses.push(address);
        self.stage(entry.build(), Token::new(Kind::Connect, id));
    }

    pub(super) fn connected(&mut self, id: SocketId, outcome: Outcome) -> Option<Completion> {
        let found_full =
            outcome.checked() == Err(Errno::AGAIN) && self.unix_connects.to.contains_key(&id);
        let socket = self.find(id).ok()?;
        let quits = socket.closing.is_some();
        if found_full {
            if quits || socket.send_cancelled {
                self.connect_ended(id, Err(ConnectError::Cancelled));
            } else {
                self.rest_connect(id);
            }
            return None;
        }
        let result = match outcome.checked() {
            Ok(_) if quits => Err(ConnectError::Cancelled),
            Ok(_) => Ok(()),
            Err(errno) => {
                socket.failure = Some(errno).filter(|errno| *errno != Errno::CANCELED);
                Err(ConnectError::from(errno))
            }
        };
        self.connect_ended(id, result);
        None
    }

    fn connect_ended(&mut self, id: SocketId, result: Result<(), ConnectError>) {
        let was_unix = self.unix_connects.to.remove(&id).is_some();
        let Ok(socket) = self.find(id) else { return };
        socket.send = Send::Idle;
        socket.send_cancelled = false;
        if was_unix {
            // It fails only on what is no socket.
            let _ = sys::adapt(&socket.socket, false);
        }
        self.operations -= 1;
        self.ready.push_back(Completion::Connected { socket: id, result });
        self.finish_close(id);
    }

    fn rest_connect(&mut self, id: SocketId) {
        if let Ok(socket) = self.find(id) {
            socket.send = Send::Resting;
            self.unix_connects.resting.push(id);
        }
    }

    /// The end of a connect that rests was asked for: the kernel knows nothing of it.
    pub(super) fn cancel_resting(&mut self, id: SocketId) {
        self.unix_connects.resting.retain(|resting| *resting != id);
        self.connect_ended(id, Err(ConnectError::Cancelled));
    }

    /// Tries those again that found a queue full.
    pub(super) fn end_connect_rests(&mut self, now: Time) {
        if self.unix_connects.next_deadline().is_none_or(|due| due > now) {
            return;
        }
        self.unix_connects.tried_at = now;
        for id in std::mem::take(&mut self.unix_connects.resting) {
            let to = self.unix_connects.to.get(&id).and_then(|it| sys::to_system(it).ok());
            if let Some(to) = to {
                self.stage_connect(id, to);
            }
        }
    }
}
