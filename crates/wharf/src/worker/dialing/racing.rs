//! One attempt: several addresses, of which the first that answers is kept (RFC 8305).

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Duration;

use wharf_port::{Address, ConnectError, SocketId, SocketOptions, Time};

use super::{Core, Phase};
use crate::admission::Seat;
use crate::client::{ConnectProblem, TargetId, in_order};
use crate::send_total::Load;

/// How long an address is given before the next one is tried besides (RFC 8305, section 5).
const HEAD_START: Duration = Duration::from_millis(250);

/// The addresses of one attempt.
#[derive(Debug)]
pub(super) struct Race {
    left: VecDeque<Address>,
    running: Vec<SocketId>,
    failed: Vec<(Address, ConnectError)>,
    /// When the next address is tried.
    next_at: Time,
}

/// A socket that connects. Each has a seat of its own, as each takes a descriptor.
#[derive(Debug)]
pub(super) struct Racer {
    /// `None` for one that is not wanted any more: it closes.
    target: Option<TargetId>,
    pub(super) address: Address,
    seat: Seat,
}

/// Why an address was not tried.
enum Unstarted {
    Failed(ConnectError),
    /// Nor can another one be.
    Refused(ConnectProblem),
}

impl Race {
    /// A race in which nothing has begun.
    pub(super) fn new(addresses: &[SocketAddr], local: Option<SocketAddr>, now: Time) -> Self {
        let mut left = in_order(addresses);
        left.retain(|address| local.is_none_or(|local| local.is_ipv4() == address.is_ipv4()));
        Self { left: left.into_iter().map(Address::Tcp).collect(), ..Self::of_one(None, now) }
    }

    /// A race of one, if any.
    pub(super) fn of_one(address: Option<Address>, now: Time) -> Self {
        let left = address.into_iter().collect();
        Self { left, running: Vec::new(), failed: Vec::new(), next_at: now }
    }

    /// When it is to be looked at, if another address waits.
    pub(super) fn next_look(&self) -> Option<Time> {
        (!self.left.is_empty()).then_some(self.next_at)
    }

    /// The next address, if it is its turn.
    fn next(&mut self, now: Time) -> Option<Address> {
        if !self.running.is_empty() && now < self.next_at {
            return None;
        }
        self.next_at = now + HEAD_START;
        self.left.pop_front()
    }

    fn is_lost(&self) -> bool {
        self.left.is_empty() && self.running.is_empty()
    }
}

impl Core {
    /// Tries the next address of a target if it is its turn; gives why the attempt has failed, if it has.
    pub(super) fn go_on_racing(&mut self, id: TargetId) -> Option<ConnectProblem> {
        loop {
            let now = self.now;
            let dial = self.dialing.get(id)?;
            let local = dial.destination().bind;
            let Phase::Racing(race) = &mut dial.phase else { return None };
            let Some(address) = race.next(now) else { break };
            let started = self.start_racer(id, address.clone(), local);
            let Phase::Racing(race) = &mut self.dialing.get(id)?.phase else { return None };
            match started {
                Ok(socket) => race.running.push(socket),
                Err(Unstarted::Failed(error)) => race.failed.push((address, error)),
                Err(Unstarted::Refused(problem)) => {
                    race.left.clear();
                    if race.is_lost() && race.failed.is_empty() {
                        return Some(problem);
                    }
                }
            }
        }
        let Phase::Racing(race) = &mut self.dialing.get(id)?.phase else { return None };
        if race.is_lost() {
            return Some(ConnectProblem::Addresses(std::mem::take(&mut race.failed)));
        }
        self.arm_target(id);
        None
    }

    fn start_racer(
        &mut self,
        id: TargetId,
        address: Address,
        local: Option<SocketAddr>,
    ) -> Result<SocketId, Unstarted> {
        if self.shared().send_total.load() >= Load::Refusing {
            return Err(Unstarted::Refused(ConnectProblem::Overload));
        }
        let Some(seat) = self.shared().admission.admit_outgoing(usize::from(self.index)) else {
            return Err(Unstarted::Refused(ConnectProblem::SessionsMax));
        };
        let Self { port, dialing, .. } = self;
        let options = &dialing.socket;
        let started = match local {
            None => port.connect(&address, options),
            bind => port.connect(&address, &SocketOptions { bind, ..options.clone() }),
        };
        let socket = started.map_err(Unstarted::Failed)?;
        dialing.racers.insert(socket, Racer { target: Some(id), address, seat });
        Ok(socket)
    }

    /// A connect has ended: for whom, and how. `None` if it is not wanted any more.
    pub(super) fn racer_ended(
        &mut self,
        socket: SocketId,
        result: Result<(), ConnectError>,
    ) -> Option<(TargetId, Result<(), ConnectError>)> {
        let Self { port, dialing, .. } = self;
        let racer = dialing.racers.get(&socket)?;
        let id = racer.target?;
        // A connect to a free port of this host may meet itself (simultaneous open): nobody is there.
        let met_itself = || port.local_address(socket).is_some_and(|local| local == racer.address);
        if result.is_ok() && met_itself() {
            return Some((id, Err(ConnectError::Refused)));
        }
        Some((id, result))
    }

    /// An address has failed: the next one is tried at once.
    pub(super) fn racer_failed(&mut self, socket: SocketId, id: TargetId, error: ConnectError) {
        let now = self.now;
        let Some(address) = self.close_racer(socket) else { return };
        if let Some(Phase::Racing(race)) = self.dialing.get(id).map(|dial| &mut dial.phase) {
            race.running.retain(|running| *running != socket);
            race.failed.push((address, error));
            race.next_at = now;
        }
    }

    /// An address has answered: the others are closed.
    pub(super) fn racer_won(&mut self, socket: SocketId, id: TargetId) -> Option<(Address, Seat)> {
        let Racer { address, seat, .. } = self.dialing.racers.remove(&socket)?;
        self.close_racers(id);
        Some((address, seat))
    }

    /// Closes all sockets of a target that connect.
    pub(super) fn close_racers(&mut self, id: TargetId) {
        let Some(dial) = self.dialing.get(id) else { return };
        let Phase::Racing(race) = &mut dial.phase else { return };
        for socket in std::mem::take(&mut race.running) {
            self.close_racer(socket);
        }
    }

    /// The time of an attempt is up: what has failed, and what has not answered.
    pub(super) fn give_up_race(&mut self, id: TargetId) -> Option<ConnectProblem> {
        let dial = self.dialing.get(id)?;
        let Phase::Racing(race) = &mut dial.phase else { return None };
        let mut failed = std::mem::take(&mut race.failed);
        for socket in std::mem::take(&mut race.running) {
            failed
                .extend(self.close_racer(socket).map(|address| (address, ConnectError::TimedOut)));
        }
        Some(ConnectProblem::Addresses(failed))
    }

    /// Closes a socket that is not wanted any more, with its seat until it is closed. It may be connected
    /// by now: nobody is to wait for what comes of it.
    fn close_racer(&mut self, socket: SocketId) -> Option<Address> {
        let racer = self.dialing.racers.get_mut(&socket)?;
        racer.target = None;
        let closing = self.port.abort(socket);
        debug_assert!(closing.is_ok(), "a socket that connects is there until it is closed");
        Some(racer.address.clone())
    }
}
