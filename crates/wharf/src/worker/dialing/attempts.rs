//! From a target to its session, and to the next one.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use wharf_port::{Address, ConnectError, SocketId, TimerId};

use super::racing::Race;
use super::{Core, Dial, Phase, TARGETS};
use crate::admission::Seat;
use crate::arrival::Arrival;
use crate::client::{
    ConnectFailure, ConnectProblem, Endpoint, Found, NewTarget, Outgoing, TargetId, TargetRef,
};
use crate::close_reason::CloseReason;
use crate::session::Session;
use crate::watchdog::Callback;
use crate::worker::Worker;
use crate::worker::connection::Connection;

impl<H: Session, F: Fn(&Arrival) -> H> Worker<H, F> {
    /// Connects a target for the first time.
    pub(in crate::worker) fn dial(&mut self, target: Box<NewTarget>) {
        let core = &mut self.core;
        let id = target.id;
        core.dialing.dials.insert(id, Box::new(Dial::new(*target, core.now)));
        if core.drain_until.is_some() {
            return core.forget_target(id);
        }
        self.attempt(id);
    }

    /// Begins an attempt.
    fn attempt(&mut self, id: TargetId) {
        let Core { dialing, now, .. } = &mut self.core;
        let Some(dial) = dialing.get(id) else { return };
        dial.attempts = dial.attempts.saturating_add(1);
        dial.deadline = *now + dial.destination().timeout;
        match dial.destination().endpoint.clone() {
            Endpoint::Address(Address::Tcp(address)) => self.race(id, &[address]),
            Endpoint::Address(unix) => {
                dial.phase = Phase::Racing(Race::of_one(Some(unix), *now));
                self.go_on(id);
            }
            Endpoint::Name { .. } if !dial.found_late.is_empty() => {
                let found = std::mem::take(&mut dial.found_late);
                self.race(id, &found);
            }
            Endpoint::Name { host, port } => {
                dial.phase = Phase::Resolving;
                let asked = std::mem::replace(&mut dial.looks_up, true);
                self.core.arm_target(id);
                if asked {
                    return;
                }
                let shared = self.core.shared();
                let found = shared.targets.lookups().ask(shared, id, &host, port);
                if let Some(found) = found {
                    self.resolved(id, found);
                }
            }
        }
    }

    /// A name has been looked up, perhaps too late for the attempt that asked.
    pub(in crate::worker) fn resolved(&mut self, id: TargetId, found: Found) {
        let Some(dial) = self.core.dialing.get(id) else { return };
        dial.looks_up = false;
        let in_time = matches!(dial.phase, Phase::Resolving);
        match found {
            found if !in_time => dial.found_late = found.unwrap_or_default(),
            Ok(addresses) => self.race(id, &addresses),
            Err(error) => self.attempt_failed(id, ConnectProblem::Resolve(error)),
        }
    }

    fn race(&mut self, id: TargetId, addresses: &[SocketAddr]) {
        let Core { dialing, now, .. } = &mut self.core;
        let bind = dialing.socket.bind;
        let Some(dial) = dialing.get(id) else { return };
        let local = dial.destination().bind.or(bind);
        dial.phase = Phase::Racing(Race::new(addresses, local, *now));
        self.go_on(id);
    }

    fn go_on(&mut self, id: TargetId) {
        if let Some(problem) = self.core.go_on_racing(id) {
            self.attempt_failed(id, problem);
        }
    }

    /// A connect has ended.
    pub(in crate::worker) fn connected(
        &mut self,
        socket: SocketId,
        result: Result<(), ConnectError>,
    ) {
        match self.core.racer_ended(socket, result) {
            None => {}
            Some((id, Err(error))) => {
                self.core.racer_failed(socket, id, error);
                self.go_on(id);
            }
            Some((id, Ok(()))) => {
                if let Some((address, seat)) = self.core.racer_won(socket, id) {
                    self.begin_outgoing(socket, id, address, seat);
                }
            }
        }
    }

    fn begin_outgoing(&mut self, socket: SocketId, id: TargetId, address: Address, seat: Seat) {
        let Some(outgoing) = self.core.take_in(socket, id, seat) else { return };
        let session = self.core.session_id(socket);
        let arrival = Arrival::new(session, address, Arc::clone(self.core.shared()));
        self.begin(socket, &arrival.made_by(outgoing));
    }

    pub(in crate::worker) fn target_timer_has_fired(&mut self, timer: TimerId, token: u64) {
        let id = TargetId::new(usize::from(self.core.index), token & !TARGETS);
        self.core.dialing.fired.push((timer, id));
    }

    /// Looks at the timers that have fired, behind what has come meanwhile: an answer that was there in time
    /// counts, though this thread was held up.
    #[inline]
    pub(in crate::worker) fn fire_target_timers(&mut self) {
        if !self.core.dialing.fired.is_empty() {
            for (timer, id) in std::mem::take(&mut self.core.dialing.fired) {
                self.target_timer_fired(timer, id);
            }
        }
    }

    fn target_timer_fired(&mut self, timer: TimerId, id: TargetId) {
        let core = &mut self.core;
        let Some(dial) = core.dialing.get(id) else { return };
        if dial.timer.take_if(|armed| *armed == timer).is_none() {
            return;
        }
        let late = dial.deadline <= core.now;
        match dial.phase {
            Phase::Waiting => self.attempt(id),
            Phase::Resolving => {
                let error = io::Error::new(io::ErrorKind::TimedOut, "no answer in time");
                self.attempt_failed(id, ConnectProblem::Resolve(error));
            }
            Phase::Racing(_) if late => {
                if let Some(problem) = self.core.give_up_race(id) {
                    self.attempt_failed(id, problem);
                }
            }
            Phase::Racing(_) => self.go_on(id),
            Phase::Connected { .. } => {}
        }
    }

    /// An attempt has failed: the users are told, and of when the next one comes.
    fn attempt_failed(&mut self, id: TargetId, problem: ConnectProblem) {
        let core = &mut self.core;
        core.stats.seldom().connect_failures += 1;
        let again = core.again(id);
        let shared = Arc::clone(core.shared());
        let Some(dial) = core.dialing.get(id) else { return };
        let (attempts, opener) = (dial.attempts, dial.target.opener);
        let target = TargetRef::new(id, dial.destination(), &shared);
        let failure = ConnectFailure { target, problem, opener, attempts, retry_after: again };
        tracing::debug!(target = %id, %failure, "connect failed");
        if !shared.targets.tell(&failure) {
            core.stats.seldom().panics += 1;
        }
        if let Some(opener) = opener
            && core.is_open(opener.socket())
        {
            self.call(opener.socket(), Callback::ConnectFailed, |session, ctx| {
                session.on_connect_failed(ctx, &failure)
            });
        }
        if again.is_none() {
            self.core.forget_target(id);
        }
    }

    /// A session has ended: if it was a target's, that is connected again or is over.
    pub(in crate::worker) fn session_of_target_ended(&mut self, socket: SocketId) {
        let core = &mut self.core;
        let Some(id) = core.dialing.sessions.remove(&socket) else { return };
        let now = core.now;
        let Some(dial) = core.dialing.get(id) else { return };
        let stable_after = dial.destination().reconnect.map(|terms| terms.stable_after);
        if let Phase::Connected { since, .. } = dial.phase
            && stable_after.is_some_and(|time| now >= since + time)
        {
            dial.backoff.reset();
        }
        if core.drain_until.is_some() || core.again(id).is_none() {
            core.forget_target(id);
        }
    }

    /// Connects a target no more, and closes its session.
    pub(in crate::worker) fn stop_target(&mut self, id: TargetId) {
        let core = &mut self.core;
        let Some(dial) = core.dialing.get(id) else { return };
        let Phase::Connected { socket, .. } = dial.phase else { return core.forget_target(id) };
        dial.target.destination.reconnect = None;
        core.begin_close(socket, CloseReason::Closed);
    }
}

impl Core {
    /// Makes the session's side of a connection that a target has got.
    fn take_in(&mut self, socket: SocketId, id: TargetId, seat: Seat) -> Option<Outgoing> {
        let now = self.now;
        let shared = Arc::clone(self.shared());
        let Self { port, dialing, .. } = self;
        dialing.sessions.insert(socket, id);
        let dial = dialing.get(id)?;
        dial.phase = Phase::Connected { socket, since: now };
        if let Some(timer) = dial.timer.take() {
            port.cancel_timer(timer);
        }
        let outgoing = Outgoing {
            target: TargetRef::new(id, dial.destination(), &shared),
            local: port.local_address(socket),
            opener: dial.target.opener,
            reconnects: dial.sessions,
            attempts: std::mem::take(&mut dial.attempts),
        };
        dial.sessions += 1;
        let mut connection = Connection::new(socket, seat, self.new_queue(), now);
        // Deadlines and load shedding are about strangers who keep quiet.
        connection.greeted = true;
        self.connections.insert(connection);
        self.stats.seldom().connected += 1;
        self.arm_next_timer(socket);
        Some(outgoing)
    }

    /// Has a target wait for its next attempt, if there is to be one; gives how long.
    fn again(&mut self, id: TargetId) -> Option<Duration> {
        let chance = self.random();
        let now = self.now;
        let dial = self.dialing.get(id)?;
        let terms = dial.destination().reconnect?;
        if terms.attempts_max.is_some_and(|max| dial.attempts >= max) {
            return None;
        }
        let delay = dial.backoff.delay(&terms, chance);
        dial.phase = Phase::Waiting;
        dial.deadline = now + delay;
        self.arm_target(id).then_some(delay)
    }
}
