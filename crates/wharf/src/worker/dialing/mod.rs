//! Connections that this worker makes: which targets it has, and where each of them stands.
//!
//! A target waits, has its name looked up, races for a connection, or has its session; `attempts` is
//! the way from one to the next, `racing` how one attempt tries several addresses. Nothing here is
//! touched for a frame: a session does not know its target, which is looked for when it ends.

mod attempts;
mod racing;

use std::collections::BTreeMap;
use std::net::SocketAddr;

use wharf_port::{SocketId, SocketOptions, Time, TimerId};

use self::racing::{Race, Racer};
use super::Core;
use crate::client::{Backoff, Destination, NewTarget, TargetError, TargetId, TargetRef};
use crate::session_id::SessionId;

/// Marks the port's token of a target's timer; its number is below. Those of users' timers have a higher
/// bit, and those of sessions neither.
const TARGETS: u64 = 1 << 62;

/// Whether this is the port's token of a target's timer.
pub(super) const fn is_timer(token: u64) -> bool {
    token >> 62 == 1
}

/// The targets of one worker. In trees and not in hash tables: what is done for all of them is done in the
/// same order in every run of a simulation.
#[derive(Debug)]
pub(super) struct Dialing {
    dials: BTreeMap<TargetId, Box<Dial>>,
    /// Sockets that connect, or did and are being closed.
    racers: BTreeMap<SocketId, Racer>,
    /// Whose session a socket has.
    sessions: BTreeMap<SocketId, TargetId>,
    /// Timers that have fired and were not looked at.
    fired: Vec<(TimerId, TargetId)>,
    socket: SocketOptions,
}

/// One target.
#[derive(Debug)]
struct Dial {
    target: NewTarget,
    phase: Phase,
    /// Wakes it from its phase.
    timer: Option<TimerId>,
    /// When the present attempt has failed.
    deadline: Time,
    backoff: Backoff,
    /// Attempts since its last session.
    attempts: u32,
    /// Sessions that it has had.
    sessions: u64,
    /// Its name is being looked up, perhaps for an attempt that has failed since.
    looks_up: bool,
    /// What a lookup has found too late for its attempt: for the next one, or a slow resolver would never
    /// be of use.
    found_late: Vec<SocketAddr>,
}

#[derive(Debug)]
enum Phase {
    /// For its next attempt.
    Waiting,
    Resolving,
    Racing(Race),
    Connected {
        socket: SocketId,
        since: Time,
    },
}

impl Dial {
    fn new(target: NewTarget, now: Time) -> Self {
        Self {
            target,
            phase: Phase::Waiting,
            timer: None,
            deadline: now,
            backoff: Backoff::default(),
            attempts: 0,
            sessions: 0,
            looks_up: false,
            found_late: Vec::new(),
        }
    }

    const fn destination(&self) -> &Destination {
        &self.target.destination
    }

    /// When it is to be looked at next.
    fn next_look(&self) -> Time {
        match &self.phase {
            Phase::Racing(race) => {
                race.next_look().map_or(self.deadline, |at| at.min(self.deadline))
            }
            _ => self.deadline,
        }
    }
}

impl Dialing {
    pub(super) const fn new(socket: SocketOptions) -> Self {
        Self {
            dials: BTreeMap::new(),
            racers: BTreeMap::new(),
            sessions: BTreeMap::new(),
            fired: Vec::new(),
            socket,
        }
    }

    /// A socket that is no session's has closed.
    pub(super) fn socket_closed(&mut self, socket: SocketId) {
        self.racers.remove(&socket);
    }

    /// What a session is connected to; `None` for one that was accepted.
    pub(super) fn destination_of(&self, socket: SocketId) -> Option<&Destination> {
        let id = self.sessions.get(&socket)?;
        Some(self.dials.get(id)?.destination())
    }

    fn get(&mut self, id: TargetId) -> Option<&mut Dial> {
        self.dials.get_mut(&id).map(Box::as_mut)
    }
}

impl Core {
    /// Takes a target in, for a session of this worker. What comes of it is told behind the callback. It
    /// comes through the inbox and not with the local messages, or [`TargetRef::stop`], which can only come
    /// through the inbox, might overtake it.
    pub(crate) fn connect(
        &mut self,
        destination: Destination,
        opener: SessionId,
    ) -> Result<TargetRef, TargetError> {
        self.shared().connect(destination, Some(usize::from(self.index)), Some(opener))
    }

    /// The server ends: nothing is connected any more. Targets with a session are over when it is.
    pub(super) fn stop_dialing(&mut self) {
        let without_session = |dial: &Dial| !matches!(dial.phase, Phase::Connected { .. });
        let dials = self.dialing.dials.iter();
        let ids: Vec<TargetId> =
            dials.filter(|(_, dial)| without_session(dial)).map(|(id, _)| *id).collect();
        for id in ids {
            self.forget_target(id);
        }
    }

    /// A target is over.
    fn forget_target(&mut self, id: TargetId) {
        self.close_racers(id);
        let Some(dial) = self.dialing.dials.remove(&id) else { return };
        if let Some(timer) = dial.timer {
            self.port.cancel_timer(timer);
        }
        // Its place goes with it.
        drop(dial);
        self.shared().place_given_up();
    }

    /// Has a target's timer fire when it is to be looked at next. False if there are too many timers.
    fn arm_target(&mut self, id: TargetId) -> bool {
        let Self { port, dialing, .. } = self;
        let Some(dial) = dialing.get(id) else { return true };
        if let Some(timer) = dial.timer.take() {
            port.cancel_timer(timer);
        }
        dial.timer = port.start_timer(dial.next_look(), TARGETS | id.number());
        dial.timer.is_some()
    }
}
