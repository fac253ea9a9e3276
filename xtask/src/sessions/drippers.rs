//! Clients that drip: each begins a frame and sends one byte of it a second. When the server cuts one off,
//! it comes again, as long as the attack goes on. All of them on one completion port, each with its turn
//! once a second.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use wharf_port::{
    Completion, CompletionPort, OwnedBytes, PortOptions, Received, Segment, SocketId,
    SocketOptions, Time,
};

use crate::Result;
use crate::checks::ensure;

/// A lap, in which each has its turn, and how many parts it has: so many small steps that the attackers do
/// not take the processor from others for long.
const LAP: Duration = Duration::from_secs(1);
const STEPS: u32 = 1_000;
/// How willingly they leave the processors to others.
const NICENESS: i32 = 19;
/// How far behind a busy machine may fall and still catch up.
const LATE_MAX: Duration = Duration::from_millis(500);
/// How long they may take to go.
const GO_MAX: Duration = Duration::from_secs(10);

/// What the attackers are told, and where they stand.
#[derive(Debug, Default)]
pub(super) struct Orders {
    /// They come, and come again.
    pub(super) attack: AtomicBool,
    /// They go.
    pub(super) end: AtomicBool,
    /// Those that have begun a frame and have not been cut off.
    pub(super) dripping: AtomicUsize,
}

/// What they have seen.
#[derive(Clone, Copy, Debug)]
pub(super) struct Seen {
    /// Connections that the server has ended after a frame had been begun.
    pub(super) cut: u64,
    /// The shortest and the longest time from the first byte of a frame to that end.
    pub(super) shortest: Duration,
    pub(super) longest: Duration,
}

/// One client.
#[derive(Clone, Copy, Debug, Default)]
struct Dripper {
    socket: Option<SocketId>,
    sending: bool,
    /// It is being closed.
    closing: bool,
    /// When the first byte of its frame was sent.
    begun_at: Option<Time>,
}

#[derive(Debug)]
pub(super) struct Drippers<'a> {
    port: CompletionPort,
    address: SocketAddr,
    clients: Vec<Dripper>,
    /// Whose a socket is, by its slot; whether the name is of now, the client knows.
    owners: Vec<usize>,
    next: usize,
    orders: &'a Orders,
    seen: Seen,
}

impl<'a> Drippers<'a> {
    pub(super) fn open(address: SocketAddr, count: usize, orders: &'a Orders) -> Result<Self> {
        Ok(Self {
            port: CompletionPort::open(&PortOptions::default())?,
            address,
            clients: vec![Dripper::default(); count],
            owners: Vec::new(),
            next: 0,
            orders,
            seen: Seen { cut: 0, shortest: Duration::MAX, longest: Duration::ZERO },
        })
    }

    /// Until they are to go.
    pub(super) fn run(mut self) -> Result<Seen> {
        // Attackers do not live on the processors of those that they attack. This is of this thread alone.
        rustix::process::nice(NICENESS)?;
        let mut step_at = Time::ZERO;
        while !self.orders.end.load(Ordering::Relaxed) {
            self.port.wait(Some(step_at))?;
            let now = self.port.now();
            while let Some(completion) = self.port.take() {
                self.complete(completion, now)?;
            }
            if now >= step_at {
                step_at = if now.since(step_at) > LATE_MAX { now } else { step_at } + LAP / STEPS;
                for _ in 0..self.clients.len().div_ceil(STEPS as usize) {
                    let number = self.next;
                    self.next = (number + 1) % self.clients.len();
                    self.turn_of(number)?;
                }
            }
        }
        self.port.shut_down(GO_MAX)?;
        Ok(self.seen)
    }

    fn turn_of(&mut self, number: usize) -> Result<()> {
        let client = &mut self.clients[number];
        match client.socket {
            None if self.orders.attack.load(Ordering::Relaxed) => self.connect(number)?,
            Some(socket) if client.begun_at.is_some() && !client.sending && !client.closing => {
                client.sending = true;
                self.send(socket, b".");
            }
            _ => {}
        }
        Ok(())
    }

    /// Begins a frame: the length of its payload, and the first byte of that.
    fn begin(&mut self, socket: SocketId, now: Time) {
        let Some(client) = self.owner(socket) else { return };
        (client.begun_at, client.sending) = (Some(now), true);
        self.orders.dripping.fetch_add(1, Ordering::Relaxed);
        let _ = self.port.receive(socket);
        self.send(socket, &[100, 0, 0, 0, b'.']);
    }

    /// A name is void only once its socket is closed: then nothing has to be sent.
    fn send(&mut self, socket: SocketId, bytes: &[u8]) {
        let _ = self.port.send(socket, vec![Segment::Owned(OwnedBytes::from(bytes.to_vec()))]);
    }

    fn connect(&mut self, number: usize) -> Result<()> {
        let socket = self
            .port
            .connect(self.address, &SocketOptions::default())
            .map_err(|error| format!("an attacker cannot connect: {error}"))?;
        let slot = usize::try_from(socket.slot())?;
        if self.owners.len() <= slot {
            self.owners.resize(slot + 1, 0);
        }
        self.owners[slot] = number;
        self.clients[number].socket = Some(socket);
        Ok(())
    }

    fn complete(&mut self, completion: Completion, now: Time) -> Result<()> {
        match completion {
            Completion::Connected { socket, result } => {
                result.map_err(|error| format!("an attacker cannot connect: {error}"))?;
                self.begin(socket, now);
            }
            Completion::Received { socket, what } => match what {
                Received::Data(bytes) => ensure(bytes.is_empty(), || {
                    "a dripper got an answer to a frame that it has not finished".to_owned()
                })?,
                Received::End | Received::Failed(_) => self.cut(socket, now),
                Received::Cancelled => {}
            },
            Completion::Sent { socket, result, .. } => {
                if let Some(client) = self.owner(socket) {
                    client.sending = false;
                }
                if result.is_err() {
                    self.cut(socket, now);
                }
            }
            Completion::Closed { socket } => {
                if let Some(client) = self.owner(socket) {
                    *client = Dripper::default();
                    self.return_at_once(socket)?;
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// Who was cut off comes again at once, so that all are there most of the time.
    fn return_at_once(&mut self, gone: SocketId) -> Result<()> {
        self.turn_of(self.owners[usize::try_from(gone.slot())?])
    }

    fn owner(&mut self, socket: SocketId) -> Option<&mut Dripper> {
        let number = *self.owners.get(usize::try_from(socket.slot()).ok()?)?;
        self.clients.get_mut(number).filter(|client| client.socket == Some(socket))
    }

    /// The server has ended a connection.
    fn cut(&mut self, socket: SocketId, now: Time) {
        let Some(client) = self.owner(socket).filter(|client| !client.closing) else { return };
        client.closing = true;
        if let Some(begun_at) = client.begun_at {
            let lived = now.since(begun_at);
            self.seen.cut += 1;
            self.seen.shortest = self.seen.shortest.min(lived);
            self.seen.longest = self.seen.longest.max(lived);
            self.orders.dripping.fetch_sub(1, Ordering::Relaxed);
        }
        let _ = self.port.close(socket);
    }
}
