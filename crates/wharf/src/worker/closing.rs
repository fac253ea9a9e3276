//! How a session ends: flushed, half-closed, joined, gone.

use wharf_port::SocketId;

use super::connection::{PeerStream, Sending, State};
use super::{Core, Worker};
use crate::arrival::Arrival;
use crate::capture::Happened;
use crate::close_reason::CloseReason;
use crate::session::Session;
use crate::unwinding::drop_quietly;
use crate::watchdog::Callback;

impl Core {
    /// Begins an orderly end: nothing more is taken in, what is queued is sent, the peer is told, and
    /// its own end of stream is awaited. The first reason stays.
    pub(crate) fn begin_close(&mut self, socket: SocketId, reason: CloseReason) {
        // What it was to be sent before belongs to what is flushed.
        self.deliver_broadcasts();
        self.capture_close(socket, &reason);
        let now = self.now;
        let Some(connection) = self.connection(socket) else { return };
        if connection.state == State::Announcing {
            // Nobody was told anything that would have to be finished.
            return self.terminate(socket, reason, true);
        }
        if connection.state != State::Open {
            drop_quietly(reason);
            return;
        }
        connection.state = State::Flushing;
        connection.reason = Some(Box::new(reason));
        connection.since = now;
        connection.half = None;
        connection.held = None;
        let flushed = connection.queue.is_empty();
        self.cancel_timers_of(socket);
        self.leave_all(socket);
        if flushed {
            return self.flushed(socket);
        }
        // What still comes is thrown away, but it is taken: a peer that cannot write may not read.
        self.set_receiving(socket);
        self.arm_next_timer(socket);
    }

    /// Everything that was queued is with the kernel.
    pub(super) fn flushed(&mut self, socket: SocketId) {
        let now = self.now;
        let Some(connection) = self.connection(socket) else { return };
        debug_assert!(connection.queue.is_empty());
        if connection.peer_has_ended() {
            return self.terminate(socket, CloseReason::Closed, false);
        }
        connection.state = State::HalfClosed;
        connection.since = now;
        // Closing at once would make the kernel answer what is still coming in with a reset, and that
        // throws away what the peer has not read yet.
        self.end_own_stream(socket);
        self.set_receiving(socket);
        self.arm_next_timer(socket);
    }

    /// Ends this side's stream of an open session behind what is queued. With both streams over the session
    /// closes.
    pub(crate) fn finish_sending(&mut self, socket: SocketId) {
        self.deliver_broadcasts();
        let Some(connection) = self.connection(socket) else { return };
        if !connection.takes_frames() {
            return;
        }
        if connection.peer_stream == PeerStream::EndTold {
            return self.begin_close(socket, CloseReason::PeerClosed);
        }
        connection.sending = Sending::Ending;
        self.capture_end(socket, Happened::Ended);
        let Some(connection) = self.connection(socket) else { return };
        if connection.queue.is_empty() {
            self.end_own_stream(socket);
        }
    }

    /// Tells the peer, once, that nothing more comes: all of it is with the kernel.
    pub(super) fn end_own_stream(&mut self, socket: SocketId) {
        let Some(connection) = self.connection(socket) else { return };
        if std::mem::replace(&mut connection.sending, Sending::Ended) != Sending::Ended {
            let told = self.port.shutdown(socket);
            debug_assert!(told.is_ok(), "the socket is open");
        }
    }

    /// Ends a session at once: its socket is closed, with a reset if wanted, and what is queued is lost.
    /// The reason counts if none was given before.
    pub(crate) fn terminate(&mut self, socket: SocketId, reason: CloseReason, reset: bool) {
        self.capture_close(socket, &reason);
        let Self { port, connections, chunks, own_part, .. } = self;
        let Some(connection) = connections.get_mut(socket) else { return };
        if connection.state == State::Terminating {
            return;
        }
        let told = matches!(connection.state, State::HalfClosed | State::Announcing)
            || connection.peer_has_ended();
        let orderly = told && connection.queue.is_empty();
        connection.state = State::Terminating;
        connection.reason.get_or_insert_with(|| Box::new(reason));
        connection.half = None;
        connection.held = None;
        if let Some(timer) = connection.timer.take() {
            port.cancel_timer(timer);
        }
        let lost = connection.queue.clear(chunks);
        let closing = if reset { port.abort(socket) } else { port.close(socket) };
        debug_assert!(closing.is_ok(), "a session's socket is open until the session is gone");
        own_part.count_queue(connection);
        self.cancel_timers_of(socket);
        self.leave_all(socket);
        self.lost(lost);
        if self.drain_until.is_some() {
            self.report.count(orderly);
        }
    }

    /// Bytes that were queued will not be sent.
    pub(super) fn lost(&mut self, bytes: usize) {
        self.stats.seldom().bytes_lost += bytes as u64;
        if self.drain_until.is_some() {
            self.report.bytes_lost += bytes as u64;
        }
    }
}

impl<H: Session, F: Fn(&Arrival) -> H> Worker<H, F> {
    /// The port has closed the socket and joined its operations: the session is gone.
    pub(super) fn closed(&mut self, socket: SocketId) {
        let Some(connection) = self.core.connection(socket) else {
            return self.core.dialing.socket_closed(socket);
        };
        let reason = connection.reason.take().map_or(CloseReason::Closed, |reason| *reason);
        self.core.shared().closes[usize::from(self.core.index)].count(&reason);
        tracing::debug!(session = %self.core.session_id(socket), reason = reason.name(), "closed");
        self.call(socket, Callback::Disconnected, |handler, context| {
            handler.on_disconnected(context, &reason);
            Ok(())
        });
        drop_quietly(reason);
        self.drop_handler(socket);
        self.core.connections.remove(socket);
        self.session_of_target_ended(socket);
        self.core.tidy_up_later();
    }
}
