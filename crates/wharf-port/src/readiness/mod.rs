//! Readiness dressed as completions: the kernel says when a call will not block, and the port makes
//! the call.
//!
//! The loop has the same shape as that of `io_uring`. Operations are staged; [`wait`](Readiness::wait)
//! carries all of them out, asks the kernel once what has become ready, and
//! [`take`](Readiness::take) does one receive at a time, into the buffer that was used last and is
//! still in the cache. A socket is registered once in its life: edges are remembered in the table of
//! connections, so no operation costs a registration.
//!
//! The kernel holds nothing of ours between two calls, so cancelling and closing are a matter of
//! bookkeeping: they make the final completions that are owed, in the next wait and never inline. An
//! operation ends when its final completion is *taken*; until then its socket keeps its name.
//!
//! | file | subject |
//! |---|---|
//! | `poller` | the kernel's readiness: the only place that knows epoll and kqueue |
//! | `connection` | what is kept for a socket |
//! | `accept`, `connect`, `receive`, `send`, `close` | one operation each |

mod accept;
mod close;
mod connect;
mod connection;
mod poller;
mod receive;
mod send;

use std::collections::VecDeque;
use std::io;
use std::rc::Rc;
use std::time::Duration;

use rustix::io::Errno;

use self::accept::Listener;
use self::connection::{Connection, Incoming, Outgoing};
use self::poller::{Event, Events, Name, Poller};
use crate::buffer::BufferPool;
use crate::clock::Time;
use crate::completion::Completion;
use crate::error::{OpenError, UnknownSocket};
use crate::full_queues::FullQueues;
use crate::ids::SocketId;
use crate::operation_counts::OperationCounts;
use crate::options::PortOptions;
use crate::port::Stats;
use crate::select::Backend;
use crate::slots::Slots;
use crate::socket::FreshSocket;
use crate::sys::{Notifier, Socket};

/// One port's worth of readiness; see the [module](self).
#[derive(Debug)]
pub(crate) struct Readiness {
    poller: Poller,
    /// Where the poller puts what it finds; empty between two waits.
    events: Events,
    connections: Slots<Connection>,
    listeners: Vec<Listener>,
    next_listener: u32,
    pool: Rc<BufferPool>,
    /// Connections with something to carry out in the next wait.
    staged: Vec<SocketId>,
    /// The list that `staged` takes turns with, empty and kept for its allocation.
    staged_before: Vec<SocketId>,
    /// Connections that have bytes to receive, or the end: each is in it once.
    line: VecDeque<SocketId>,
    /// How many of the line have not had their turn since the last wait.
    turns: usize,
    /// How many buffers the head of the line has filled in a turn that goes on.
    filled: u32,
    /// Whether the head of the line found no buffer and has been counted for it.
    starved: bool,
    full_queues: FullQueues,
    /// Completions that are made and not taken.
    done: VecDeque<Completion>,
    /// Operations whose final completion has not been taken.
    operations: usize,
    stats: Stats,
}

impl Readiness {
    pub(crate) fn open(options: &PortOptions, notifier: &Notifier) -> Result<Self, OpenError> {
        Ok(Self {
            poller: Poller::new(notifier).map_err(open_error)?,
            events: Events::default(),
            connections: Slots::new(SocketId::SLOTS_MAX),
            listeners: Vec::new(),
            next_listener: 0,
            pool: BufferPool::new(options.buffers, options.buffer_bytes),
            staged: Vec::new(),
            staged_before: Vec::new(),
            line: VecDeque::new(),
            turns: 0,
            filled: 0,
            starved: false,
            full_queues: FullQueues::default(),
            done: VecDeque::new(),
            operations: 0,
            stats: Stats::default(),
        })
    }

    pub(crate) fn adopt(&mut self, socket: FreshSocket) -> io::Result<SocketId> {
        Ok(self.register(socket.into_system(true)?, Outgoing::Idle)?)
    }

    /// Gives a socket a name and has it watched. What is ready already is reported by the next wait,
    /// since registering counts as an edge.
    fn register(&mut self, socket: Socket, outgoing: Outgoing) -> Result<SocketId, Errno> {
        let connection = Connection::new(socket, outgoing);
        let place = self.connections.insert(connection).map_err(|_| Errno::NFILE)?;
        let id = SocketId::from_parts(place.0, place.1);
        if let Some(socket) = self.socket(id)
            && let Err(errno) = self.poller.add(socket, Name::Socket(id))
        {
            self.connections.remove(place.0, place.1);
            return Err(errno);
        }
        Ok(id)
    }

    pub(crate) fn socket(&self, id: SocketId) -> Option<&Socket> {
        self.connections.get(id.slot(), id.generation())?.socket.as_ref()
    }

    /// Carries out what is staged, then asks the kernel what has become ready.
    pub(crate) fn wait(&mut self, timeout: Option<Duration>, _: Time) -> io::Result<()> {
        self.stats.waits += 1;
        self.carry_out();
        let blocks = self.staged.is_empty() && !self.has_ready();
        let timeout = self.full_queues.at_most(timeout);
        let asked = self.ask(if blocks { timeout } else { Some(Duration::ZERO) });
        self.turns = self.line.len();
        asked
    }

    /// Starts what has been staged since the last wait, and makes the completions that closing and
    /// cancelling owe.
    fn carry_out(&mut self) {
        let empty = std::mem::take(&mut self.staged_before);
        let mut staged = std::mem::replace(&mut self.staged, empty);
        for id in staged.drain(..) {
            let Ok(connection) = lookup(&mut self.connections, id) else { continue };
            connection.staged = false;
            self.done.extend(connection.start(id, &mut self.stats, &mut self.full_queues));
            if connection.owes_an_end() {
                connection.end(id, &mut self.done);
            }
            if connection.has_more_to_send() {
                connection.stage(id, &mut self.staged);
            }
        }
        self.staged_before = staged;
    }

    fn ask(&mut self, timeout: Option<Duration>) -> io::Result<()> {
        let mut events = std::mem::take(&mut self.events);
        let asked = self.poller.wait(&mut events, timeout);
        for event in events.drain() {
            match event.name {
                Name::Notifier => {}
                Name::Listener(id) => self.has_arrivals(id),
                Name::Socket(id) => self.has_become_ready(id, event),
            }
        }
        self.events = events;
        Ok(asked?)
    }

    fn has_become_ready(&mut self, id: SocketId, event: Event) {
        // An event of a name that is void comes from a descriptor that somebody else keeps open.
        let Ok(connection) = lookup(&mut self.connections, id) else { return };
        if event.readable {
            connection.readable = true;
            connection.unread = connection.unread.max(event.unread);
            connection.line_up(id, &mut self.line);
        }
        if event.writable {
            self.done.extend(connection.go_on(id));
            if connection.has_more_to_send() {
                connection.stage(id, &mut self.staged);
            }
        }
    }

    /// Looks at what needs the time: the listeners, which may have to rest.
    pub(crate) fn tick(&mut self, now: Time) {
        self.accept(now);
        self.retry_connects(now);
    }

    #[inline]
    pub(crate) fn take(&mut self, _: Time) -> Option<Completion> {
        let completion = match self.done.pop_front() {
            Some(completion) => {
                self.settle(&completion);
                Some(completion)
            }
            None => self.take_received(),
        };
        self.stats.completions += u64::from(completion.is_some());
        completion
    }

    /// Ends the operation whose final completion this is, if it is one.
    fn settle(&mut self, completion: &Completion) {
        match *completion {
            Completion::Sent { socket, .. } | Completion::Connected { socket, .. } => {
                if let Ok(connection) = lookup(&mut self.connections, socket) {
                    connection.outgoing = Outgoing::Idle;
                }
            }
            // Bytes, the end and failures never lie in the queue: see `take_received`.
            Completion::Received { socket, .. } => {
                if let Ok(connection) = lookup(&mut self.connections, socket) {
                    connection.incoming = Incoming::Idle;
                }
            }
            Completion::Closed { socket } => {
                self.connections.remove(socket.slot(), socket.generation());
            }
            Completion::ListenerClosed { .. } => {}
            _ => return,
        }
        self.operations -= 1;
    }

    /// Whether a wait would find something without the kernel. Connections that wait for a buffer are
    /// nothing to take until there is one.
    pub(crate) fn has_ready(&self) -> bool {
        !self.done.is_empty()
            || (!self.line.is_empty() && self.pool.free() > 0)
            || self.listeners.iter().any(Listener::may_accept)
    }

    pub(crate) fn next_deadline(&self) -> Option<Time> {
        self.listeners.iter().filter_map(Listener::resume_at).min()
    }

    pub(crate) fn sockets(&self) -> usize {
        self.connections.len()
    }

    pub(crate) const fn operations(&self) -> usize {
        self.operations
    }

    pub(crate) fn operation_counts(&self) -> OperationCounts {
        let accepts = self.listeners.len();
        let mut counts = OperationCounts { accepts, ..OperationCounts::default() };
        for connection in self.connections.values() {
            counts.receives += usize::from(connection.incoming != Incoming::Idle);
            counts.closes += usize::from(connection.closing);
            match connection.outgoing {
                // Whether it was a send is known from its completion.
                Outgoing::Idle | Outgoing::Ended => {}
                Outgoing::Connect(_) | Outgoing::Connecting => counts.connects += 1,
                Outgoing::Sending(_) => counts.sends += 1,
            }
        }
        counts.add_untaken(&self.done);
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
fn lookup(
    connections: &mut Slots<Connection>,
    id: SocketId,
) -> Result<&mut Connection, UnknownSocket> {
    connections.get_mut(id.slot(), id.generation()).ok_or(UnknownSocket)
}

fn open_error(errno: Errno) -> OpenError {
    let backend = Backend::Readiness;
    let source = io::Error::from(errno);
    match errno {
        Errno::MFILE | Errno::NFILE => OpenError::Shortage {
            backend,
            source,
            advice: "raise the descriptor limit (ulimit -n)",
        },
        Errno::NOMEM => {
            OpenError::Shortage { backend, source, advice: "the kernel is out of memory" }
        }
        Errno::NOSPC => {
            OpenError::Shortage { backend, source, advice: "raise fs.epoll.max_user_watches" }
        }
        _ => OpenError::Os { backend, source },
    }
}
