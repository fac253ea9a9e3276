//! A chat some of whose members stop: processes that are stopped (SIGSTOP), so that their connections are
//! there and nobody reads them. The server closes them as slow readers, keeps next to nothing for them, and
//! the others get every word as soon as before.
//!
//! The words are said and compared by `wharf load chat`, once in peace and once while members stop, and
//! again; a percentile is the median of the rounds.

use std::time::Duration;

use super::bystanders::Bystanders;
use super::reasons::Reasons;
use crate::backends::{Terms, median};
use crate::checks::{ensure, grouped};
use crate::faults::{has_opened, settled};
use crate::load::Loading;
use crate::server::{Server, Signal, serve};
use crate::{Result, load, procfs, smoke, wait};

/// How far the delivery's p99 may rise when members stop.
const RISE_MAX: f64 = 2.0;
/// On a machine of CI that is busy with other things, this much is not looked at, in microseconds.
const CI_NOISE_MICROS: f64 = 50_000.0;
/// How much memory the server may have more while members stop: their queues share what is queued.
const GROWTH_MAX: u64 = 4 << 20;
/// The server is looked at so often.
const SAMPLE: Duration = Duration::from_millis(500);
/// How long the stopped ones take part before they stop.
const TAKE_PART: Duration = Duration::from_millis(500);
/// How long the sessions of a load that has ended may take to go.
const GO_MAX: Duration = Duration::from_secs(5);

/// How large the run is.
#[derive(Clone, Copy, Debug)]
struct Size {
    rounds: usize,
    /// Members that go on, the speaker among them.
    members: usize,
    /// Processes that are stopped, and members of each.
    stopped: usize,
    members_each: usize,
    /// What is said.
    words: &'static str,
    /// How long a round lasts in peace, and how long with members that stop, in seconds.
    quiet: u64,
    attacked: u64,
    /// How long it may take until those that have stopped are closed.
    closed_max: Duration,
    /// What the server is asked for besides.
    flags: &'static str,
}

/// So many words that the send buffers of the system, 4 MiB for each member, are full within seconds.
const SMALL: Size = Size {
    rounds: 2,
    members: 90,
    stopped: 1,
    members_each: 10,
    words: "--size 64KiB --rate 25 --warmup 0.2",
    quiet: 1,
    attacked: 5,
    closed_max: Duration::from_secs(5),
    flags: "",
};
const SHOWN: Size = Size {
    rounds: 2,
    members: 8_910,
    stopped: 9,
    members_each: 10,
    words: "--size 1KiB --rate 10 --warmup 1",
    quiet: 15,
    attacked: 65,
    closed_max: Duration::from_secs(60),
    flags: "",
};

pub(super) fn run(terms: &Terms<'_>) -> Result<String> {
    let size = terms.either(SMALL, SHOWN);
    let server = Server::start(&mut serve(terms.wharf, "chat", &terms.flags(size.flags)))?;
    let mut seen = Seen::default();
    for _ in 0..size.rounds {
        in_peace(terms, &server, size, &mut seen)?;
        while_members_stop(terms, &server, size, &mut seen)?;
    }
    let ended = server.stop(Signal::Terminate)?;
    smoke::drained(&ended)?;
    let reasons = Reasons::of(&ended.stderr);
    let figure = format!("{seen}; {reasons}");
    let [quiet, attacked] = [&seen.quiet[1], &seen.attacked[1]].map(|p99| terms.of_rounds(p99));
    let noise = terms.either(CI_NOISE_MICROS, 0.0);
    ensure(seen.closed <= size.closed_max, || {
        format!("who stops should be closed within {:?}: {figure}", size.closed_max)
    })?;
    ensure(attacked <= (RISE_MAX * quiet).max(noise), || {
        format!("the others notice it: {figure}")
    })?;
    ensure(seen.grown() <= GROWTH_MAX, || format!("the memory grows: {figure}"))?;
    let stopped = (size.rounds * size.stopped * size.members_each) as u64;
    ensure(reasons.count("slow_reader") == stopped, || {
        format!("{stopped} should be closed as slow readers: {figure}")
    })?;
    Ok(figure)
}

/// What the rounds have shown.
#[derive(Debug, Default)]
struct Seen {
    /// p50 and p99 of the deliveries of each round, in microseconds.
    quiet: [Vec<f64>; 2],
    attacked: [Vec<f64>; 2],
    /// The most memory that the server had, in peace and while members had stopped.
    memory: [u64; 2],
    /// How long it took at most until those who had stopped were closed.
    closed: Duration,
    /// Deliveries that were verified.
    verified: u64,
}

/// A round in which all read.
fn in_peace(terms: &Terms<'_>, server: &Server, size: Size, seen: &mut Seen) -> Result<()> {
    let before = procfs::descriptors(server.id())?;
    let mut load = say(terms, server, size, size.quiet)?;
    has_opened(server, before + size.members)?;
    watch(&mut load, server, &mut seen.memory[0], |_| {})?;
    note(load, &mut seen.quiet, &mut seen.verified)?;
    settled(server, before, GO_MAX).map(drop)
}

/// A round in which some members stop.
fn while_members_stop(
    terms: &Terms<'_>,
    server: &Server,
    size: Size,
    seen: &mut Seen,
) -> Result<()> {
    let before = procfs::descriptors(server.id())?;
    let bystanders: Vec<Bystanders> = (0..size.stopped)
        .map(|_| Bystanders::start(server.address, size.members_each))
        .collect::<Result<_>>()?;
    let mut load = say(terms, server, size, size.attacked)?;
    has_opened(server, before + size.members + size.stopped * size.members_each)?;
    wait::pause(TAKE_PART);
    bystanders.iter().try_for_each(Bystanders::stop)?;
    let stopwatch = wait::Stopwatch::start();
    let mut closed = None;
    watch(&mut load, server, &mut seen.memory[1], |open| {
        if closed.is_none() && open <= before + size.members {
            closed = Some(stopwatch.elapsed());
        }
    })?;
    note(load, &mut seen.attacked, &mut seen.verified)?;
    // Who is not closed by then is not closed at all.
    seen.closed = seen.closed.max(closed.unwrap_or(Duration::MAX));
    drop(bystanders);
    settled(server, before, GO_MAX).map(drop)
}

/// Looks at a server as long as it is spoken to: at its memory, of which the most is kept, and at how many
/// descriptors it has open. Both are looked at in each kind of round, since to look takes time from it.
fn watch(
    load: &mut Loading,
    server: &Server,
    most: &mut u64,
    mut open: impl FnMut(usize),
) -> Result<()> {
    while load.goes_on()? {
        *most = procfs::memory(server.id())?.max(*most);
        open(procfs::descriptors(server.id())?);
        wait::pause(SAMPLE);
    }
    Ok(())
}

/// Begins to speak to so many members, for so many seconds.
fn say(terms: &Terms<'_>, server: &Server, size: Size, seconds: u64) -> Result<Loading> {
    let Size { members, words, .. } = size;
    let flags = format!("--sessions {members} {words} --duration {seconds}");
    load::start_chat(terms.wharf, server, &flags)
}

/// Waits for the end of a load, and notes what it has measured.
fn note(load: Loading, to: &mut [Vec<f64>; 2], verified: &mut u64) -> Result<()> {
    let load = load.finish()?;
    *verified += load.count("received")?;
    to[0].push(load.micros("p50")?);
    to[1].push(load.micros("p99")?);
    Ok(())
}

impl Seen {
    /// What the server had more when members stopped than when all read.
    const fn grown(&self) -> u64 {
        self.memory[1].saturating_sub(self.memory[0])
    }
}

impl std::fmt::Display for Seen {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let [quiet_50, quiet_99] = self.quiet.each_ref().map(|it| median(it) / 1e3);
        let [attacked_50, attacked_99] = self.attacked.each_ref().map(|it| median(it) / 1e3);
        let [quiet, attacked] = self.memory.map(|bytes| grouped(bytes >> 10));
        let closed = match self.closed {
            Duration::MAX => "not closed".to_owned(),
            closed => format!("closed after {:.1} s", closed.as_secs_f64()),
        };
        write!(
            f,
            "{} deliveries verified, p50 {quiet_50:.1} ms in peace and {attacked_50:.1} while members \
             stop, p99 {quiet_99:.1} and {attacked_99:.1} (medians of {}); those who stop are {closed}; \
             memory at most {quiet} KiB and {attacked} KiB",
            grouped(self.verified),
            self.quiet[0].len(),
        )
    }
}
