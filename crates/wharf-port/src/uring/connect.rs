//! Connecting.

use std::net::SocketAddr;
use std::os::fd::AsRawFd;

use io_uring::opcode;
use io_uring::types::Fd;
use rustix::io::Errno;
use rustix::net::SocketAddrAny;

use super::Uring;
use super::ring::Outcome;
use super::socket::Send;
use super::token::{Kind, Token};
use crate::completion::Completion;
use crate::error::ConnectError;
use crate::ids::SocketId;
use crate::sys;

/// The address of a connect, which lies boxed until the kernel has taken its entry.
#[derive(Debug)]
pub(super) struct PeerAddress(SocketAddrAny);

impl Uring {
    pub(crate) fn connect(
        &mut self,
        socket: sys::Socket,
        address: SocketAddr,
    ) -> Result<SocketId, ConnectError> {
        let fd = Fd(socket.as_raw_fd());
        let shortage = ConnectError::Shortage(Errno::NOBUFS.raw_os_error());
        let id = self.insert(socket).ok_or(shortage)?;
        if let Ok(socket) = self.find(id) {
            socket.send = Send::Connecting;
        }
        let address = Box::new(PeerAddress(SocketAddrAny::from(address)));
        let entry = opcode::Connect::new(fd, address.0.as_ptr().cast(), address.0.addr_len());
        self.addresses.push(address);
        self.operations += 1;
        self.stage(entry.build(), Token::new(Kind::Connect, id));
        Ok(id)
    }

    pub(super) fn connected(&mut self, id: SocketId, outcome: Outcome) -> Option<Completion> {
        let socket = self.find(id).ok()?;
        socket.send = Send::Idle;
        socket.send_cancelled = false;
        let quits = socket.closing.is_some();
        let result = match outcome.checked() {
            Ok(_) if quits => Err(ConnectError::Cancelled),
            Ok(_) => Ok(()),
            Err(errno) => {
                socket.failure = Some(errno).filter(|errno| *errno != Errno::CANCELED);
                Err(ConnectError::from(errno))
            }
        };
        self.operations -= 1;
        self.ready.push_back(Completion::Connected { socket: id, result });
        self.finish_close(id);
        None
    }
}
