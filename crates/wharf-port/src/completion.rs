//! What a completion port gives back.

use std::time::Duration;

use crate::buffer::{Lease, Segment};
use crate::error::{AcceptError, ConnectError, ReceiveError, SendError};
use crate::ids::{ListenerId, SocketId, TimerId};
use crate::socket::FreshSocket;

/// A result that a completion port gives to its worker.
#[derive(Debug)]
#[non_exhaustive]
pub enum Completion {
    /// A listener has a connection; more will come.
    Accepted {
        /// The listener.
        listener: ListenerId,
        /// The connection: adopt it here, hand it to another port's thread, or drop it to close it.
        socket: FreshSocket,
    },
    /// Accepting has stopped for lack of something, and goes on by itself; more will come.
    AcceptDelayed {
        /// The listener.
        listener: ListenerId,
        /// What was lacking.
        cause: AcceptError,
        /// How long the listener rests: 10 ms, doubled up to 1 s for as long as it fails.
        retry_after: Duration,
    },
    /// A listener has closed; the final completion of accepting. What had been waiting in its queue
    /// was delivered before.
    ListenerClosed {
        /// The listener.
        listener: ListenerId,
    },
    /// A connect has ended; its final completion. The socket is there either way, until it is closed.
    Connected {
        /// The socket.
        socket: SocketId,
        /// Whether it is connected.
        result: Result<(), ConnectError>,
    },
    /// A receive has something; final unless it is [`Received::Data`].
    Received {
        /// The socket.
        socket: SocketId,
        /// What came.
        what: Received,
    },
    /// A send has ended; its final completion.
    Sent {
        /// The socket.
        socket: SocketId,
        /// What was handed over, whether or not it has gone; bytes that have gone are left out.
        segments: Vec<Segment>,
        /// Whether all of it has gone to the kernel.
        result: Result<(), SendError>,
    },
    /// A socket is closed: all of its operations have come back, and its name is void.
    Closed {
        /// The socket.
        socket: SocketId,
    },
    /// A timer has fired; its final completion.
    Timer {
        /// The timer.
        timer: TimerId,
        /// What it was started with.
        token: u64,
    },
    /// The port was woken by a [`Waker`](crate::Waker).
    Wake,
}

/// What a receive has.
#[derive(Debug)]
pub enum Received {
    /// Bytes, at least one; more will come.
    Data(Lease),
    /// The peer has ended its stream; nothing more will come.
    End,
    /// The connection failed; nothing more will come.
    Failed(ReceiveError),
    /// The receive was cancelled, or its socket closed; nothing more will come.
    Cancelled,
}

/// Which operation of a socket is meant.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Direction {
    /// The receive.
    Receive,
    /// The send, or the connect.
    Send,
}
