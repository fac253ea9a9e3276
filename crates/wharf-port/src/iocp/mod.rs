//! Windows I/O completion ports: one port per worker thread, as the lecture notes have it, less the
//! traps.
//!
//! The loop has the shape of the other backends. Operations are staged; [`wait`](Iocp::wait) starts all
//! of them, takes a batch of packets in one call, and [`take`](Iocp::take) makes completions of them.
//! A packet finds its socket by slot and generation. What a socket is waiting for costs no buffer: a
//! receive of nothing waits until there is something, and only a socket that has just received gets a
//! buffer in advance, as long as there are enough. Sends are tried first, which copies them to where
//! the kernel keeps them; only what finds no room is left with the kernel as an operation.
//!
//! | file | subject | in the notes |
//! |---|---|---|
//! | `api` | the calls of Windows, and the seam for tests | `WSAIoctl`, function pointers |
//! | `code` | what an error code means | |
//! | `operation` | who owns an `OVERLAPPED`, and what it is for | `OverlappedEx`, `IocpEvent` |
//! | `connection` | what is kept for a socket | `IocpObject` |
//! | `accept` | the pool of `AcceptEx`, and three ways to refill it | `Listener` |
//! | `connect`, `receive`, `send` | one operation each | `RegisterXxx`, `ProcessXxx` |
//! | `close` | cancel, close, join, and only then free | the I/O count |
//! | `recycle` | sockets that are used again | `TF_REUSE_SOCKET` |

mod accept;
mod api;
mod close;
mod code;
mod connect;
mod connection;
#[cfg(test)]
mod mock;
mod operation;
mod receive;
mod recycle;
mod send;
mod waiting;

use std::collections::VecDeque;
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

pub(crate) use self::api::Api;
#[cfg(windows)]
pub(crate) use self::api::{Native, Port};
pub(crate) use self::code::Code;
#[cfg(test)]
pub(crate) use self::mock::Socket as MockedSocket;

use self::accept::Listener;
use self::connection::{Connection, Incoming, Late, Outgoing};
use self::operation::{Operations, Outcome, Purpose};
use self::receive::Held;
use self::recycle::Recycled;
use crate::address::Address;
use crate::buffer::{BufferPool, Lease};
use crate::clock::Time;
use crate::completion::Completion;
use crate::error::UnknownSocket;
use crate::ids::SocketId;
use crate::operation_counts::OperationCounts;
use crate::options::{IocpOptions, PortOptions};
use crate::port::Stats;
use crate::slots::Slots;
use crate::socket::FreshSocket;

/// Slices that one call sends. Beyond 1,024 Wine reports one operation twice, and nobody gains.
const GATHER_MAX: usize = 64;

/// What a packet is, apart from those that end an operation.
mod key {
    /// An operation has ended.
    pub(super) const OPERATION: usize = 0;
    /// Somebody wakes the port.
    pub(super) const WAKE: usize = 1;
    /// The high-resolution timer has fired.
    pub(super) const TIMER: usize = 2;
}

/// How often a wake is tried that the kernel has no memory for.
const WAKE_TRIES: u32 = 1_000;

/// Wakes a port that waits. For those who wait it is the only sign, so it is tried again when the kernel
/// has no memory for a packet.
pub(crate) fn notify<A: Api>(api: &A, port: &A::Port) {
    for _ in 0..WAKE_TRIES {
        if api.post(port, key::WAKE, 0, std::ptr::null_mut()).is_ok() {
            return;
        }
        std::thread::yield_now();
    }
}

/// One port's worth of I/O completion port; see the [module](self).
#[derive(Debug)]
pub(crate) struct Iocp<A: Api> {
    api: A,
    port: Arc<A::Port>,
    /// Tells this port from all others of the process.
    number: usize,
    options: IocpOptions,
    timer: waiting::FineTimer<A>,
    /// Where the kernel puts packets; empty between two waits.
    entries: waiting::Entries,
    operations: Operations,
    connections: Slots<Connection<A::Socket>>,
    listeners: Vec<Listener<A>>,
    next_listener: u32,
    recycled: Recycled<A>,
    pool: Rc<BufferPool>,
    /// Connections with something to carry out in the next wait.
    staged: Vec<SocketId>,
    /// The list that `staged` takes turns with, empty and kept for its allocation.
    staged_before: Vec<SocketId>,
    /// Operations that have ended and have not been looked at.
    outcomes: VecDeque<Outcome>,
    /// Connections that were resumed and have late bytes to deliver.
    resumed: VecDeque<SocketId>,
    /// Connections that have bytes to receive, or the end: each is in it once.
    line: VecDeque<SocketId>,
    /// How many of the line have not had their turn since the last wait.
    turns: usize,
    /// Whether the head of the line found no buffer and has been counted for it.
    starved: bool,
    /// Buffers that wait in the kernel, the one that has waited longest first.
    held: Held,
    /// Completions that are made and not taken.
    done: VecDeque<Completion>,
    /// Started operations that have had no final completion.
    started: usize,
    closed: bool,
    stats: Stats,
}

impl<A: Api> Iocp<A> {
    pub(crate) fn open(api: A, port: Arc<A::Port>, options: &PortOptions) -> Self {
        static NUMBERS: AtomicUsize = AtomicUsize::new(0);
        let number = NUMBERS.fetch_add(1, Ordering::Relaxed);
        Self {
            timer: waiting::FineTimer::open(&api, &port),
            entries: waiting::Entries::default(),
            recycled: Recycled::new(&api, options.iocp.recycling, number),
            number,
            api,
            port,
            options: options.iocp.clone(),
            operations: Operations::default(),
            connections: Slots::new(SocketId::SLOTS_MAX),
            listeners: Vec::new(),
            next_listener: 0,
            pool: BufferPool::new(options.buffers, options.buffer_bytes),
            staged: Vec::new(),
            staged_before: Vec::new(),
            outcomes: VecDeque::new(),
            resumed: VecDeque::new(),
            line: VecDeque::new(),
            turns: 0,
            starved: false,
            held: Held::new(usize::from(options.buffers)),
            done: VecDeque::new(),
            started: 0,
            closed: false,
            stats: Stats::default(),
        }
    }

    pub(crate) fn adopt(&mut self, fresh: FreshSocket) -> io::Result<SocketId> {
        let stays = fresh.stays_with();
        if stays.is_some_and(|port| port != self.number) {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "a socket of another port"));
        }
        let was_accepted = fresh.was_accepted();
        let (socket, first) = self.api.take_over(fresh)?;
        if stays.is_none() {
            self.api.associate(&self.port, &socket)?;
        }
        let id = self.register(socket, Outgoing::Idle)?;
        if let Ok(connection) = lookup(&mut self.connections, id) {
            connection.was_accepted = was_accepted;
            if !first.is_empty() {
                let bytes = VecDeque::from([Lease::from(&*first)]);
                connection.late = Some(Box::new(Late { bytes, end: None }));
            }
        }
        Ok(id)
    }

    /// Gives a name to a socket whose packets come here. It stays with this port for life.
    fn register(&mut self, socket: A::Socket, outgoing: Outgoing) -> Result<SocketId, Code> {
        let skips = self.api.skip_packets_on_success(&socket);
        let connection = Connection::new(socket, skips, outgoing);
        let place = self.connections.insert(connection).map_err(|_| Code::NO_BUFFERS)?;
        Ok(SocketId::from_parts(place.0, place.1))
    }

    fn socket(&self, id: SocketId) -> Option<&A::Socket> {
        self.connections.get(id.slot(), id.generation())?.socket.as_ref()
    }

    pub(crate) fn local_address(&self, id: SocketId) -> Option<Address> {
        self.api.local_address(self.socket(id)?).map(Address::Tcp)
    }

    pub(crate) fn peer_address(&self, id: SocketId) -> Option<Address> {
        self.api.peer_address(self.socket(id)?).map(Address::Tcp)
    }

    pub(crate) fn no_delay(&self, id: SocketId) -> Option<bool> {
        self.api.no_delay(self.socket(id)?)
    }

    /// Has the next wait look at a connection.
    fn stage(&mut self, id: SocketId) -> Result<(), UnknownSocket> {
        let connection = lookup(&mut self.connections, id)?;
        if !connection.staged {
            connection.staged = true;
            self.staged.push(id);
        }
        Ok(())
    }

    /// Starts what has been staged since the last wait.
    fn carry_out(&mut self) {
        let empty = std::mem::take(&mut self.staged_before);
        let mut staged = std::mem::replace(&mut self.staged, empty);
        for id in staged.drain(..) {
            if let Ok(connection) = lookup(&mut self.connections, id) {
                connection.staged = false;
                self.tend(id);
            }
        }
        self.staged_before = staged;
    }

    /// Brings everything that a connection is about one step further.
    fn tend(&mut self, id: SocketId) {
        self.start_outgoing(id);
        self.begin_close(id);
        self.tend_receive(id);
        self.take_outgoing_back(id);
        self.finish_close(id);
    }

    #[inline]
    pub(crate) fn take(&mut self, now: Time) -> Option<Completion> {
        loop {
            let completion = if let Some(completion) = self.done.pop_front() {
                if let Completion::Closed { socket } = completion {
                    self.release(socket);
                }
                Some(completion)
            } else if let Some(id) = self.resumed.pop_front() {
                self.deliver_late(id)
            } else if let Some(outcome) = self.outcomes.pop_front() {
                self.complete(outcome, now)
            } else {
                let received = self.take_received();
                if received.is_none() && self.done.is_empty() {
                    return None;
                }
                received
            };
            if completion.is_some() {
                self.stats.completions += 1;
                return completion;
            }
        }
    }

    fn complete(&mut self, outcome: Outcome, now: Time) -> Option<Completion> {
        self.operations.release(outcome.index);
        match outcome.purpose {
            Purpose::Receive { socket, buffer } => self.received(socket, buffer, outcome),
            Purpose::Send { socket } => self.sent(socket, outcome),
            Purpose::Connect { socket } => self.connected(socket, outcome),
            Purpose::Recycle { place } => {
                self.recycled.disconnected(place, outcome.failure);
                None
            }
            Purpose::Accept { listener, place } => self.accepted(listener, place, outcome, now),
        }
    }

    /// Looks at what needs the time: listeners that rest, buffers that wait for nothing, sockets that
    /// do not become ready for use again.
    pub(crate) fn tick(&mut self, now: Time) {
        self.take_held_back(now);
        self.recycled.give_up(&self.api, &self.operations, now);
        self.tend_listeners(now);
    }

    /// Whether a wait would find something without the kernel. Connections that wait for a buffer are
    /// nothing to take until there is one.
    pub(crate) fn has_ready(&self) -> bool {
        !(self.done.is_empty() && self.outcomes.is_empty() && self.resumed.is_empty())
            || (!self.line.is_empty() && self.pool.free() > 0)
            || self.listeners_need_a_look()
    }

    pub(crate) fn next_deadline(&self) -> Option<Time> {
        let listeners = self.listeners.iter().filter_map(Listener::next_deadline);
        listeners.chain(self.held.next_deadline()).chain(self.recycled.next_deadline()).min()
    }

    pub(crate) fn sockets(&self) -> usize {
        self.connections.len()
    }

    pub(crate) const fn operations(&self) -> usize {
        self.started
    }

    /// Counts what was asked for, and not what the kernel has: a listener is one, whatever is in its pool.
    pub(crate) fn operation_counts(&self) -> OperationCounts {
        let accepts = self.listeners.len();
        let mut counts = OperationCounts { accepts, ..OperationCounts::default() };
        for connection in self.connections.values() {
            counts.receives += usize::from(connection.incoming != Incoming::Idle);
            counts.closes += usize::from(connection.is_closing());
            match connection.outgoing {
                Outgoing::Idle => {}
                Outgoing::Connect(_) | Outgoing::Connecting => counts.connects += 1,
                Outgoing::Sending(_) => counts.sends += 1,
            }
        }
        counts
    }

    pub(crate) fn pool(&self) -> &BufferPool {
        &self.pool
    }

    pub(crate) const fn stats(&self) -> Stats {
        self.stats
    }
}

/// A function and no method, so that the other parts of the port may be borrowed beside it.
#[inline]
fn lookup<S>(
    connections: &mut Slots<Connection<S>>,
    id: SocketId,
) -> Result<&mut Connection<S>, UnknownSocket> {
    connections.get_mut(id.slot(), id.generation()).ok_or(UnknownSocket)
}
