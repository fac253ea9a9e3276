//! What does a timer cost while many others run? Compares the timers of a completion port, which are a
//! wheel, with an ordered map, which they were before.
//!
//! ```sh
//! cargo run --release -p wharf-port --example timers -- 11 100000
//! ```
//!
//! Rounds (11), in which the two take turns, and timers that run (100,000), due within a minute. What
//! is printed are medians, and the quartiles beside them, in nanoseconds for one timer:
//!
//! - `start`: from none to all of them;
//! - `cancel` and `move`: one that runs, any of them, is cancelled; and is started again;
//! - `fire`: all of them, while the minute passes in 600 steps.
//!
//! The port is one on a simulated network, whose clock goes where it is told. What its waits cost is
//! part of what is measured for `fire`, and is little.

#![allow(clippy::disallowed_methods, reason = "the clock of the port is simulated")]

use std::collections::{BTreeMap, VecDeque};
use std::error::Error;
use std::time::{Duration, Instant};

use wharf_port::sim::{Network, NetworkOptions};
use wharf_port::{Backend, Completion, CompletionPort, PortOptions, Time, TimerId};

const MINUTE: Duration = Duration::from_secs(60);
const STEPS: u32 = 600;

fn main() -> Result<(), Box<dyn Error>> {
    let mut numbers = std::env::args().skip(1);
    let rounds: usize = numbers.next().map_or(Ok(11), |rounds| rounds.parse())?;
    let timers: usize = numbers.next().map_or(Ok(100_000), |timers| timers.parse())?;
    if rounds == 0 || timers == 0 {
        return Err("at least one round, and one timer".into());
    }
    let mut figures: BTreeMap<(&str, &str), Vec<f64>> = BTreeMap::new();
    for _ in 0..rounds {
        for (what, nanos) in measure(&mut Wheel::open()?, timers)? {
            figures.entry((what, "wheel")).or_default().push(nanos);
        }
        for (what, nanos) in measure(&mut Map::default(), timers)? {
            figures.entry((what, "map")).or_default().push(nanos);
        }
    }
    println!("{:<8} {:<6} {:>8} {:>8} {:>8}   ns for one timer", "", "", "25%", "median", "75%");
    for ((what, whose), nanos) in &mut figures {
        nanos.sort_by(f64::total_cmp);
        let at = |part: usize| nanos[(nanos.len() - 1) * part / 4];
        println!("{what:<8} {whose:<6} {:>8.1} {:>8.1} {:>8.1}", at(1), at(2), at(3));
    }
    Ok(())
}

/// What is compared.
trait Timers {
    type Id: Copy;

    fn start(&mut self, deadline: Time, token: u64) -> Option<Self::Id>;
    fn cancel(&mut self, id: Self::Id) -> bool;
    /// Lets time pass. Gives how many timers have fired.
    fn pass(&mut self, until: Time) -> Result<usize, Box<dyn Error>>;
}

fn measure<T: Timers>(
    of: &mut T,
    count: usize,
) -> Result<[(&'static str, f64); 4], Box<dyn Error>> {
    let mut chance = Chance(7);
    let mut deadlines = move || Time::ZERO + MINUTE.mul_f64(chance.fraction());
    let mut picks = Chance(8);
    let mut ids = Vec::with_capacity(count);

    let begin = Instant::now();
    for token in 0..count {
        ids.push(of.start(deadlines(), token as u64).ok_or("too many")?);
    }
    let start = begin.elapsed();

    let begin = Instant::now();
    for _ in 0..count {
        let id = &mut ids[picks.below(count)];
        assert!(of.cancel(*id), "a timer that runs is cancelled");
        *id = of.start(deadlines(), 0).ok_or("too many")?;
    }
    let moved = begin.elapsed();

    // Half of them, in the order in which they were picked and not in that of their start.
    let mut order: Vec<usize> = (0..count).collect();
    for index in 0..count {
        order.swap(index, picks.below(count));
    }
    let begin = Instant::now();
    for index in &order[..count / 2] {
        assert!(of.cancel(ids[*index]), "a timer that runs is cancelled");
    }
    let cancel = begin.elapsed();

    let left = count - count / 2;
    let begin = Instant::now();
    let mut fired = 0;
    for step in 1..=STEPS {
        fired += of.pass(Time::ZERO + MINUTE * step / STEPS)?;
    }
    let fire = begin.elapsed();
    assert_eq!(fired, left, "every timer fires");
    Ok([
        ("start", each(start, count)),
        ("move", each(moved, count)),
        ("cancel", each(cancel, (count / 2).max(1))),
        ("fire", each(fire, left)),
    ])
}

#[expect(clippy::cast_precision_loss, reason = "for people to read")]
fn each(all: Duration, count: usize) -> f64 {
    all.as_secs_f64() * 1e9 / count as f64
}

/// The timers of a port.
struct Wheel {
    network: Network,
    port: CompletionPort,
}

impl Wheel {
    fn open() -> Result<Self, Box<dyn Error>> {
        let network = Network::new(NetworkOptions::default());
        let port = CompletionPort::open(&PortOptions {
            backend: Backend::Sim,
            simulated: Some(network.clone()),
            ..PortOptions::default()
        })?;
        Ok(Self { network, port })
    }
}

impl Timers for Wheel {
    type Id = TimerId;

    fn start(&mut self, deadline: Time, token: u64) -> Option<TimerId> {
        self.port.start_timer(deadline, token)
    }

    fn cancel(&mut self, id: TimerId) -> bool {
        self.port.cancel_timer(id)
    }

    fn pass(&mut self, until: Time) -> Result<usize, Box<dyn Error>> {
        self.network.advance_by(until.since(self.network.now()));
        self.port.wait(Some(until))?;
        let taken = std::iter::from_fn(|| self.port.take());
        Ok(taken.filter(|it| matches!(it, Completion::Timer { .. })).count())
    }
}

/// The baseline: what fires is queued and taken as a port does it.
#[derive(Default)]
struct Map {
    running: BTreeMap<(Time, u64), u64>,
    started: u64,
    ready: VecDeque<((Time, u64), u64)>,
}

impl Timers for Map {
    type Id = (Time, u64);

    fn start(&mut self, deadline: Time, token: u64) -> Option<(Time, u64)> {
        let id = (deadline, self.started);
        self.started += 1;
        self.running.insert(id, token);
        Some(id)
    }

    fn cancel(&mut self, id: (Time, u64)) -> bool {
        self.running.remove(&id).is_some()
    }

    fn pass(&mut self, until: Time) -> Result<usize, Box<dyn Error>> {
        while let Some(first) = self.running.first_entry().filter(|it| it.key().0 <= until) {
            self.ready.push_back(first.remove_entry());
        }
        Ok(std::iter::from_fn(|| self.ready.pop_front()).count())
    }
}

/// A linear congruential generator (Knuth, MMIX): it has to cost little, and no more.
struct Chance(u64);

impl Chance {
    fn next(&mut self) -> u32 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as u32
    }

    /// From 0 up to, but not including, 1.
    fn fraction(&mut self) -> f64 {
        f64::from(self.next()) / f64::from(1_u32 << 31)
    }

    fn below(&mut self, bound: usize) -> usize {
        self.next() as usize % bound
    }
}
