//! Writing down what captured sessions receive and send.
//!
//! Invariant: what was broadcast before something comes in is written before it, so that a cause stands before
//! its effects and no other cause between them.

use std::sync::Arc;

use wharf_port::{Address, SocketId};

use super::{Core, Worker};
use crate::capture::{Direction, Happened, Recorder};
use crate::close_reason::CloseReason;
use crate::framing::{Decoded, Envelope};
use crate::session_id::SessionId;

impl<H, F> Worker<H, F> {
    /// Captures a session that is there already, from now on. Its peer is the one that it began with: behind a
    /// proxy, the other end of its connection is the proxy.
    pub(super) fn capture_from_now(&mut self, socket: SocketId) {
        if !self.core.is_open(socket) || self.core.is_captured(socket) {
            return;
        }
        if let Some(peer) = self.handler(socket).map(|handler| handler.peer.clone()) {
            self.core.capture(socket, &peer, false);
        }
    }
}

impl Core {
    /// The recorder, if a session is captured.
    fn recorder_of(&self, socket: SocketId) -> Option<(Arc<Recorder>, SessionId)> {
        let recorder = self.recorder.as_ref()?;
        let is_there = self.is_captured(socket) && self.connections.get(socket).is_some();
        is_there.then(|| (Arc::clone(recorder), self.session_id(socket)))
    }

    fn is_captured(&self, socket: SocketId) -> bool {
        self.captured.get(socket.slot() as usize).is_some_and(|is_captured| *is_captured)
    }

    fn set_captured(&mut self, socket: SocketId, is_captured: bool) {
        let slot = socket.slot() as usize;
        if slot >= self.captured.len() {
            self.captured.resize(slot + 1, false);
        }
        self.captured[slot] = is_captured;
    }

    /// A session begins: it is captured if its peer is one of those that were chosen.
    #[inline]
    pub(super) fn begin_capture(&mut self, socket: SocketId, peer: &Address) {
        let Some(recorder) = &self.recorder else { return };
        if recorder.covers(peer) {
            self.capture(socket, peer, true);
        }
    }

    #[cold]
    fn capture(&mut self, socket: SocketId, peer: &Address, is_whole: bool) {
        self.deliver_broadcasts();
        let (id, now) = (self.session_id(socket), self.now);
        let Some(recorder) = self.recorder.clone() else { return };
        if self.is_open(socket) && recorder.begin(id, peer, is_whole, now) {
            self.set_captured(socket, true);
        }
    }

    /// A frame is to be delivered. False if its session is open no longer: to deliver what was broadcast before
    /// may have ended it.
    #[cold]
    pub(super) fn capture_received(&mut self, socket: SocketId, frame: &[u8]) -> bool {
        let Some((recorder, id)) = self.recorder_of(socket) else { return true };
        self.deliver_broadcasts();
        if !self.is_open(socket) {
            return false;
        }
        recorder.frame(id, self.now, Direction::In, frame.to_vec());
        true
    }

    /// A payload, given in parts, has been queued with this around it.
    #[cold]
    pub(super) fn capture_sent(&mut self, socket: SocketId, envelope: &Envelope, parts: &[&[u8]]) {
        let Some((recorder, id)) = self.recorder_of(socket) else { return };
        let payload = parts.concat();
        self.record_sent(&recorder, id, &envelope.around(&payload).concat(), &payload);
    }

    /// A frame has been queued as it goes over the wire.
    #[cold]
    pub(super) fn capture_sent_whole(&mut self, socket: SocketId, frame: &[u8]) {
        if let Some((recorder, id)) = self.recorder_of(socket) {
            self.record_sent(&recorder, id, frame, frame);
        }
    }

    /// Writes down what the peer gets of a frame: several, if its payload holds what ends one; `given` of a codec
    /// that does not know its own frames.
    fn record_sent(&self, recorder: &Recorder, id: SessionId, frame: &[u8], given: &[u8]) {
        let mut rest = frame;
        while !rest.is_empty() {
            let (payload, used) = match self.framing.decode(rest, 0, self.limits.frame_bytes_max) {
                Ok(Decoded::Frame { payload, consumed }) => (&rest[payload], consumed),
                _ if rest.len() == frame.len() => (given, rest.len()),
                // Half a delimiter, behind a whole one.
                _ => (rest, rest.len()),
            };
            recorder.frame(id, self.now, Direction::Out, payload.to_vec());
            rest = &rest[used..];
        }
    }

    /// The peer has ended its stream, or this side its own.
    pub(super) fn capture_end(&mut self, socket: SocketId, what: Happened) {
        if self.recorder.is_none() {
            return;
        }
        self.deliver_broadcasts();
        if let Some((recorder, id)) = self.recorder_of(socket) {
            recorder.happened(id, self.now, what);
        }
    }

    /// The server drains: what a session says for that is none of its answers.
    pub(super) fn capture_drain(&mut self, socket: SocketId) {
        if self.recorder.is_some() {
            self.deliver_broadcasts();
            self.capture_close(socket, &CloseReason::Drain);
        }
    }

    /// A session begins to close, if it has not before.
    #[inline]
    pub(super) fn capture_close(&mut self, socket: SocketId, reason: &CloseReason) {
        if self.recorder.is_some() && self.is_open(socket) {
            self.record_close(socket, reason);
        }
    }

    #[cold]
    fn record_close(&mut self, socket: SocketId, reason: &CloseReason) {
        let Some((recorder, id)) = self.recorder_of(socket) else { return };
        let from_outside = self.acts_from_outside;
        recorder.happened(id, self.now, Happened::Closed { reason: reason.name(), from_outside });
        self.set_captured(socket, false);
    }
}
