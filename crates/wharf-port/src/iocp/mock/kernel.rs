//! All that this Windows consists of, and what it does with operations.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use windows_sys::Win32::System::IO::OVERLAPPED;

use super::link::{Link, Side};
use super::memory::{Bytes, Gather, Operation, Room};
use super::switches::{Cancel, Switches};
use crate::clock::Random;
use crate::iocp::Code;
use crate::iocp::api::Started;

#[derive(Debug)]
pub(super) struct Kernel {
    pub(super) switches: Switches,
    /// The time, which passes while nobody has anything to do.
    pub(super) clock: Duration,
    pub(super) ports: BTreeMap<usize, Queue>,
    /// Sockets that are open, by numbers that are given out again at once.
    pub(super) sockets: BTreeMap<usize, Socket>,
    pub(super) links: Vec<Link>,
    /// Operations under way, the oldest first.
    pub(super) pending: Vec<Pending>,
    /// Operations that are done and whose packets have not been dequeued, by address, and what memory
    /// they have.
    pub(super) on_their_way: BTreeMap<usize, Vec<Bytes>>,
    /// The addresses of all operations that have ever been started.
    pub(super) known: BTreeSet<usize>,
    /// What is to happen, by time and number.
    events: BTreeMap<(Duration, u64), Event>,
    serial: u64,
    chance: Random,
    /// What the driver has done that it must not do.
    pub(super) offences: Vec<String>,
    pub(super) counts: Counts,
}

/// How often things have happened.
#[derive(Clone, Copy, Default, Debug)]
pub(crate) struct Counts {
    pub(crate) sockets_opened: usize,
    pub(crate) associations: usize,
    pub(crate) disconnects: usize,
    pub(crate) sockets_reused: usize,
    pub(crate) empty_receives: usize,
    pub(crate) full_receives: usize,
    pub(crate) overlapped_sends: usize,
    pub(crate) failed_accepts: usize,
    pub(crate) dequeues: usize,
    pub(crate) timers_set: usize,
    pub(crate) connects: usize,
    pub(crate) plain_accepts: usize,
}

impl Counts {
    pub(crate) const fn add(&mut self, other: &Self) {
        self.sockets_opened += other.sockets_opened;
        self.associations += other.associations;
        self.disconnects += other.disconnects;
        self.sockets_reused += other.sockets_reused;
        self.empty_receives += other.empty_receives;
        self.full_receives += other.full_receives;
        self.overlapped_sends += other.overlapped_sends;
        self.failed_accepts += other.failed_accepts;
        self.dequeues += other.dequeues;
        self.timers_set += other.timers_set;
        self.connects += other.connects;
        self.plain_accepts += other.plain_accepts;
    }
}

/// A completion port.
#[derive(Debug, Default)]
pub(super) struct Queue {
    pub(super) packets: VecDeque<Packet>,
    pub(super) is_abandoned: bool,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Packet {
    pub(super) key: usize,
    pub(super) operation: Operation,
    pub(super) bytes: u32,
    pub(super) status: usize,
}

#[derive(Debug)]
pub(super) struct Socket {
    pub(super) role: Role,
    pub(super) port: Option<usize>,
    pub(super) skips: bool,
    pub(super) is_bound: bool,
    pub(super) is_ipv6: bool,
    pub(super) no_delay: bool,
    /// The call that has to be made before the socket is good for anything.
    pub(super) owed: Option<&'static str>,
    /// It was connected, and made ready for another connection.
    pub(super) was_used: bool,
}

#[derive(Debug)]
pub(super) enum Role {
    Fresh,
    Listening(super::accept::Listening),
    Connected(Side),
}

/// An operation under way.
#[derive(Debug)]
pub(super) struct Pending {
    pub(super) serial: u64,
    pub(super) operation: Operation,
    /// The socket that it was started on.
    pub(super) socket: usize,
    pub(super) port: usize,
    pub(super) kind: Kind,
}

impl Pending {
    /// What it reads from or writes to, besides itself.
    fn memory(&self) -> Vec<Bytes> {
        match &self.kind {
            Kind::Receive(Some(room)) | Kind::Accept { output: room, .. } => vec![room.bytes()],
            Kind::Send(gather) => gather.bytes(),
            _ => Vec::new(),
        }
    }
}

#[derive(Debug)]
pub(super) enum Kind {
    Accept {
        /// The socket that is to be connected.
        with: usize,
        output: Room,
        first: usize,
        /// The connection whose bytes it waits for.
        link: Option<usize>,
    },
    Connect {
        link: Option<usize>,
    },
    Receive(Option<Room>),
    Send(Gather),
    Disconnect,
}

#[derive(Debug)]
pub(super) enum Event {
    Packet {
        port: usize,
        packet: Packet,
    },
    /// A cancel reaches its operation.
    Cancelled(u64),
    /// What takes its time is done: a connect, a disconnect.
    Done(u64),
}

/// The key of packets of operations: no socket is associated with another one.
const OPERATION: usize = 0;

impl Kernel {
    pub(super) fn new(switches: Switches) -> Self {
        Self {
            chance: Random::new(switches.delays.unwrap_or_default()),
            switches,
            clock: Duration::ZERO,
            ports: BTreeMap::new(),
            sockets: BTreeMap::new(),
            links: Vec::new(),
            pending: Vec::new(),
            on_their_way: BTreeMap::new(),
            known: BTreeSet::new(),
            events: BTreeMap::new(),
            serial: 0,
            offences: Vec::new(),
            counts: Counts::default(),
        }
    }

    /// The driver has broken a rule of Windows'. It is told again when the test ends, since threads
    /// swallow panics.
    #[track_caller]
    pub(super) fn offence(&mut self, what: String) -> ! {
        self.offences.push(what.clone());
        panic!("{what}");
    }

    #[track_caller]
    pub(super) fn demand(&mut self, condition: bool, what: impl FnOnce() -> String) {
        if !condition {
            self.offence(what());
        }
    }

    #[track_caller]
    pub(super) fn socket(&mut self, number: usize) -> &mut Socket {
        if !self.sockets.contains_key(&number) {
            self.offence(format!("socket {number} is closed"));
        }
        self.sockets.entry(number).or_insert_with(|| unreachable!())
    }

    /// The side of a connected socket; it may be used.
    #[track_caller]
    pub(super) fn side(&mut self, number: usize) -> Option<Side> {
        let socket = self.socket(number);
        let Role::Connected(side) = socket.role else { return None };
        if let Some(owed) = socket.owed {
            self.offence(format!("{owed} was not set on socket {number}"));
        }
        Some(side)
    }

    pub(super) fn after(&mut self, delay: Duration, event: Event) {
        self.serial += 1;
        self.events.insert((self.clock + delay, self.serial), event);
    }

    /// When something happens next.
    pub(super) fn next_event(&self) -> Option<Duration> {
        self.events.first_key_value().map(|((at, _), _)| *at)
    }

    /// Has happen what is due.
    pub(super) fn happen(&mut self) {
        while self.next_event().is_some_and(|at| at <= self.clock) {
            let Some((_, event)) = self.events.pop_first() else { return };
            match event {
                Event::Packet { port, packet } => self.queue(port, packet),
                Event::Cancelled(serial) => {
                    self.end_if_pending(serial, Some(Code::ABORTED));
                }
                Event::Done(serial) => self.end_if_pending(serial, None),
            }
        }
    }

    pub(super) fn forget_packets(&mut self, port: usize, key: usize) {
        if let Some(queue) = self.ports.get_mut(&port) {
            queue.packets.retain(|packet| packet.key != key);
        }
        self.events.retain(|_, event| {
            !matches!(event, Event::Packet { port: at, packet } if *at == port && packet.key == key)
        });
    }

    pub(super) fn queue(&mut self, port: usize, packet: Packet) {
        if let Some(queue) = self.ports.get_mut(&port) {
            queue.packets.push_back(packet);
        }
    }

    /// Takes an operation over from the driver.
    #[track_caller]
    pub(super) fn begin(
        &mut self,
        socket: usize,
        operation: *mut OVERLAPPED,
        kind: Kind,
    ) -> Pending {
        let operation = Operation(operation);
        let busy = self.pending.iter().any(|it| it.operation == operation);
        self.demand(!busy, || "the operation is under way".to_owned());
        self.known.insert(operation.0.addr());
        let on_its_way = self.on_their_way.contains_key(&operation.0.addr());
        self.demand(!on_its_way, || "the operation's packet was not dequeued".to_owned());
        let Some(port) = self.socket(socket).port else {
            self.offence(format!("socket {socket} has no port"));
        };
        // SAFETY: the caller of the API keeps it until the packet.
        unsafe { operation.begin() };
        if let Kind::Receive(Some(room)) | Kind::Accept { output: room, .. } = &kind {
            // SAFETY: as above.
            unsafe { room.spoil() };
        }
        self.serial += 1;
        Pending { serial: self.serial, operation, socket, port, kind }
    }

    pub(super) fn pend(&mut self, pending: Pending) -> Started {
        self.pending.push(pending);
        Started::Pending
    }

    /// An operation is done before the call that has started it returns.
    pub(super) fn end_at_once(&mut self, pending: &Pending, bytes: usize) -> Started {
        let bytes = narrow(bytes);
        if self.socket(pending.socket).skips {
            // SAFETY: the call has not returned.
            unsafe { pending.operation.end(bytes, 0) };
        } else {
            self.end(pending, bytes, None);
        }
        Started::Done(bytes)
    }

    /// Sends the packet of an operation that is not under way any more.
    pub(super) fn end(&mut self, pending: &Pending, bytes: u32, failure: Option<Code>) {
        let status = failure.map_or(0, |code| code.0 as usize);
        if let (Some(_), Kind::Receive(Some(room))) = (failure, &pending.kind) {
            // SAFETY: its packet is not sent yet.
            unsafe { room.spoil() };
        }
        // SAFETY: as above.
        unsafe { pending.operation.end(bytes, status) };
        self.on_their_way.insert(pending.operation.0.addr(), pending.memory());
        let packet = Packet { key: OPERATION, operation: pending.operation, bytes, status };
        if self.switches.delays.is_some() {
            let delay = Duration::from_micros(self.chance.next() % 1_000);
            self.after(delay, Event::Packet { port: pending.port, packet });
        } else {
            self.queue(pending.port, packet);
        }
        if self.switches.doubles > 0 {
            self.switches.doubles -= 1;
            self.queue(pending.port, packet);
        }
    }

    /// Ends an operation in its time: cancelled, or done.
    fn end_if_pending(&mut self, serial: u64, failure: Option<Code>) {
        let Some(at) = self.pending.iter().position(|it| it.serial == serial) else { return };
        match failure {
            Some(code) => self.give_back(at, code),
            None => self.done_in_time(at),
        }
    }

    /// Ends an operation because this end wants it to.
    pub(super) fn give_back(&mut self, at: usize, code: Code) {
        if self.switches.keeps {
            // Whoever gets the number of its socket has nothing to do with it.
            self.pending[at].socket = usize::MAX;
        } else {
            self.fail(at, code);
        }
    }

    /// Fails what is under way, with what has been sent already.
    pub(super) fn fail(&mut self, at: usize, code: Code) {
        let pending = self.pending.remove(at);
        let bytes = match &pending.kind {
            Kind::Send(gather) => gather.read,
            _ => 0,
        };
        match pending.kind {
            // A connection goes with what was to make a socket of it.
            Kind::Accept { link: Some(link), .. } => self.links[link].reset(1),
            Kind::Connect { link: Some(link) } => self.links[link].reset(0),
            _ => {}
        }
        self.end(&pending, narrow(bytes), Some(code));
    }

    /// `CancelIoEx`.
    pub(super) fn cancel(&mut self, socket: usize, which: Option<Operation>) -> Result<(), Code> {
        self.socket(socket);
        let wanted =
            |it: &Pending| it.socket == socket && which.is_none_or(|op| it.operation == op);
        let serials: Vec<u64> =
            self.pending.iter().filter(|it| wanted(it)).map(|it| it.serial).collect();
        for &serial in &serials {
            match self.switches.cancel {
                Cancel::AtOnce => self.end_if_pending(serial, Some(Code::ABORTED)),
                Cancel::After(delay) => self.after(delay, Event::Cancelled(serial)),
            }
        }
        if serials.is_empty() { Err(Code::NOT_FOUND) } else { Ok(()) }
    }

    /// Has every operation go on that can, now that something has come to, or gone from, an end of a
    /// connection.
    pub(super) fn settle(&mut self) {
        while let Some(at) = (0..self.pending.len()).find(|&at| self.can_go_on(at)) {
            self.go_on(at);
        }
    }

    fn can_go_on(&self, at: usize) -> bool {
        let pending = &self.pending[at];
        match &pending.kind {
            Kind::Accept { .. } => self.can_accept(pending),
            Kind::Receive(_) => self.can_receive(pending),
            Kind::Send(_) => self.can_send(pending),
            Kind::Connect { .. } | Kind::Disconnect => false,
        }
    }

    fn go_on(&mut self, at: usize) {
        match self.pending[at].kind {
            Kind::Accept { .. } => self.go_on_accepting(at),
            Kind::Receive(_) => self.go_on_receiving(at),
            Kind::Send(_) => self.go_on_sending(at),
            Kind::Connect { .. } | Kind::Disconnect => {}
        }
    }

    fn done_in_time(&mut self, at: usize) {
        match self.pending[at].kind {
            Kind::Connect { link } => self.connected_in_time(at, link),
            _ => self.disconnected_in_time(at),
        }
    }

    /// Writes to, and reads from, everything that operations under way have given to the kernel.
    pub(super) fn spoil_all(&mut self) {
        for pending in &mut self.pending {
            // SAFETY: no packet was sent for it.
            unsafe { pending.operation.begin() };
            match &mut pending.kind {
                // SAFETY: as above.
                Kind::Receive(Some(room)) | Kind::Accept { output: room, .. } => unsafe {
                    room.spoil();
                },
                Kind::Send(gather) => {
                    // SAFETY: as above.
                    drop(unsafe { gather.take(usize::MAX) });
                }
                _ => {}
            }
        }
    }

    /// Whether an operation has this memory, whose packet has not been dequeued.
    pub(super) fn has(&self, bytes: &Bytes) -> bool {
        let pending = self.pending.iter().flat_map(Pending::memory);
        let all = pending.chain(self.on_their_way.values().flatten().cloned());
        !bytes.is_empty()
            && all.into_iter().any(|its| its.start < bytes.end && bytes.start < its.end)
    }

    /// What the next operation ends with whose socket is closed.
    pub(super) fn closed_code(&mut self) -> Code {
        self.switches.closed.rotate_left(1);
        self.switches.closed.first().map_or(Code::ABORTED, |code| Code(*code))
    }
}

impl Code {
    /// There is nothing to cancel.
    const NOT_FOUND: Self = Self(windows_sys::Win32::Foundation::ERROR_NOT_FOUND);
}

/// A code of Winsock's.
pub(super) const fn winsock(code: i32) -> Code {
    Code(code.cast_unsigned())
}

pub(super) fn narrow(bytes: usize) -> u32 {
    u32::try_from(bytes).unwrap_or(u32::MAX)
}
