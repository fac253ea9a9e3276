//! `io_uring`: one ring per port, used by its thread alone.
//!
//! The shape is the one that measured best: deferred task work, so that the kernel runs a bounded
//! batch of receives within the one entry per turn; accepts and receives that stay armed; one ring of
//! buffers for all sockets, from which who finds none is parked until one comes back; and sends that
//! are tried on the way into the kernel, so that most of them are finished when it returns and have
//! no completion of their own. What did not measure is not here: registered files, zero-copy sends,
//! a polling kernel thread.
//!
//! | file | what it is about |
//! |---|---|
//! | `probe` | whether it works here, and with what |
//! | `ring` | staging, entering, reaping |
//! | `provided` | the ring of receive buffers |
//! | `token` | how a completion finds its socket |
//! | `accept`, `connect`, `receive`, `send`, `close` | one operation each |
//! | `quiet` | resets that the kernel has not told |

mod accept;
mod close;
mod connect;
mod probe;
mod provided;
mod quiet;
mod receive;
mod ring;
mod send;
mod socket;
mod token;

use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsFd, AsRawFd};
use std::time::Duration;

use io_uring::types::Fd;
use io_uring::{opcode, squeue};

pub(crate) use probe::probe;

use self::accept::Listener;
use self::connect::{PeerAddress, UnixConnects};
use self::provided::Provided;
use self::quiet::Watched;
use self::ring::{Outcome, Ring};
use self::send::Headers;
use self::socket::{Send, Socket};
use self::token::{Kind, Token};
use crate::buffer::BufferPool;
use crate::clock::Time;
use crate::completion::Completion;
use crate::error::OpenError;
use crate::ids::SocketId;
use crate::operation_counts::OperationCounts;
use crate::options::{PortOptions, UringFeatures};
use crate::port::Stats;
use crate::select::Backend;
use crate::slots::Slots;
use crate::socket::FreshSocket;
use crate::sys::{self, Notifier};

/// The `io_uring` backend of one port.
#[derive(Debug)]
pub(crate) struct Uring {
    /// Declared before what the kernel may point at: unmapped and closed first.
    ring: Ring,
    provided: Provided,
    headers: Headers,
    /// Addresses of connects that the kernel has not taken yet.
    #[expect(clippy::vec_box, reason = "the kernel is given where they lie")]
    addresses: Vec<Box<PeerAddress>>,
    unix_connects: UnixConnects,
    features: UringFeatures,
    buffer_bytes: u32,
    sockets: Slots<Socket>,
    listeners: Vec<Option<Listener>>,
    /// What the kernel has finished and has not been taken.
    outcomes: VecDeque<Outcome>,
    /// Completions that are made already.
    ready: VecDeque<Completion>,
    /// Sends that went into the kernel as tries and have not been heard of.
    tried: Vec<(SocketId, u32)>,
    /// Tries of which the kernel said nothing, which is to say that they succeeded.
    succeeded: VecDeque<SocketId>,
    /// Sockets whose receive waits for a buffer.
    parked: VecDeque<SocketId>,
    /// Sockets that were resumed and have late bytes, or a late end, to deliver.
    resumed: VecDeque<SocketId>,
    /// Sockets that have received and may have been reset without a word.
    watched: Watched,
    /// Started operations that have had no final completion.
    operations: usize,
    /// The notifier's descriptor; the port's `Waker` keeps it open for as long as this lives.
    notifier: Fd,
    wake_armed: bool,
    closed: bool,
    stats: Stats,
}

impl Uring {
    pub(crate) fn open(
        options: &PortOptions,
        features: UringFeatures,
        notifier: &Notifier,
    ) -> Result<Self, OpenError> {
        let failed = |source: io::Error| {
            if probe::is_shortage(&source) {
                return probe::shortage(source);
            }
            OpenError::Os { backend: Backend::Uring, source }
        };
        let ring = Ring::open(options.completion_queue, features).map_err(failed)?;
        let pool = BufferPool::new(options.buffers, options.buffer_bytes);
        let provided = Provided::register(&ring, pool).map_err(failed)?;
        Ok(Self {
            ring,
            provided,
            headers: Headers::default(),
            addresses: Vec::new(),
            unix_connects: UnixConnects::default(),
            features,
            buffer_bytes: options.buffer_bytes,
            sockets: Slots::new(SocketId::SLOTS_MAX),
            listeners: Vec::new(),
            outcomes: VecDeque::new(),
            ready: VecDeque::new(),
            tried: Vec::new(),
            succeeded: VecDeque::new(),
            parked: VecDeque::new(),
            resumed: VecDeque::new(),
            watched: Watched::default(),
            operations: 0,
            notifier: Fd(notifier.as_fd().as_raw_fd()),
            wake_armed: false,
            closed: false,
            stats: Stats::default(),
        })
    }

    pub(crate) fn adopt(&mut self, fresh: FreshSocket) -> io::Result<SocketId> {
        // io_uring answers EAGAIN on a socket that does not block, instead of waiting for it.
        let socket = fresh.into_system(false)?;
        self.insert(socket).ok_or_else(|| io::Error::from(io::ErrorKind::QuotaExceeded))
    }

    fn insert(&mut self, socket: sys::Socket) -> Option<SocketId> {
        let (slot, generation) = self.sockets.insert(Socket::new(socket)).ok()?;
        Some(SocketId::from_parts(slot, generation))
    }

    pub(crate) fn socket(&self, id: SocketId) -> Option<&sys::Socket> {
        self.sockets.get(id.slot(), id.generation()).map(|socket| &socket.socket)
    }

    pub(crate) fn wait(&mut self, timeout: Option<Duration>, _: Time) -> io::Result<()> {
        self.arm_wake();
        self.provided.refill();
        let all_armed = self.rearm_parked();
        self.connect_unix();
        self.stats.waits += 1;
        // A try that succeeds has no completion of its own to end a wait with; and those that are armed
        // now may turn out to have nothing to receive, while others still wait for the same buffers.
        let may_sleep = self.tried.is_empty() && all_armed && self.ready.is_empty();
        let timeout = self.unix_connects.full_queues.at_most(timeout);
        let timeout = if may_sleep { timeout } else { Some(Duration::ZERO) };
        let first = self.outcomes.len();
        let entered = self.ring.enter(timeout, &mut self.outcomes)?;
        self.stats.submit_refusals += u64::from(entered.refused);
        self.stats.queue_overflows += u64::from(entered.overflowed);
        let reaped_all = self.ring.reap(&mut self.outcomes)?;
        if entered.refused && self.outcomes.len() == first {
            self.ring.rest()?;
        }
        let flushed = self.ring.is_flushed();
        if flushed {
            self.headers.recycle();
            self.addresses.clear();
        }
        self.fail_tries(first);
        if flushed && reaped_all {
            self.settle_tries();
        }
        Ok(())
    }

    /// Watches the notifier: one poll that stays armed and fires at each write.
    fn arm_wake(&mut self) {
        if self.wake_armed || self.closed {
            return;
        }
        let readable = u32::try_from(libc::POLLIN).unwrap_or(0);
        let entry = opcode::PollAdd::new(self.notifier, readable).multi(true).build();
        self.stage(entry, Token::numbered(Kind::Wake, 0));
        self.wake_armed = true;
    }

    /// Stages an operation that points at nothing, or at what this struct keeps for it.
    fn stage(&mut self, entry: squeue::Entry, token: Token) {
        // SAFETY: headers and addresses lie boxed in `headers` and `addresses`, which are emptied only
        // when the ring is flushed; segments lie in their socket's slot, which is emptied only by the
        // final completion of the send; provided buffers outlive the ring.
        unsafe { self.ring.stage(entry.user_data(token.0)) };
    }

    /// The last operation of a port that closes.
    fn stage_cancel_wake(&mut self) {
        if self.wake_armed {
            self.stage_cancel(Token::numbered(Kind::Wake, 0));
        }
    }

    fn stage_cancel(&mut self, target: Token) {
        let entry = opcode::AsyncCancel::new(target.0).build();
        // Only a cancel that missed is told; the operation itself says how it ended.
        let entry = entry.flags(squeue::Flags::SKIP_SUCCESS);
        self.stage(entry, target.cancel());
    }

    #[inline]
    pub(crate) fn take(&mut self, now: Time) -> Option<Completion> {
        loop {
            if let Some(completion) = self.ready.pop_front() {
                if let Completion::Closed { socket } = completion {
                    self.release(socket);
                }
                self.stats.completions += 1;
                return Some(completion);
            }
            let completion = if let Some(id) = self.succeeded.pop_front() {
                self.send_succeeded(id)
            } else if let Some(id) = self.resumed.pop_front() {
                self.deliver_late(id)
            } else {
                let outcome = self.outcomes.pop_front()?;
                self.complete(outcome, now)
            };
            if completion.is_some() {
                self.stats.completions += 1;
                return completion;
            }
        }
    }

    fn complete(&mut self, outcome: Outcome, now: Time) -> Option<Completion> {
        let id = outcome.token.socket();
        match outcome.token.kind() {
            Kind::Receive => self.received(id, outcome, now),
            Kind::Send => self.sent(id, outcome),
            Kind::Accept => self.accepted(outcome, now),
            Kind::Connect => self.connected(id, outcome),
            Kind::Wake => {
                self.wake_armed = outcome.more();
                None
            }
            // It was looked at when the wait ended.
            Kind::TrySend => None,
            Kind::Cancel => {
                self.cancel_missed(outcome);
                None
            }
        }
    }

    /// Looks at what is due: listeners and connects that rest, and sockets that have gone quiet.
    pub(crate) fn tick(&mut self, now: Time) {
        self.end_rests(now);
        self.retry_connects(now);
        self.look_at_quiet(now);
    }

    pub(crate) fn next_deadline(&self) -> Option<Time> {
        self.rests_until().into_iter().chain(self.watched.next()).min()
    }

    pub(crate) fn has_ready(&self) -> bool {
        !(self.ready.is_empty()
            && self.outcomes.is_empty()
            && self.succeeded.is_empty()
            && self.resumed.is_empty())
    }

    pub(crate) const fn sockets(&self) -> usize {
        self.sockets.len()
    }

    pub(crate) const fn operations(&self) -> usize {
        self.operations
    }

    pub(crate) fn operation_counts(&self) -> OperationCounts {
        let accepts = self.listeners.iter().flatten().count();
        let mut counts = OperationCounts { accepts, ..OperationCounts::default() };
        for socket in self.sockets.values() {
            counts.receives += usize::from(socket.receive.started);
            counts.closes += usize::from(socket.closing.is_some());
            match socket.send {
                Send::Idle => {}
                Send::Tried | Send::Waiting => counts.sends += 1,
                Send::Connecting | Send::Unstarted => counts.connects += 1,
            }
        }
        counts
    }

    pub(crate) fn pool(&self) -> &BufferPool {
        self.provided.pool()
    }

    pub(crate) const fn stats(&self) -> Stats {
        self.stats
    }
}
