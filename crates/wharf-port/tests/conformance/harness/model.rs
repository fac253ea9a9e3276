//! What may come next, as the contract has it.

use std::collections::{HashMap, HashSet};

use wharf_port::{
    Completion, ListenerId, OperationCounts, ReceiveError, Received, SocketId, Time, TimerId,
};

/// How a receive ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Final {
    End,
    Failed(ReceiveError),
    Cancelled,
}

/// What a port has counted: accepts, connects, receives, sends, closes, timers.
pub(crate) const fn kinds(counts: &OperationCounts) -> [usize; 6] {
    let OperationCounts { accepts, connects, receives, sends, closes, timers, .. } = *counts;
    [accepts, connects, receives, sends, closes, timers]
}

/// The operations of one socket that have had no final completion.
#[derive(Debug, Default)]
struct Operations {
    connect: bool,
    receive: bool,
    /// With the number of segments that were handed over.
    send: Option<usize>,
    close: bool,
    /// Whether the receive has been asked to end, so that it may do so in spite of a pause.
    receive_cancelled: bool,
    paused: bool,
}

/// What one port holds and has under way, kept beside the port from what it was told and what it
/// said. Panics at the first completion that the contract forbids.
#[derive(Debug, Default)]
pub(crate) struct Model {
    sockets: HashMap<SocketId, Operations>,
    /// Every name that was ever given out.
    names: HashSet<SocketId>,
    /// With whether it has been stopped.
    listeners: HashMap<ListenerId, bool>,
    timers: HashMap<TimerId, (Time, u64)>,
}

impl Model {
    pub(crate) fn listened(&mut self, listener: ListenerId) {
        let known = self.listeners.insert(listener, false);
        assert!(known.is_none(), "the name {listener:?} was given out twice");
    }

    pub(crate) fn stopped(&mut self, listener: ListenerId) {
        self.listeners.entry(listener).and_modify(|stopped| *stopped = true);
    }

    pub(crate) fn opened(&mut self, socket: SocketId, connect: bool) {
        assert!(self.names.insert(socket), "the name {socket:?} was given out twice");
        self.sockets.insert(socket, Operations { connect, ..Operations::default() });
    }

    pub(crate) fn receive(&mut self, socket: SocketId) {
        let operations = self.of(socket);
        operations.receive = true;
        operations.receive_cancelled = false;
    }

    pub(crate) fn receive_cancelled(&mut self, socket: SocketId) {
        self.of(socket).receive_cancelled = true;
    }

    pub(crate) fn paused(&mut self, socket: SocketId, paused: bool) {
        self.of(socket).paused = paused;
    }

    pub(crate) fn send(&mut self, socket: SocketId, segments: usize) {
        self.of(socket).send = Some(segments);
    }

    pub(crate) fn close(&mut self, socket: SocketId) {
        self.of(socket).close = true;
    }

    pub(crate) fn timer(&mut self, timer: TimerId, deadline: Time, token: u64) {
        let known = self.timers.insert(timer, (deadline, token));
        assert!(known.is_none(), "the name {timer:?} was given out twice");
    }

    pub(crate) fn timer_cancelled(&mut self, timer: TimerId) {
        let running = self.timers.remove(&timer);
        assert!(running.is_some(), "{timer:?} was cancelled, but had fired");
    }

    /// Whether a name is that of an open socket.
    pub(crate) fn holds(&self, socket: SocketId) -> bool {
        self.sockets.contains_key(&socket)
    }

    /// Sockets that have not been asked to close.
    pub(crate) fn to_close(&self) -> Vec<SocketId> {
        let open = self.sockets.iter().filter(|(_, operations)| !operations.close);
        open.map(|(&socket, _)| socket).collect()
    }

    /// Listeners that have not been asked to stop.
    pub(crate) fn to_stop(&self) -> Vec<ListenerId> {
        let open = self.listeners.iter().filter(|(_, stopped)| !**stopped);
        open.map(|(&listener, _)| listener).collect()
    }

    pub(crate) fn to_cancel(&self) -> Vec<TimerId> {
        self.timers.keys().copied().collect()
    }

    /// How many operations there are of each kind, in the order of [`kinds`].
    pub(crate) fn counts(&self) -> [usize; 6] {
        let count = |is: fn(&Operations) -> bool| self.sockets.values().filter(|it| is(it)).count();
        let [connects, receives] = [count(|it| it.connect), count(|it| it.receive)];
        let [sends, closes] = [count(|it| it.send.is_some()), count(|it| it.close)];
        [self.listeners.len(), connects, receives, sends, closes, self.timers.len()]
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.sockets.is_empty() && self.listeners.is_empty() && self.timers.is_empty()
    }

    /// Checks one completion, and takes it in.
    pub(crate) fn check(&mut self, completion: &Completion, now: Time) {
        match completion {
            Completion::Accepted { listener, .. } | Completion::AcceptDelayed { listener, .. } => {
                let open = self.listeners.contains_key(listener);
                assert!(open, "after the listener closed: {completion:?}");
            }
            Completion::ListenerClosed { listener } => {
                let stopped = self.listeners.remove(listener);
                assert_eq!(stopped, Some(true), "closed unasked or twice: {completion:?}");
            }
            Completion::Connected { socket, .. } => {
                let operations = self.met(*socket, completion);
                assert!(operations.connect, "no connect is in flight: {completion:?}");
                operations.connect = false;
            }
            Completion::Received { socket, what } => {
                let operations = self.met(*socket, completion);
                assert!(operations.receive, "no receive is in flight: {completion:?}");
                operations.received(what);
            }
            Completion::Sent { socket, segments, result } => {
                let operations = self.met(*socket, completion);
                let handed_over = operations.send.take();
                let handed_over =
                    handed_over.unwrap_or_else(|| panic!("no send is in flight: {completion:?}"));
                assert_eq!(segments.len(), handed_over, "segments that came back");
                let rest: usize = segments.iter().map(|segment| segment.len()).sum();
                assert!(result.is_err() || rest == 0, "all has gone, but {rest} bytes came back");
            }
            Completion::Closed { socket } => {
                let operations = self.met(*socket, completion);
                assert!(operations.close, "closed unasked: {completion:?}");
                let left = operations.connect || operations.receive || operations.send.is_some();
                assert!(!left, "closed before its operations: {operations:?}");
                self.sockets.remove(socket);
            }
            Completion::Timer { timer, token } => {
                let started = self.timers.remove(timer);
                let Some((deadline, expected)) = started else {
                    panic!("no such timer runs: {completion:?}")
                };
                assert_eq!(*token, expected, "the token of {timer:?}");
                assert!(deadline <= now, "{timer:?} fired {:?} early", deadline.since(now));
            }
            Completion::Wake => {}
            _ => panic!("the suite does not know {completion:?}"),
        }
    }

    fn of(&mut self, socket: SocketId) -> &mut Operations {
        self.sockets.get_mut(&socket).unwrap_or_else(|| panic!("{socket:?} is closed"))
    }

    fn met(&mut self, socket: SocketId, completion: &Completion) -> &mut Operations {
        let known = if self.names.contains(&socket) { "closed" } else { "never opened" };
        let operations = self.sockets.get_mut(&socket);
        operations.unwrap_or_else(|| panic!("{socket:?} was {known}: {completion:?}"))
    }
}

impl Operations {
    fn received(&mut self, what: &Received) {
        let is_data = matches!(what, Received::Data(_));
        let is_empty = matches!(what, Received::Data(lease) if lease.is_empty());
        assert!(!is_empty, "a receive of no bytes");
        let asked_to_end = self.receive_cancelled || self.close;
        let allowed = !self.paused || (asked_to_end && !is_data);
        assert!(allowed, "delivered during a pause: {what:?}");
        self.receive = is_data;
    }
}
