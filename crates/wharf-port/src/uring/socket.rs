//! What the backend knows of one socket. Small, since there are a hundred thousand: an idle one
//! owns no buffer.

use std::collections::VecDeque;

use rustix::io::Errno;

use super::Uring;
use super::quiet::Watch;
use crate::buffer::{Lease, Segment};
use crate::completion::Received;
use crate::error::UnknownSocket;
use crate::ids::SocketId;
use crate::sys;

#[derive(Debug)]
pub(super) struct Socket {
    pub(super) socket: sys::Socket,
    pub(super) receive: Receive,
    pub(super) send: Send,
    /// The end of the send was asked for.
    pub(super) send_cancelled: bool,
    pub(super) closing: Option<Closing>,
    /// What a send or a connect has met. The kernel tells each failure once, and would call it the end
    /// of the stream when the receive comes to it.
    pub(super) failure: Option<Errno>,
    /// Closing is to reset the connection.
    pub(super) resets: bool,
    /// What came while the receive was paused, in order.
    pub(super) late: Option<Box<Late>>,
    /// What is being sent.
    pub(super) segments: Vec<Segment>,
    /// The first segment that has not gone.
    pub(super) first: u32,
    /// Bytes that the operation in the kernel was given.
    pub(super) staged_bytes: u32,
    /// Tells the last try from those before it.
    pub(super) try_number: u32,
}

/// The receive of a socket.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(super) struct Receive {
    /// It was started and has had no final completion.
    pub(super) started: bool,
    /// The kernel has it.
    pub(super) armed: bool,
    /// It waits for a buffer.
    pub(super) parked: bool,
    pub(super) paused: bool,
    /// Its end was asked for by a cancel.
    pub(super) cancelled: bool,
    /// It stands in the line of those with late bytes to deliver.
    pub(super) resumed: bool,
    pub(super) watch: Watch,
}

/// The send, or the connect, of a socket.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Send {
    Idle,
    /// Goes into the kernel as a try, which is finished when the kernel returns.
    Tried,
    /// In the kernel until the peer has made room.
    Waiting,
    Connecting,
    /// A connect that is not in the kernel.
    Unstarted,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Closing {
    /// Its operations are coming back.
    Joining,
    /// They have come back, and `Closed` is made.
    Joined,
}

/// Bytes and the end that came late.
#[derive(Debug, Default)]
pub(super) struct Late {
    pub(super) bytes: VecDeque<Lease>,
    pub(super) end: Option<Received>,
}

impl Socket {
    pub(super) const fn new(socket: sys::Socket) -> Self {
        Self {
            socket,
            receive: Receive {
                started: false,
                armed: false,
                parked: false,
                paused: false,
                cancelled: false,
                resumed: false,
                watch: Watch::Off,
            },
            send: Send::Idle,
            send_cancelled: false,
            closing: None,
            failure: None,
            resets: false,
            late: None,
            segments: Vec::new(),
            first: 0,
            staged_bytes: 0,
            try_number: 0,
        }
    }

    pub(super) fn unsent(&mut self) -> &mut [Segment] {
        &mut self.segments[self.first as usize..]
    }
}

impl Uring {
    #[inline]
    pub(super) fn find(&mut self, id: SocketId) -> Result<&mut Socket, UnknownSocket> {
        self.sockets.get_mut(id.slot(), id.generation()).ok_or(UnknownSocket)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_socket_is_small() {
        assert!(size_of::<Socket>() <= 64, "{} bytes", size_of::<Socket>());
    }
}
