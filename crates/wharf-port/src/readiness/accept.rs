//! Listening: accepting in batches, resting when something is short, and stopping without losing who
//! waits in the queue.

use std::collections::VecDeque;

use rustix::io::Errno;

use super::Readiness;
use super::poller::Name;
use crate::backoff::Backoff;
use crate::clock::Time;
use crate::completion::Completion;
use crate::error::AcceptError;
use crate::ids::ListenerId;
use crate::port::Stats;
use crate::sys::{self, ListeningSocket};

/// Connections that one listener accepts in a pass, so that those that are there get their turn.
const BATCH: u32 = 64;

/// Connections that a listener still accepts once it is stopped. Its queue is shorter unless the
/// system was told otherwise; this ends it when they come faster than they are accepted.
const LAST_MAX: u32 = 1 << 16;

#[derive(Debug)]
pub(super) struct Listener {
    id: ListenerId,
    socket: ListeningSocket,
    /// An edge has told of connections, and no accept has found the end of them.
    readable: bool,
    paused: bool,
    backoff: Backoff,
    /// Once it is stopped: how many it may still accept.
    last: Option<u32>,
}

impl Listener {
    pub(super) const fn id(&self) -> ListenerId {
        self.id
    }

    /// Whether there may be connections to accept now.
    pub(super) fn may_accept(&self) -> bool {
        self.readable && !self.paused && self.backoff.resume_at().is_none()
    }

    pub(super) const fn resume_at(&self) -> Option<Time> {
        self.backoff.resume_at()
    }

    /// Accepts a batch of those that wait.
    fn accept(&mut self, now: Time, done: &mut VecDeque<Completion>, stats: &mut Stats) {
        for _ in 0..BATCH.min(self.last.unwrap_or(BATCH)) {
            match self.socket.accept_now(true) {
                Ok(socket) => {
                    self.backoff.success();
                    self.last = self.last.map(|last| last - 1);
                    match self.socket.fresh(socket, true) {
                        Some(socket) => {
                            done.push_back(Completion::Accepted { listener: self.id, socket });
                        }
                        None => stats.accepts_gone += 1,
                    }
                }
                Err(Errno::AGAIN) => {
                    self.readable = false;
                    return;
                }
                Err(errno) => {
                    let cause = AcceptError::from(errno);
                    let Some(retry_after) = self.backoff.failure(cause, now) else { continue };
                    stats.accept_delays += 1;
                    done.push_back(Completion::AcceptDelayed {
                        listener: self.id,
                        cause,
                        retry_after,
                    });
                    return;
                }
            }
        }
    }

    /// Whether it is stopped and has nothing left that it could accept.
    fn is_over(&self) -> bool {
        self.last.is_some_and(|last| last == 0 || !self.may_accept())
    }
}

impl Readiness {
    pub(crate) fn listen(&mut self, socket: ListeningSocket) -> Result<ListenerId, Errno> {
        sys::adapt(&socket.socket, true)?;
        let id = ListenerId(self.next_listener);
        self.next_listener = self.next_listener.checked_add(1).ok_or(Errno::NFILE)?;
        self.poller.add(&socket.socket, Name::Listener(id))?;
        let backoff = Backoff::default();
        let (readable, paused) = (false, false);
        self.listeners.push(Listener { id, socket, readable, paused, backoff, last: None });
        self.operations += 1;
        Ok(id)
    }

    pub(crate) fn listener(&self, id: ListenerId) -> Option<&ListeningSocket> {
        self.listeners.iter().find(|listener| listener.id == id).map(|listener| &listener.socket)
    }

    /// Looks at the queue once more whatever the edges have told, and whether or not it rests: what
    /// cannot be accepted now never will be.
    pub(crate) fn stop_listening(&mut self, id: ListenerId) {
        let Some(listener) = self.listeners.iter_mut().find(|it| it.id == id) else { return };
        if listener.last.is_none() {
            listener.socket.remove_file();
            listener.last = Some(LAST_MAX);
            listener.readable = true;
            listener.paused = false;
            listener.backoff = Backoff::default();
        }
    }

    pub(crate) fn pause_accept(&mut self, id: ListenerId) {
        let listening = |it: &&mut Listener| it.id == id && it.last.is_none();
        if let Some(listener) = self.listeners.iter_mut().find(listening) {
            listener.paused = true;
        }
    }

    /// What the edges have told meanwhile is noted.
    pub(crate) fn resume_accept(&mut self, id: ListenerId) {
        if let Some(listener) = self.listeners.iter_mut().find(|it| it.id == id) {
            listener.paused = false;
        }
    }

    pub(super) fn has_arrivals(&mut self, id: ListenerId) {
        if let Some(listener) = self.listeners.iter_mut().find(|it| it.id == id) {
            listener.readable = true;
        }
    }

    /// Accepts for every listener that may, and closes those that are over.
    pub(super) fn accept(&mut self, now: Time) {
        for listener in &mut self.listeners {
            listener.backoff.take_due(now);
            if listener.may_accept() {
                listener.accept(now, &mut self.done, &mut self.stats);
            }
        }
        for over in self.listeners.extract_if(.., |listener| listener.is_over()) {
            self.done.push_back(Completion::ListenerClosed { listener: over.id });
        }
    }
}
