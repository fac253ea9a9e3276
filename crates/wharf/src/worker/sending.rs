//! From a callback's `send` to one gathered send at the end of the turn.

use std::ops::Range;

use wharf_port::{Lease, Segment, SendError, SharedBytes, SocketId};

use super::Core;
use super::connection::{Sending, State};
use super::core::Reading;
use crate::close_reason::CloseReason;
use crate::framing::{Envelope, FrameError};
use crate::send_queue::{Room, SendLimits, SendLimitsError, SendStatus, SlowReader};
use crate::shared_frame::SharedFrame;

impl Core {
    /// Queues a frame for a session of this worker.
    #[inline]
    pub(crate) fn send(&mut self, socket: SocketId, payload: &[u8]) -> SendStatus {
        let queue = |core: &mut Self, envelope: &_| core.enqueue(socket, envelope, payload);
        self.send_wrapped(socket, &[payload], queue)
    }

    /// Queues one frame that is given in parts, one behind the other.
    pub(crate) fn send_parts(&mut self, socket: SocketId, parts: &[&[u8]]) -> SendStatus {
        let queue = |core: &mut Self, envelope: &_| core.enqueue_parts(socket, envelope, parts);
        self.send_wrapped(socket, parts, queue)
    }

    /// Wraps a frame, makes room for it, and has `queue` put it into its queue.
    #[inline]
    pub(super) fn send_wrapped(
        &mut self,
        socket: SocketId,
        parts: &[&[u8]],
        queue: impl FnOnce(&mut Self, &Envelope),
    ) -> SendStatus {
        self.deliver_broadcasts();
        let Some(connection) = self.connection(socket) else { return SendStatus::Closed };
        if !connection.takes_frames() {
            return SendStatus::Closed;
        }
        let full = connection.queue.is_full();
        let envelope = match self.framing.wrap(parts, self.limits.frame_bytes_max) {
            Ok(envelope) => envelope,
            Err(error) => return self.cannot_send(socket, error),
        };
        let status = if full {
            self.make_room(socket, parts.iter().map(|part| part.len()).sum())
        } else {
            SendStatus::Queued
        };
        if matches!(status, SendStatus::Queued | SendStatus::DroppedOldest) {
            if self.recorder.is_some()
                && !(envelope.is_empty() && parts.iter().all(|it| it.is_empty()))
            {
                self.capture_sent(socket, &envelope, parts);
            }
            queue(self, &envelope);
        }
        status
    }

    /// Queues a frame in place of an older one with the same key, if the session's policy coalesces.
    pub(crate) fn send_keyed(&mut self, socket: SocketId, key: u64, payload: &[u8]) -> SendStatus {
        self.deliver_broadcasts();
        let Some(connection) = self.connection(socket) else { return SendStatus::Closed };
        if !connection.takes_frames() || connection.queue.policy() != SlowReader::Coalesce {
            return self.send(socket, payload);
        }
        let envelope = match self.framing.wrap(&[payload], self.limits.frame_bytes_max) {
            Ok(envelope) => envelope,
            Err(error) => return self.cannot_send(socket, error),
        };
        let Self { connections, chunks, .. } = self;
        let Some(connection) = connections.get_mut(socket) else { return SendStatus::Closed };
        let replaced = connection.queue.leave_out_key(key, chunks);
        let full = connection.queue.is_full();
        let mut status =
            if full { self.make_room(socket, payload.len()) } else { SendStatus::Queued };
        if replaced {
            self.stats.seldom().frames_coalesced += 1;
            status = SendStatus::Replaced;
        }
        let Self { connections, chunks, .. } = self;
        if let Some(connection) = connections.get_mut(socket) {
            connection.queue.push(&envelope, &payload[envelope.replaced()..], chunks);
            connection.queue.set_key_of_last(key);
        }
        if self.recorder.is_some() {
            self.capture_sent(socket, &envelope, &[payload]);
        }
        self.was_queued(socket);
        status
    }

    /// Gives a session's queue limits of its own.
    pub(crate) fn set_send_limits(
        &mut self,
        socket: SocketId,
        limits: &SendLimits,
    ) -> Result<(), SendLimitsError> {
        if let Some(problem) = limits.problem() {
            return Err(SendLimitsError::OutOfRange(problem));
        }
        if limits.slow_reader.drops() && !self.framing.has_frames() {
            return Err(SendLimitsError::NeedsFrames(limits.slow_reader));
        }
        self.deliver_broadcasts();
        let Some(connection) = self.connection(socket) else { return Ok(()) };
        connection.queue.set_limits(limits);
        let full = connection.queue.is_full();
        if full {
            self.queue_is_full(socket);
        }
        Ok(())
    }

    /// There is no frame for what was to be sent. A stream without it would have a hole.
    #[cold]
    fn cannot_send(&mut self, socket: SocketId, error: FrameError) -> SendStatus {
        let reason = match error {
            FrameError::TooLong { .. } => CloseReason::SendTooLong,
            _ => CloseReason::SendBadFrame(error),
        };
        self.begin_close(socket, reason);
        SendStatus::Closed
    }

    /// Queues a frame that is encoded already for a session of this worker.
    pub(crate) fn send_frame(&mut self, socket: SocketId, frame: &SharedFrame) -> SendStatus {
        self.deliver_broadcasts();
        match self.shared().own_frame(frame) {
            Ok(frame) => self.send_shared(socket, frame.shared()),
            Err(error) => error.into(),
        }
    }

    /// Queues one whole frame whose bytes others are sent, too.
    pub(super) fn send_shared(&mut self, socket: SocketId, frame: SharedBytes) -> SendStatus {
        let len = frame.as_slice().len();
        let Some(connection) = self.connection(socket) else { return SendStatus::Closed };
        if !connection.takes_frames() {
            return SendStatus::Closed;
        }
        let full = connection.queue.is_full();
        let status = if full { self.make_room(socket, len) } else { SendStatus::Queued };
        if matches!(status, SendStatus::Queued | SendStatus::DroppedOldest) && len > 0 {
            if self.recorder.is_some() {
                self.capture_sent_whole(socket, frame.as_slice());
            }
            let Self { connections, chunks, .. } = self;
            let Some(connection) = connections.get_mut(socket) else { return SendStatus::Closed };
            connection.queue.push_shared(frame, std::iter::once(len), chunks);
            self.was_queued(socket);
        }
        status
    }

    #[inline]
    fn enqueue(&mut self, socket: SocketId, envelope: &Envelope, payload: &[u8]) {
        if payload.is_empty() && envelope.is_empty() {
            return;
        }
        let Self { reading, connections, chunks, .. } = self;
        let Some(connection) = connections.get_mut(socket) else { return };
        let queue = &mut connection.queue;
        let in_place = reading.as_ref().and_then(|reading| reading.frame_around(envelope, payload));
        if !in_place.is_some_and(|(lease, frame)| queue.push_received(lease, frame, chunks)) {
            queue.push(envelope, &payload[envelope.replaced()..], chunks);
        }
        self.was_queued(socket);
    }

    fn enqueue_parts(&mut self, socket: SocketId, envelope: &Envelope, parts: &[&[u8]]) {
        if envelope.is_empty() && parts.iter().all(|part| part.is_empty()) {
            return;
        }
        let Self { connections, chunks, .. } = self;
        let Some(connection) = connections.get_mut(socket) else { return };
        connection.queue.push_parts(envelope, parts, chunks);
        self.was_queued(socket);
    }

    /// Something was put into the queue of a session.
    #[inline]
    pub(super) fn was_queued(&mut self, socket: SocketId) {
        let Self { connections, dirty, .. } = self;
        let Some(connection) = connections.get_mut(socket) else { return };
        if !connection.dirty {
            connection.dirty = true;
            dirty.push(socket);
        }
        if connection.queue.is_full() {
            self.queue_is_full(socket);
        }
    }

    #[cold]
    fn queue_is_full(&mut self, socket: SocketId) {
        let now = self.now;
        let Some(connection) = self.connection(socket) else { return };
        let pauses = connection.queue.policy() == SlowReader::Pause;
        if !std::mem::replace(&mut connection.was_full, true) {
            connection.full_since = now;
        }
        if pauses && !std::mem::replace(&mut connection.slow, true) {
            self.hold_back(socket);
        }
    }

    /// The queue of a session is full: what its policy makes of one more frame.
    #[cold]
    fn make_room(&mut self, socket: SocketId, wanted: usize) -> SendStatus {
        if self.is_in_burst(socket) {
            return SendStatus::Queued;
        }
        let Some(connection) = self.connections.get_mut(socket) else { return SendStatus::Closed };
        match connection.queue.make_room(wanted, &mut self.chunks) {
            Room::Made { dropped: 0 } => SendStatus::Queued,
            Room::Made { dropped } => {
                self.stats.seldom().frames_dropped += dropped as u64;
                SendStatus::DroppedOldest
            }
            Room::None => {
                self.stats.seldom().frames_dropped += 1;
                SendStatus::Dropped
            }
            Room::Refused => SendStatus::Full,
            Room::Disconnect => {
                self.terminate(socket, CloseReason::SlowReader, true);
                SendStatus::Closed
            }
        }
    }

    /// Whether a queue that is full has been so for no longer than a burst may take.
    fn is_in_burst(&self, socket: SocketId) -> bool {
        let (now, limits) = (self.now, &self.limits);
        let Some(connection) = self.connections.get(socket) else { return false };
        let queue = &connection.queue;
        let bytes = u32::try_from(limits.send_burst_bytes).unwrap_or(u32::MAX);
        bytes > 0
            && queue.policy() != SlowReader::Pause
            && now < connection.full_since + limits.send_burst_time
            && !queue.has_reached(queue.capacity().plus(bytes))
    }

    /// Starts the sends of a turn: one for each session that has something to send.
    pub(super) fn flush(&mut self) {
        let now = self.now;
        let mut dirty = std::mem::take(&mut self.dirty);
        for socket in dirty.drain(..) {
            let Self { connections, own_part, port, stats, .. } = self;
            let Some(connection) = connections.get_mut(socket) else { continue };
            connection.dirty = false;
            if connection.state == State::Terminating {
                continue;
            }
            own_part.count_queue(connection);
            let Some(segments) = connection.queue.start_send() else { continue };
            connection.send_since = now;
            let armed = connection.timer.map(|timer| timer.deadline());
            stats.sends += 1;
            let started = port.send(socket, segments);
            debug_assert!(started.is_ok(), "a session's socket is open until it terminates");
            self.arm_send_deadline(socket, armed);
        }
        self.dirty = dirty;
    }

    /// A send has ended.
    pub(super) fn sent(
        &mut self,
        socket: SocketId,
        segments: Vec<Segment>,
        result: Result<(), SendError>,
    ) {
        let unsent = if result.is_ok() { 0 } else { segments.iter().map(Segment::len).sum() };
        self.chunks.give_back(segments);
        let Self { connections, own_part, .. } = self;
        let Some(connection) = connections.get_mut(socket) else { return };
        let gone = connection.queue.end_send(unsent);
        connection.traffic.sent_bytes += gone as u64;
        own_part.count_queue(connection);
        let (state, bytes) = (connection.state, connection.queue.bytes());
        let drained = connection.was_full && connection.queue.is_low();
        if drained {
            connection.was_full = false;
        }
        let resumes = drained && std::mem::take(&mut connection.slow);
        let ends = state == State::Open && connection.sending == Sending::Ending;
        self.stats.bytes_out += gone as u64;
        if let Err(error) = result {
            return self.send_failed(socket, error, unsent);
        }
        if bytes > 0 {
            self.mark_dirty(socket);
        } else if state == State::Flushing {
            self.flushed(socket);
        } else if ends {
            self.end_own_stream(socket);
        }
        if drained && state == State::Open {
            self.writable.push(socket);
        }
        if resumes {
            self.go_on(socket);
        }
    }

    pub(super) fn mark_dirty(&mut self, socket: SocketId) {
        let Some(connection) = self.connection(socket) else { return };
        if !std::mem::replace(&mut connection.dirty, true) {
            self.dirty.push(socket);
        }
    }

    fn send_failed(&mut self, socket: SocketId, error: SendError, unsent: usize) {
        self.lost(unsent);
        let reason = match error {
            SendError::Reset => CloseReason::PeerReset,
            _ => CloseReason::ConnectionFailed,
        };
        self.terminate(socket, reason, false);
    }
}

impl Reading {
    /// Where the whole frame, envelope included, lies around a payload that is part of what is being
    /// read: if what goes around it on the way out is what lies around it there.
    #[inline]
    fn frame_around(&self, envelope: &Envelope, payload: &[u8]) -> Option<(&Lease, Range<usize>)> {
        let address = payload.as_ptr() as usize;
        let at = address.checked_sub(self.addresses.start)?;
        if address + payload.len() > self.addresses.end {
            return None;
        }
        let frame = envelope.find_around(&self.lease, at..at + payload.len())?;
        Some((&self.lease, frame))
    }
}
