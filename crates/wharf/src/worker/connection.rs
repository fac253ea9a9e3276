//! What a worker knows of one session, besides the user's handler.

use std::collections::VecDeque;

use wharf_port::{Lease, SocketId, Time, TimerId};

use super::rates::Used;
use super::timer_table::TimerList;
use crate::admission::Seat;
use crate::close_reason::CloseReason;
use crate::framing::ReceiveBuffer;
use crate::group::Memberships;
use crate::send_queue::SendQueue;

/// Where a session stands. It only ever moves downwards.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum State {
    /// There is no session yet: a proxy has still to say whose connection it is.
    Announcing,
    /// Frames are received and sent.
    Open,
    /// Nothing more is taken in; what is queued is still sent.
    Flushing,
    /// Everything has been sent, and the peer has been told; its own end of stream is awaited.
    HalfClosed,
    /// The port closes the socket and joins its operations; then the session is gone.
    Terminating,
}

/// How far the peer's stream is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum PeerStream {
    Open,
    /// It has ended, and what was received before may have to be delivered first.
    Ended,
    /// The session has been told so.
    EndTold,
}

/// How far this side's own stream is, as long as its session is open.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Sending {
    Open,
    /// Nothing more is queued; the stream ends behind what is.
    Ending,
    /// The peer has been told.
    Ended,
}

/// What a session has received and sent since it began. Added to once for all that a completion brought, and for
/// the last frame of a stream.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Traffic {
    pub(crate) received_bytes: u64,
    pub(crate) received_frames: u64,
    pub(crate) sent_bytes: u64,
}

/// The I/O state of one session. Small: an idle one has no buffer, no queue, and one timer.
#[derive(Debug)]
pub(crate) struct Connection {
    pub(crate) socket: SocketId,
    pub(crate) state: State,
    pub(crate) peer_stream: PeerStream,
    pub(crate) sending: Sending,
    /// It stands in the list of those with something to send.
    pub(crate) dirty: bool,
    /// It stands in the list of those with received bytes to work on.
    pub(crate) in_backlog: bool,
    /// Nothing is received, since its queue is full.
    pub(crate) slow: bool,
    /// Nothing is received, since it has sent more than it may.
    pub(crate) throttled: bool,
    /// Nothing is received, since more lies here than one turn allows.
    pub(crate) glutted: bool,
    /// Nothing is received, since its user wants nothing for now.
    pub(crate) paused: bool,
    /// The queue was full, and `on_writable` is due when it no longer is.
    pub(crate) was_full: bool,
    /// A frame has been received.
    pub(crate) greeted: bool,
    /// What is left of its share of the turn below.
    pub(crate) frames_left: u8,
    pub(crate) bytes_left: u32,
    pub(crate) turn: u32,
    pub(crate) queue: SendQueue,
    /// The bytes of its queue that its worker has counted.
    pub(crate) counted: usize,
    /// The beginning of a frame.
    pub(crate) half: Option<Box<ReceiveBuffer>>,
    /// Received bytes that have not been worked on.
    #[expect(clippy::box_collection, reason = "sessions are many, and few have it")]
    pub(crate) held: Option<Box<VecDeque<Lease>>>,
    pub(crate) groups: Memberships,
    /// Those that the user has started.
    pub(crate) timers: TimerList,
    /// When its queue became full.
    pub(crate) full_since: Time,
    /// When the send in flight began.
    pub(crate) send_since: Time,
    /// What it has used of its rates.
    pub(super) used: Used,
    pub(crate) opened: Time,
    pub(crate) last_receive: Time,
    pub(crate) traffic: Traffic,
    /// When the half frame began, or the present state of closing.
    pub(crate) since: Time,
    /// For its deadlines.
    pub(crate) timer: Option<TimerId>,
    pub(crate) reason: Option<Box<CloseReason>>,
    /// Its place among the sessions that the server allows.
    pub(crate) seat: Seat,
}

impl Connection {
    pub(crate) fn new(socket: SocketId, seat: Seat, queue: SendQueue, now: Time) -> Self {
        Self {
            socket,
            state: State::Open,
            peer_stream: PeerStream::Open,
            sending: Sending::Open,
            dirty: false,
            in_backlog: false,
            slow: false,
            throttled: false,
            glutted: false,
            paused: false,
            was_full: false,
            greeted: false,
            turn: 0,
            frames_left: 0,
            bytes_left: 0,
            queue,
            counted: 0,
            half: None,
            held: None,
            groups: Memberships::default(),
            timers: TimerList::default(),
            full_since: now,
            send_since: now,
            used: Used::NOTHING,
            opened: now,
            last_receive: now,
            traffic: Traffic::default(),
            since: now,
            timer: None,
            reason: None,
            seat,
        }
    }

    /// Whether the peer has ended its stream.
    pub(crate) fn peer_has_ended(&self) -> bool {
        self.peer_stream != PeerStream::Open
    }

    /// Whether something can be queued.
    #[inline]
    pub(crate) fn takes_frames(&self) -> bool {
        self.state == State::Open && self.sending == Sending::Open
    }

    /// Whether received bytes must wait behind others of this session.
    pub(crate) fn holds(&self) -> bool {
        self.held.as_ref().is_some_and(|held| !held.is_empty())
    }

    pub(crate) fn held_bytes(&self) -> usize {
        self.held.iter().flat_map(|held| held.iter()).map(|lease| lease.len()).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_is_small() {
        assert!(size_of::<Connection>() <= 264, "{} bytes", size_of::<Connection>());
    }
}
