//! What a kernel and a network would be: a clock, chance, ends, and what happens to them.
//!
//! | file | subject |
//! |---|---|
//! | `end` | one end of a connection, and what of it is with the kernel |
//! | `link` | bytes on their way: windows, deliveries, ends of streams, resets |
//! | `connecting` | listeners and the queue of those that wait to be accepted |
//! | `operations` | receives, sends and cancels: when they finish, and what they post |
//! | `ports` | completion ports, and what has been posted to them |
//! | `weather` | clogs, partitions, and connections that die |
//! | `names` | Unix sockets |
//! | `trace` | what has happened, as a hash or as text |
//!
//! Everything that happens is an [`Event`] with a time. Events of one time come in the order in which
//! they were planned, so that a seed has one run.

mod connecting;
mod end;
mod link;
mod names;
mod operations;
mod ports;
mod trace;
mod weather;

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use self::connecting::Backlog;
pub(super) use self::connecting::{Accepted, Unlistenable, Unopenable};
use self::end::End;
pub(crate) use self::end::FreshEnd;
pub(super) use self::end::{Connecting, EndId, Failure, Holder, PortNumber};
use self::names::Names;
pub(super) use self::operations::Packet;
use self::ports::Ports;
pub(super) use self::trace::{Step, Trace};

use super::faults::{FaultKind, Faults};
use super::network::NetworkOptions;
use super::personality::Personality;
use crate::clock::{Random, Time};
use crate::completion::Direction;
use crate::slots::Slots;

/// Ends that a network can have.
const ENDS_MAX: u32 = 1 << 22;
/// What an operation takes at most to finish, if nothing holds it up.
const OPERATION: Duration = Duration::from_micros(50);
/// What a late one takes.
const LATE: Duration = Duration::from_millis(20);

/// Something that will happen.
#[derive(Clone, Copy, Debug)]
enum Event {
    /// What an end has sent goes over the link.
    Deliver(EndId),
    /// An end gets no answer and waits no longer.
    GiveUp(EndId),
    /// A reset arrives at an end.
    ResetArrives(EndId),
    /// An armed operation finishes.
    Finish(EndId, Direction, u32),
    /// A cancel reaches the operation that it is for.
    CancelArrives(EndId, Direction, u32),
    /// A connecting end reaches whoever listens there.
    Knock(EndId, SocketAddr, u8),
    /// A connecting end learns how it went.
    ConnectEnds(EndId, Connecting),
    /// A listener's port learns of connections that wait.
    AcceptReady(SocketAddr),
}

/// The whole of a network.
#[derive(Debug)]
pub(super) struct World {
    pub(super) now: Time,
    pub(super) personality: Personality,
    random: Random,
    faults: Faults,
    injected: [u64; FaultKind::COUNT],
    latency: (Duration, Duration),
    window_bytes: usize,
    events: BTreeMap<(Time, u64), Event>,
    planned: u64,
    /// Something has been planned or has happened, and the threads that wait have not been told.
    news: bool,
    ends: Slots<End>,
    backlogs: BTreeMap<SocketAddr, Backlog>,
    ports: Ports,
    /// Which local addresses are connected to which others, or about to be.
    names_in_use: BTreeSet<(SocketAddr, SocketAddr)>,
    next_ephemeral: u16,
    /// Descriptors that the server's process has open, and may have.
    descriptors: usize,
    descriptors_max: usize,
    partitions: Vec<(IpAddr, IpAddr, Time)>,
    names: Names,
    pub(super) trace: Trace,
}

impl World {
    pub(super) fn new(options: &NetworkOptions) -> Self {
        Self {
            now: Time::ZERO,
            personality: options.personality,
            random: Random::new(options.seed),
            faults: options.faults,
            injected: [0; FaultKind::COUNT],
            latency: options.latency,
            window_bytes: options.window_bytes.max(1),
            events: BTreeMap::new(),
            planned: 0,
            news: false,
            ends: Slots::new(ENDS_MAX),
            backlogs: BTreeMap::new(),
            ports: Ports::default(),
            names_in_use: BTreeSet::new(),
            next_ephemeral: connecting::EPHEMERAL_FIRST,
            descriptors: 0,
            descriptors_max: options.descriptors_max,
            partitions: Vec::new(),
            names: Names::default(),
            trace: Trace::new(options.trace),
        }
    }

    /// A number below `count`, which is at least 1.
    pub(super) fn below(&mut self, count: u64) -> u64 {
        self.random.next() % count.max(1)
    }

    /// A number from 1 to `most`, which is at least 1.
    pub(super) fn up_to(&mut self, most: usize) -> usize {
        let drawn = self.below(most as u64) + 1;
        usize::try_from(drawn).unwrap_or(most)
    }

    pub(super) fn seed(&mut self) -> u64 {
        self.random.next()
    }

    fn within(&mut self, most: Duration) -> Duration {
        let most = u64::try_from(most.as_nanos()).unwrap_or(u64::MAX);
        Duration::from_nanos(self.below(most.saturating_add(1)))
    }

    /// Whether a fault comes now.
    pub(super) fn chance(&mut self, kind: FaultKind) -> bool {
        let ppm = self.faults.ppm(kind);
        let comes = ppm > 0 && self.below(1_000_000) < u64::from(ppm);
        if comes {
            self.injected[kind.index()] += 1;
            self.step(Step::Fault(kind));
        }
        comes
    }

    pub(super) const fn set_faults(&mut self, faults: Faults) {
        self.faults = faults;
    }

    pub(super) const fn injected(&self, kind: FaultKind) -> u64 {
        self.injected[kind.index()]
    }

    pub(super) fn step(&mut self, step: Step) {
        self.trace.note(self.now, step);
    }

    fn plan(&mut self, after: Duration, event: Event) {
        self.planned += 1;
        self.news = true;
        self.events.insert((self.now + after, self.planned), event);
    }

    /// How long an operation takes to finish.
    fn operation_time(&mut self) -> Duration {
        if self.chance(FaultKind::LateCompletion) {
            return self.within(LATE);
        }
        self.within(OPERATION)
    }

    /// How long it takes from host to host.
    fn link_time(&mut self) -> Duration {
        let (least, most) = self.latency;
        least + self.within(most.saturating_sub(least))
    }

    /// Lets everything happen that is due.
    pub(super) fn run_due(&mut self) {
        while let Some(entry) = self.events.first_entry() {
            if entry.key().0 > self.now {
                return;
            }
            let event = entry.remove();
            self.news = true;
            self.happen(event);
        }
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Deliver(from) => self.deliver(from),
            Event::GiveUp(from) => self.fail(from, Failure::TimedOut),
            Event::ResetArrives(at) => self.reset_arrives(at),
            Event::Finish(end, direction, number) => self.finish(end, direction, number),
            Event::CancelArrives(end, direction, number) => {
                self.cancel_arrives(end, direction, number);
            }
            Event::Knock(end, to, tries) => self.knock(end, to, tries),
            Event::ConnectEnds(end, how) => self.connect_ends(end, how),
            Event::AcceptReady(address) => self.accept_ready(address),
        }
    }

    /// When something will happen next that needs no port.
    pub(super) fn next_event(&self) -> Option<Time> {
        self.events.first_key_value().map(|((time, _), _)| *time)
    }

    /// When something will happen next, to ports as well: now, if one has something to take.
    pub(super) fn next_of_all(&self) -> Option<Time> {
        let ports = self.ports.next(self.now);
        self.next_event().into_iter().chain(ports).min()
    }

    /// Whether something has been planned or has happened since this was last asked.
    pub(super) const fn take_news(&mut self) -> bool {
        std::mem::replace(&mut self.news, false)
    }

    /// Moves the clock, never back.
    pub(super) fn move_clock(&mut self, to: Time) {
        self.now = self.now.max(to);
    }
}

/// Descriptors of the server's process.
impl World {
    pub(super) const fn descriptors(&self) -> usize {
        self.descriptors
    }

    pub(super) const fn set_descriptors_max(&mut self, most: usize) {
        self.descriptors_max = most;
    }

    const fn has_descriptor(&self) -> bool {
        self.descriptors < self.descriptors_max
    }

    /// Ends that are open, those of peers included.
    pub(super) fn open_ends(&self) -> usize {
        self.ends
            .names()
            .iter()
            .filter(|&&(slot, generation)| self.is_open(slot, generation))
            .count()
    }

    pub(super) const fn kept_ends(&self) -> usize {
        self.ends.len()
    }

    fn is_open(&self, slot: u32, generation: u32) -> bool {
        self.ends.get(slot, generation).is_some_and(|end| end.open)
    }
}
