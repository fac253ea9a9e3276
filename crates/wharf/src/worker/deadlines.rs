//! The deadlines of a session: one timer each, looked at when it fires.

use std::time::Duration;

use wharf_port::{SocketId, Time};

use super::connection::{Connection, State};
use super::rates::Allowance;
use super::{Core, LINGER, Worker};
use crate::close_reason::CloseReason;
use crate::limits::Limits;
use crate::session::Session;

/// Sessions that have their turn in one entry into the kernel, at least, if all have sent something.
const BATCH: usize = 16;

/// How long a proxy may take to say whose connection it is, if the first frame has no limit.
const ANNOUNCED_WITHIN: Duration = Duration::from_secs(5);

/// How fast a peer has to read at least, beyond what the send deadline allows.
const SEND_BYTES_PER_SECOND: u64 = 16 << 10;

/// What comes next for a session that does nothing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Due {
    Idle,
    /// It may send again.
    Rate,
    /// The kernel has not taken what it was given to send.
    Send,
    FirstFrame,
    Frame,
    /// It could not be flushed in time.
    Flush,
    /// The peer did not end its own stream in time.
    Linger,
}

impl Connection {
    fn next_due(
        &self,
        limits: &Limits,
        allowance: &Allowance,
        drain_until: Option<Time>,
    ) -> Option<(Time, Due)> {
        match self.state {
            State::Announcing => {
                let first = limits.first_frame.unwrap_or(ANNOUNCED_WITHIN);
                Some((sooner(self.opened + first, drain_until), Due::FirstFrame))
            }
            State::Open => self.next_due_open(limits, allowance),
            State::Flushing => Some((sooner(self.since + limits.flush, drain_until), Due::Flush)),
            State::HalfClosed => Some((sooner(self.since + LINGER, drain_until), Due::Linger)),
            State::Terminating => None,
        }
    }

    fn next_due_open(&self, limits: &Limits, allowance: &Allowance) -> Option<(Time, Due)> {
        // What is not received because this side does not want it is not the peer's delay.
        let reads = !self.is_held_back();
        let idle = limits.idle.filter(|_| !self.throttled);
        let first = limits.first_frame.filter(|_| reads && !self.greeted);
        let frame = limits.frame_deadline.filter(|_| reads && self.half.is_some());
        [
            self.send_due(limits).map(|due| (due, Due::Send)),
            self.free_at(allowance).map(|due| (due, Due::Rate)),
            idle.map(|idle| (self.last_receive + idle, Due::Idle)),
            first.map(|first| (self.opened + first, Due::FirstFrame)),
            frame.map(|frame| (self.since + frame, Due::Frame)),
        ]
        .into_iter()
        .flatten()
        .min_by_key(|(deadline, _)| *deadline)
    }

    /// When the kernel has to have taken what it was given to send.
    fn send_due(&self, limits: &Limits) -> Option<Time> {
        let deadline = limits.send_deadline?;
        let bytes = self.queue.in_flight_bytes()? as u64;
        Some(self.send_since + deadline + Duration::from_secs(bytes / SEND_BYTES_PER_SECOND))
    }
}

fn sooner(deadline: Time, other: Option<Time>) -> Time {
    other.map_or(deadline, |other| other.min(deadline))
}

impl Core {
    /// Has the session's timer fire at `deadline` or before. A timer that fires too early looks again
    /// and is set again; so a deadline that moves away costs nothing.
    pub(super) fn arm_timer(&mut self, socket: SocketId, deadline: Time) {
        let Some(connection) = self.connection(socket) else { return };
        let armed = connection.timer;
        if armed.is_some_and(|timer| timer.deadline() <= deadline) {
            return;
        }
        if let Some(timer) = armed {
            self.port.cancel_timer(timer);
        }
        let token = u64::from(socket.slot()) << 32 | u64::from(socket.generation());
        let timer = self.port.start_timer(deadline, token);
        if let Some(connection) = self.connection(socket) {
            connection.timer = timer;
        }
    }

    /// Has the session's timer, which is `armed` so far, fire when the send that has just begun is late,
    /// or before.
    #[inline]
    pub(super) fn arm_send_deadline(&mut self, socket: SocketId, armed: Option<Time>) {
        let Some(deadline) = self.limits.send_deadline else { return };
        let late = self.now + deadline;
        if armed.is_none_or(|armed| armed > late) {
            // It looks at what is really due when it fires.
            self.arm_timer(socket, late);
        }
    }

    /// Sets the timer of a session to what is next due for it.
    pub(super) fn arm_next_timer(&mut self, socket: SocketId) {
        let drain_until = self.drain_until;
        let Some(connection) = self.connections.get(socket) else { return };
        let due = connection.next_due(&self.limits, &self.allowance, drain_until);
        if let Some((deadline, _)) = due {
            self.arm_timer(socket, deadline);
        }
    }

    fn timer_fired(&mut self, socket: SocketId) {
        let (now, drain_until) = (self.now, self.drain_until);
        let Some(connection) = self.connections.get_mut(socket) else { return };
        connection.timer = None;
        let due = connection.next_due(&self.limits, &self.allowance, drain_until);
        let Some((deadline, due)) = due else { return };
        if deadline > now {
            return self.arm_timer(socket, deadline);
        }
        match due {
            Due::Send => self.terminate(socket, CloseReason::SlowReader, true),
            Due::Rate => self.end_throttling(socket),
            Due::Idle => self.begin_close(socket, CloseReason::Idle),
            Due::FirstFrame => self.begin_close(socket, CloseReason::FirstFrameLate),
            Due::Frame => self.begin_close(socket, CloseReason::FrameLate),
            Due::Flush => self.terminate(socket, CloseReason::SlowReader, true),
            Due::Linger => self.terminate(socket, CloseReason::Closed, false),
        }
    }
}

/// A timer that has fired and was not looked at.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fired {
    socket: SocketId,
    turn: u32,
}

impl<H: Session, F> Worker<H, F> {
    #[expect(clippy::cast_possible_truncation, reason = "the token is put together of two halves")]
    pub(super) fn timer_has_fired(&mut self, token: u64) {
        let socket = SocketId::from_parts((token >> 32) as u32, token as u32);
        self.due.push(Fired { socket, turn: self.core.turn });
    }

    /// Looks at the timers that have fired. What an open session has sent in time may lie in the kernel
    /// still, which gives it out in batches: it is given as many turns as it takes until all have been
    /// read, which is over once nothing more comes.
    pub(super) fn fire_timers(&mut self, all_is_read: bool) {
        let core = &mut self.core;
        let turns = u32::try_from(core.connections.len() / BATCH + 1).unwrap_or(u32::MAX);
        self.due.retain(|fired| {
            let waits = !all_is_read && core.turn.wrapping_sub(fired.turn) < turns;
            let stays = waits && core.is_open(fired.socket);
            if !stays {
                core.timer_fired(fired.socket);
            }
            stays
        });
    }
}
