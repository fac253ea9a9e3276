//! Attackers that begin a frame and drip: the server closes each by its frame deadline, which dripping does
//! not extend, and its honest clients see it by no more than twice their usual latency.
//!
//! Rounds with and without the attack take turns on one server, since the machine's speed changes from
//! minute to minute, and the medians of the rounds are compared.

use std::sync::atomic::Ordering;
use std::time::Duration;

use super::drippers::{Drippers, Orders, Seen};
use super::reasons::Reasons;
use crate::backends::{Terms, median};
use crate::checks::{ensure, grouped};
use crate::server::{Server, Signal, serve_echo};
use crate::{Result, load, procfs, smoke, wait};

/// How much later than that a dripper may see its end, on a busy machine.
const LATE_MAX: Duration = Duration::from_secs(1);
/// How long all attackers together may take to come.
const COME_MAX: Duration = Duration::from_secs(10);
/// How far the latency may rise with the attack.
const RISE_MAX: f64 = 2.0;
/// On a machine of CI that is busy with other things, this much is not looked at, in microseconds.
const CI_NOISE_MICROS: f64 = 20_000.0;
/// What an attacker may cost at most, and what the server may keep from one round to the last: the table of
/// sessions stays as large as it was needed once, and nothing else stays.
const EACH_MAX: u64 = 2 << 10;
const GROWTH_MAX: u64 = 1 << 20;

/// How large the run is.
#[derive(Clone, Copy, Debug)]
struct Size {
    /// The server's frame deadline. It is longer than a dripper takes from one byte to the next.
    deadline: Duration,
    attackers: usize,
    /// Rounds of each kind.
    rounds: usize,
    /// The load of the honest clients, an open loop.
    honest: &'static str,
}

const SMALL: Size = Size {
    deadline: Duration::from_secs(2),
    attackers: 500,
    rounds: 3,
    honest: "--framing u32le --sessions 100 --rate 1000 --warmup 0.1 --duration 0.5",
};
const SHOWN: Size = Size {
    deadline: Duration::from_secs(10),
    attackers: 5_000,
    rounds: 5,
    honest: "--framing u32le --sessions 1000 --rate 5000 --warmup 0.5 --duration 3",
};

pub(super) fn run(terms: &Terms<'_>) -> Result<String> {
    let size = terms.either(SMALL, SHOWN);
    let seconds = size.deadline.as_secs();
    let flags = terms.flags(&format!("--framing u32le --frame-deadline {seconds}"));
    let server = Server::start(&mut serve_echo(terms.wharf, &flags))?;
    let orders = Orders::default();
    let (rounds, seen) = std::thread::scope(|scope| {
        let (address, orders) = (server.address, &orders);
        // A port belongs to the thread that opens it.
        let drippers = scope.spawn(move || Drippers::open(address, size.attackers, orders)?.run());
        let rounds = Rounds::of(terms, &server, size, orders);
        orders.end.store(true, Ordering::Relaxed);
        let seen = drippers.join().unwrap_or_else(|_| Err("the attackers' thread panicked".into()));
        // What became of the attackers says more than that they did not come.
        seen.and_then(|seen| Ok((rounds?, seen)))
    })?;
    let ended = server.stop(Signal::Terminate)?;
    smoke::drained(&ended)?;
    let reasons = Reasons::of(&ended.stderr);
    let figure = format!("{rounds}; {}; {reasons}", shown(&seen));
    ensure(rounds.hold(terms), || format!("the attack is noticed: {figure}"))?;
    let (each, growth) = rounds.memory_used(size);
    ensure(each <= EACH_MAX, || format!("an attacker costs {each} B: {figure}"))?;
    ensure(growth <= GROWTH_MAX, || format!("the memory grows: {figure}"))?;
    ensure(seen.cut >= (size.attackers * size.rounds) as u64, || {
        format!("too few attackers were cut off: {figure}")
    })?;
    let lives = size.deadline..=size.deadline + LATE_MAX;
    ensure(lives.contains(&seen.shortest) && lives.contains(&seen.longest), || {
        format!("the frame deadline is {seconds} s: {figure}")
    })?;
    ensure(reasons.count("frame_late") == seen.cut, || {
        format!("not all were closed for their frames: {figure}")
    })?;
    Ok(figure)
}

fn shown(seen: &Seen) -> String {
    format!(
        "{} cut off {:.2} to {:.2} s after their first byte",
        grouped(seen.cut),
        seen.shortest.as_secs_f64(),
        seen.longest.as_secs_f64()
    )
}

/// What the rounds have shown.
#[derive(Debug, Default)]
struct Rounds {
    /// p50 and p99 of each, in microseconds.
    quiet: [Vec<f64>; 2],
    attacked: [Vec<f64>; 2],
    /// The server's memory before the first attack, and after each.
    memory: Vec<u64>,
    memory_most: u64,
}

impl Rounds {
    fn of(terms: &Terms<'_>, server: &Server, size: Size, orders: &Orders) -> Result<Self> {
        let mut rounds = Self::default();
        for round in 0..size.rounds {
            Self::load(terms, server, size, &mut rounds.quiet)?;
            if round == 0 {
                rounds.memory.push(procfs::memory(server.id())?);
            }
            orders.attack.store(true, Ordering::Relaxed);
            // Those whose time has come are between two connections.
            Self::until(orders, COME_MAX, |dripping| dripping * 10 >= size.attackers * 9)?;
            Self::load(terms, server, size, &mut rounds.attacked)?;
            rounds.memory_most = rounds.memory_most.max(procfs::memory(server.id())?);
            orders.attack.store(false, Ordering::Relaxed);
            Self::until(orders, size.deadline + LATE_MAX, |dripping| dripping == 0)?;
            rounds.memory.push(procfs::memory(server.id())?);
        }
        Ok(rounds)
    }

    fn load(terms: &Terms<'_>, server: &Server, size: Size, to: &mut [Vec<f64>; 2]) -> Result<()> {
        let load = load::echo(terms.wharf, server, size.honest)?;
        to[0].push(load.micros("p50")?);
        to[1].push(load.micros("p99")?);
        Ok(())
    }

    /// Waits until so many drip.
    fn until(orders: &Orders, limit: Duration, enough: impl Fn(usize) -> bool) -> Result<()> {
        let dripping = || orders.dripping.load(Ordering::Relaxed);
        wait::until(limit, || enough(dripping()).then_some(()))
            .ok_or_else(|| format!("{} attackers drip after {limit:?}", dripping()).into())
    }

    fn hold(&self, terms: &Terms<'_>) -> bool {
        let [quiet, attacked] = [&self.quiet[1], &self.attacked[1]].map(|p99| terms.of_rounds(p99));
        let noise = terms.either(CI_NOISE_MICROS, 0.0);
        attacked <= (RISE_MAX * quiet).max(noise)
    }

    /// Bytes that each attacker has cost at most, and that were kept between the first attack and the last.
    fn memory_used(&self, size: Size) -> (u64, u64) {
        let [before, first, .., last] = self.memory[..] else { return (u64::MAX, u64::MAX) };
        let each = self.memory_most.saturating_sub(before) / size.attackers as u64;
        (each, last.saturating_sub(first))
    }
}

impl std::fmt::Display for Rounds {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let [quiet_50, quiet_99] = self.quiet.each_ref().map(|it| median(it));
        let [attacked_50, attacked_99] = self.attacked.each_ref().map(|it| median(it));
        let memory: Vec<String> = self.memory.iter().map(|bytes| grouped(bytes >> 10)).collect();
        write!(
            f,
            "p50 {quiet_50:.0} us quiet and {attacked_50:.0} under attack, p99 {quiet_99:.0} and \
             {attacked_99:.0} (medians of {}); memory {} KiB at most, before and between the attacks {}",
            self.quiet[0].len(),
            grouped(self.memory_most >> 10),
            memory.join(", ")
        )
    }
}
