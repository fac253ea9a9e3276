//! Received bytes that may not be worked on yet, and whether more are received.
//!
//! A session holds bytes for one turn if it has had its share of this one, and for longer if it is held
//! back: its reader is slow, it has sent more than it may, or its user has paused it.

use wharf_port::{Lease, SocketId};

use super::Core;
use super::connection::{Connection, State};

/// Received bytes beyond which a session that has had its turn receives no more for now.
const HELD_BYTES_MAX: usize = 64 << 10;

impl Connection {
    /// Whether its frames are not delivered until something else has happened.
    pub(super) const fn is_held_back(&self) -> bool {
        self.slow || self.throttled || self.paused
    }
}

impl Core {
    /// Keeps the rest of what is being read. Who is held back may keep it for long, so it is copied.
    pub(super) fn hold_in_front(&mut self, socket: SocketId, rest: Lease) {
        let Some(connection) = self.connection(socket) else { return };
        let held_back = connection.is_held_back();
        let rest = if held_back { rest.copied_out() } else { rest };
        connection.held.get_or_insert_default().push_front(rest);
        if !held_back {
            self.queue_for_reading(socket);
        }
    }

    /// Keeps bytes that came behind others which are held.
    pub(super) fn hold_behind(&mut self, socket: SocketId, lease: Lease) {
        let Some(connection) = self.connection(socket) else { return };
        let lease = if connection.is_held_back() { lease.copied_out() } else { lease };
        connection.held.get_or_insert_default().push_back(lease);
        if connection.held_bytes() > HELD_BYTES_MAX {
            connection.glutted = true;
            self.set_receiving(socket);
        }
    }

    /// A session is held back from here on, and keeps no buffer: it may be long until what it holds is
    /// read, and the others need the buffers.
    pub(super) fn hold_back(&mut self, socket: SocketId) {
        let Some(connection) = self.connection(socket) else { return };
        let held = connection.held.iter_mut().flat_map(|held| held.iter_mut());
        held.for_each(|lease| *lease = lease.copied_out());
        self.set_receiving(socket);
    }

    /// Goes on with a session that was held back. What is held comes first; the receive goes on behind it.
    pub(super) fn go_on(&mut self, socket: SocketId) {
        let now = self.now;
        let Some(connection) = self.connection(socket) else { return };
        if connection.half.is_some() {
            // The frame could not be finished meanwhile: its time begins again.
            connection.since = now;
        }
        self.queue_for_reading(socket);
        self.arm_next_timer(socket);
    }

    /// Holds a session back until its user resumes it.
    pub(crate) fn pause_receiving(&mut self, socket: SocketId) {
        let Some(connection) = self.connection(socket) else { return };
        if connection.state == State::Open && !std::mem::replace(&mut connection.paused, true) {
            self.hold_back(socket);
        }
    }

    /// Goes on with a session that its user had paused, unless something else holds it back.
    pub(crate) fn resume_receiving(&mut self, socket: SocketId) {
        let now = self.now;
        let Some(connection) = self.connection(socket) else { return };
        if connection.state != State::Open || !std::mem::take(&mut connection.paused) {
            return;
        }
        // It was this side that did not receive: the times that its peer has begin again.
        connection.last_receive = now;
        if !connection.greeted {
            connection.opened = now;
        }
        self.go_on(socket);
    }

    pub(super) fn queue_for_reading(&mut self, socket: SocketId) {
        let Some(connection) = self.connection(socket) else { return };
        if !std::mem::replace(&mut connection.in_backlog, true) {
            self.backlog.push_back(socket);
        }
    }

    /// Pauses or resumes the receive of a session, as its state wants it.
    pub(super) fn set_receiving(&mut self, socket: SocketId) {
        let Some(connection) = self.connection(socket) else { return };
        let waits = connection.is_held_back() || connection.glutted;
        let stops = connection.state == State::Open && waits;
        let told =
            if stops { self.port.pause_receive(socket) } else { self.port.resume_receive(socket) };
        debug_assert!(told.is_ok(), "a session's socket is open until the session is gone");
    }
}
