//! What other threads want of this worker: connections, frames, closes, drain and stop.

use wharf_port::SocketId;

use super::connection::State;
use super::{Core, Worker};
use crate::arrival::Arrival;
use crate::close_reason::CloseReason;
use crate::inbox::Message;
use crate::session::Session;

/// Messages that a worker works on in one turn, so that other threads cannot keep it from its sessions.
const TURN_MESSAGES: usize = 1024;

impl<H: Session, F: Fn(&Arrival) -> H> Worker<H, F> {
    /// Does what other threads want, for as much of it as fits into a turn. The inbox is emptied only
    /// when all of the last time is done: it is what has the bound.
    pub(super) fn work_on_messages(&mut self) {
        if self.has_mail && self.messages.is_empty() {
            self.has_mail = false;
            self.messages = self.core.shared().inboxes[usize::from(self.core.index)].take();
        }
        for _ in 0..TURN_MESSAGES {
            let Some(message) = self.messages.pop_front() else { return };
            match message {
                Message::Adopt(socket, seat) => self.adopt(socket, seat),
                Message::Send(id, payload) => {
                    self.core.send(id.socket(), &payload);
                }
                Message::SendFrame(id, frame) => {
                    self.core.send_frame(id.socket(), &frame);
                }
                Message::Broadcast(group, frame, except) => {
                    self.core.broadcast_here(&group, &frame, except);
                }
                Message::Join(id, group, name) => {
                    // Whoever asked does not wait for the answer, and a session that closes joins nothing.
                    let _ = self.core.join_state(id.socket(), &group, name);
                }
                Message::Leave(id, group) => {
                    self.core.leave(id.socket(), &group);
                }
                Message::GroupTimer(group, token) => self.tell_group(&group, token),
                Message::CancelGroupTimer(timer) => {
                    self.core.cancel_group_timer(timer);
                }
                Message::CloseGroup(group) => self.core.close_group(&group),
                Message::Close(id) => self.core.begin_close(id.socket(), CloseReason::Closed),
                Message::LookWhetherPaused => self.core.look_whether_paused(),
                Message::Drain => self.core.drain(),
                Message::Stop => self.core.stop(),
                Message::NothingComes => self.core.nothing_comes = true,
            }
        }
    }
}

impl Core {
    /// Ends every session in order, within the drain deadline. Connections that wait in the listeners'
    /// queues are still taken, and end in the same way.
    fn drain(&mut self) {
        if self.drain_until.is_some() {
            return;
        }
        self.drain_until = Some(self.now + self.limits.drain);
        self.stop_listeners();
        for socket in self.connections.sockets() {
            self.begin_close(socket, CloseReason::Drain);
            // Those that were closing before have until then at most.
            self.arm_next_timer(socket);
        }
    }

    /// Ends every session at once.
    fn stop(&mut self) {
        self.drain_until = Some(self.now);
        self.stop_listeners();
        for socket in self.connections.sockets() {
            self.stop_session(socket);
        }
    }

    fn stop_session(&mut self, socket: SocketId) {
        let Some(connection) = self.connection(socket) else { return };
        if connection.state != State::Terminating {
            self.terminate(socket, CloseReason::Stop, true);
        }
    }

    fn look_whether_paused(&mut self) {
        let paused = self.shared().is_paused();
        for &listener in &self.listeners {
            if paused {
                self.port.pause_accept(listener);
            } else {
                self.port.resume_accept(listener);
            }
        }
    }

    fn stop_listeners(&mut self) {
        self.cancel_group_timers();
        for listener in std::mem::take(&mut self.listeners) {
            self.port.stop_listening(listener);
        }
    }
}
