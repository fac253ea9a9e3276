//! A connection: what the kernel is doing for it, and what waits to be sent.

use std::mem;
use std::ops::{Index, IndexMut};

use crate::outgoing::Outgoing;

/// Bytes copied out for a slow reader above which it is not read any more. At half of that, it is
/// read again.
const WAITING_BYTES_MAX: usize = 256 * 1024;

/// What the one send of a connection carries.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) enum InFlight {
    /// There is none.
    #[default]
    Nothing,
    /// The pieces in [`Connection::outgoing`].
    Pieces,
    /// The same, and no completion comes if all were sent at once.
    PiecesUnconfirmed,
    /// The bytes in [`Cold::flight`].
    Copy,
}

/// One connection. Fits one cache line: of the many, each turn touches a few.
#[derive(Debug, Default)]
#[repr(align(64))]
pub(crate) struct Connection {
    pub(crate) descriptor: i32,
    pub(crate) in_flight: InFlight,
    /// There is a connection in this slot.
    pub(crate) alive: bool,
    /// The multishot receive is armed.
    pub(crate) receiving: bool,
    /// It is being cancelled.
    pub(crate) cancelling: bool,
    /// It waits in the queue of those that found no buffer.
    pub(crate) parked: bool,
    /// A send is to be staged at the end of the turn.
    pub(crate) dirty: bool,
    /// The peer has finished sending.
    pub(crate) ended: bool,
    /// A shutdown is under way.
    pub(crate) shutting_down: bool,
    /// Nothing can be sent any more; closed as soon as the kernel lets go of it.
    pub(crate) broken: bool,
    /// Pieces to send. Unchanged while they are in flight.
    pub(crate) outgoing: Outgoing,
    /// What only few connections need.
    pub(crate) cold: Option<Box<Cold>>,
}

const _: () = assert!(size_of::<Connection>() == 64);

/// What a connection needs once it has seen half a frame or a full socket.
#[derive(Debug, Default)]
pub(crate) struct Cold {
    /// The beginning of a frame whose rest has not arrived.
    pub(crate) half: Vec<u8>,
    /// Bytes copied out, to be sent after `flight`.
    backlog: Vec<u8>,
    /// Bytes copied out that are being sent. Unchanged while in flight.
    flight: Vec<u8>,
    flight_sent: usize,
}

impl Cold {
    fn waiting_bytes(&self) -> usize {
        self.flight.len() - self.flight_sent + self.backlog.len()
    }
}

impl Connection {
    pub(crate) fn cold(&mut self) -> &mut Cold {
        self.cold.get_or_insert_default()
    }

    /// Whether copied-out bytes wait to be sent.
    pub(crate) fn has_waiting_bytes(&self) -> bool {
        self.cold.as_ref().is_some_and(|cold| cold.waiting_bytes() > 0)
    }

    /// Whether anything waits to be sent or is being sent.
    pub(crate) fn has_unsent(&self) -> bool {
        !self.outgoing.is_empty() || self.has_waiting_bytes()
    }

    /// Whether so much waits that the peer should not be read for now.
    pub(crate) fn is_too_slow(&self) -> bool {
        self.cold.as_ref().is_some_and(|cold| cold.waiting_bytes() > WAITING_BYTES_MAX)
    }

    /// Whether little enough waits to read again.
    pub(crate) fn can_read_again(&self) -> bool {
        self.cold.as_ref().is_none_or(|cold| cold.waiting_bytes() <= WAITING_BYTES_MAX / 2)
    }

    /// Appends a copy behind everything that waits.
    pub(crate) fn copy_behind(&mut self, bytes: &[u8]) {
        self.cold().backlog.extend_from_slice(bytes);
    }

    /// Puts the unsent rest of the pieces before what waits.
    pub(crate) fn put_before(&mut self, mut rest: Vec<u8>) {
        let backlog = &mut self.cold().backlog;
        rest.append(backlog);
        *backlog = rest;
    }

    /// The copied-out bytes to send next; none if nothing waits.
    pub(crate) fn next_flight(&mut self) -> Option<&[u8]> {
        assert!(self.in_flight == InFlight::Nothing, "what is in flight stays where it is");
        let cold = self.cold.as_deref_mut()?;
        if cold.flight_sent == cold.flight.len() {
            cold.flight.clear();
            cold.flight_sent = 0;
            mem::swap(&mut cold.flight, &mut cold.backlog);
        }
        let rest = &cold.flight[cold.flight_sent..];
        (!rest.is_empty()).then_some(rest)
    }

    /// Notes that so many bytes of the flight have been sent.
    pub(crate) fn flight_sent(&mut self, sent: usize) {
        let cold = self.cold();
        cold.flight_sent += sent;
        assert!(cold.flight_sent <= cold.flight.len(), "no more is sent than was given");
    }
}

/// All connections, by index. An index is reused only after every operation of its connection has
/// completed, so no completion names the wrong one.
#[derive(Debug, Default)]
pub(crate) struct Connections {
    slots: Vec<Connection>,
    free: Vec<u32>,
}

impl Connections {
    pub(crate) fn insert(&mut self, descriptor: i32) -> u32 {
        let connection = Connection { descriptor, alive: true, ..Connection::default() };
        if let Some(index) = self.free.pop() {
            self[index] = connection;
            return index;
        }
        self.slots.push(connection);
        // No truncation: there are fewer connections than descriptors.
        (self.slots.len() - 1) as u32
    }

    pub(crate) fn remove(&mut self, index: u32) {
        self[index] = Connection::default();
        self.free.push(index);
    }

    /// How many slots there are, connections in them or not.
    pub(crate) fn slots(&self) -> u32 {
        // No truncation: there are fewer connections than descriptors.
        self.slots.len() as u32
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.slots.len() == self.free.len()
    }
}

impl Index<u32> for Connections {
    type Output = Connection;

    fn index(&self, index: u32) -> &Connection {
        &self.slots[index as usize]
    }
}

impl IndexMut<u32> for Connections {
    fn index_mut(&mut self, index: u32) -> &mut Connection {
        &mut self.slots[index as usize]
    }
}
