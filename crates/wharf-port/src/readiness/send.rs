//! Sending: tried at once when the wait starts it, gathered, and gone on with at the edge that says
//! there is room.

use std::io::IoSlice;

use rustix::io::Errno;
use rustix::net::{SendAncillaryBuffer, SendFlags, send, sendmsg};

use super::connection::{Connection, Outgoing};
use super::{Readiness, lookup};
use crate::buffer::{Segment, advance_all};
use crate::completion::Completion;
use crate::error::{SendError, UnknownSocket};
use crate::ids::SocketId;
use crate::sys::{self, Socket};

/// Segments that one call takes.
const GATHER_MAX: usize = 64;
/// Most sends have no more, and need not pay for clearing the room of all.
const GATHER_FEW: usize = 8;
/// Calls that one send makes in a wait: a peer that reads as fast as we send must not keep the others
/// waiting.
const CALLS_MAX: u32 = 16;

const FLAGS: SendFlags = sys::NO_SIGNAL.union(SendFlags::DONTWAIT);

/// A send in flight.
#[derive(Debug)]
pub(super) struct Sending {
    segments: Vec<Segment>,
    /// The first segment that has not gone.
    first: usize,
    /// The kernel has no room: an edge will tell when it has.
    blocked: bool,
    /// It was not finished by the wait that started it, and keeps no buffer of the pool.
    detached: bool,
}

impl Readiness {
    pub(crate) fn send(
        &mut self,
        id: SocketId,
        segments: Vec<Segment>,
    ) -> Result<(), UnknownSocket> {
        let connection = lookup(&mut self.connections, id)?;
        assert!(!connection.closing, "send on {id:?}, which is closing");
        connection.assert_no_send(id);
        connection.outgoing = Outgoing::Sending(Sending::new(segments));
        connection.stage(id, &mut self.staged);
        self.operations += 1;
        Ok(())
    }

    pub(crate) fn shutdown(&mut self, id: SocketId) -> Result<(), UnknownSocket> {
        let connection = lookup(&mut self.connections, id)?;
        if let Some(socket) = connection.socket.as_ref().filter(|_| !connection.closing) {
            connection.assert_no_send(id);
            // Fails only if the connection is gone, and then the peer has seen its end already.
            let _ = sys::shutdown_send(socket);
        }
        Ok(())
    }
}

impl Connection {
    fn assert_no_send(&self, id: SocketId) {
        let idle = matches!(self.outgoing, Outgoing::Idle);
        assert!(idle, "{id:?} has a send or a connect in flight");
    }

    /// Sends what there is room for; the final completion if that was all, or if it failed.
    pub(super) fn go_on_sending(&mut self, id: SocketId) -> Option<Completion> {
        let Outgoing::Sending(sending) = &mut self.outgoing else { return None };
        let result = sending.go_on(self.socket.as_ref()?)?;
        // That we have ended our own direction, or that the peer had ended its own before it was
        // gone, is nothing that the receive has to report.
        self.failure = result.err().filter(|&errno| errno != Errno::PIPE).or(self.failure);
        self.finish_send(id, result.map_err(SendError::from))
    }

    /// Makes the final completion of a send.
    pub(super) fn finish_send(
        &mut self,
        socket: SocketId,
        result: Result<(), SendError>,
    ) -> Option<Completion> {
        let Outgoing::Sending(sending) = self.end_outgoing() else { return None };
        Some(Completion::Sent { socket, segments: sending.segments, result })
    }

    /// Whether a send has used up its calls and goes on with the next wait.
    pub(super) const fn has_more_to_send(&self) -> bool {
        matches!(self.outgoing, Outgoing::Sending(Sending { blocked: false, .. }))
    }
}

impl Sending {
    const fn new(segments: Vec<Segment>) -> Self {
        Self { segments, first: 0, blocked: false, detached: false }
    }

    /// Sends until all has gone, until there is no room, or until it has had its calls: `None` if
    /// something is left.
    fn go_on(&mut self, socket: &Socket) -> Option<Result<(), Errno>> {
        self.blocked = false;
        for _ in 0..CALLS_MAX {
            match send_some(socket, &self.segments[self.first..]) {
                Ok(None) => return Some(Ok(())),
                Ok(Some(count)) => {
                    self.first = advance_all(&mut self.segments, self.first, count);
                }
                Err(Errno::AGAIN) => {
                    self.blocked = true;
                    return None;
                }
                // macOS says the second while it ends a connection, and the truth when it is asked again.
                Err(Errno::INTR | Errno::PROTOTYPE) => {}
                Err(errno) => return Some(Err(errno)),
            }
        }
        None
    }

    /// Copies what lies in the pool's buffers, so that other connections can use them; true if it had
    /// not been done before.
    pub(super) fn detach(&mut self) -> bool {
        let first_time = !self.detached;
        if first_time {
            self.segments.iter_mut().for_each(Segment::detach);
        }
        self.detached = true;
        first_time
    }
}

/// Hands to the kernel what it takes in one call; `None` if there is nothing left.
#[inline]
fn send_some(socket: &Socket, segments: &[Segment]) -> Result<Option<usize>, Errno> {
    match segments {
        [] => Ok(None),
        [one] if one.is_empty() => Ok(None),
        [one] => send(socket, one.as_slice(), FLAGS).map(Some),
        few if few.len() <= GATHER_FEW => send_gathered::<GATHER_FEW>(socket, few),
        many => send_gathered::<GATHER_MAX>(socket, many),
    }
}

fn send_gathered<const ROOM: usize>(
    socket: &Socket,
    segments: &[Segment],
) -> Result<Option<usize>, Errno> {
    let mut slices = [IoSlice::new(&[]); ROOM];
    let mut filled = 0;
    let full = segments.iter().map(Segment::as_slice).filter(|bytes| !bytes.is_empty());
    for (slice, bytes) in slices.iter_mut().zip(full) {
        *slice = IoSlice::new(bytes);
        filled += 1;
    }
    if filled == 0 {
        return Ok(None);
    }
    let mut control = SendAncillaryBuffer::default();
    sendmsg(socket, &slices[..filled], &mut control, FLAGS).map(Some)
}
