//! What is kept for a socket.

use std::collections::VecDeque;
use std::net::SocketAddr;

use super::code::Code;
use super::send::Sending;
use crate::buffer::Lease;
use crate::completion::Received;

/// A socket, its two operations, and what the kernel has of them. Idle ones are many, so it is small
/// and owns no buffer.
#[derive(Debug)]
pub(super) struct Connection<S> {
    /// `None` when it is closed and its operations are coming back.
    pub(super) socket: Option<S>,
    /// What is done at once has no packet.
    pub(super) skips: bool,
    pub(super) closing: Closing,
    /// Closing it resets the connection.
    pub(super) reset: bool,
    pub(super) staged: bool,
    pub(super) incoming: Incoming,
    /// Nothing is delivered, whether or not a receive is started.
    pub(super) paused: bool,
    /// The receive that the kernel has.
    pub(super) armed: Option<Armed>,
    /// There is something to receive: the next one need not be waited for.
    pub(super) readable: bool,
    pub(super) in_line: bool,
    /// It has received since it was last idle: its next receive gets a buffer.
    pub(super) busy: bool,
    /// It stands in the line of those with late bytes to deliver.
    pub(super) resumed: bool,
    /// What came while the receive was paused, in order, or came with the accept.
    pub(super) late: Option<Box<Late>>,
    pub(super) outgoing: Outgoing,
    /// The end of the send, or of the connect, was asked for.
    pub(super) cancel_outgoing: bool,
    /// The send, or the connect, that the kernel has.
    pub(super) armed_outgoing: Option<Armed>,
    /// What a send or a connect has met.
    pub(super) failure: Option<Code>,
    /// An `AcceptEx` has made the connection: the socket can serve another one.
    pub(super) was_accepted: bool,
    /// Who has ended its stream first, and waits in TIME_WAIT.
    pub(super) ended: Option<Ended>,
}

/// An operation that the kernel has.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Armed {
    pub(super) index: u32,
    /// Its end was asked for.
    pub(super) cancelled: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Closing {
    No,
    Asked,
    /// `Closed` is made and not taken.
    Joined,
}

/// One of the two ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Ended {
    We,
    Peer,
}

/// The receive.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Incoming {
    Idle,
    Started,
    /// To be ended.
    Cancelled,
}

/// The send or the connect.
#[derive(Debug)]
pub(super) enum Outgoing {
    Idle,
    /// To be started by the next wait. Boxed, to keep the many small that never connect.
    Connect(Box<SocketAddr>),
    Connecting,
    Sending(Sending),
}

/// Bytes and the end that came late.
#[derive(Debug, Default)]
pub(super) struct Late {
    pub(super) bytes: VecDeque<Lease>,
    pub(super) end: Option<Received>,
}

impl Armed {
    pub(super) const fn new(index: u32) -> Self {
        Self { index, cancelled: false }
    }
}

impl<S> Connection<S> {
    pub(super) const fn new(socket: S, skips: bool, outgoing: Outgoing) -> Self {
        Self {
            socket: Some(socket),
            skips,
            closing: Closing::No,
            reset: false,
            staged: false,
            incoming: Incoming::Idle,
            paused: false,
            armed: None,
            readable: false,
            in_line: false,
            busy: false,
            resumed: false,
            late: None,
            outgoing,
            cancel_outgoing: false,
            armed_outgoing: None,
            failure: None,
            was_accepted: false,
            ended: None,
        }
    }

    pub(super) fn is_closing(&self) -> bool {
        self.closing != Closing::No
    }

    /// Whether somebody wants what there is to receive.
    pub(super) fn is_wanted(&self) -> bool {
        self.incoming == Incoming::Started && !self.paused && !self.is_closing()
    }

    /// Whether what comes has to wait: for the end of a pause, or behind what waits already.
    pub(super) fn has_to_wait(&self) -> bool {
        self.paused || self.late.is_some()
    }

    /// Whether a receive is to be given to the kernel.
    pub(super) fn wants_to_arm(&self) -> bool {
        self.is_wanted() && self.armed.is_none() && !self.readable && self.late.is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_idle_connection_is_small() {
        let bytes = size_of::<Connection<usize>>();
        assert!(bytes <= 112, "{bytes} bytes");
    }
}
