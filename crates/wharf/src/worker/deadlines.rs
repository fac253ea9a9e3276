//! The deadlines of a session: one timer each, looked at when it fires.

use std::time::Duration;

use wharf_port::{SocketId, Time};

use super::connection::{Connection, State};
use super::rates::Allowance;
use super::{Core, LINGER, Worker};
use crate::close_reason::CloseReason;
use crate::heartbeat::Heartbeat;
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
    /// Nothing has been sent for so long that the peer is to be shown that this side is there.
    Heartbeat,
    /// It could not be flushed in time.
    Flush,
    /// The peer did not end its own stream in time.
    Linger,
}

impl Connection {
    fn next_due_open(
        &self,
        limits: &Limits,
        allowance: &Allowance,
        silence: Silence,
    ) -> Option<(Time, Due)> {
        // What is not received because this side does not want it is not the peer's delay.
        let reads = !self.is_held_back();
        let idle = silence.idle.filter(|_| !self.throttled && !self.paused);
        let first = limits.first_frame.filter(|_| reads && !self.greeted);
        let frame = limits.frame_deadline.filter(|_| reads && self.half.is_some());
        [
            self.send_due(limits).map(|due| (due, Due::Send)),
            self.free_at(allowance).map(|due| (due, Due::Rate)),
            idle.map(|idle| (self.last_receive + idle, Due::Idle)),
            first.map(|first| (self.opened + first, Due::FirstFrame)),
            frame.map(|frame| (self.since + frame, Due::Frame)),
            silence.heartbeat.map(|due| (due, Due::Heartbeat)),
        ]
        .into_iter()
        .flatten()
        .min_by_key(|(deadline, _)| *deadline)
    }

    /// When a heartbeat is to be sent that comes this often. What waits to be sent is none that is due:
    /// whoever does not read it does not read a heartbeat either.
    fn heartbeat_due(&self, every: Duration, now: Time) -> Time {
        let silent_since = if self.queue.is_empty() { self.send_since } else { now };
        silent_since + every
    }

    /// When the kernel has to have taken what it was given to send.
    fn send_due(&self, limits: &Limits) -> Option<Time> {
        let deadline = limits.send_deadline?;
        let bytes = self.queue.in_flight_bytes()? as u64;
        Some(self.send_since + deadline + Duration::from_secs(bytes / SEND_BYTES_PER_SECOND))
    }
}

/// How long a session and its peer may be silent.
#[derive(Clone, Copy, Debug)]
struct Silence {
    idle: Option<Duration>,
    heartbeat: Option<Time>,
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
        if let Some((deadline, _)) = self.next_due(socket) {
            self.arm_timer(socket, deadline);
        }
    }

    fn next_due(&self, socket: SocketId) -> Option<(Time, Due)> {
        let Self { limits, allowance, drain_until, .. } = self;
        let connection = self.connections.get(socket)?;
        let since = connection.since;
        match connection.state {
            State::Announcing => {
                let first = limits.first_frame.unwrap_or(ANNOUNCED_WITHIN);
                Some((sooner(connection.opened + first, *drain_until), Due::FirstFrame))
            }
            State::Open => {
                let silence = self.silence(socket, connection);
                connection.next_due_open(limits, allowance, silence)
            }
            State::Flushing => Some((sooner(since + limits.flush, *drain_until), Due::Flush)),
            State::HalfClosed => Some((sooner(since + LINGER, *drain_until), Due::Linger)),
            State::Terminating => None,
        }
    }

    /// What a session's target says of silence, or else the server.
    fn silence(&self, socket: SocketId, connection: &Connection) -> Silence {
        let own = self.dialing.destination_of(socket);
        let idle = own.and_then(|own| own.idle).unwrap_or(self.limits.idle);
        let heartbeat = self.heartbeat_of(socket);
        let heartbeat = heartbeat.filter(|_| connection.takes_frames());
        let heartbeat = heartbeat.map(|beat| connection.heartbeat_due(beat.every, self.now));
        Silence { idle, heartbeat }
    }

    fn heartbeat_of(&self, socket: SocketId) -> Option<&Heartbeat> {
        let own = self.dialing.destination_of(socket);
        own.and_then(|own| own.heartbeat.as_ref()).or(self.heartbeat.as_ref())
    }

    fn send_heartbeat(&mut self, socket: SocketId) {
        if let Some(heartbeat) = self.heartbeat_of(socket) {
            let frame = heartbeat.frame.shared();
            self.deliver_broadcasts();
            self.send_shared(socket, frame);
            self.stats.seldom().heartbeats += 1;
        }
        self.arm_next_timer(socket);
    }

    fn timer_fired(&mut self, socket: SocketId) {
        let Some(connection) = self.connections.get_mut(socket) else { return };
        connection.timer = None;
        let Some((deadline, due)) = self.next_due(socket) else { return };
        if deadline > self.now {
            return self.arm_timer(socket, deadline);
        }
        match due {
            Due::Send => self.terminate(socket, CloseReason::SlowReader, true),
            Due::Rate => self.end_throttling(socket),
            Due::Idle => self.begin_close(socket, CloseReason::Idle),
            Due::FirstFrame => self.begin_close(socket, CloseReason::FirstFrameLate),
            Due::Frame => self.begin_close(socket, CloseReason::FrameLate),
            Due::Heartbeat => self.send_heartbeat(socket),
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
