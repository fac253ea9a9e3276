//! Listening: accepts that wait in the kernel before anybody connects.
//!
//! Each listener has a pool of places, and in each an `AcceptEx` with a socket made in advance. A
//! connection takes one and is handed out as a fresh socket, which any port may adopt; the place is
//! filled again. The notes leave open where that should happen, since it makes a socket each time; so
//! there are three answers to choose from, and to measure:
//!
//! | [`AcceptRefill`] | file | who makes sockets and posts |
//! |---|---|---|
//! | `Inline` | `pool` | the worker, once per turn |
//! | `Thread` | `refiller` | a thread that sleeps on a completion port of its own |
//! | `AcceptThread` | `acceptor` | nobody: a thread calls plain `accept` |
//!
//! A listener never dies: what fails is posted again, and what is short is tried again by timer.

mod acceptor;
mod output;
mod pool;
mod refiller;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use self::acceptor::Acceptor;
use self::pool::Pool;
use self::refiller::Refiller;
use super::operation::Outcome;
use super::{Api, Code, Iocp};
use crate::address::Address;
use crate::backoff::Backoff;
use crate::clock::Time;
use crate::completion::Completion;
use crate::error::{AcceptError, ListenError};
use crate::ids::ListenerId;
use crate::options::{AcceptRefill, FirstReceive, IocpOptions};
use crate::socket_options::{ListenOptions, SocketOptions};

/// Connections that a listener still accepts once it is stopped. Its queue is shorter unless the
/// system was told otherwise; this ends it when they come faster than they are accepted.
const LAST_MAX: u32 = 1 << 16;

/// How often silent clients of an accept that waits for bytes are looked for.
const POLICE_EVERY: Duration = Duration::from_millis(250);

#[derive(Debug)]
pub(super) struct Listener<A: Api> {
    id: ListenerId,
    socket: Arc<A::Socket>,
    address: SocketAddr,
    accepted: SocketOptions,
    pool: Pool<A>,
    source: Source<A>,
    first: Option<FirstReceive>,
    backoff: Backoff,
    stopping: Stopping,
    /// No accept is posted; those that are posted go on.
    paused: bool,
    /// When silent clients are next looked for.
    police_at: Option<Time>,
}

/// Who fills the places again.
#[derive(Debug)]
enum Source<A: Api> {
    Inline,
    Refiller(Refiller<A>),
    Acceptor(Acceptor<A>),
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Stopping {
    No,
    Asked,
    /// Its accepts are coming back.
    Cancelled,
}

impl<A: Api> Listener<A> {
    pub(super) fn next_deadline(&self) -> Option<Time> {
        [self.backoff.resume_at(), self.police_at].into_iter().flatten().min()
    }

    /// Whether it accepts, and does not rest.
    fn may_post(&self) -> bool {
        self.stopping == Stopping::No && !self.paused && self.backoff.resume_at().is_none()
    }

    /// Whether it is stopped and has something to do that no packet will tell of.
    fn needs_a_look(&self) -> bool {
        match self.stopping {
            Stopping::No => false,
            Stopping::Asked => true,
            Stopping::Cancelled => self.pool.posted() == 0,
        }
    }

    /// Makes a completion of a connection; `None` if it is gone.
    fn hand_out(&self, api: &A, connected: pool::Connected<A>) -> Option<Completion> {
        let pool::Connected { socket, peer, first, pooled } = connected;
        // It fails only on a connection that is gone already.
        api.set_options(&socket, &self.accepted).ok()?;
        let mut socket = api.release(socket, peer, first);
        if let Some(pool::Pooled { stays_with }) = pooled {
            socket.note_accept(stays_with);
        }
        Some(Completion::Accepted { listener: self.id, socket })
    }
}

impl<A: Api> Iocp<A> {
    pub(crate) fn listen(
        &mut self,
        address: &Address,
        options: &ListenOptions,
    ) -> Result<ListenerId, ListenError> {
        let address = address.tcp().ok_or_else(|| ListenError::Unsupported(address.clone()))?;
        let failed = |code| ListenError::of_windows(address, code);
        let socket = self.api.open_listener(address, options).map_err(failed)?;
        let number = self.next_listener;
        self.next_listener = number.checked_add(1).ok_or_else(|| failed(Code::NO_BUFFERS))?;
        self.api.associate(&self.port, &socket).map_err(failed)?;
        let id = ListenerId(number);
        let socket = Arc::new(socket);
        let source = self.open_source(&socket, address).map_err(failed)?;
        let depth = match source {
            Source::Acceptor(_) => 0,
            _ => self.options.accept_depth,
        };
        self.listeners.push(Listener {
            id,
            address: self.api.local_address(&socket).unwrap_or(address),
            socket,
            accepted: options.accepted.clone(),
            pool: Pool::new(id, depth, self.first_bytes()),
            source,
            first: self.options.first_receive,
            backoff: Backoff::default(),
            stopping: Stopping::No,
            paused: false,
            police_at: None,
        });
        self.started += 1;
        Ok(id)
    }

    fn first_bytes(&self) -> u32 {
        let IocpOptions { first_receive, .. } = &self.options;
        first_receive.map_or(0, |first| first.bytes.get().into())
    }

    fn open_source(
        &self,
        listener: &Arc<A::Socket>,
        address: SocketAddr,
    ) -> Result<Source<A>, Code> {
        Ok(match self.options.refill {
            AcceptRefill::Inline => Source::Inline,
            AcceptRefill::Thread => Source::Refiller(Refiller::start(
                &self.api,
                &self.port,
                listener,
                address,
                self.first_bytes(),
            )?),
            AcceptRefill::AcceptThread => {
                Source::Acceptor(Acceptor::start(&self.api, &self.port, listener)?)
            }
        })
    }

    pub(crate) fn listener_address(&self, id: ListenerId) -> Option<Address> {
        let listener = self.listeners.iter().find(|listener| listener.id == id)?;
        Some(listener.address.into())
    }

    pub(crate) fn stop_listening(&mut self, id: ListenerId) {
        if let Some(listener) = self.listeners.iter_mut().find(|it| it.id == id)
            && listener.stopping == Stopping::No
        {
            listener.stopping = Stopping::Asked;
        }
    }

    pub(crate) fn pause_accept(&mut self, id: ListenerId) {
        self.set_paused(id, true);
    }

    /// The next wait posts accepts again.
    pub(crate) fn resume_accept(&mut self, id: ListenerId) {
        self.set_paused(id, false);
    }

    fn set_paused(&mut self, id: ListenerId, paused: bool) {
        if let Some(listener) = self.listeners.iter_mut().find(|it| it.id == id) {
            listener.paused = paused;
            if let Source::Acceptor(acceptor) = &listener.source {
                acceptor.pause(paused);
            }
        }
    }

    pub(super) fn stop_all_listeners(&mut self) {
        for id in self.listeners.iter().map(|listener| listener.id).collect::<Vec<_>>() {
            self.stop_listening(id);
        }
    }

    /// Whether an accept of this port's would use a socket again.
    pub(super) fn uses_sockets_again(&self) -> bool {
        self.listeners.iter().any(|listener| {
            !matches!(listener.source, Source::Acceptor(_)) && listener.stopping == Stopping::No
        })
    }

    pub(super) fn listeners_need_a_look(&self) -> bool {
        self.listeners.iter().any(Listener::needs_a_look)
    }

    /// Fills the places that are empty. What fails through a client's fault is posted again at once: no
    /// packet would tell that there is an empty place.
    pub(super) fn refill_accepts(&mut self, now: Time) {
        for at in 0..self.listeners.len() {
            while self.listeners[at].may_post() {
                let Err(code) = self.post_accepts(at) else { break };
                self.accept_failed(at, code, now);
            }
        }
    }

    fn post_accepts(&mut self, at: usize) -> Result<(), Code> {
        let listener = &mut self.listeners[at];
        match &listener.source {
            Source::Inline => {
                let with = pool::With {
                    api: &self.api,
                    listener: &listener.socket,
                    address: listener.address,
                };
                listener.pool.post_all(&with, &mut self.operations, &mut self.recycled)
            }
            Source::Refiller(refiller) => {
                let (operations, recycled) = (&mut self.operations, &mut self.recycled);
                let address = listener.address;
                refiller.order(listener.pool.give_all(operations, recycled, address));
                Ok(())
            }
            Source::Acceptor(_) => Ok(()),
        }
    }

    /// No accept could be posted. The listener rests, unless it was a client's fault, and not again for
    /// those that fail while it does.
    fn accept_failed(&mut self, at: usize, code: Code, now: Time) {
        let listener = &mut self.listeners[at];
        let cause = AcceptError::from(code);
        self.stats.accepts_gone += u64::from(cause == AcceptError::Aborted);
        // One shortage meets all the accepts that are under way: it is told once, and rested for once.
        if listener.backoff.resume_at().is_some() {
            return;
        }
        let Some(retry_after) = listener.backoff.failure(cause, now) else { return };
        self.stats.accept_delays += 1;
        let listener = listener.id;
        self.done.push_back(Completion::AcceptDelayed { listener, cause, retry_after });
    }

    /// An accept has come back from the kernel.
    pub(super) fn accepted(
        &mut self,
        id: ListenerId,
        place: u32,
        outcome: Outcome,
        now: Time,
    ) -> Option<Completion> {
        // A listener stays until its accepts are back, so it is there.
        let at = self.listeners.iter().position(|listener| listener.id == id)?;
        let listener = &mut self.listeners[at];
        let socket = listener.pool.come_back(place);
        if let Some(code) = outcome.failure {
            match AcceptError::from(code) {
                _ if listener.stopping != Stopping::No => {}
                // That comes no faster than clients do, and needs no rest.
                AcceptError::Aborted => self.stats.accepts_gone += 1,
                _ => self.accept_failed(at, code, now),
            }
            return None;
        }
        let taken = socket.and_then(|socket| {
            let with = pool::With {
                api: &self.api,
                listener: &listener.socket,
                address: listener.address,
            };
            // No bytes at all are no end of a stream here: none may have been asked for, and a client
            // that has ended already says so to the first receive.
            listener.pool.connected(&with, place, socket, outcome.bytes)
        });
        let completion = taken.and_then(|connected| listener.hand_out(&self.api, connected));
        match completion {
            Some(_) => listener.backoff.success(),
            None => self.stats.accepts_gone += 1,
        }
        completion
    }

    /// Looks after listeners: those that rest, that are stopped, and whose accepts wait for bytes that
    /// do not come.
    pub(super) fn tend_listeners(&mut self, now: Time) {
        for at in 0..self.listeners.len() {
            self.listeners[at].backoff.take_due(now);
            self.take_from_threads(at, now);
            self.police(at, now);
            if self.listeners[at].stopping == Stopping::Asked {
                self.cancel_accepts(at);
            }
        }
        for at in (0..self.listeners.len()).rev() {
            let listener = &self.listeners[at];
            if listener.stopping == Stopping::Cancelled && listener.pool.posted() == 0 {
                self.sweep(at);
                let listener = self.listeners.remove(at).id;
                self.started -= 1;
                self.done.push_back(Completion::ListenerClosed { listener });
            }
        }
    }

    fn take_from_threads(&mut self, at: usize, now: Time) {
        match &mut self.listeners[at].source {
            Source::Inline => {}
            Source::Refiller(refiller) => {
                for (place, index, code) in refiller.take_failed() {
                    self.operations.take_back(index);
                    self.listeners[at].pool.come_back(place);
                    self.accept_failed(at, code, now);
                }
            }
            Source::Acceptor(acceptor) => {
                for accepted in acceptor.take() {
                    match accepted {
                        Ok((socket, peer)) => self.deliver(at, socket, peer),
                        Err(code) => self.accept_failed(at, code, now),
                    }
                }
            }
        }
    }

    /// Closes what has been silent for too long in an accept that waits for bytes: it would keep its
    /// place for ever, and a few such clients would keep all others out.
    fn police(&mut self, at: usize, now: Time) {
        let listener = &mut self.listeners[at];
        let posts =
            !matches!(listener.source, Source::Acceptor(_)) && listener.stopping == Stopping::No;
        let Some(first) = listener.first.filter(|_| posts) else {
            listener.police_at = None;
            return;
        };
        match listener.police_at {
            Some(then) if then > now => {}
            due => {
                if due.is_some() {
                    listener.pool.close_silent(&self.api, &self.operations, first.patience);
                }
                listener.police_at = Some(now + POLICE_EVERY);
            }
        }
    }

    /// Begins to end a listener: what waits is delivered, then its accepts are asked to come back. One
    /// that meets a client on its way delivers it.
    fn cancel_accepts(&mut self, at: usize) {
        self.sweep(at);
        let listener = &mut self.listeners[at];
        listener.stopping = Stopping::Cancelled;
        let unposted = match &mut listener.source {
            Source::Inline => Vec::new(),
            Source::Refiller(refiller) => refiller.stop(),
            Source::Acceptor(acceptor) => {
                acceptor.stop();
                Vec::new()
            }
        };
        for (place, index) in unposted {
            self.operations.take_back(index);
            listener.pool.come_back(place);
        }
        let _ = self.api.cancel(&listener.socket, None);
        // What its threads had done before they ended.
        self.take_from_threads(at, Time::ZERO);
    }

    /// Accepts what waits in a listener's queue.
    fn sweep(&mut self, at: usize) {
        for _ in 0..LAST_MAX {
            match self.api.accept_now(&self.listeners[at].socket) {
                Ok((socket, peer)) => self.deliver(at, socket, peer),
                Err(code) if AcceptError::from(code) == AcceptError::Aborted => {
                    self.stats.accepts_gone += 1;
                }
                Err(_) => return,
            }
        }
    }

    fn deliver(&mut self, at: usize, socket: A::Socket, peer: SocketAddr) {
        let connected = pool::Connected { socket, peer, first: Vec::new(), pooled: None };
        match self.listeners[at].hand_out(&self.api, connected) {
            Some(completion) => self.done.push_back(completion),
            None => self.stats.accepts_gone += 1,
        }
    }
}
