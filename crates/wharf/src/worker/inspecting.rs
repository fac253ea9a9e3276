//! Telling of this worker and its sessions.

use std::cmp::Reverse;

use wharf_port::{AcceptBacklog, SocketId};

use super::connection::{Connection, State, Traffic};
use super::marks::Lately;
use super::{Core, Handler, Worker};
use crate::group::GroupState;
use crate::holdings::{Holdings, SessionCounts};
use crate::inspection::{
    Question, SessionFilter, SessionReport, SessionsWanted, Wanted, WorkerReport,
};
use crate::session_id::SessionId;

impl<H, F> Worker<H, F> {
    /// Answers a question of another thread's.
    pub(super) fn answer(&mut self, question: &Question) {
        let Wanted { sessions, filter, holdings } = &question.wanted;
        if *sessions != SessionsWanted::None {
            self.core.mark_sessions();
        }
        let core = &self.core;
        question.answer(WorkerReport {
            worker: usize::from(core.index),
            now: core.now,
            stats: *core.stats,
            port: core.port.stats(),
            sockets: core.port.sockets(),
            operations: core.port.operations(),
            listeners: core.listeners.len(),
            accept_backlog: self.accept_backlog(),
            ledger: core.port.ledger(),
            queued_bytes: core.own_part.bytes(),
            inbox_bytes: core.shared().inboxes[usize::from(core.index)].bytes(),
            holdings: holdings.then(|| core.holdings()),
            sessions: self.sessions_wanted(*sessions, filter),
        });
    }

    /// A system call for each listener.
    fn accept_backlog(&self) -> Option<AcceptBacklog> {
        let core = &self.core;
        let told = core.listeners.iter().filter_map(|&it| core.port.accept_backlog(it));
        told.reduce(|sum, it| AcceptBacklog {
            waiting: sum.waiting.saturating_add(it.waiting),
            max: sum.max.saturating_add(it.max),
        })
    }

    fn sessions_wanted(
        &self,
        wanted: SessionsWanted,
        filter: &SessionFilter,
    ) -> Vec<SessionReport> {
        let most = wanted.most();
        match wanted {
            SessionsWanted::None => Vec::new(),
            SessionsWanted::One(id) => {
                let is_ours = id.worker() == usize::from(self.core.index);
                let connection = self.core.connections.get(id.socket()).filter(|_| is_ours);
                let connection = connection.filter(|it| self.is_taken(it, filter));
                connection.and_then(|connection| self.tell_of(connection)).into_iter().collect()
            }
            // The table is in the order of slots, and so are ids.
            SessionsWanted::After(after, most_wanted) => {
                let is_behind = |it: &&Connection| Some(self.core.session_id(it.socket)) > after;
                let behind = self.core.connections.iter().filter(is_behind);
                let behind = behind.filter(|it| self.is_taken(it, filter));
                behind.filter_map(|it| self.tell_of(it)).take(most_wanted.min(most)).collect()
            }
            SessionsWanted::FullestQueues(_) => {
                self.first(most, filter, |it| Reverse(it.queue.bytes()))
            }
            SessionsWanted::Oldest(_) => self.first(most, filter, |it| it.opened),
            SessionsWanted::LongestSilent(_) => self.first(most, filter, |it| it.last_receive),
            SessionsWanted::MostReceived(_) => {
                self.first(most, filter, |it| Reverse(it.traffic.received_bytes))
            }
            SessionsWanted::MostSent(_) => {
                self.first(most, filter, |it| Reverse(it.traffic.sent_bytes))
            }
            SessionsWanted::FastestReceived(_) => {
                self.first(most, filter, |it| Reverse(self.core.lately(it).received_per_second()))
            }
            SessionsWanted::FastestSent(_) => {
                self.first(most, filter, |it| Reverse(self.core.lately(it).sent_per_second()))
            }
        }
    }

    /// The sessions with the least of something; of those that have the same, those with the first ids.
    fn first<K: Ord>(
        &self,
        most: usize,
        filter: &SessionFilter,
        key: impl Fn(&Connection) -> K,
    ) -> Vec<SessionReport> {
        let connections = self.core.connections.iter().filter(|it| it.state != State::Announcing);
        let connections = connections.filter(|it| self.is_taken(it, filter));
        let mut keys: Vec<_> = connections.map(|it| (key(it), it.socket)).collect();
        if most < keys.len() {
            keys.select_nth_unstable(most);
            keys.truncate(most);
        }
        keys.sort_unstable();
        let connections = keys.iter().filter_map(|(_, socket)| self.core.connections.get(*socket));
        connections.filter_map(|connection| self.tell_of(connection)).collect()
    }

    /// Whether a session is one that was asked for.
    fn is_taken(&self, connection: &Connection, filter: &SessionFilter) -> bool {
        let names = connection.groups.iter().map(GroupState::name);
        filter.is_empty()
            || self
                .handler(connection.socket)
                .is_some_and(|handler| filter.takes(&handler.peer, names))
    }

    /// The user's side of the session of this name.
    pub(super) fn handler(&self, socket: SocketId) -> Option<&Handler<H>> {
        let handler = self.handlers.get(socket.slot() as usize)?.as_ref();
        handler.filter(|handler| handler.socket == socket)
    }

    /// `None` if there is no session yet, or its handler is gone.
    fn tell_of(&self, connection: &Connection) -> Option<SessionReport> {
        let socket = connection.socket;
        let Handler { peer, .. } = self.handler(socket)?;
        let Traffic { received_bytes, received_frames, sent_bytes } = connection.traffic;
        let lately = self.core.lately(connection);
        Some(SessionReport {
            id: SessionId::new(self.core.index, socket),
            peer: peer.clone(),
            opened: connection.opened,
            last_receive: connection.last_receive,
            received_bytes,
            received_frames,
            sent_bytes,
            received_per_second: lately.received_per_second(),
            sent_per_second: lately.sent_per_second(),
            queued_bytes: connection.queue.bytes(),
            is_held_back: connection.paused
                || connection.slow
                || connection.throttled
                || connection.glutted,
            is_closing: connection.state > State::Open,
            groups: connection.groups.iter().map(|group| group.shared_name()).collect(),
        })
    }
}

impl Core {
    /// Sessions are asked for: their rates are counted from such marks.
    fn mark_sessions(&mut self) {
        self.marks.renew(&self.connections, self.now);
    }

    fn lately(&self, connection: &Connection) -> Lately {
        self.marks.lately(connection, self.now)
    }

    /// Looks at each socket and each session.
    pub(super) fn holdings(&self) -> Holdings {
        let mut sessions = SessionCounts::default();
        for connection in self.connections.iter() {
            *match connection.state {
                State::Announcing => &mut sessions.announcing,
                State::Open => &mut sessions.open,
                State::Flushing => &mut sessions.flushing,
                State::HalfClosed => &mut sessions.half_closed,
                State::Terminating => &mut sessions.terminating,
            } += 1;
        }
        Holdings { operations: self.port.operation_counts(), sessions }
    }
}
