//! What other threads want of this worker: connections, frames, closes, drain and stop.

use std::collections::VecDeque;

use wharf_port::SocketId;

use super::connection::State;
use super::{Core, Worker};
use crate::arrival::Arrival;
use crate::close_reason::CloseReason;
use crate::deferred::Finished;
use crate::inbox::Message;
use crate::session::Session;
use crate::typed::Delivery;
use crate::unwinding::drop_quietly;
use crate::watchdog::Callback;

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
        // Those of sessions that live here; what they post in turn waits for the next turn.
        for _ in 0..self.core.local.len().min(TURN_MESSAGES) {
            let Some(message) = self.core.local.pop() else { break };
            self.work_on(message);
        }
        for _ in 0..TURN_MESSAGES {
            let Some(message) = self.messages.pop_front() else {
                // A crowd that was handed over leaves hundreds of KB behind.
                if self.messages.capacity() > 0 {
                    self.messages = VecDeque::new();
                }
                return;
            };
            self.work_on(message);
        }
    }

    fn work_on(&mut self, message: Message) {
        match message {
            Message::Adopt(socket, seat) => self.adopt(socket, seat),
            Message::Send(id, payload) => {
                self.core.send_owned(id.socket(), payload);
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
            Message::CloseGroup(group) => self.end_for_others(|core| core.close_group(&group)),
            Message::Connect(target) => self.dial(target),
            Message::StopTarget(target) => self.stop_target(target),
            Message::Resolved(target, found) => self.resolved(target, found),
            Message::Post(id, delivery) => self.deliver_message(id.socket(), delivery),
            Message::Deferred(id, finished) => self.deliver_result(id.socket(), finished),
            Message::OpenRoom(room) => self.place(room.state()),
            Message::RoomMail(mail) => self.deliver_mail(&mail),
            Message::RoomJob(room, job) => self.call_room(&room, Callback::RoomJob, job.0),
            Message::CloseRoom(room) => self.close_room(&room),
            Message::Close(id) => {
                self.end_for_others(|core| core.begin_close(id.socket(), CloseReason::Closed))
            }
            Message::Reset(id) => {
                self.end_for_others(|core| core.terminate(id.socket(), CloseReason::Closed, true))
            }
            Message::Capture(id) => self.capture_from_now(id.socket()),
            Message::PauseReceiving(id) => self.core.pause_receiving(id.socket()),
            Message::ResumeReceiving(id) => self.core.resume_receiving(id.socket()),
            // A look at what waits on all workers is what each turn ends with.
            Message::Look => self.core.look_whether_paused(),
            Message::LookAtLimits => self.core.look_at_rates(),
            Message::Ask(question) => self.answer(&question),
            Message::Drain(farewell) => self.drain(farewell),
            Message::Stop => self.core.stop(),
            Message::NothingComes => self.core.nothing_comes = true,
        }
    }

    /// Has sessions end since another thread wants it.
    fn end_for_others(&mut self, end: impl FnOnce(&mut Core)) {
        self.core.acts_from_outside = true;
        end(&mut self.core);
        self.core.acts_from_outside = false;
    }

    /// What a job has come to, for the session that deferred it. One whose job panicked ends as if it had
    /// panicked itself.
    fn deliver_result(&mut self, socket: SocketId, finished: Finished) {
        let Finished { delivery, place } = finished;
        // What follows may defer again.
        drop(place);
        match delivery {
            Some(delivery) => self.deliver_message(socket, delivery),
            None if self.core.is_open(socket) => self.panicked(socket),
            None => self.core.stats.seldom().panics += 1,
        }
    }

    /// A message of the user's, for a session that may be closing or gone.
    fn deliver_message(&mut self, socket: SocketId, delivery: Delivery) {
        if self.core.is_open(socket) {
            self.call(socket, Callback::Message, |handler, context| {
                delivery.deliver(handler, context)
            });
        } else if !drop_quietly(delivery) {
            self.core.stats.seldom().panics += 1;
        }
    }
}

impl Core {
    /// Ends every session at once.
    fn stop(&mut self) {
        self.drain_until = Some(self.now);
        self.stop_listeners();
        self.stop_dialing();
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

    pub(super) fn stop_listeners(&mut self) {
        self.cancel_group_timers();
        self.stop_tickers();
        for listener in std::mem::take(&mut self.listeners) {
            self.port.stop_listening(listener);
        }
    }
}
