//! One run: a phase in which anything may go wrong, and one in which everything must come to its end.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use fastrand::Rng;
use wharf::sim::{FaultKind, Faults, Network, NetworkOptions, Pace};
use wharf::{
    Arrival, Backend, Framing, PortOptions, Server, SlowReader, SocketOptions, SteppedServer, Time,
};

use super::client::{Client, End, Habits, Mood, Progress};
use super::marks::Marks;
use super::panics;
use super::plan::Plan;
use super::record::{Record, Violation};
use super::service::Service;

/// Where the server listens.
const SERVER: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1)), 7777);
/// What the second phase may take beyond the deadlines of the plan, by the clock of the network: who
/// gets no answer gives up after 10 s.
const PATIENCE: Duration = Duration::from_secs(60);
/// Steps that the second phase may take.
const STEPS_MAX: u64 = 400_000;
/// Turns of all workers without an event after which nothing will ever happen.
const STILL_MAX: u32 = 16;
/// Clients that come in the second phase, to see whether the server still serves.
const PROBES: usize = 3;

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
        trace,
        ..NetworkOptions::default()
    });
    let policy = plan.limits.slow_reader;
    let record = Record::new(dice.fork(), policy, plan.framing != Framing::RAW);
    if trace {
        network.say(&format!("{plan:?}"));
    }
    let run = || {
        let mut simulation = Simulation::start(plan, network.clone(), record.clone(), dice)?;
        simulation.safety()?;
        simulation.liveness()
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

type Checked<T = ()> = Result<T, Violation>;

fn violated<T>(invariant: &'static str, what: impl Into<String>) -> Checked<T> {
    Err(Violation { invariant, what: what.into() })
}

type Factory = Box<dyn Fn(&Arrival) -> Service>;

struct Simulation {
    plan: Plan,
    network: Network,
    server: SteppedServer<Service, Factory>,
    record: Record,
    dice: Rng,
    clients: Vec<Client>,
    /// The server was told to end.
    ending: bool,
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
        let (frame_bytes_max, has_frames) =
            (plan.limits.frame_bytes_max, plan.framing != Framing::RAW);
        let shared = record.clone();
        let factory =
            move |arrival: &Arrival| Service::new(&shared, arrival, frame_bytes_max, has_frames);
        let server = Server::bind(SERVER.to_string())
            .framing(plan.framing)
            .workers(plan.workers)
            .limits(plan.limits.clone())
            .port_options(port)
            .start_stepped(Box::new(factory) as Factory);
        match server {
            Ok(server) => {
                let clients = Vec::new();
                Ok(Self { plan, network, server, record, dice, clients, ending: false })
            }
            Err(error) => violated("I8", format!("the server does not start: {error}")),
        }
    }

    /// Anything may go wrong, in any order.
    fn safety(&mut self) -> Checked {
        for step in 0..self.plan.steps {
            if let Some(end) = self.plan.end
                && end.at_step == step
            {
                self.end_server(end.stops);
            }
            match self.dice.u8(..32) {
                0..16 => {
                    let worker = self.dice.usize(..self.plan.workers);
                    self.turn(worker)?;
                }
                16..28 if !self.clients.is_empty() => {
                    let client = self.dice.usize(..self.clients.len());
                    self.step_client(client, Mood::AsItLikes)?;
                }
                28 if self.clients.len() < self.plan.clients_max => {
                    let habits = Habits::draw(&mut self.dice, self.plan.limits.frame_bytes_max);
                    let host = self.dice.u8(2..=5);
                    self.connect(host, habits);
                }
                29..32 => {
                    self.network.advance();
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn end_server(&mut self, stops: bool) {
        let handle = self.server.handle();
        if stops {
            handle.stop()
        } else {
            handle.drain()
        }
        self.ending = true;
        self.mark(if stops { "server stopped" } else { "server drained" });
    }

    fn mark(&self, name: &'static str) {
        self.record.with(|book| book.marks.count(name));
    }

    fn connect(&mut self, host: u8, habits: Habits) {
        let from = SocketAddr::from(([10, 0, 1, host], 0));
        let options = SocketOptions { bind: Some(from), ..SocketOptions::default() };
        let peer = self.network.connect_with(SERVER, &options);
        let Some(address) = peer.local_address() else { return };
        let is_garbage = habits.is_garbage;
        let number = self.record.with(|book| book.client(address, is_garbage));
        self.clients.push(Client::new(number, peer, self.plan.framing, habits));
    }

    /// Makes one turn of a worker, and looks at it.
    fn turn(&mut self, worker: usize) -> Checked {
        self.record.with(super::record::Book::begin_turn);
        let turned = self.server.turn(worker, Some(self.network.now()));
        if let Err(error) = turned {
            return violated("I8", format!("worker {worker} cannot wait: {error}"));
        }
        self.check_worker(worker)?;
        self.check_record()
    }

    fn check_record(&self) -> Checked {
        self.record.with(|book| book.violation.take()).map_or(Ok(()), Err)
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
        if view.ledger.kernel != 0 {
            return violated("I4", format!("worker {worker}: {:?} between turns", view.ledger));
        }
        let most = self.queued_bytes_most();
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
        let frame = self.plan.limits.frame_bytes_max.max(500) + 4;
        let limit = self.plan.limits.send_bytes_max;
        match self.plan.limits.slow_reader {
            SlowReader::Pause => 2 * limit + frame,
            _ => limit + 2 * frame,
        }
    }

    fn step_client(&mut self, at: usize, mood: Mood) -> Checked<Progress> {
        let progress = self.clients[at].step(&mut self.dice, &self.record, mood);
        self.check_record()?;
        if let Progress::Over(_) = progress {
            self.clients.swap_remove(at).go();
        }
        Ok(progress)
    }

    /// Nothing goes wrong any more: everybody comes to an end, the server still serves, and ends.
    fn liveness(&mut self) -> Checked {
        self.network.set_faults(Faults::none());
        self.network.heal();
        self.record.with(|book| book.is_calm = true);
        let limits = self.plan.limits.clone();
        let longest =
            limits.idle.into_iter().chain(limits.frame_deadline).chain(limits.first_frame);
        let patience = longest.max().unwrap_or_default() + PATIENCE;
        self.go_on("clients go", patience, |run| run.clients.is_empty())?;
        if !self.ending {
            let handle = self.server.handle();
            self.go_on("sessions end", patience, |_| handle.sessions() == 0)?;
            self.probe()?;
            self.end_server(false);
        }
        self.go_on("the server ends", limits.drain + PATIENCE, |run| run.server.is_done())?;
        self.check_that_nothing_is_left()
    }

    /// Turns everything in turn until it is done, and moves the clock when nobody does anything.
    fn go_on(
        &mut self,
        what: &str,
        patience: Duration,
        is_done: impl Fn(&Self) -> bool,
    ) -> Checked {
        let until: Time = self.network.now() + patience;
        let steps_until = self.network.steps() + STEPS_MAX;
        let mut still = 0;
        while !is_done(self) {
            for worker in 0..self.plan.workers {
                self.turn(worker)?;
            }
            let mut idle = true;
            for at in (0..self.clients.len()).rev() {
                let progress = self.step_client(at, Mood::Finishing)?;
                idle &= progress == Progress::Nothing;
            }
            // What workers have for each other needs no event of the network's.
            let stands_still = idle && !self.network.advance();
            still = if stands_still { still + 1 } else { 0 };
            if still > STILL_MAX && !is_done(self) {
                return violated("I8", format!("{what}: nothing will ever happen"));
            }
            if self.network.now() > until || self.network.steps() > steps_until {
                let sessions = self.server.handle().sessions();
                let clients = self.clients.iter().filter(|client| !client.has_vanished()).count();
                return violated(
                    "I8",
                    format!(
                        "{what}: not within {patience:?}; {clients} clients, {sessions} sessions"
                    ),
                );
            }
        }
        Ok(())
    }

    /// New clients that only want their echo get all of it.
    fn probe(&mut self) -> Checked {
        if self.plan.has_few_seats() {
            // Connections of clients that are gone may still wait in the queue, and take them.
            return Ok(());
        }
        let first = self.record.with(|book| book.clients());
        for host in 0..PROBES {
            // Each from a host of its own: the limit for one address is not meant here.
            let host = u8::try_from(100 + host).unwrap_or(u8::MAX);
            self.connect(host, Habits::honest(self.plan.limits.frame_bytes_max));
        }
        let until = self.network.now() + PATIENCE;
        let steps_until = self.network.steps() + STEPS_MAX;
        while !self.clients.is_empty() {
            for worker in 0..self.plan.workers {
                self.turn(worker)?;
            }
            let mut idle = true;
            for at in (0..self.clients.len()).rev() {
                let progress = self.step_client(at, Mood::Eager)?;
                idle &= progress == Progress::Nothing;
                if matches!(progress, Progress::Over(end) if end != End::InOrder) {
                    return violated(
                        "I8",
                        "an honest client lost its connection in a calm network",
                    );
                }
            }
            if idle {
                self.network.advance();
            }
            if self.network.now() > until || self.network.steps() > steps_until {
                return violated("I8", "honest clients do not get their echo in a calm network");
            }
        }
        let last = self.record.with(|book| book.clients());
        if (first..last).any(|client| self.record.with(|book| !book.has_got_all(client))) {
            return violated("I3", "an honest client in a calm network lacks some of its echo");
        }
        self.mark("probed");
        Ok(())
    }

    fn check_that_nothing_is_left(&mut self) -> Checked {
        let seats = self.server.handle().sessions();
        let stats = self.server.handle().stats();
        // What the kernel still has to deliver is nobody's any more.
        self.network.advance_by(PATIENCE);
        let left = [
            ("descriptors", self.network.descriptors()),
            ("ends of connections", self.network.open_ends()),
            ("seats", seats),
        ];
        if let Some((what, count)) = left.iter().find(|(_, count)| *count > 0) {
            return violated("I7", format!("{count} {what} are left at the end"));
        }
        self.record.with(|book| {
            book.marks.add("frames dropped", stats.frames_dropped);
            book.marks.add("refused: sessions", stats.refused_sessions_max);
            book.marks.add("refused: address", stats.refused_per_address);
            book.marks.add("accept delayed", stats.accept_delays);
            book.marks.add("callback panicked", stats.panics);
            book.marks.add("session", stats.accepted);
            book.check_that_all_have_ended();
        });
        self.check_record()
    }
}
