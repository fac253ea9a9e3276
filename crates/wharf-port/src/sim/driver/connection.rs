//! What is kept for a socket.

use std::collections::VecDeque;

use crate::buffer::{Lease, Segment};
use crate::completion::Received;
use crate::error::ReceiveError;
use crate::sim::world::EndId;

/// A socket and its two operations.
#[derive(Debug)]
pub(super) struct Connection {
    pub(super) end: EndId,
    pub(super) staged: bool,
    pub(super) incoming: Incoming,
    /// Nothing is delivered, whether or not a receive is started.
    pub(super) paused: bool,
    /// The receive as the kernel has it.
    pub(super) receive: InKernel,
    /// It waits for a buffer.
    pub(super) parked: bool,
    /// What came during a pause, and how it ended if it did.
    pub(super) late: VecDeque<Lease>,
    pub(super) late_end: Option<Received>,
    /// A failure that a send or a receive has met: the kernel may tell it once, and then call it the end
    /// of the stream.
    pub(super) failure: Option<ReceiveError>,
    pub(super) outgoing: Outgoing,
    /// The send as the kernel has it, or the cancel of a connect.
    pub(super) send: InKernel,
    pub(super) cancel_outgoing: bool,
    pub(super) closing: Closing,
    /// Closing it resets the connection.
    pub(super) reset: bool,
}

/// One operation as the kernel has it.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct InKernel {
    /// Its number, if it is there.
    pub(super) armed: Option<u32>,
    /// A cancel is on its way to it.
    pub(super) cancelling: bool,
}

impl InKernel {
    const NONE: Self = Self { armed: None, cancelling: false };

    /// An operation that has just been armed.
    pub(super) const fn armed(number: u32) -> Self {
        Self { armed: Some(number), ..Self::NONE }
    }
}

/// The receive.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Incoming {
    Idle,
    Started,
    /// Somebody has asked for its end.
    Cancelled,
    /// The final completion is made and not taken.
    Ended,
}

/// The send or the connect.
#[derive(Debug)]
pub(super) enum Outgoing {
    Idle,
    /// To be started by the next wait.
    Connect,
    Connecting,
    Sending(Sending),
    /// The final completion is made and not taken.
    Ended,
}

/// A send in flight.
#[derive(Debug)]
pub(super) struct Sending {
    pub(super) segments: Vec<Segment>,
    /// The first segment that has not gone.
    pub(super) first: usize,
    pub(super) started: bool,
    /// Its segments are memory of its own.
    pub(super) detached: bool,
}

/// How far a close has come.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Closing {
    No,
    Asked,
    /// The descriptor is closed and the operations are not back.
    DescriptorClosed,
    /// The final completion is made and not taken.
    Ended,
}

impl Connection {
    pub(super) const fn new(end: EndId, outgoing: Outgoing) -> Self {
        Self {
            end,
            staged: false,
            incoming: Incoming::Idle,
            paused: false,
            receive: InKernel::NONE,
            parked: false,
            late: VecDeque::new(),
            late_end: None,
            failure: None,
            outgoing,
            send: InKernel::NONE,
            cancel_outgoing: false,
            closing: Closing::No,
            reset: false,
        }
    }

    pub(super) fn is_closing(&self) -> bool {
        self.closing != Closing::No
    }

    /// Whether a receive is under way.
    pub(super) const fn is_receiving(&self) -> bool {
        matches!(self.incoming, Incoming::Started | Incoming::Cancelled)
    }

    /// Whether the receive is to go on.
    pub(super) fn wants_to_receive(&self) -> bool {
        self.incoming == Incoming::Started && !self.is_closing()
    }

    /// Whether what is received now has to wait: for the resume, or behind what has waited and is not
    /// delivered yet.
    pub(super) fn has_to_wait(&self) -> bool {
        self.paused || !self.late.is_empty()
    }

    /// Whether a send or a connect is under way.
    pub(super) const fn is_outgoing(&self) -> bool {
        matches!(self.outgoing, Outgoing::Connect | Outgoing::Connecting | Outgoing::Sending(_))
    }

    /// Whether the send or the connect is to go on.
    pub(super) fn wants_outgoing(&self) -> bool {
        !self.cancel_outgoing && !self.is_closing()
    }
}
