//! The end of a server in order: each session is told, flushed, half-closed.

use wharf_port::SocketId;

use super::{Core, Worker};
use crate::close_reason::CloseReason;
use crate::session::Session;
use crate::shared_frame::SharedFrame;
use crate::watchdog::Callback;

impl<H: Session, F> Worker<H, F> {
    /// Ends every session in order, within the drain deadline. Connections that wait in the listeners'
    /// queues are still taken, and end in the same way.
    pub(super) fn drain(&mut self, farewell: Option<SharedFrame>) {
        let core = &mut self.core;
        if core.drain_until.is_some() {
            return;
        }
        core.drain_until = Some(core.now + core.limits.drain);
        core.farewell = farewell;
        core.stop_listeners();
        core.stop_dialing();
        for socket in core.connections.sockets() {
            self.drain_session(socket);
            // Those that were closing before have until then at most.
            self.core.arm_next_timer(socket);
        }
    }

    /// Has a session say what it has to say, and ends it.
    pub(super) fn drain_session(&mut self, socket: SocketId) {
        if self.core.is_open(socket) {
            self.core.capture_drain(socket);
            self.call(socket, Callback::Drain, H::on_drain);
            self.core.say_farewell(socket);
        }
        self.core.begin_close(socket, CloseReason::Drain);
    }
}

impl Core {
    /// Queues the farewell, whatever waits before it: it is one frame, shared by all, and a drain loses
    /// nothing for it.
    fn say_farewell(&mut self, socket: SocketId) {
        let Some(farewell) = &self.farewell else { return };
        let frame = farewell.shared();
        // What the session was sent before comes before it.
        self.deliver_broadcasts();
        let Self { connections, chunks, .. } = self;
        let Some(connection) = connections.get_mut(socket) else { return };
        let len = frame.as_slice().len();
        if !connection.takes_frames() || len == 0 {
            return;
        }
        connection.queue.push_shared(frame, std::iter::once(len), chunks);
        self.mark_dirty(socket);
    }
}
