//! A completion port that is watched.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::thread;

use wharf_port::{
    Completion, CompletionPort, ConnectError, Direction, FreshSocket, Ledger, ListenOptions,
    ListenerId, PortOptions, Received, Segment, SendError, SocketId, SocketOptions, Stats, Time,
    TimerId, Waker,
};

use super::model::{Model, kinds};
use super::place::{Outside, Place, settle};
use super::unix::{of_port, to_port};
use super::{Final, LIMIT, Peer, owned};

/// So many sockets are not looked at for each completion.
const CROWD: usize = 64;

/// A port whose every completion is held against a [`Model`] of the contract, and whose waits are
/// bounded.
///
/// Completions are taken in two ways: [`drive`](Self::drive) hands all of them to a closure, as a
/// server does; the others ([`read`](Self::read), [`sent`](Self::sent), ...) pick out the one they
/// are about and keep the rest for later, so that a test reads from top to bottom.
pub(crate) struct CheckedPort {
    port: CompletionPort,
    place: Place,
    model: Model,
    /// Completions that were taken and not asked for yet.
    kept: VecDeque<Completion>,
    /// Where [`pair`](Self::pair) connects to.
    home: Option<(ListenerId, SocketAddr)>,
    unfinished: Unfinished,
}

/// Fails a test that forgets to finish its port.
struct Unfinished;

impl Drop for Unfinished {
    fn drop(&mut self) {
        assert!(thread::panicking(), "a test ends with finish() or into_raw()");
    }
}

/// Opening and closing.
impl CheckedPort {
    pub(crate) fn open(options: &PortOptions, place: Place) -> Self {
        Self {
            port: CompletionPort::open(options).expect("the port opens"),
            place,
            model: Model::default(),
            kept: VecDeque::new(),
            home: None,
            unfinished: Unfinished,
        }
    }

    /// Closes everything and checks that nothing is left: no operation, no socket, no buffer on
    /// loan, and no completion that has no cause. The last line of every test.
    pub(crate) fn finish(mut self) {
        self.close_everything();
        self.into_raw().shut_down(LIMIT).expect("a port with nothing under way shuts down");
    }

    /// Closes every socket, listener and timer, and joins them; the port stays.
    pub(crate) fn close_everything(&mut self) {
        self.home = None;
        self.model.to_close().into_iter().for_each(|socket| self.close(socket));
        self.model.to_stop().into_iter().for_each(|listener| self.stop_listening(listener));
        for timer in self.model.to_cancel() {
            assert!(self.cancel_timer(timer), "{timer:?} has not fired and cannot be cancelled");
        }
        self.kept.clear();
        if !self.model.is_empty() {
            self.drive("everything to close", |port, _| port.model.is_empty().then_some(()));
        }
        self.fence();
        self.kept.clear();
        assert_eq!(self.port.sockets(), 0, "sockets that are left");
        assert_eq!(self.port.operations(), 0, "operations that are left");
        let ledger = self.port.ledger();
        assert_eq!(ledger.leased, 0, "buffers on loan that are left: {ledger:?}");
        assert_eq!(ledger.free + ledger.kernel, ledger.total, "{ledger:?}");
    }

    /// The port itself, watched no longer.
    pub(crate) fn into_raw(self) -> CompletionPort {
        let Self { port, unfinished, .. } = self;
        std::mem::forget(unfinished);
        port
    }

    /// The port itself, for calls that are to fail.
    pub(crate) const fn raw(&mut self) -> &mut CompletionPort {
        &mut self.port
    }
}

/// Starting operations: what [`CompletionPort`] has, and the model is told.
impl CheckedPort {
    /// Listens on any port of this host.
    pub(crate) fn listen(&mut self) -> (ListenerId, SocketAddr) {
        self.listen_with(&ListenOptions::default())
    }

    pub(crate) fn listen_with(&mut self, options: &ListenOptions) -> (ListenerId, SocketAddr) {
        self.listen_on(self.place.v4(), options)
    }

    pub(crate) fn listen_on(
        &mut self,
        address: SocketAddr,
        options: &ListenOptions,
    ) -> (ListenerId, SocketAddr) {
        let listener = self.port.listen(to_port(address), options).expect("the port listens");
        self.model.listened(listener);
        let address = self.port.listener_address(listener).expect("a listener has an address");
        (listener, of_port(&address))
    }

    pub(crate) fn stop_listening(&mut self, listener: ListenerId) {
        self.model.stopped(listener);
        self.port.stop_listening(listener);
    }

    pub(crate) fn adopt(&mut self, socket: FreshSocket) -> SocketId {
        let socket = self.port.adopt(socket).expect("the port adopts a fresh socket");
        self.model.opened(socket, false);
        socket
    }

    pub(crate) fn connect(&mut self, address: SocketAddr) -> SocketId {
        self.try_connect(address, &SocketOptions::default()).expect("a connect starts")
    }

    pub(crate) fn try_connect(
        &mut self,
        address: SocketAddr,
        options: &SocketOptions,
    ) -> Result<SocketId, ConnectError> {
        let socket = self.port.connect(to_port(address), options)?;
        self.model.opened(socket, true);
        Ok(socket)
    }

    pub(crate) fn receive(&mut self, socket: SocketId) {
        self.port.receive(socket).expect("a receive starts");
        self.model.receive(socket);
    }

    pub(crate) fn pause(&mut self, socket: SocketId) {
        self.port.pause_receive(socket).expect("a receive pauses");
        self.model.paused(socket, true);
    }

    pub(crate) fn resume(&mut self, socket: SocketId) {
        self.port.resume_receive(socket).expect("a receive resumes");
        self.model.paused(socket, false);
    }

    pub(crate) fn send(&mut self, socket: SocketId, segments: Vec<Segment>) {
        let count = segments.len();
        self.port.send(socket, segments).expect("a send starts");
        self.model.send(socket, count);
    }

    pub(crate) fn shutdown(&mut self, socket: SocketId) {
        self.port.shutdown(socket).expect("the sending direction ends");
    }

    pub(crate) fn cancel(&mut self, socket: SocketId, direction: Direction) {
        self.port.cancel(socket, direction).expect("an open socket can be asked");
        if direction == Direction::Receive {
            self.model.receive_cancelled(socket);
        }
    }

    pub(crate) fn close(&mut self, socket: SocketId) {
        self.port.close(socket).expect("an open socket closes");
        self.model.close(socket);
    }

    pub(crate) fn abort(&mut self, socket: SocketId) {
        self.port.abort(socket).expect("an open socket closes");
        self.model.close(socket);
    }

    pub(crate) fn start_timer(&mut self, deadline: Time, token: u64) -> TimerId {
        let timer = self.port.start_timer(deadline, token).expect("a timer starts");
        self.model.timer(timer, deadline, token);
        timer
    }

    pub(crate) fn cancel_timer(&mut self, timer: TimerId) -> bool {
        let cancelled = self.port.cancel_timer(timer);
        if cancelled {
            self.model.timer_cancelled(timer);
        }
        cancelled
    }
}

/// Looking on.
impl CheckedPort {
    pub(crate) fn waker(&self) -> Waker {
        self.port.waker()
    }

    pub(crate) const fn now(&self) -> Time {
        self.port.now()
    }

    pub(crate) fn ledger(&self) -> Ledger {
        self.port.ledger()
    }

    pub(crate) fn stats(&self) -> Stats {
        self.port.stats()
    }

    /// Whether a name is that of an open socket.
    pub(crate) fn holds(&self, socket: SocketId) -> bool {
        self.model.holds(socket)
    }
}

/// Taking completions.
impl CheckedPort {
    pub(crate) fn wait(&mut self, deadline: Option<Time>) {
        self.port.wait(deadline).expect("a port can wait");
    }

    /// Takes one completion of those that are there.
    pub(crate) fn take(&mut self) -> Option<Completion> {
        let completion = self.port.take();
        if let Some(completion) = &completion {
            self.model.check(completion, self.port.now());
        }
        if completion.is_none() || self.port.sockets() < CROWD {
            self.check_counts(completion.is_none());
        }
        completion
    }

    /// Checks that all that is under way is counted as some kind; and when all that has ended has been
    /// taken, that each kind is what was started and has not ended.
    fn check_counts(&self, all_is_taken: bool) {
        let counts = self.port.operation_counts();
        assert_eq!(counts.total(), self.port.operations(), "{counts:?}");
        if all_is_taken {
            let expected = self.model.counts();
            assert_eq!(kinds(&counts), expected, "{counts:?}; under way: {:?}", self.model);
        }
    }

    /// A completion that was kept, or one of those that are there.
    pub(crate) fn next(&mut self) -> Option<Completion> {
        self.kept.pop_front().or_else(|| self.take())
    }

    /// Hands completions to `step`, those that were kept first, until it returns something.
    pub(crate) fn drive<T>(
        &mut self,
        what: &str,
        mut step: impl FnMut(&mut Self, Completion) -> Option<T>,
    ) -> T {
        let mut deadline = None;
        loop {
            while let Some(completion) = self.next() {
                if let Some(done) = step(self, completion) {
                    return done;
                }
                deadline = None;
            }
            self.wait_for(what, &mut deadline);
        }
    }

    /// Waits until there is the completion that is wanted, and keeps the others.
    pub(crate) fn pick<T>(
        &mut self,
        what: &str,
        wanted: impl Fn(Completion) -> Result<T, Completion>,
    ) -> T {
        let mut kept = std::mem::take(&mut self.kept).into_iter();
        while let Some(completion) = kept.next() {
            match wanted(completion) {
                Ok(found) => {
                    self.kept.extend(kept);
                    return found;
                }
                Err(other) => self.kept.push_back(other),
            }
        }
        let mut deadline = None;
        loop {
            while let Some(completion) = self.take() {
                match wanted(completion) {
                    Ok(found) => return found,
                    Err(other) => self.kept.push_back(other),
                }
                deadline = None;
            }
            self.wait_for(what, &mut deadline);
        }
    }

    /// Waits once; fails if nothing at all has come since the deadline was set, and no send has got on.
    fn wait_for(&mut self, what: &str, deadline: &mut Option<Time>) {
        let short_sends = self.stats().short_sends;
        // The first wait may only bring the port's clock up to date, if that was long ago.
        self.wait(Some(deadline.unwrap_or(self.now() + LIMIT)));
        if self.stats().short_sends > short_sends {
            *deadline = None;
        }
        let deadline = *deadline.get_or_insert(self.now() + LIMIT);
        assert!(
            self.now() < deadline,
            "waited {LIMIT:?} for {what}; under way: {:?}; {:?}; {:?}",
            self.model,
            self.stats(),
            self.ledger(),
        );
    }

    /// Takes and keeps everything that is on its way within this machine: all that there is after
    /// two wakes, one after the other. On a simulated network, all that there is once it has come to
    /// rest and two wakes find nothing to take and nothing to try again.
    pub(crate) fn fence(&mut self) {
        let network = self.place.network().cloned();
        let mut calm = 0;
        while calm < 2 {
            network.iter().for_each(settle);
            let before = (self.kept.len(), retries(&self.stats()));
            self.wake_and_keep();
            let is_calm = before == (self.kept.len(), retries(&self.stats()));
            calm = if is_calm || network.is_none() { calm + 1 } else { 0 };
        }
    }

    fn wake_and_keep(&mut self) {
        self.waker().wake();
        let (mut woken, mut deadline) = (false, None);
        while !woken {
            self.wait_for("a wake", &mut deadline);
            while let Some(completion) = self.take() {
                match completion {
                    Completion::Wake => woken = true,
                    other => self.kept.push_back(other),
                }
            }
        }
    }

    /// Checks that nothing comes, for as long as everything that is on its way within this machine
    /// needs.
    pub(crate) fn nothing_comes(&mut self) {
        self.fence();
        assert!(self.kept.is_empty(), "nothing was to come, but {:?}", self.kept);
    }

    /// The next connection of a listener.
    pub(crate) fn accepted(&mut self, listener: ListenerId) -> FreshSocket {
        self.pick("a connection", |completion| match completion {
            Completion::Accepted { listener: of, socket } if of == listener => Ok(socket),
            other => Err(other),
        })
    }

    /// The connections of a listener that have come and were put aside.
    pub(crate) fn accepted_so_far(&mut self, listener: ListenerId) -> Vec<FreshSocket> {
        let mut accepted = Vec::new();
        for completion in std::mem::take(&mut self.kept) {
            match completion {
                Completion::Accepted { listener: of, socket } if of == listener => {
                    accepted.push(socket);
                }
                other => self.kept.push_back(other),
            }
        }
        accepted
    }

    /// Waits until a listener that was stopped has closed.
    pub(crate) fn listener_closed(&mut self, listener: ListenerId) {
        self.pick("a listener to close", |completion| match completion {
            Completion::ListenerClosed { listener: of } if of == listener => Ok(()),
            other => Err(other),
        });
    }

    /// How a connect ends.
    pub(crate) fn connected(&mut self, socket: SocketId) -> Result<(), ConnectError> {
        self.pick("the end of a connect", |completion| match completion {
            Completion::Connected { socket: of, result } if of == socket => Ok(result),
            other => Err(other),
        })
    }

    /// What the receive of a socket gives next.
    pub(crate) fn received(&mut self, socket: SocketId) -> Received {
        self.pick("something received", |completion| match completion {
            Completion::Received { socket: of, what } if of == socket => Ok(what),
            other => Err(other),
        })
    }

    /// The next `count` bytes of a socket; no more than these must come with them.
    pub(crate) fn read(&mut self, socket: SocketId, count: usize) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(count);
        while bytes.len() < count {
            match self.received(socket) {
                Received::Data(lease) => bytes.extend_from_slice(&lease),
                other => panic!("{} of {count} bytes came, then {other:?}", bytes.len()),
            }
        }
        assert_eq!(bytes.len(), count, "more bytes came than were sent");
        bytes
    }

    /// What a receive still gives, and how it ends.
    pub(crate) fn read_to_final(&mut self, socket: SocketId) -> (Vec<u8>, Final) {
        let mut bytes = Vec::new();
        loop {
            match self.received(socket) {
                Received::Data(lease) => bytes.extend_from_slice(&lease),
                Received::End => return (bytes, Final::End),
                Received::Failed(error) => return (bytes, Final::Failed(error)),
                Received::Cancelled => return (bytes, Final::Cancelled),
            }
        }
    }

    /// How a send ends.
    pub(crate) fn sent(&mut self, socket: SocketId) -> (Vec<Segment>, Result<(), SendError>) {
        self.pick("the end of a send", |completion| match completion {
            Completion::Sent { socket: of, segments, result } if of == socket => {
                Ok((segments, result))
            }
            other => Err(other),
        })
    }

    /// Sends, and waits until all of it is with the kernel.
    pub(crate) fn send_all(&mut self, socket: SocketId, segments: Vec<Segment>) {
        self.send(socket, segments);
        assert_eq!(self.sent(socket).1, Ok(()), "the peer is there and has room");
    }

    /// Waits until a socket that was asked to close has closed.
    pub(crate) fn closed(&mut self, socket: SocketId) {
        self.pick("a socket to close", |completion| match completion {
            Completion::Closed { socket: of } if of == socket => Ok(()),
            other => Err(other),
        });
    }
}

/// Times that a port has found out that it has to try something again, or the rest of it.
const fn retries(stats: &Stats) -> u64 {
    let receives = stats.buffer_shortages + stats.rearmed;
    stats.submit_refusals + stats.queue_overflows + receives + stats.short_sends
}

/// Connections.
impl CheckedPort {
    /// A listener that is no port's, for this one to connect to.
    pub(crate) fn outside(&self) -> (Outside, SocketAddr) {
        self.place.outside(self.place.v4())
    }

    /// An address where nobody listens.
    pub(crate) fn nobody(&self) -> SocketAddr {
        self.place.nobody()
    }

    pub(crate) const fn place(&self) -> &Place {
        &self.place
    }

    /// A connection that the port has accepted and adopted, and its other end.
    pub(crate) fn pair(&mut self) -> (SocketId, Peer) {
        let home = self.home.unwrap_or_else(|| self.listen());
        self.home = Some(home);
        self.pair_through(home)
    }

    /// A connection through a certain listener.
    pub(crate) fn pair_through(
        &mut self,
        (listener, address): (ListenerId, SocketAddr),
    ) -> (SocketId, Peer) {
        let peer = Peer::connect(address);
        let socket = self.accepted(listener);
        assert_eq!(of_port(socket.peer()), peer.address(), "a connection comes from its peer");
        (self.adopt(socket), peer)
    }

    /// A connection with so little room in the kernel that a send of a megabyte blocks.
    pub(crate) fn narrow_pair(&mut self) -> (SocketId, Peer) {
        let mut options = ListenOptions::default();
        options.accepted.send_buffer_bytes = Some(16 << 10);
        let home = self.listen_with(&options);
        let (socket, peer) = self.pair_through(home);
        peer.shrink_receive_buffer();
        (socket, peer)
    }

    /// A connection on which a send of `bytes` is in flight and stays so, since nobody reads.
    pub(crate) fn blocked_pair(&mut self, bytes: &[u8]) -> (SocketId, Peer) {
        let (socket, peer) = self.narrow_pair();
        self.send(socket, vec![owned(bytes)]);
        self.nothing_comes();
        (socket, peer)
    }
}
