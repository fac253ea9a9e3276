//! Sending: bytes are read from the segments as the kernel makes room, until the final completion.

use super::connection::{Closing, InKernel, Outgoing, Sending};
use super::{Sim, lookup};
use crate::buffer::{Segment, advance_all};
use crate::completion::{Completion, Direction};
use crate::error::{ConnectError, ReceiveError, SendError, UnknownSocket};
use crate::ids::SocketId;
use crate::sim::world::{EndId, Failure, World};

impl Sim {
    pub(crate) fn send(
        &mut self,
        id: SocketId,
        segments: Vec<Segment>,
    ) -> Result<(), UnknownSocket> {
        let connection = lookup(&mut self.connections, id)?;
        assert!(!connection.is_closing(), "send on {id:?}, which is closing");
        assert_no_send(id, &connection.outgoing);
        connection.outgoing =
            Outgoing::Sending(Sending { segments, first: 0, started: false, detached: false });
        self.operations += 1;
        self.stage(id)
    }

    pub(crate) fn shutdown(&mut self, id: SocketId) -> Result<(), UnknownSocket> {
        let connection = lookup(&mut self.connections, id)?;
        if connection.is_closing() {
            return Ok(());
        }
        assert_no_send(id, &connection.outgoing);
        self.network.with(|world| world.end_stream(connection.end));
        Ok(())
    }

    /// Starts a send or a connect that was staged.
    pub(super) fn start_outgoing(&mut self, world: &mut World, id: SocketId) {
        let Ok(connection) = lookup(&mut self.connections, id) else { return };
        match &mut connection.outgoing {
            Outgoing::Connect => {
                connection.outgoing = Outgoing::Connecting;
                world.start_connect(connection.end);
            }
            Outgoing::Sending(sending) if !sending.started => {
                sending.started = true;
                self.start_send(world, id);
            }
            _ => {}
        }
    }

    fn start_send(&mut self, world: &mut World, id: SocketId) {
        if self.personality.tries_sends() {
            return self.send_some(world, id);
        }
        let Ok(connection) = lookup(&mut self.connections, id) else { return };
        let Outgoing::Sending(sending) = &mut connection.outgoing else { return };
        // What there is room for goes at once; that it has, or how it failed, is said when it finishes.
        let _ = write_all(world, connection.end, sending);
        sending.detach();
        connection.send = InKernel::armed(world.arm(connection.end, Direction::Send));
    }

    /// The kernel has room for a send.
    pub(super) fn may_send(&mut self, world: &mut World, id: SocketId, number: u32) {
        let Ok(connection) = lookup(&mut self.connections, id) else { return };
        if connection.send.armed != Some(number) {
            return;
        }
        connection.send = InKernel::default();
        let Outgoing::Sending(sending) = &connection.outgoing else { return };
        // What was closed before this was heard of takes no more; that is no failure of the peer's.
        if connection.closing != Closing::DescriptorClosed {
            self.send_some(world, id);
        } else if sending.is_taken() {
            self.finish_send(id, Ok(()));
        }
    }

    /// Sends what there is room for; the rest waits for more, in memory of its own.
    pub(super) fn send_some(&mut self, world: &mut World, id: SocketId) {
        let Ok(connection) = lookup(&mut self.connections, id) else { return };
        let Outgoing::Sending(sending) = &mut connection.outgoing else { return };
        match write_all(world, connection.end, sending) {
            Some(Ok(())) => self.finish_send(id, Ok(())),
            Some(Err(failure)) => {
                // That a direction has been ended is nothing that the receive has to report.
                let told = Some(failure).filter(|failure| *failure != Failure::Broken);
                connection.failure = connection.failure.or_else(|| told.map(ReceiveError::from));
                self.finish_send(id, Err(failure.into()));
            }
            None => {
                sending.detach();
                self.stats.short_sends += 1;
                if connection.wants_outgoing() {
                    connection.send = InKernel::armed(world.arm(connection.end, Direction::Send));
                }
            }
        }
    }

    fn finish_send(&mut self, socket: SocketId, result: Result<(), SendError>) {
        let Ok(connection) = lookup(&mut self.connections, socket) else { return };
        connection.cancel_outgoing = false;
        let sending = std::mem::replace(&mut connection.outgoing, Outgoing::Ended);
        let Outgoing::Sending(Sending { segments, .. }) = sending else { return };
        self.done.push_back(Completion::Sent { socket, segments, result });
    }

    /// Has the kernel give up a send or a connect that is not wanted any more, and ends it once it is
    /// back.
    pub(super) fn take_outgoing_back(&mut self, world: &mut World, id: SocketId) {
        let at_once = self.personality.cancels_at_once();
        let Ok(connection) = lookup(&mut self.connections, id) else { return };
        if connection.wants_outgoing() || !connection.is_outgoing() {
            return;
        }
        let end = connection.end;
        let connects = matches!(connection.outgoing, Outgoing::Connecting);
        if connection.send.armed.is_none() && !connects {
            return self.outgoing_is_back(id);
        }
        if at_once {
            world.disarm(end, Direction::Send);
            world.abandon_connect(end);
            connection.send.armed = None;
            return self.outgoing_is_back(id);
        }
        if !connection.send.cancelling {
            connection.send.cancelling = true;
            world.cancel(end, Direction::Send, connection.send.armed.unwrap_or_default());
        }
    }

    /// Nothing of a send or a connect is with the kernel: its final completion is that it was
    /// cancelled.
    pub(super) fn outgoing_is_back(&mut self, id: SocketId) {
        let Ok(connection) = lookup(&mut self.connections, id) else { return };
        if matches!(connection.outgoing, Outgoing::Sending(_)) {
            self.finish_send(id, Err(SendError::Cancelled));
        } else {
            self.finish_connect(id, Err(ConnectError::Cancelled));
        }
    }
}

impl From<Failure> for SendError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Reset | Failure::Broken => Self::Reset,
            Failure::TimedOut => Self::TimedOut,
        }
    }
}

impl Sending {
    /// Whether the kernel has all of it.
    fn is_taken(&self) -> bool {
        self.segments.iter().skip(self.first).all(Segment::is_empty)
    }

    /// Copies what was received and has to wait: once, since a send may wait a hundred thousand times.
    fn detach(&mut self) {
        if !std::mem::replace(&mut self.detached, true) {
            self.segments.iter_mut().for_each(Segment::detach);
        }
    }
}

fn assert_no_send(id: SocketId, outgoing: &Outgoing) {
    assert!(matches!(outgoing, Outgoing::Idle), "{id:?} has a send or a connect in flight");
}

/// Gives the kernel all that it takes at one time; `None` if something is left.
fn write_all(world: &mut World, end: EndId, sending: &mut Sending) -> Option<Result<(), Failure>> {
    while let Some(segment) = sending.segments.get(sending.first) {
        if segment.is_empty() {
            sending.first += 1;
            continue;
        }
        let offered = segment.len();
        match world.write(end, segment.as_slice())? {
            Ok(count) => {
                sending.first = advance_all(&mut sending.segments, sending.first, count);
                if count < offered {
                    // It has taken what it takes at one time: more would be another call.
                    return None;
                }
            }
            Err(failure) => return Some(Err(failure)),
        }
    }
    Some(Ok(()))
}
