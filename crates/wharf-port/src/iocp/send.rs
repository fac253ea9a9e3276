//! Sending: tried first, and left with the kernel when there is no room.
//!
//! A try copies what there is room for and is done when it returns. What is left, or is large, is sent by an
//! overlapped operation, gathered, one at a time, so that nothing is reordered; received bytes are
//! copied before that, so that no slow reader keeps a buffer of the pool.

use super::api::{Slice, Started};
use super::connection::{Armed, Connection, Ended, Outgoing};
use super::operation::{Outcome, Purpose};
use super::{Api, Code, GATHER_MAX, Iocp, lookup};
use crate::buffer::{Segment, advance_all};
use crate::completion::Completion;
use crate::error::{SendError, UnknownSocket};
use crate::ids::SocketId;

/// Calls that one send makes in a wait: a peer that reads as fast as we send must not keep the others
/// waiting.
const CALLS_MAX: u32 = 16;

/// Bytes that are worth a try. A try copies all that it takes, and Windows takes all as soon as there is
/// any room: a slow reader would hide megabytes in the kernel. More than this is sent from where it
/// lies.
const TRY_MAX: usize = 64 << 10;

/// A send in flight.
#[derive(Debug)]
pub(super) struct Sending {
    segments: Vec<Segment>,
    /// The first segment that has not gone.
    first: usize,
    /// It was not finished by the wait that started it, and keeps no buffer of the pool.
    detached: bool,
}

/// How far a send has come.
enum Progress {
    /// The kernel has the rest.
    Waits,
    /// It goes on with the next wait.
    GoesOn,
    Over(Result<(), Code>),
}

impl<A: Api> Iocp<A> {
    pub(crate) fn send(
        &mut self,
        id: SocketId,
        segments: Vec<Segment>,
    ) -> Result<(), UnknownSocket> {
        let connection = lookup(&mut self.connections, id)?;
        assert!(!connection.is_closing(), "send on {id:?}, which is closing");
        connection.assert_no_send(id);
        connection.outgoing = Outgoing::Sending(Sending { segments, first: 0, detached: false });
        self.started += 1;
        self.stage(id)
    }

    pub(crate) fn shutdown(&mut self, id: SocketId) -> Result<(), UnknownSocket> {
        let connection = lookup(&mut self.connections, id)?;
        if let Some(socket) = connection.socket.as_ref().filter(|_| !connection.is_closing()) {
            connection.assert_no_send(id);
            self.api.end_sending(socket);
            connection.ended = connection.ended.or(Some(Ended::We));
        }
        Ok(())
    }

    /// Starts what is to be sent or connected, or goes on with it.
    pub(super) fn start_outgoing(&mut self, id: SocketId) {
        let Ok(connection) = lookup(&mut self.connections, id) else { return };
        if connection.armed_outgoing.is_some() {
            return;
        }
        match &connection.outgoing {
            Outgoing::Connect(address) => {
                let address = **address;
                self.start_connect(id, address);
            }
            Outgoing::Sending(_) => self.go_on_sending(id),
            Outgoing::Idle | Outgoing::Connecting => {}
        }
    }

    fn go_on_sending(&mut self, id: SocketId) {
        for _ in 0..CALLS_MAX {
            match self.send_some(id) {
                Progress::GoesOn => {}
                Progress::Waits => return,
                Progress::Over(result) => return self.send_ended(id, result),
            }
        }
        // Buffers of the pool are kept for one wait and not longer.
        self.detach(id);
        let _ = self.stage(id);
    }

    /// Hands to the kernel what it takes in one call, or all that one operation takes.
    fn send_some(&mut self, id: SocketId) -> Progress {
        let Ok(connection) = lookup(&mut self.connections, id) else { return Progress::Waits };
        // What is closed in the same turn is tried, and not left with a kernel that is to give it back.
        let closes = connection.is_closing();
        let Outgoing::Sending(sending) = &mut connection.outgoing else { return Progress::Waits };
        let Some(socket) = &connection.socket else { return Progress::Waits };
        if sending.is_done() {
            return Progress::Over(Ok(()));
        }
        let (slices, count) = sending.slices();
        let bytes: usize = slices[..count].iter().map(|slice| slice.len as usize).sum();
        if bytes > TRY_MAX && !closes {
            self.detach(id);
            return self.send_overlapped(id);
        }
        // SAFETY: the slices lie in `segments`, which nobody changes during the call.
        match unsafe { self.api.send_now(socket, &slices[..count]) } {
            Ok(bytes) => {
                sending.advance(bytes);
                Progress::GoesOn
            }
            Err(Code::WOULD_BLOCK | Code::NO_BUFFERS) if !closes => {
                self.detach(id);
                self.send_overlapped(id)
            }
            Err(code) => Progress::Over(Err(code)),
        }
    }

    /// Leaves what there is no room for with the kernel.
    fn send_overlapped(&mut self, id: SocketId) -> Progress {
        let Ok(connection) = lookup(&mut self.connections, id) else { return Progress::Waits };
        let Outgoing::Sending(sending) = &mut connection.outgoing else { return Progress::Waits };
        let Some(socket) = &connection.socket else { return Progress::Waits };
        let (slices, count) = sending.slices();
        let begun = self.operations.begin(Purpose::Send { socket: id });
        connection.armed_outgoing = Some(Armed::new(begun.index));
        // SAFETY: the slices lie in `segments`, which stay as they are until `sent` gets the outcome: the
        // connection says that a send is with the kernel, and a closed one waits for it.
        let started = unsafe { self.api.send(socket, &slices[..count], begun.overlapped) };
        match started {
            Ok(Started::Pending) => Progress::Waits,
            Ok(Started::Done(_)) if !connection.skips => Progress::Waits,
            Ok(Started::Done(bytes)) => {
                connection.armed_outgoing = None;
                sending.advance(bytes as usize);
                self.operations.take_back(begun.index);
                Progress::GoesOn
            }
            Err(code) => {
                connection.armed_outgoing = None;
                self.operations.take_back(begun.index);
                Progress::Over(Err(code))
            }
        }
    }

    /// Copies what lies in the pool's buffers, so that other connections can use them.
    fn detach(&mut self, id: SocketId) {
        let Ok(connection) = lookup(&mut self.connections, id) else { return };
        let Outgoing::Sending(sending) = &mut connection.outgoing else { return };
        if !std::mem::replace(&mut sending.detached, true) {
            sending.segments.iter_mut().for_each(Segment::detach);
            self.stats.short_sends += 1;
        }
    }

    /// A send has come back from the kernel.
    pub(super) fn sent(&mut self, id: SocketId, outcome: Outcome) -> Option<Completion> {
        let connection = lookup(&mut self.connections, id).ok()?;
        connection.armed_outgoing = None;
        if let Outgoing::Sending(sending) = &mut connection.outgoing {
            // What a cancelled one has sent counts as well.
            sending.advance(outcome.bytes as usize);
        }
        match outcome.failure {
            Some(code) => self.send_ended(id, Err(code)),
            None if connection.is_closing() || connection.cancel_outgoing => {
                self.send_ended(id, Err(Code::ABORTED));
            }
            None => {
                let _ = self.stage(id);
            }
        }
        self.finish_close(id);
        None
    }

    /// Makes the final completion of a send. One that has nothing left has succeeded, whatever was
    /// asked of it meanwhile; after a close every failure means that it was cancelled.
    pub(super) fn send_ended(&mut self, socket: SocketId, result: Result<(), Code>) {
        let Ok(connection) = lookup(&mut self.connections, socket) else { return };
        let closing = connection.is_closing();
        connection.cancel_outgoing = false;
        let outgoing = std::mem::replace(&mut connection.outgoing, Outgoing::Idle);
        let Outgoing::Sending(sending) = outgoing else { return };
        let result = if sending.is_done() { Ok(()) } else { result };
        if let Err(code) = result {
            // The receive has to report what has become of the connection, and nothing else.
            let told = !closing && code.ends_a_connection() && code != Code::SHUTDOWN;
            connection.failure = told.then_some(code).or(connection.failure);
        }
        let result = result.map_err(|code| match closing {
            true => SendError::Cancelled,
            false => SendError::from(code),
        });
        self.started -= 1;
        self.done.push_back(Completion::Sent { socket, segments: sending.segments, result });
    }
}

impl<S> Connection<S> {
    pub(super) fn assert_no_send(&self, id: SocketId) {
        let idle = matches!(self.outgoing, Outgoing::Idle);
        assert!(idle, "{id:?} has a send or a connect in flight");
    }
}

impl Sending {
    /// The next of what has not gone, as the calls want it, and how many.
    fn slices(&self) -> ([Slice; GATHER_MAX], usize) {
        let mut slices = [Slice { start: std::ptr::null(), len: 0 }; GATHER_MAX];
        let mut count = 0;
        let full = self.segments[self.first..].iter().map(Segment::as_slice);
        for (slice, bytes) in slices.iter_mut().zip(full.filter(|bytes| !bytes.is_empty())) {
            let len = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
            *slice = Slice { start: bytes.as_ptr(), len };
            count += 1;
        }
        (slices, count)
    }

    fn is_done(&self) -> bool {
        self.segments[self.first..].iter().all(Segment::is_empty)
    }

    fn advance(&mut self, bytes: usize) {
        self.first = advance_all(&mut self.segments, self.first, bytes);
    }
}
