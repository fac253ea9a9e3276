//! Connections: two directions of bytes, and how each ends.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Duration;

/// A connection between two sockets, or between a client of the test's and a socket.
#[derive(Debug)]
pub(super) struct Link {
    /// The end that has connected, then the end that was connected to.
    pub(super) ends: [End; 2],
    pub(super) since: Duration,
}

/// What has come to one end of a connection.
#[derive(Debug)]
pub(super) struct End {
    pub(super) address: SocketAddr,
    /// The socket that this end is, while it is open and connected.
    pub(super) socket: Option<usize>,
    /// Sent by the other end and not received.
    pub(super) inbox: VecDeque<u8>,
    /// The other end has ended its stream.
    pub(super) is_ended: bool,
    /// The other end has reset the connection.
    pub(super) is_reset: bool,
    /// This end has ended its stream, and it was the first to do so: it has to wait in TIME_WAIT.
    pub(super) ended_first: bool,
}

/// One end of a link, by the number of the link.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Side {
    pub(super) link: usize,
    pub(super) end: usize,
}

impl Side {
    pub(super) const fn other(self) -> Self {
        Self { end: 1 - self.end, ..self }
    }
}

impl Link {
    pub(super) fn new(connecting: SocketAddr, listening: SocketAddr, since: Duration) -> Self {
        Self { ends: [End::new(connecting), End::new(listening)], since }
    }

    /// One end ends its stream.
    pub(super) fn finish(&mut self, end: usize) {
        let first = !self.ends[end].is_ended;
        let other = &mut self.ends[1 - end];
        if !std::mem::replace(&mut other.is_ended, true) {
            self.ends[end].ended_first = first;
        }
    }

    /// One end throws the connection away.
    pub(super) fn reset(&mut self, end: usize) {
        let other = &mut self.ends[1 - end];
        other.is_reset = true;
        other.inbox.clear();
    }
}

impl End {
    const fn new(address: SocketAddr) -> Self {
        Self {
            address,
            socket: None,
            inbox: VecDeque::new(),
            is_ended: false,
            is_reset: false,
            ended_first: false,
        }
    }

    /// Whether a receive would not wait.
    pub(super) fn is_readable(&self) -> bool {
        self.is_reset || self.is_ended || !self.inbox.is_empty()
    }
}
