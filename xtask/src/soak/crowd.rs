//! All clients, on one completion port: each has its turn once in a lap and does its next thing then.

use std::fmt;
use std::net::SocketAddr;
use std::sync::atomic::Ordering;
use std::time::Duration;

use wharf_port::{
    Completion, CompletionPort, OwnedBytes, PortOptions, Received, Segment, SocketId,
    SocketOptions, Time, raise_descriptor_limit,
};

use super::Shared;
use super::honest::Echo;
use super::hostile::{Act, Hostile};
use super::member::{Member, Role, State};
use crate::Result;
use crate::checks::{ensure, grouped};
use crate::wait::Stopwatch;

/// Clients have their turns in so many parts of a lap.
const TICK: Duration = Duration::from_millis(10);
const TICKS: usize = 200;
/// How far behind a busy machine may fall with the turns and still catch up.
const LATE_MAX: Duration = Duration::from_millis(500);
/// Of a thousand turns of honest clients so many are to leave. A lap is two seconds, and who comes and
/// goes misses two, so in a second one in a hundred leaves.
const LEAVE_OF_1000: u64 = 22;
/// The least part of them that must come and go in a second, with the time in which the first come.
const CHURN_MIN: f64 = 0.008;
/// How long the echo of one frame may take on a busy machine.
const ECHO_MAX: Duration = Duration::from_secs(10);
/// How long they may take to go.
const GO_MAX: Duration = Duration::from_secs(30);

pub(super) struct Crowd<'a> {
    port: CompletionPort,
    address: SocketAddr,
    options: SocketOptions,
    members: Vec<Member>,
    /// Whose a socket is, by its slot; whether the name is of now, the member knows.
    owners: Vec<usize>,
    /// Whose turn is next.
    next: usize,
    shared: &'a Shared,
    seen: Seen,
}

/// What the clients have seen.
#[derive(Clone, Debug, Default)]
pub(super) struct Seen {
    /// Until all were to go.
    time: Duration,
    members: u64,
    /// Frames that came back as they were.
    echoed: u64,
    /// Honest connections that came, went, and were followed by others.
    left: u64,
    /// Hostile connections.
    hostile: u64,
    /// Of those that the server must end, those that it has ended.
    cut: u64,
    slowest: Duration,
    /// What must not be: how often, and what was first.
    wrongs: u64,
    first_wrong: Option<&'static str>,
}

impl<'a> Crowd<'a> {
    pub(super) fn open(address: SocketAddr, count: usize, shared: &'a Shared) -> Result<Self> {
        let limit = raise_descriptor_limit().unwrap_or(u64::MAX);
        ensure(limit > count as u64 + 64, || {
            format!("{count} sessions, and this process may open {limit}: raise ulimit -n")
        })?;
        // What is never read is to fill the server's queue soon, and not this system's memory.
        let options =
            SocketOptions { receive_buffer_bytes: Some(64 << 10), ..SocketOptions::default() };
        Ok(Self {
            port: CompletionPort::open(&PortOptions::default())?,
            address,
            options,
            members: (0..count).map(Member::new).collect(),
            owners: Vec::new(),
            next: 0,
            shared,
            seen: Seen { members: count as u64, ..Seen::default() },
        })
    }

    /// Until all are to go, and have gone.
    pub(super) fn run(mut self) -> Result<Seen> {
        let stopwatch = Stopwatch::start();
        let mut ends_at = None;
        let mut tick_at = Time::ZERO;
        loop {
            self.port.wait(Some(tick_at))?;
            let now = self.port.now();
            while let Some(completion) = self.port.take() {
                self.complete(completion, now);
            }
            if now < tick_at {
                continue;
            }
            tick_at = if now.since(tick_at) > LATE_MAX { now } else { tick_at } + TICK;
            let going = self.shared.ends.load(Ordering::Relaxed);
            if going {
                let deadline = *ends_at.get_or_insert_with(|| {
                    self.seen.time = stopwatch.elapsed();
                    now + GO_MAX
                });
                if self.members.iter().all(|member| member.state == State::Away) {
                    break;
                }
                let here = self.members.iter().filter(|it| it.state != State::Away).count();
                ensure(now < deadline, || format!("{here} clients cannot leave"))?;
            }
            for _ in 0..self.members.len().div_ceil(TICKS) {
                let number = self.next;
                self.next = (number + 1) % self.members.len();
                self.turn_of(number, going, now);
            }
        }
        self.port.shut_down(GO_MAX)?;
        Ok(self.seen)
    }

    fn turn_of(&mut self, number: usize, going: bool, now: Time) {
        match self.members[number].state {
            State::Away if !going => self.connect(number),
            State::Away | State::Connecting | State::Closing => {}
            State::Connected if self.members[number].is_honest() => {
                self.turn_of_honest(number, going, now);
            }
            State::Connected if going => self.end(number, true),
            State::Connected => self.turn_of_hostile(number),
        }
    }

    fn connect(&mut self, number: usize) {
        let Ok(socket) = self.port.connect(self.address, &self.options) else {
            return self.wrong("a connect that could not be started");
        };
        let slot = usize::try_from(socket.slot()).unwrap_or(usize::MAX);
        if self.owners.len() <= slot {
            self.owners.resize(slot + 1, 0);
        }
        self.owners[slot] = number;
        let member = &mut self.members[number];
        (member.socket, member.state) = (Some(socket), State::Connecting);
    }

    fn turn_of_honest(&mut self, number: usize, going: bool, now: Time) {
        let random = self.port.random();
        let member = &mut self.members[number];
        let (Some(socket), Role::Honest(honest)) = (member.socket, &mut member.role) else {
            return;
        };
        if honest.leaves || !honest.is_quiet() || member.sending {
            if honest.waited(now) > ECHO_MAX {
                self.wrong("an echo, or an end, that does not come");
                self.end(number, true);
            }
        } else if going || (member.acts > 0 && random % 1_000 < LEAVE_OF_1000) {
            honest.leave(now);
            // A name is void only once its socket is closed: then this is no turn.
            let _ = self.port.shutdown(socket);
        } else {
            let frame = honest.next_frame(random, now);
            self.send(number, socket, frame);
        }
    }

    fn turn_of_hostile(&mut self, number: usize) {
        let member = &mut self.members[number];
        let (Some(socket), Role::Hostile(kind)) = (member.socket, &member.role) else { return };
        let act = kind.act(member.acts);
        let sends = !member.sending;
        match act {
            Act::Send(bytes) if sends => self.send(number, socket, bytes),
            Act::Read(bytes) => {
                let _ = self.port.resume_receive(socket);
                if sends {
                    self.send(number, socket, bytes);
                }
            }
            Act::Reset => self.end(number, true),
            Act::Send(_) => {}
        }
    }

    fn send(&mut self, number: usize, socket: SocketId, bytes: Vec<u8>) {
        let member = &mut self.members[number];
        member.sending = true;
        member.acts += 1;
        let _ = self.port.send(socket, vec![Segment::Owned(OwnedBytes::from(bytes))]);
    }

    fn complete(&mut self, completion: Completion, now: Time) {
        match completion {
            Completion::Connected { socket, result } => {
                let Some(number) = self.owner(socket) else { return };
                match result {
                    Ok(()) => self.connected(number, socket),
                    Err(_) => {
                        self.wrong("a connect that failed");
                        self.end(number, true);
                    }
                }
            }
            Completion::Received { socket, what } => {
                let Some(number) = self.owner(socket) else { return };
                match what {
                    Received::Data(bytes) => self.received(number, socket, &bytes, now),
                    Received::End => self.ended(number, true),
                    Received::Failed(_) => self.ended(number, false),
                    Received::Cancelled => {}
                }
            }
            Completion::Sent { socket, result, .. } => {
                let Some(number) = self.owner(socket) else { return };
                self.members[number].sending = false;
                if result.is_err() {
                    self.ended(number, false);
                }
            }
            Completion::Closed { socket } => {
                if let Some(number) = self.owner(socket) {
                    self.members[number].forget_connection();
                }
            }
            _ => {}
        }
    }

    fn owner(&self, socket: SocketId) -> Option<usize> {
        let slot = usize::try_from(socket.slot()).ok()?;
        let number = *self.owners.get(slot)?;
        (self.members[number].socket == Some(socket)).then_some(number)
    }

    fn connected(&mut self, number: usize, socket: SocketId) {
        self.shared.connected.fetch_add(1, Ordering::Relaxed);
        let member = &mut self.members[number];
        member.state = State::Connected;
        let reads = match member.role {
            Role::Honest(_) => true,
            Role::Hostile(kind) => {
                self.seen.hostile += 1;
                kind.reads()
            }
        };
        match member.role {
            // Its first act, or there would be nothing of it between two turns.
            Role::Hostile(Hostile::Vanishes) => self.end(number, true),
            Role::Hostile(Hostile::NeverReads) => {}
            _ => {
                let _ = self.port.receive(socket);
                if !reads {
                    let _ = self.port.pause_receive(socket);
                }
            }
        }
    }

    fn received(&mut self, number: usize, socket: SocketId, bytes: &[u8], now: Time) {
        match &mut self.members[number].role {
            Role::Honest(honest) => match honest.compare(bytes) {
                Echo::Part => {}
                Echo::Whole => {
                    self.seen.echoed += 1;
                    self.seen.slowest = self.seen.slowest.max(honest.waited(now));
                }
                Echo::Wrong => {
                    self.wrong("bytes that came back as others");
                    self.end(number, true);
                }
            },
            Role::Hostile(kind) if kind.reads() => {}
            Role::Hostile(_) => {
                let _ = self.port.pause_receive(socket);
            }
        }
    }

    /// The server has ended or reset a connection.
    fn ended(&mut self, number: usize, in_order: bool) {
        let member = &self.members[number];
        if member.state == State::Closing {
            return;
        }
        match &member.role {
            Role::Honest(honest) if honest.leaves && honest.is_quiet() && in_order => {
                let going = self.shared.ends.load(Ordering::Relaxed);
                self.seen.left += u64::from(!going);
            }
            Role::Honest(_) => self.wrong("an honest connection that was ended"),
            Role::Hostile(kind) => self.seen.cut += u64::from(kind.is_to_be_cut()),
        }
        self.end(number, false);
    }

    fn end(&mut self, number: usize, reset: bool) {
        let member = &mut self.members[number];
        let Some(socket) = member.socket else { return };
        if member.state == State::Connected {
            self.shared.connected.fetch_sub(1, Ordering::Relaxed);
        }
        member.state = State::Closing;
        let _ = if reset { self.port.abort(socket) } else { self.port.close(socket) };
    }

    const fn wrong(&mut self, what: &'static str) {
        self.seen.wrongs += 1;
        if self.seen.first_wrong.is_none() {
            self.seen.first_wrong = Some(what);
        }
    }
}

impl Seen {
    /// What part of the honest ones came and went in a second.
    fn churn(&self) -> f64 {
        let honest = self.members - self.members.div_ceil(20);
        // Both are far below where a float counts no more.
        self.left as f64 / honest as f64 / self.time.as_secs_f64()
    }

    /// Checks that the honest ones have nothing to complain of, and that the run was what it should be.
    pub(super) fn check(&self, figure: &str) -> Result<()> {
        if let Some(what) = self.first_wrong {
            return Err(format!(
                "{} times something was wrong, first {what}: {figure}",
                self.wrongs
            )
            .into());
        }
        ensure(self.churn() > CHURN_MIN, || format!("too few came and went: {figure}"))?;
        ensure(self.cut > self.members / 60, || {
            format!("the server should have ended more hostile connections: {figure}")
        })
    }
}

impl fmt::Display for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [echoed, left, hostile, cut] =
            [self.echoed, self.left, self.hostile, self.cut].map(grouped);
        write!(
            f,
            "{echoed} frames verified, the slowest after {} ms; {left} honest connections came and \
             went, {:.2}% in a second; {hostile} hostile ones, {cut} of them ended by the server for their frames",
            self.slowest.as_millis(),
            self.churn() * 100.0
        )
    }
}
