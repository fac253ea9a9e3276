//! The backend on top of the simulated kernel: it makes the contract's completions of what the kernel
//! posts.
//!
//! | file | subject |
//! |---|---|
//! | `connection` | what is kept for a socket |
//! | `accept`, `connect`, `receive`, `send`, `close` | one operation each |

mod accept;
mod close;
mod connect;
mod connection;
mod receive;
mod send;

use std::collections::VecDeque;
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use self::accept::Listener;
use self::connection::{Connection, Incoming, Outgoing};
use super::faults::FaultKind;
use super::network::{Bell, Network, Pace};
use super::personality::Personality;
use super::world::{Holder, Packet, PortNumber, Step, World};
use crate::address::Address;
use crate::buffer::{BufferPool, Ledger};
use crate::clock::Time;
use crate::completion::{Completion, Direction, Received};
use crate::error::UnknownSocket;
use crate::ids::SocketId;
use crate::operation_counts::OperationCounts;
use crate::options::PortOptions;
use crate::port::Stats;
use crate::slots::Slots;
use crate::socket::FreshSocket;

/// How long a wait takes at least, at a virtual pace, at most: time passes while a thread works.
const WORK_NANOS: u64 = 2_000;
/// How long a thread is held up at most.
const STALL_NANOS: u64 = 2_000_000_000;

/// A port on a simulated network; see the [module](self).
#[derive(Debug)]
pub(crate) struct Sim {
    network: Network,
    number: PortNumber,
    bell: Arc<Bell>,
    personality: Personality,
    connections: Slots<Connection>,
    listeners: Vec<Listener>,
    next_listener: u32,
    pool: Rc<BufferPool>,
    /// Connections with something to look at in the next wait.
    staged: Vec<SocketId>,
    /// Connections whose receive found no buffer.
    parked: VecDeque<SocketId>,
    /// Completions that are made and not taken.
    done: VecDeque<Completion>,
    /// Operations whose final completion has not been taken.
    operations: usize,
    stats: Stats,
    /// When the port's next timer is due.
    timer: Option<Time>,
    is_shut_down: bool,
}

impl Sim {
    pub(crate) fn open(options: &PortOptions, network: Network) -> Self {
        let ((number, bell), personality) =
            network.with(|world| (world.open_port(), world.personality));
        Self {
            network,
            number,
            bell,
            personality,
            connections: Slots::new(SocketId::SLOTS_MAX),
            listeners: Vec::new(),
            next_listener: 0,
            pool: BufferPool::new(options.buffers, options.buffer_bytes),
            staged: Vec::new(),
            parked: VecDeque::new(),
            done: VecDeque::new(),
            operations: 0,
            stats: Stats::default(),
            timer: None,
            is_shut_down: false,
        }
    }

    /// What wakes this port from other threads.
    pub(crate) fn ringer(&self) -> Ringer {
        Ringer { network: self.network.clone(), bell: Arc::clone(&self.bell) }
    }

    pub(crate) fn network(&self) -> Network {
        self.network.clone()
    }

    pub(crate) fn clock(&self) -> Time {
        self.network.now()
    }

    pub(crate) fn seed(&self) -> u64 {
        self.network.random()
    }

    /// Notes when the port's next timer is due, for the network to know.
    pub(crate) const fn set_timer(&mut self, timer: Option<Time>) {
        self.timer = timer;
    }

    pub(crate) fn adopt(&mut self, socket: FreshSocket) -> io::Result<SocketId> {
        let refused = self.network.with(|world| world.chance(FaultKind::AdoptRefused));
        if refused {
            return Err(io::Error::other("file table overflow (simulated)"));
        }
        let fresh = socket.into_simulated(&self.network)?;
        let connection = Connection::new(fresh.id, Outgoing::Idle);
        let full = |_| io::Error::other("the table of sockets is full");
        let (slot, generation) = self.connections.insert(connection).map_err(full)?;
        let id = SocketId::from_parts(slot, generation);
        self.network.with(|world| world.hold(fresh.id, Holder::Port(self.number, id)));
        Ok(id)
    }

    /// Starts what is staged, then lets the network run until there is something to take or `timeout`
    /// is over.
    pub(crate) fn wait(&mut self, timeout: Option<Duration>) -> io::Result<()> {
        self.stats.waits += 1;
        let network = self.network.clone();
        let mut world = network.lock();
        if network.pace() == Pace::Virtual {
            // What rang until now, on this one thread, is looked at in any case.
            self.bell.take();
        }
        let began = world.now;
        let until = timeout.map(|timeout| began + timeout);
        self.let_work_take_time(&mut world);
        let refused = !self.staged.is_empty() && world.chance(FaultKind::SubmitRefused);
        if refused {
            self.stats.submit_refusals += 1;
        } else {
            self.carry_out(&mut world);
        }
        let in_vain = refused || world.chance(FaultKind::SpuriousWake);
        loop {
            let rung = self.bell.take();
            world.run_due();
            self.reap(&mut world);
            let over = until.is_some_and(|until| world.now >= until);
            // What did not fit comes with a later wait: this one must not sleep on it.
            let left = world.packets(self.number) > 0;
            if self.has_ready() || in_vain || over || left || self.has_to_go_on() || rung {
                break;
            }
            let wake = [until, self.next_deadline()].into_iter().flatten().min();
            let Some(woken) = network.sleep(world, wake) else {
                return Err(io::Error::other("simulated: nothing will ever happen"));
            };
            world = woken;
        }
        // What rang before this has been heard: the wait is over.
        self.bell.take();
        let due = [self.timer, self.next_deadline()].into_iter().flatten().min();
        world.set_timer(self.number, due);
        let waited = world.now.as_nanos();
        world.step(Step::Waited(self.number, waited));
        network.unlock(world);
        Ok(())
    }

    /// At a virtual pace: otherwise the work itself takes time.
    fn let_work_take_time(&self, world: &mut World) {
        if self.network.pace() == Pace::Real {
            return;
        }
        let stalls = world.chance(FaultKind::ThreadStall);
        let most = if stalls { STALL_NANOS } else { WORK_NANOS };
        let nanos = world.below(most);
        let now = world.now + Duration::from_nanos(nanos);
        world.move_clock(now);
    }

    fn carry_out(&mut self, world: &mut World) {
        for id in std::mem::take(&mut self.staged) {
            if let Ok(connection) = lookup(&mut self.connections, id) {
                connection.staged = false;
                self.tend(world, id);
            }
        }
        self.serve_parked(world);
        self.tend_listeners(world);
    }

    /// Brings everything that a connection is about one step further.
    fn tend(&mut self, world: &mut World, id: SocketId) {
        self.start_outgoing(world, id);
        self.begin_close(world, id);
        self.tend_receive(world, id);
        self.take_outgoing_back(world, id);
        self.finish_close(world, id);
    }

    /// Takes what the kernel has posted.
    fn reap(&mut self, world: &mut World) {
        while let Some(packet) = world.next_packet(self.number) {
            match packet {
                Packet::Ready { socket, direction: Direction::Receive, number, stays_armed } => {
                    self.may_receive(world, socket, number, stays_armed);
                }
                Packet::Ready { socket, direction: Direction::Send, number, .. } => {
                    self.may_send(world, socket, number);
                }
                // The code is not looked at: it does not say who has ended the operation (rule 5).
                Packet::Aborted { socket, direction, number, .. } => {
                    self.aborted(socket, direction, number);
                }
                Packet::CancelMissed { socket, direction, number } => {
                    self.cancel_missed(socket, direction, number);
                }
                Packet::Connected { socket, how } => self.connect_ended(socket, how),
                Packet::Waiting { address, stays_armed } => {
                    self.accept(world, address, stays_armed);
                }
            }
            if let Packet::Ready { socket, .. }
            | Packet::Aborted { socket, .. }
            | Packet::CancelMissed { socket, .. }
            | Packet::Connected { socket, .. } = packet
            {
                self.tend(world, socket);
            }
            if world.packets(self.number) > 0 && world.chance(FaultKind::QueueOverflow) {
                self.stats.queue_overflows += 1;
                return;
            }
        }
    }

    pub(crate) fn take(&mut self) -> Option<Completion> {
        let completion = self.done.pop_front()?;
        self.settle(&completion);
        self.stats.completions += 1;
        Some(completion)
    }

    /// Ends the operation whose final completion this is, if it is one.
    fn settle(&mut self, completion: &Completion) {
        match *completion {
            Completion::Sent { socket, .. } | Completion::Connected { socket, .. } => {
                if let Ok(connection) = lookup(&mut self.connections, socket) {
                    connection.outgoing = Outgoing::Idle;
                }
            }
            Completion::Received { what: Received::Data(_), .. } => return,
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

    /// Whether a wait would find something at once.
    pub(crate) fn has_ready(&self) -> bool {
        !self.done.is_empty()
    }

    /// Whether a wait has something to start that it made itself.
    fn has_to_go_on(&self) -> bool {
        !self.staged.is_empty() || (!self.parked.is_empty() && self.pool.free() > 0)
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
            counts.closes += usize::from(connection.is_closing());
            match connection.outgoing {
                // Whether it was a send is known from its completion.
                Outgoing::Idle | Outgoing::Ended => {}
                Outgoing::Connect | Outgoing::Connecting => counts.connects += 1,
                Outgoing::Sending(_) => counts.sends += 1,
            }
        }
        counts.add_untaken(&self.done);
        counts
    }

    /// What has been received and not been taken is nobody's yet, so that the kernel has its buffers.
    pub(crate) fn ledger(&self) -> Ledger {
        let mut ledger = self.pool.ledger();
        let untaken = self.done.iter().filter(|completion| keeps_a_buffer(completion)).count();
        ledger.leased -= untaken;
        ledger.kernel += untaken;
        ledger
    }

    pub(crate) fn pool(&self) -> &BufferPool {
        &self.pool
    }

    pub(crate) const fn stats(&self) -> Stats {
        self.stats
    }

    pub(crate) fn local_address(&self, id: SocketId) -> Option<Address> {
        let connection = self.connections.get(id.slot(), id.generation())?;
        self.network.with(|world| Some(world.address_at(world.end(connection.end)?.local)))
    }

    /// `None` if the connection is gone already, as kernels have it.
    pub(crate) fn peer_address(&self, id: SocketId) -> Option<Address> {
        let connection = self.connections.get(id.slot(), id.generation())?;
        self.network
            .with(|world| Some(world.address_at(world.end(connection.end)?.peer_address()?)))
    }

    pub(crate) fn no_delay(&self, id: SocketId) -> Option<bool> {
        let connection = self.connections.get(id.slot(), id.generation())?;
        self.network.with(|world| Some(world.end(connection.end)?.no_delay))
    }

    fn stage(&mut self, id: SocketId) -> Result<(), UnknownSocket> {
        let connection = lookup(&mut self.connections, id)?;
        if !connection.staged {
            connection.staged = true;
            self.staged.push(id);
            self.note_work();
        }
        Ok(())
    }

    /// There is something to start: a virtual clock must not move before. A real one moves anyway, and
    /// a wait that starts something may sleep.
    fn note_work(&self) {
        if self.network.pace() == Pace::Virtual {
            self.bell.ring();
        }
    }
}

/// Whether a completion that was made and not taken has a buffer of the pool.
const fn keeps_a_buffer(completion: &Completion) -> bool {
    match completion {
        Completion::Received { what: Received::Data(lease), .. } => lease.keeps_a_buffer(),
        _ => false,
    }
}

/// What a [`Waker`](crate::Waker) of a simulated port rings.
#[derive(Debug)]
pub(crate) struct Ringer {
    network: Network,
    bell: Arc<Bell>,
}

impl Ringer {
    pub(crate) fn ring(&self) {
        self.bell.ring();
        self.network.wake_all();
    }

    pub(crate) fn note(&self) {
        self.bell.ring();
    }
}

/// A function and no method, so that the other parts of the port may be borrowed beside it.
fn lookup(
    connections: &mut Slots<Connection>,
    id: SocketId,
) -> Result<&mut Connection, UnknownSocket> {
    connections.get_mut(id.slot(), id.generation()).ok_or(UnknownSocket)
}
