//! One run: a phase in which anything may go wrong, and one in which everything must come to its end.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use fastrand::Rng;
use wharf::sim::{FaultKind, Faults, Network, NetworkOptions, Pace};
use wharf::{
    Arrival, Backend, Holdings, PortOptions, SendStatus, Server, SlowReader, SocketOptions,
    SteppedServer,
};

use super::callers::Callers;
use super::client::{Client, Habits, Mood, Progress};
use super::door::Door;
use super::extras::{Extras, Farewell};
use super::groups;
use super::marks::Marks;
use super::panics;
use super::plan::Plan;
use super::record::{Record, Violation};
use super::service::{BURST_BYTES, Manners, Service};
use super::wire::{self, Wire};

/// Where the server listens.
pub(super) const SERVER: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1)), 7777);

/// Turns of a worker within which it has what another thread has told it, unless its port is kept from it.
pub(super) const TURNS_TO_HEAR: u64 = 8;

/// What has come of a seed.
#[derive(Clone, Debug, Default)]
pub(super) struct Outcome {
    pub(super) steps: u64,
    pub(super) hash: u64,
    pub(super) injected: Vec<u64>,
    pub(super) marks: Marks,
    pub(super) trace: Vec<String>,
    pub(super) violation: Option<Violation>,
}

/// Runs a seed.
pub(super) fn run(seed: u64, wanted: &Faults, trace: bool) -> Outcome {
    let mut dice = Rng::with_seed(seed);
    let plan = Plan::draw(&mut dice, wanted);
    let network = Network::new(NetworkOptions {
        seed: dice.u64(..),
        pace: Pace::Virtual,
        personality: plan.personality,
        faults: plan.faults,
        window_bytes: plan.backlog_window,
        descriptors_max: plan.descriptors_max,
        trace,
        ..NetworkOptions::default()
    });
    let record = Record::new(dice.fork(), plan.limits.clone(), plan.wire.has_frames());
    record.with(|book| book.marks.count(plan.wire.name()));
    if trace {
        network.say(&format!("{plan:?}"));
    }
    let run = || {
        let mut simulation = Simulation::start(plan, network.clone(), record.clone(), dice)?;
        let ended = simulation.storm().and_then(|()| simulation.calm());
        record.with(|book| book.is_over = true);
        ended
    };
    let ended = panics::caught(run)
        .unwrap_or_else(|words| Err(Violation { invariant: "panic", what: words }));
    let violation = record.with(|book| book.violation.take()).or_else(|| ended.err());
    Outcome {
        steps: network.steps(),
        hash: network.trace_hash(),
        injected: FaultKind::ALL.iter().map(|&kind| network.injected(kind)).collect(),
        marks: record.with(|book| std::mem::take(&mut book.marks)),
        trace: network.take_trace(),
        violation,
    }
}

pub(super) type Checked<T = ()> = Result<T, Violation>;

pub(super) fn violated<T>(invariant: &'static str, what: impl Into<String>) -> Checked<T> {
    Err(Violation { invariant, what: what.into() })
}

type Factory = Box<dyn Fn(&Arrival) -> Service>;

/// A run: all that takes part in it.
pub(super) struct Simulation {
    pub(super) plan: Plan,
    pub(super) network: Network,
    pub(super) server: SteppedServer<Service, Factory>,
    pub(super) record: Record,
    pub(super) dice: Rng,
    pub(super) clients: Vec<Client>,
    /// A client of the library's, while there is one.
    pub(super) callers: Option<Callers>,
    /// Who else than a session writes to the record.
    pub(super) others_with_record: usize,
    /// The server was told to end.
    pub(super) ending: bool,
    pub(super) door: Door,
    /// Turns of each worker.
    pub(super) turns: Vec<u64>,
    /// The turns after which each worker knows that the server ends, if it does.
    pub(super) ended_at: Option<Vec<u64>>,
}

impl Simulation {
    fn start(plan: Plan, network: Network, record: Record, dice: Rng) -> Checked<Self> {
        let port = PortOptions {
            backend: Backend::Sim,
            buffers: plan.buffers,
            buffer_bytes: plan.buffer_bytes,
            simulated: Some(network.clone()),
            ..PortOptions::default()
        };
        let manners = Manners {
            wire: plan.wire,
            said_max: plan.said_max(),
            greets: plan.greets,
            posts: plan.extras.posts,
            rooms: plan.extras.rooms,
            defers: plan.extras.defers,
            group_timers: plan.extras.group_timers && plan.wire.has_frames(),
            says_goodbye: plan.extras.says_goodbye,
        };
        let shared = record.clone();
        let factory = move |arrival: &Arrival| Service::new(&shared, arrival, manners);
        let mut server = Server::bind(SERVER.to_string())
            .framing(plan.wire.framing())
            .workers(plan.workers)
            .limits(plan.limits.clone())
            .port_options(port);
        if plan.extras.farewell != Farewell::Nothing {
            let farewell = wire::payload('Z', 1, 0, plan.said_max().min(24));
            server = server.farewell(&plan.wire.payload(&farewell));
            record.with(|book| book.farewell = Some(farewell));
        }
        match server.start_stepped(Box::new(factory) as Factory) {
            Ok(server) => {
                let (clients, ending) = (Vec::new(), false);
                let (door, turns) = (Door::default(), vec![0; plan.workers]);
                let others_with_record = record.holders();
                Ok(Self {
                    plan,
                    network,
                    server,
                    record,
                    dice,
                    clients,
                    callers: None,
                    others_with_record,
                    ending,
                    door,
                    turns,
                    ended_at: None,
                })
            }
            Err(error) => violated("I8", format!("the server does not start: {error}")),
        }
    }

    /// Anything may go wrong, in any order.
    fn storm(&mut self) -> Checked {
        if self.plan.extras.callers {
            self.start_callers()?;
        }
        if self.plan.extras.rooms {
            (0..self.dice.u8(1..=3)).for_each(|_| self.open_room());
        }
        for step in 0..self.plan.steps {
            if let Some(end) = self.plan.end
                && end.at_step == step
            {
                self.end_server(end.stops);
            }
            match self.dice.u8(..32) {
                0..16 => {
                    if self.plan.extras.defers && self.dice.u8(..12) == 0 {
                        self.run_job()?;
                    }
                    let worker = self.dice.usize(..self.plan.workers + self.caller_workers());
                    match worker.checked_sub(self.plan.workers) {
                        Some(of_client) => self.turn_caller(of_client)?,
                        None => self.turn(worker)?,
                    }
                }
                16..28 if !self.clients.is_empty() => {
                    let client = self.dice.usize(..self.clients.len());
                    self.step_client(client, Mood::AsItLikes)?;
                }
                28 if self.clients.len() < self.plan.clients_max => {
                    let said_max = self.plan.said_max();
                    let habits = Habits::draw(&mut self.dice, said_max, &self.plan.extras);
                    let host = self.dice.u8(2..=5);
                    self.connect(host, habits);
                }
                29 if self.dice.u8(..4) == 0 => self.act_from_outside(),
                29..32 => {
                    self.network.advance();
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Somebody who has no session does something.
    fn act_from_outside(&mut self) {
        let Extras { posts, floods, pauses, rooms, callers, .. } = self.plan.extras;
        match self.dice.u8(..8) {
            0..2 if posts > 0 => self.post_from_outside(),
            2 if floods && self.dice.bool() => self.flood_inbox(),
            3 if pauses && !self.ending => self.swing_door(),
            4..6 if rooms => self.act_on_rooms(),
            6.. if callers => self.act_on_targets(),
            _ => self.announce(),
        }
    }

    /// Somebody who has no session tells the members of a group something.
    fn announce(&mut self) {
        let which = groups::group_of(self.dice.u64(..));
        let group = self.server.handle().group(&groups::name(which));
        let (number, text) = self.record.with(|book| book.groups.next(which, groups::OUTSIDE));
        let fits = text.len() <= self.plan.said_max();
        if fits && group.broadcast(&self.plan.wire.payload(&text)) == SendStatus::Queued {
            self.record.with(|book| book.groups.was_said(which, groups::OUTSIDE, number, None));
            self.mark("announcement");
        }
    }

    pub(super) fn end_server(&mut self, stops: bool) {
        if stops {
            self.server.handle().stop();
        } else {
            self.drain();
        }
        self.ending = true;
        self.ended_at = Some(self.turns_from_now());
        self.record.with(|book| book.rooms.server_ends = true);
        self.door_opens();
        self.mark(if stops { "server stopped" } else { "server drained" });
    }

    fn drain(&self) {
        if self.plan.extras.farewell != Farewell::OfTheDrain {
            return self.server.handle().drain();
        }
        let farewell = wire::payload('Z', 2, 0, self.plan.said_max().min(16));
        let draining = self.server.handle().drain_with(&self.plan.wire.payload(&farewell));
        self.record.with(|book| match draining {
            Ok(()) => book.farewell = Some(farewell),
            Err(error) => book.violate("I8", || format!("the server does not drain: {error}")),
        });
    }

    pub(super) fn mark(&self, name: &'static str) {
        self.record.with(|book| book.marks.count(name));
    }

    pub(super) fn connect(&mut self, host: u8, habits: Habits) {
        let from = SocketAddr::from(([10, 0, 1, host], 0));
        let options = SocketOptions { bind: Some(from), ..SocketOptions::default() };
        let peer = self.network.connect_with(SERVER, &options);
        let Some(address) = peer.local_address() else { return };
        let is_garbage = habits.is_garbage;
        let number = self.record.with(|book| book.client(address, is_garbage));
        self.clients.push(Client::new(number, peer, self.plan.wire, habits));
    }

    /// Makes one turn of a worker, and looks at it.
    pub(super) fn turn(&mut self, worker: usize) -> Checked {
        self.record.with(super::record::Book::begin_turn);
        let load = if self.plan.extras.overload { self.begin_turn_under_load() } else { None };
        let turned = self.server.turn(worker, Some(self.network.now()));
        if let Err(error) = turned {
            return violated("I8", format!("worker {worker} cannot wait: {error}"));
        }
        if let Some(refused) = load {
            self.end_turn_under_load(worker, refused)?;
        }
        self.turns[worker] += 1;
        if self.plan.extras.pauses {
            self.watch_door();
        }
        if self.plan.extras.group_timers {
            self.check_group_timers();
        }
        if self.plan.extras.rooms {
            self.check_rooms(worker)?;
        }
        if self.plan.extras.defers {
            self.check_jobs()?;
        }
        self.check_that_nothing_leaked()?;
        self.check_worker(worker)?;
        self.check_record()
    }

    pub(super) fn check_record(&self) -> Checked {
        self.record.with(|book| book.violation.take()).map_or(Ok(()), Err)
    }

    /// A worker that ends waits for its operations in vain, which takes so long that others are late:
    /// so this is looked at before the clock is.
    fn check_that_nothing_leaked(&self) -> Checked {
        match self.server.leaked_operations() {
            0 => Ok(()),
            leaked => violated("I1", format!("{leaked} operations never came back")),
        }
    }

    fn check_worker(&self, worker: usize) -> Checked {
        let Some(view) = self.server.worker(worker) else { return Ok(()) };
        if view.sessions != view.sockets {
            let (sessions, sockets) = (view.sessions, view.sockets);
            return violated(
                "I1",
                format!("worker {worker} has {sessions} sessions and {sockets} sockets"),
            );
        }
        let Some(holdings) = self.server.holdings(worker) else { return Ok(()) };
        let Holdings { operations, sessions, .. } = holdings;
        let agree = operations.total() == view.operations
            && sessions.total() == view.sessions
            && operations.closes == sessions.terminating
            && operations.accepts >= view.listeners;
        if !agree {
            return violated(
                "I1",
                format!("worker {worker} counts in two ways: {view:?}, {holdings:?}"),
            );
        }
        if view.ledger.kernel != 0 {
            return violated("I4", format!("worker {worker}: {:?} between turns", view.ledger));
        }
        let most = self.queue_is_wide().unwrap_or_else(|| self.queued_bytes_most());
        if view.queued_bytes_max > most {
            let queued = view.queued_bytes_max;
            return violated("I6", format!("a queue of {queued} bytes, and at most {most}"));
        }
        Ok(())
    }

    /// What a send queue may hold: one frame beyond its limit, and twice that where what is with the
    /// kernel cannot be dropped. Who pauses may go to twice the limit: what is being worked on when a
    /// queue fills up still has its answers.
    fn queued_bytes_most(&self) -> usize {
        // Raw, a frame is what came with one receive.
        let longest = match self.plan.wire {
            Wire::Raw => usize::try_from(self.plan.buffer_bytes).unwrap_or(usize::MAX),
            _ => self.plan.limits.frame_bytes_max,
        };
        let frame = longest.max(BURST_BYTES) + self.plan.wire.overhead();
        let limit = self.plan.limits.send_bytes_max;
        match self.plan.limits.slow_reader {
            SlowReader::Pause => 2 * limit + frame,
            _ => limit + self.plan.limits.send_burst_bytes + 2 * frame,
        }
    }

    pub(super) fn step_client(&mut self, at: usize, mood: Mood) -> Checked<Progress> {
        let progress = self.clients[at].step(&mut self.dice, &self.record, mood);
        self.check_record()?;
        if let Progress::Over(_) = progress {
            self.clients.swap_remove(at).go();
        }
        Ok(progress)
    }
}
