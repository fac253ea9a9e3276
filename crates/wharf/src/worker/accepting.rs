//! From a connection to a session.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use wharf_port::{
    AcceptError, Address, Credentials, FreshSocket, ListenError, ListenOptions, ListenerId,
    SocketId,
};

use super::connection::{Connection, State};
use super::{Core, Handler, Worker};
use crate::admission::{Refusal, Seat};
use crate::arrival::Arrival;
use crate::close_reason::CloseReason;
use crate::gate::{Incoming, Verdict};
use crate::inbox::Message;
use crate::send_queue::SendQueue;
use crate::send_total::Load;
use crate::server::Place;
use crate::session::Session;
use crate::unwinding::drop_quietly;
use crate::watchdog::Callback;

impl<H: Session, F: Fn(&Arrival) -> H> Worker<H, F> {
    /// A listener of this worker has a connection: it goes to the worker with the fewest sessions, or
    /// is turned away.
    pub(super) fn accepted(&mut self, listener: ListenerId, socket: FreshSocket) {
        let core = &mut self.core;
        let seat = core.let_in_at(listener, &socket).and_then(|()| core.seat(&socket));
        match seat {
            Err(refusal) => core.refuse(socket, refusal),
            // Behind the seat: who has none must not use up what others may.
            Ok(_) if !core.shared().accept_rate.take(core.now) => {
                core.refuse(socket, Refusal::AcceptRate);
            }
            Ok(seat) if seat.worker() == usize::from(core.index) => self.adopt(socket, seat),
            Ok(seat) => {
                // A worker ends only when no listener is left, unless it fails: then the server ends,
                // and the connection with it.
                let _ = core.shared().put(seat.worker(), Message::Adopt(socket, seat));
            }
        }
    }

    /// Makes a session of a connection.
    pub(super) fn adopt(&mut self, fresh: FreshSocket, seat: Seat) {
        // The total may have risen while it was on its way here.
        if self.core.shared().send_total.load() >= Load::Shedding {
            return self.core.refuse(fresh, Refusal::Overload);
        }
        if self.core.gate.is_proxy(fresh.peer()) {
            return self.core.await_announcement(fresh, seat);
        }
        let (peer, credentials) = (fresh.peer().clone(), fresh.credentials());
        let Ok(socket) = self.core.open(fresh, seat, State::Open) else { return };
        self.core.stats.seldom().accepted += 1;
        self.core.begin_capture(socket, &peer);
        let arrival =
            Arrival::new(self.core.session_id(socket), peer, Arc::clone(self.core.shared()));
        self.begin(socket, &arrival.with_credentials(credentials));
    }

    /// Begins the session of a connection that has just been taken in.
    pub(super) fn begin(&mut self, socket: SocketId, arrival: &Arrival) {
        self.make_session(socket, arrival);
        self.core.start_receiving(socket);
        if self.core.drain_until.is_some() {
            self.drain_session(socket);
        }
    }

    /// Makes a connection's session, and tells it so.
    pub(super) fn make_session(&mut self, socket: SocketId, arrival: &Arrival) {
        let session = match catch_unwind(AssertUnwindSafe(|| (self.factory)(arrival))) {
            Ok(session) => session,
            Err(payload) => {
                drop_quietly(payload);
                self.core.stats.seldom().panics += 1;
                return self.core.terminate(socket, CloseReason::Panicked, true);
            }
        };
        let slot = socket.slot() as usize;
        if slot >= self.handlers.len() {
            self.handlers.resize_with(slot + 1, || None);
        }
        self.handlers[slot] = Some(Handler { session, socket, peer: arrival.peer().clone() });
        self.call(socket, Callback::Connected, H::on_connected);
    }
}

impl Core {
    /// Whether a connection of a listener's may come in at all. What comes from a proxy is asked once it is
    /// known whose it is.
    fn let_in_at(&mut self, listener: ListenerId, socket: &FreshSocket) -> Result<(), Refusal> {
        if self.gate.is_proxy(socket.peer()) {
            return Ok(());
        }
        let known = self.listener_addresses.iter().find(|(id, _)| *id == listener);
        let Some((_, listener)) = known else {
            debug_assert!(false, "connections come from listeners of this worker's");
            return Err(Refusal::Filter);
        };
        // Cloned for the filter alone.
        let listener = self.gate.filter.as_ref().map(|_| listener.clone());
        self.let_in(socket.peer(), listener, socket.credentials())
    }

    /// Whether a peer may come in at all: it is not banned, and the user has nothing against it.
    pub(super) fn let_in(
        &mut self,
        peer: &Address,
        listener: Option<Address>,
        credentials: Option<Credentials>,
    ) -> Result<(), Refusal> {
        if peer.ip().is_some_and(|peer| self.shared().bans.covers(peer, self.now)) {
            return Err(Refusal::Banned);
        }
        let Some((filter, listener)) = self.gate.filter.as_ref().zip(listener) else {
            return Ok(());
        };
        let incoming = Incoming { peer: peer.clone(), listener, credentials };
        match catch_unwind(AssertUnwindSafe(|| filter.ask(&incoming))) {
            Ok(Verdict::Allow) => Ok(()),
            Ok(Verdict::Deny) => Err(Refusal::Filter),
            Err(payload) => {
                drop_quietly(payload);
                self.stats.seldom().panics += 1;
                Err(Refusal::Filter)
            }
        }
    }

    /// Finds a connection's worker: the one with the fewest sessions, unless the socket has to stay here.
    fn seat(&mut self, socket: &FreshSocket) -> Result<Seat, Refusal> {
        if self.shared().send_total.load() >= Load::Refusing {
            return Err(Refusal::Overload);
        }
        // A proxy has as many as it brings: they are counted by whose they are. Unix sockets have no
        // addresses to count, and come from this machine, as loopback does.
        let peer = socket.peer().ip().filter(|_| !self.gate.is_proxy(socket.peer()));
        if socket.must_stay() {
            return self.shared().admission.admit_to(peer, usize::from(self.index));
        }
        let start = self.next_worker;
        self.next_worker = (start + 1) % self.shared().inboxes.len();
        self.shared().admission.admit(peer, start)
    }

    /// Listens on this worker's share of the addresses; gives the real ones.
    pub(crate) fn listen(
        &mut self,
        places: &[(usize, Place)],
        options: &ListenOptions,
    ) -> Result<Vec<(usize, Address)>, ListenError> {
        let mut bound = Vec::with_capacity(places.len());
        for (number, place) in places {
            let (listener, address) = place.listen(&mut self.port, options)?;
            self.listeners.push(listener);
            self.listener_addresses.push((listener, address.clone()));
            bound.push((*number, address));
        }
        Ok(bound)
    }

    /// Takes a connection in, which begins in this state.
    pub(super) fn open(
        &mut self,
        fresh: FreshSocket,
        seat: Seat,
        state: State,
    ) -> std::io::Result<SocketId> {
        let socket = self.port.adopt(fresh).inspect_err(|error| {
            if self.shared().is_new_cause("adopt") {
                tracing::warn!(%error, "a connection could not be taken over and was closed");
            }
        })?;
        let queue = self.new_queue();
        let mut connection = Connection::new(socket, seat, queue, self.now);
        connection.state = state;
        self.connections.insert(connection);
        self.arm_next_timer(socket);
        Ok(socket)
    }

    /// The send queue that a session begins with.
    pub(super) fn new_queue(&self) -> SendQueue {
        SendQueue::new(&self.limits.send())
    }

    pub(super) fn start_receiving(&mut self, socket: SocketId) {
        let Some(connection) = self.connection(socket) else { return };
        if connection.state == State::Terminating {
            return;
        }
        if self.drain_until.is_some_and(|until| until <= self.now) {
            return self.terminate(socket, CloseReason::Stop, true);
        }
        let started = self.port.receive(socket);
        debug_assert!(started.is_ok(), "a session's socket is open until it terminates");
    }

    /// Turns a connection away. It is reset and not left waiting: a queue full of those who gave up
    /// long ago never recovers.
    fn refuse(&mut self, socket: FreshSocket, refusal: Refusal) {
        let peer = socket.peer().clone();
        socket.reset();
        self.count_refusal(&peer, refusal);
    }

    pub(super) fn count_refusal(&mut self, peer: &Address, refusal: Refusal) {
        let stats = self.stats.seldom();
        let (count, cause, what) = match refusal {
            Refusal::SessionsMax => {
                (&mut stats.refused_sessions_max, "sessions_max", "all sessions are taken")
            }
            Refusal::Overload => (
                &mut stats.refused_send_total,
                "send_total_max",
                "too much waits to be sent to others",
            ),
            Refusal::Banned => (&mut stats.refused_banned, "ban", "its network is banned"),
            Refusal::Filter => {
                (&mut stats.refused_by_filter, "accept_filter", "the accept filter denies it")
            }
            Refusal::AcceptRate => {
                (&mut stats.refused_accept_rate, "accept_rate", "too many come at a time")
            }
            Refusal::PerAddressMax => (
                &mut stats.refused_per_address,
                "per_address_max",
                "its address has all the sessions that one may have",
            ),
        };
        *count += 1;
        if self.shared().is_new_cause(cause) {
            tracing::warn!(%peer, limit = cause, "connection refused: {what}; said once, counted on");
        }
    }

    pub(super) fn accept_delayed(&mut self, cause: AcceptError, retry_after: Duration) {
        self.stats.seldom().accept_delays += 1;
        let name = match cause {
            AcceptError::ProcessDescriptors => "process descriptors",
            AcceptError::SystemDescriptors => "system descriptors",
            AcceptError::Memory => "memory",
            AcceptError::Aborted => "aborted connections",
            _ => "accept",
        };
        if self.shared().is_new_cause(name) {
            tracing::warn!(%cause, ?retry_after, "accepting rests; said once, counted on");
        }
    }
}
