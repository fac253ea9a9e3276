//! Receiving: a receive of nothing waits until there is something; then a buffer is filled.
//!
//! A pending receive keeps the pages of its buffer in memory, and a hundred thousand idle sockets would
//! need as many buffers. So an idle socket waits with a receive of no bytes. One that has just received
//! is given a buffer in advance, which saves it a call at its next message, up to half of the pool; what
//! has lain there for a second without a byte is taken back.

use std::time::Duration;

use super::api::Started;
use super::connection::{Armed, Ended, Incoming, Late};
use super::operation::{Outcome, Purpose};
use super::{Api, Code, Iocp, lookup};
use crate::clock::Time;
use crate::completion::{Completion, Received};
use crate::error::{ReceiveError, UnknownSocket};
use crate::ids::SocketId;

/// How long a buffer waits in the kernel for a socket that does not receive.
const IDLE_AFTER: Duration = Duration::from_secs(1);

/// Buffers that wait in the kernel, for sockets that have just been busy.
#[derive(Debug)]
pub(super) struct Held {
    /// By buffer.
    waiting: Box<[Option<Waiting>]>,
    count: usize,
    /// How often they have been looked at.
    looks: u32,
    /// When they are looked at next.
    look_at: Option<Time>,
}

#[derive(Clone, Copy, Debug)]
struct Waiting {
    socket: SocketId,
    /// It was given after this many looks.
    since: u32,
}

impl Held {
    pub(super) fn new(buffers: usize) -> Self {
        Self { waiting: vec![None; buffers].into(), count: 0, looks: 0, look_at: None }
    }

    fn give(&mut self, buffer: u16, socket: SocketId) {
        self.waiting[usize::from(buffer)] = Some(Waiting { socket, since: self.looks });
        self.count += 1;
    }

    fn come_back(&mut self, buffer: u16) {
        self.count -= usize::from(self.waiting[usize::from(buffer)].take().is_some());
    }

    pub(super) const fn next_deadline(&self) -> Option<Time> {
        self.look_at
    }
}

impl<A: Api> Iocp<A> {
    pub(crate) fn receive(&mut self, id: SocketId) -> Result<(), UnknownSocket> {
        let connection = lookup(&mut self.connections, id)?;
        assert!(!connection.is_closing(), "receive on {id:?}, which is closing");
        assert!(connection.incoming == Incoming::Idle, "{id:?} has a receive in flight");
        connection.incoming = Incoming::Started;
        self.started += 1;
        self.line_up_late(id);
        self.stage(id)
    }

    pub(crate) fn pause_receive(&mut self, id: SocketId) -> Result<(), UnknownSocket> {
        lookup(&mut self.connections, id)?.paused = true;
        Ok(())
    }

    pub(crate) fn resume_receive(&mut self, id: SocketId) -> Result<(), UnknownSocket> {
        lookup(&mut self.connections, id)?.paused = false;
        self.line_up_late(id);
        self.stage(id)
    }

    /// Has late bytes delivered, if there are any.
    fn line_up_late(&mut self, id: SocketId) {
        let Ok(connection) = lookup(&mut self.connections, id) else { return };
        if connection.late.is_some() && connection.is_wanted() && !connection.resumed {
            connection.resumed = true;
            self.resumed.push_back(id);
        }
    }

    /// Ends a receive that nobody wants any more, and gives one that is wanted to the kernel.
    pub(super) fn tend_receive(&mut self, id: SocketId) {
        let Ok(connection) = lookup(&mut self.connections, id) else { return };
        if connection.incoming == Incoming::Cancelled && !connection.is_closing() {
            match connection.armed {
                Some(_) => self.cancel_armed(id),
                None => self.end_receive(id, Received::Cancelled),
            }
            return;
        }
        if connection.wants_to_arm() {
            self.arm_receive(id);
        } else {
            self.line_up(id);
        }
    }

    fn cancel_armed(&mut self, id: SocketId) {
        let Ok(connection) = lookup(&mut self.connections, id) else { return };
        let (Some(socket), Some(armed)) = (&connection.socket, &mut connection.armed) else {
            return;
        };
        if !std::mem::replace(&mut armed.cancelled, true) {
            // If it is done already, its packet is on its way.
            let _ = self.api.cancel(socket, Some(self.operations.overlapped(armed.index)));
        }
    }

    /// Puts a connection at the end of the line, if it has something to receive and it is wanted.
    fn line_up(&mut self, id: SocketId) {
        let Ok(connection) = lookup(&mut self.connections, id) else { return };
        let waits = connection.late.is_some() || connection.in_line;
        if connection.readable && connection.is_wanted() && !waits {
            connection.in_line = true;
            self.line.push_back(id);
        }
    }

    /// Gives a receive to the kernel: with a buffer if the socket was busy and there are enough.
    fn arm_receive(&mut self, id: SocketId) {
        let Ok(connection) = lookup(&mut self.connections, id) else { return };
        let in_advance = connection.busy && self.held.count < self.pool.total() / 2;
        let buffer = if in_advance { self.pool.lend() } else { None };
        let mut armed = self.arm_with(id, buffer);
        if let (Some(buffer), Err(_)) = (buffer, armed) {
            self.pool.take_back(buffer);
            // The system may be too short of memory to lock a buffer, and not for a receive of nothing.
            armed = self.arm_with(id, None);
        }
        if let Err(code) = armed {
            self.receive_failed(id, code);
        }
    }

    fn arm_with(&mut self, id: SocketId, buffer: Option<u16>) -> Result<(), Code> {
        let Ok(connection) = lookup(&mut self.connections, id) else { return Ok(()) };
        let Some(socket) = &connection.socket else { return Ok(()) };
        let begun = self.operations.begin(Purpose::Receive { socket: id, buffer });
        let len = u32::try_from(self.pool.buffer_bytes()).unwrap_or(u32::MAX);
        let room = buffer.map(|buffer| (self.pool.start_of(buffer).as_ptr(), len));
        // SAFETY: the operation and the lent buffer are the kernel's until `received` gets the outcome,
        // or until the call has failed; both outlive the socket (`shut_down`).
        match unsafe { self.api.receive(socket, room, begun.overlapped) } {
            Ok(Started::Done(bytes)) if connection.skips => {
                let (index, purpose) = (begun.index, Purpose::Receive { socket: id, buffer });
                self.operations.done(index);
                self.outcomes.push_back(Outcome { index, purpose, bytes, failure: None });
            }
            Ok(_) => {}
            Err(code) => {
                self.operations.take_back(begun.index);
                return Err(code);
            }
        }
        connection.armed = Some(Armed::new(begun.index));
        if let Some(buffer) = buffer {
            self.held.give(buffer, id);
        }
        Ok(())
    }

    /// A receive has come back from the kernel.
    pub(super) fn received(
        &mut self,
        id: SocketId,
        buffer: Option<u16>,
        outcome: Outcome,
    ) -> Option<Completion> {
        let bytes = outcome.bytes as usize;
        let lease = match buffer {
            Some(buffer) if bytes > 0 => Some(self.pool.lease(buffer, bytes)),
            Some(buffer) => {
                self.pool.take_back(buffer);
                None
            }
            None => None,
        };
        if let Some(buffer) = buffer {
            self.held.come_back(buffer);
        }
        // A socket stays until its operations are back, so it is there.
        let connection = lookup(&mut self.connections, id).ok()?;
        let was_cancelled = connection.armed.take().is_some_and(|armed| armed.cancelled);
        if connection.is_closing() {
            self.finish_close(id);
            return None;
        }
        let Some(lease) = lease else {
            self.received_nothing(id, buffer.is_some(), outcome.failure, was_cancelled);
            return None;
        };
        connection.busy = true;
        connection.readable = bytes == self.pool.buffer_bytes();
        let waits = connection.has_to_wait();
        if waits {
            let late = connection.late.get_or_insert_with(Box::<Late>::default);
            late.bytes.push_back(lease.copied_out());
        }
        let _ = self.stage(id);
        (!waits).then(|| Completion::Received { socket: id, what: Received::Data(lease) })
    }

    /// A receive has come back without bytes.
    fn received_nothing(
        &mut self,
        id: SocketId,
        had_buffer: bool,
        failure: Option<Code>,
        was_cancelled: bool,
    ) {
        let Ok(connection) = lookup(&mut self.connections, id) else { return };
        match failure {
            // Without a buffer it says that there is something: bytes, or the end.
            None if !had_buffer => {
                connection.readable = true;
                if connection.incoming == Incoming::Cancelled {
                    self.end_receive(id, Received::Cancelled);
                } else {
                    self.line_up(id);
                    self.turns = self.line.len();
                }
            }
            None => self.stream_ended(id),
            Some(code) if code.is_cancelled() => {
                // A buffer that was taken back: the socket is idle.
                connection.busy = false;
                self.stats.rearmed += u64::from(!was_cancelled);
                let _ = self.stage(id);
            }
            Some(code) => self.receive_failed(id, code),
        }
    }

    /// Receives for the first of the line that has something.
    #[inline]
    pub(super) fn take_received(&mut self) -> Option<Completion> {
        if self.turns == 0 {
            return None;
        }
        let Some(buffer) = self.pool.lend() else {
            self.stats.buffer_shortages += u64::from(!self.starved);
            self.starved = true;
            return None;
        };
        self.starved = false;
        match self.give_turns(buffer) {
            Some((socket, Ok(bytes @ 1..))) => {
                let what = Received::Data(self.pool.lease(buffer, bytes));
                return Some(Completion::Received { socket, what });
            }
            Some((socket, Ok(_))) => self.stream_ended(socket),
            Some((socket, Err(code))) => self.receive_failed(socket, code),
            None => {}
        }
        self.pool.take_back(buffer);
        None
    }

    /// Gives turns until a receive has a result.
    fn give_turns(&mut self, buffer: u16) -> Option<(SocketId, Result<usize, Code>)> {
        let room = u32::try_from(self.pool.buffer_bytes()).unwrap_or(u32::MAX);
        while self.turns > 0 {
            self.turns -= 1;
            let id = self.line.pop_front()?;
            let Ok(connection) = lookup(&mut self.connections, id) else { continue };
            connection.in_line = false;
            if !connection.is_wanted() || connection.late.is_some() {
                continue;
            }
            let Some(socket) = &connection.socket else { continue };
            let start = self.pool.start_of(buffer).as_ptr();
            // SAFETY: the buffer is lent, so it is ours alone, and `room` bytes long.
            let received = unsafe { self.api.receive_now(socket, start, room) };
            connection.readable = received == Ok(room as usize);
            connection.busy = received.is_ok();
            let _ = self.stage(id);
            if received != Err(Code::WOULD_BLOCK) {
                return Some((id, received));
            }
        }
        None
    }

    fn stream_ended(&mut self, id: SocketId) {
        let Ok(connection) = lookup(&mut self.connections, id) else { return };
        connection.ended = connection.ended.or(Some(Ended::Peer));
        let what = match connection.failure {
            Some(code) => Received::Failed(ReceiveError::from(code)),
            None => Received::End,
        };
        self.end_in_order(id, what);
    }

    fn receive_failed(&mut self, id: SocketId, code: Code) {
        let Ok(connection) = lookup(&mut self.connections, id) else { return };
        let code = connection.failure.unwrap_or(code);
        self.end_in_order(id, Received::Failed(ReceiveError::from(code)));
    }

    /// Ends a receive, behind what waits to be delivered.
    fn end_in_order(&mut self, id: SocketId, what: Received) {
        let Ok(connection) = lookup(&mut self.connections, id) else { return };
        if connection.incoming == Incoming::Started && !connection.has_to_wait() {
            self.end_receive(id, what);
            return;
        }
        connection.late.get_or_insert_with(Box::<Late>::default).end = Some(what);
        if connection.incoming == Incoming::Cancelled {
            self.end_receive(id, Received::Cancelled);
        }
    }

    /// Delivers what came late, one completion at a time.
    pub(super) fn deliver_late(&mut self, id: SocketId) -> Option<Completion> {
        let connection = lookup(&mut self.connections, id).ok()?;
        if !connection.is_wanted() {
            connection.resumed = false;
            return None;
        }
        let late = connection.late.as_mut()?;
        if let Some(lease) = late.bytes.pop_front() {
            self.resumed.push_front(id);
            return Some(Completion::Received { socket: id, what: Received::Data(lease) });
        }
        let end = late.end.take();
        connection.late = None;
        connection.resumed = false;
        match end {
            Some(end) => self.end_receive(id, end),
            None => {
                let _ = self.stage(id);
            }
        }
        None
    }

    /// Makes the final completion of a receive. What came late and was not delivered stays for the
    /// next one.
    pub(super) fn end_receive(&mut self, id: SocketId, what: Received) {
        let Ok(connection) = lookup(&mut self.connections, id) else { return };
        if connection.incoming == Incoming::Idle {
            return;
        }
        connection.incoming = Incoming::Idle;
        self.started -= 1;
        self.done.push_back(Completion::Received { socket: id, what });
    }

    /// Takes buffers back from sockets that have been idle for long.
    pub(super) fn take_held_back(&mut self, now: Time) {
        match self.held.look_at {
            None if self.held.count > 0 => self.held.look_at = Some(now + IDLE_AFTER),
            Some(at) if at <= now => {
                let looks = self.held.looks;
                self.cancel_held(usize::MAX, |waiting| waiting.since != looks);
                self.held.looks = looks.wrapping_add(1);
                // Nothing else may happen that would have them looked at again.
                self.held.look_at = (self.held.count > 0).then(|| now + IDLE_AFTER);
            }
            _ => {}
        }
    }

    /// Takes as many buffers back as connections wait for one, if there is none left.
    pub(super) fn free_held_buffers(&mut self) {
        if !self.line.is_empty() && self.pool.free() == 0 && self.held.count > 0 {
            self.cancel_held(self.line.len(), |_| true);
        }
    }

    fn cancel_held(&mut self, mut at_most: usize, which: impl Fn(&Waiting) -> bool) {
        for buffer in 0..self.held.waiting.len() {
            if let Some(waiting) = self.held.waiting[buffer].filter(&which)
                && at_most > 0
            {
                at_most -= 1;
                self.cancel_armed(waiting.socket);
            }
        }
    }
}
