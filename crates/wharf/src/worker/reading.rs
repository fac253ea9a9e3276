//! From received bytes to frames to callbacks.

use wharf_port::{Lease, ReceiveError, SocketId};

use super::connection::{PeerStream, State};
use super::core::Reading;
use super::{Core, Worker};
use crate::arrival::Arrival;
use crate::capture::Happened;
use crate::close_reason::CloseReason;
use crate::framing::{Decoded, Filled, ReceiveBuffer};
use crate::session::Session;
use crate::watchdog::Callback;

/// What one session gets of a turn, so that none starves the others.
const TURN_FRAMES: u8 = 64;
const TURN_BYTES: u32 = 256 << 10;

impl<H: Session, F: Fn(&Arrival) -> H> Worker<H, F> {
    #[inline]
    pub(super) fn received(&mut self, socket: SocketId, lease: Lease) {
        let core = &mut self.core;
        core.stats.bytes_in += lease.len() as u64;
        let now = core.now;
        let Some(connection) = core.connection(socket) else { return };
        connection.last_receive = now;
        connection.traffic.received_bytes += lease.len() as u64;
        if connection.state != State::Open {
            return self.received_unopened(socket, lease);
        }
        if connection.holds() {
            core.hold_behind(socket, lease);
        } else {
            self.read(socket, lease);
        }
    }

    /// Delivers the frames of received bytes. What the session may not have yet is held.
    pub(super) fn read(&mut self, socket: SocketId, lease: Lease) {
        let start = lease.as_ptr() as usize;
        let addresses = start..start + lease.len();
        self.core.reading = Some(Reading { lease: lease.slice(0..lease.len()), addresses });
        let mut share = self.core.share(socket);
        let frames_before = self.core.stats.frames_in;
        let mut at = 0;
        while at < lease.len() {
            let Some(connection) = self.core.connection(socket) else { break };
            if connection.state != State::Open {
                break;
            }
            if connection.is_held_back() || share.is_used_up() {
                self.core.hold_in_front(socket, lease.slice(at..lease.len()));
                break;
            }
            let used = match connection.half.take() {
                Some(half) => self.continue_frame(socket, half, &lease[at..], &mut share),
                None => self.whole_frame(socket, &lease[at..]),
            };
            share.use_up(used);
            at += used;
        }
        self.core.reading = None;
        let frames = self.core.stats.frames_in - frames_before;
        self.core.set_share(socket, share, frames, at as u64);
    }

    /// Delivers the frame that `bytes` begin with, or begins to hold it; returns how many were used.
    #[inline]
    fn whole_frame(&mut self, socket: SocketId, bytes: &[u8]) -> usize {
        let max = self.core.limits.frame_bytes_max;
        match self.core.framing.decode(bytes, 0, max) {
            Ok(Decoded::Frame { payload, consumed }) => {
                self.deliver(socket, &bytes[payload]);
                consumed
            }
            Ok(Decoded::Partial { needed, scanned }) => {
                let mut half = self.core.take_buffer();
                half.begin(bytes, needed, scanned);
                self.core.begin_half_frame(socket, half);
                bytes.len()
            }
            Err(error) => {
                self.core.begin_close(socket, CloseReason::BadFrame(error));
                bytes.len()
            }
        }
    }

    /// Adds to half a frame what of `bytes` belongs to it, and delivers it if it is whole. What a codec
    /// looks at once more for it is part of the session's share.
    fn continue_frame(
        &mut self,
        socket: SocketId,
        mut half: Box<ReceiveBuffer>,
        bytes: &[u8],
        share: &mut Share,
    ) -> usize {
        let max = self.core.limits.frame_bytes_max;
        match half.fill(&self.core.framing, max, bytes) {
            Ok(Filled { used, again, frame: Some(frame) }) => {
                share.use_up_bytes(again);
                self.deliver(socket, frame);
                self.core.give_back_buffer(half);
                used
            }
            Ok(Filled { used, again, frame: None }) => {
                share.use_up_bytes(again);
                if let Some(connection) = self.core.connection(socket) {
                    connection.half = Some(half);
                }
                used
            }
            Err(error) => {
                self.core.begin_close(socket, CloseReason::BadFrame(error));
                bytes.len()
            }
        }
    }

    #[inline]
    fn deliver(&mut self, socket: SocketId, frame: &[u8]) {
        self.core.stats.frames_in += 1;
        if self.core.recorder.is_some() && !self.core.capture_received(socket, frame) {
            return;
        }
        self.call(socket, Callback::Frame, |handler, context| handler.on_frame(context, frame));
    }

    /// The peer has ended its stream. What it sent before is delivered first.
    pub(super) fn stream_ended(&mut self, socket: SocketId) {
        let Some(connection) = self.core.connection(socket) else { return };
        connection.peer_stream = PeerStream::Ended;
        match connection.state {
            State::Announcing => self.core.announcement_ended(socket),
            State::Open if connection.holds() => {}
            State::Open => self.end_of_frames(socket),
            State::Flushing if connection.queue.is_empty() => self.core.flushed(socket),
            State::Flushing | State::Terminating => {}
            State::HalfClosed => self.core.terminate(socket, CloseReason::PeerClosed, false),
        }
    }

    fn end_of_frames(&mut self, socket: SocketId) {
        let max = self.core.limits.frame_bytes_max;
        let half = self.core.connection(socket).and_then(|connection| connection.half.take());
        let mut reason = CloseReason::PeerClosed;
        if let Some(half) = half {
            match self.core.framing.last_frame(half.bytes(), max) {
                Ok(Some(frame)) => {
                    if let Some(connection) = self.core.connection(socket) {
                        connection.traffic.received_frames += 1;
                    }
                    self.deliver(socket, frame);
                }
                Ok(None) => reason = CloseReason::Truncated,
                Err(error) => reason = CloseReason::BadFrame(error),
            }
            self.core.give_back_buffer(half);
        }
        if matches!(reason, CloseReason::PeerClosed) {
            self.tell_end(socket);
        } else {
            self.core.begin_close(socket, reason);
        }
    }

    /// Lets the session decide what the end of its peer's stream means. One that has ended its own before has
    /// nothing left to do.
    fn tell_end(&mut self, socket: SocketId) {
        let Some(connection) = self.core.connection(socket) else { return };
        connection.peer_stream = PeerStream::EndTold;
        if connection.state == State::Open {
            self.core.capture_end(socket, Happened::PeerEnded);
        }
        // A capture delivers what was broadcast before, which may have ended the session.
        if self.core.is_open(socket) {
            self.call(socket, Callback::EndOfStream, H::on_end_of_stream);
        }
        let Some(connection) = self.core.connection(socket) else { return };
        if connection.state == State::Open && !connection.takes_frames() {
            self.core.begin_close(socket, CloseReason::PeerClosed);
        }
    }

    /// Goes on with the sessions that were held back, each until it has had its turn again.
    pub(super) fn work_on_backlog(&mut self) {
        for _ in 0..self.core.backlog.len() {
            let Some(socket) = self.core.backlog.pop_front() else { return };
            let Some(connection) = self.core.connection(socket) else { continue };
            let open = connection.state == State::Open;
            // Who holds nothing asks for nothing: it was held back, and goes on.
            let used_up = connection.holds() && self.core.share(socket).is_used_up();
            let over_rate = used_up && self.core.is_over_rate(socket);
            let Some(connection) = self.core.connection(socket) else { continue };
            if open && used_up && !over_rate {
                self.core.backlog.push_back(socket);
                continue;
            }
            connection.in_backlog = false;
            if open && over_rate {
                self.core.over_rate(socket);
            } else {
                self.work_on_held(socket);
            }
        }
    }

    fn work_on_held(&mut self, socket: SocketId) {
        loop {
            let Some(connection) = self.core.connection(socket) else { return };
            if connection.state != State::Open {
                connection.held = None;
                return;
            }
            if connection.is_held_back() || connection.in_backlog {
                return;
            }
            match connection.held.as_mut().and_then(|held| held.pop_front()) {
                Some(lease) => self.read(socket, lease),
                None => break,
            }
        }
        let Some(connection) = self.core.connection(socket) else { return };
        connection.held = None;
        connection.glutted = false;
        let ended = connection.peer_stream == PeerStream::Ended;
        self.core.set_receiving(socket);
        if ended {
            self.end_of_frames(socket);
        }
    }
}

/// What is left of a session's share of the present turn.
#[derive(Clone, Copy, Debug)]
struct Share {
    frames: u8,
    bytes: u32,
}

impl Share {
    const fn is_used_up(self) -> bool {
        self.frames == 0 || self.bytes == 0
    }

    fn use_up(&mut self, bytes: usize) {
        self.frames = self.frames.saturating_sub(1);
        self.use_up_bytes(bytes);
    }

    fn use_up_bytes(&mut self, bytes: usize) {
        self.bytes = self.bytes.saturating_sub(u32::try_from(bytes).unwrap_or(u32::MAX));
    }
}

impl Core {
    fn share(&mut self, socket: SocketId) -> Share {
        let Self { turn, now, connections, allowance, .. } = self;
        let Some(connection) = connections.get(socket) else {
            return Share { frames: TURN_FRAMES, bytes: TURN_BYTES };
        };
        let (frames, bytes) = if connection.turn == *turn {
            (connection.frames_left, connection.bytes_left)
        } else {
            connection.used.allows(allowance, *now, TURN_FRAMES, TURN_BYTES)
        };
        Share { frames, bytes }
    }

    fn set_share(&mut self, socket: SocketId, share: Share, frames: u64, bytes: u64) {
        let Self { turn, now, connections, allowance, .. } = self;
        let Some(connection) = connections.get_mut(socket) else { return };
        connection.greeted |= frames > 0;
        connection.traffic.received_frames += frames;
        connection.used.take(allowance, *now, frames, bytes);
        connection.turn = *turn;
        connection.frames_left = share.frames;
        connection.bytes_left = share.bytes;
    }
}

impl Core {
    fn begin_half_frame(&mut self, socket: SocketId, half: Box<ReceiveBuffer>) {
        let now = self.now;
        if let Some(connection) = self.connection(socket) {
            connection.since = now;
            connection.half = Some(half);
        }
        if let Some(deadline) = self.limits.frame_deadline {
            self.arm_timer(socket, now + deadline);
        }
    }

    pub(super) fn receive_failed(&mut self, socket: SocketId, error: ReceiveError) {
        let reason = match error {
            ReceiveError::Reset => CloseReason::PeerReset,
            _ => CloseReason::ConnectionFailed,
        };
        self.terminate(socket, reason, false);
    }
}
