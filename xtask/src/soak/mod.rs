//! A server under ten thousand sessions for minutes, some of which come and go and some of which are
//! hostile. Honest clients get every byte; the server's memory stays where it was; and once all have
//! gone, nothing of them is left.
//!
//! | module | what it holds |
//! |---|---|
//! | [`crowd`] | all clients, on one completion port |
//! | [`member`] | one client, through its connections |
//! | [`honest`], [`hostile`] | what it does with a connection |
//! | [`samples`] | what the server used, second by second |

mod crowd;
mod honest;
mod hostile;
mod member;
mod samples;

use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use self::crowd::Crowd;
use self::samples::Samples;
use crate::checks::{Checks, ensure, grouped};
use crate::process::Ended;
use crate::server::{self, Server, Signal, serve_echo};
use crate::totals::Totals;
use crate::wait::{self, Stopwatch};
use crate::workspace::{self, Profile};
use crate::{Result, procfs, smoke};

/// The server's limits: tight enough that hostile peers meet them within seconds.
const FLAGS: &str = "--workers 2 --framing u32le --log info --slow disconnect --send-max 256KiB \
                     --frame-deadline 5 --idle 30";
/// How long all clients together may take to connect, and to go.
const COME_MAX: Duration = Duration::from_secs(60);
/// How long the server may take until it has forgotten them: its longest deadline is in it.
const FORGET_MAX: Duration = Duration::from_secs(35);
/// How long the crowd is there before the samples begin: until hostile peers have met every limit, the
/// send queue's at last, and the allocator holds what that takes.
const WARM_UP: Duration = Duration::from_secs(45);
/// Every so often the server is looked at.
const SAMPLE: Duration = Duration::from_secs(1);

/// What is asked for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan<'a> {
    /// How long the full crowd stays.
    pub(crate) minutes: u64,
    /// Clients, hostile ones among them.
    pub(crate) sessions: usize,
    /// Only this backend.
    pub(crate) backend: Option<&'a str>,
}

/// What both sides of the run look at.
#[derive(Debug, Default)]
struct Shared {
    /// Clients that are connected.
    connected: AtomicUsize,
    /// All are to go.
    ends: AtomicBool,
}

/// Soaks a server on each backend, or on the one that was asked for.
pub(crate) fn run(plan: Plan<'_>) -> Result<Totals> {
    let wharf = workspace::wharf(Profile::Release)?;
    let mut checks = Checks::default();
    for backend in server::backends(&wharf)? {
        if plan.backend.is_none_or(|only| only == backend) {
            let name = format!("{backend}, {} sessions, {} min", plan.sessions, plan.minutes);
            checks.check(name, || soak(&wharf, backend, plan));
        }
    }
    let totals = checks.totals();
    ensure(totals != Totals::default(), || "there is no such backend here".to_owned())?;
    Ok(totals)
}

fn soak(wharf: &Path, backend: &str, plan: Plan<'_>) -> Result<String> {
    let server = Server::start(&mut serve_echo(wharf, &format!("--backend {backend} {FLAGS}")))?;
    let descriptors = procfs::descriptors(server.id())?;
    let shared = Shared::default();
    let (samples, seen) = std::thread::scope(|scope| {
        let (sessions, address, shared) = (plan.sessions, server.address, &shared);
        // A port belongs to the thread that opens it.
        let crowd = scope.spawn(move || Crowd::open(address, sessions, shared)?.run());
        let samples = watch(&server, plan, shared);
        shared.ends.store(true, Ordering::Relaxed);
        let seen = crowd.join().unwrap_or_else(|_| Err("the crowd's thread panicked".into()));
        Ok::<_, crate::Error>((samples?, seen?))
    })?;
    forgotten(&server, descriptors)?;
    let ended = server.stop(Signal::Terminate)?;
    smoke::drained(&ended)?;
    let figure = format!("{seen}; {samples}; {}", of_the_ports(&ended)?);
    seen.check(&figure)?;
    samples.check(&figure)?;
    Ok(figure)
}

/// Looks at the server every second, from when the crowd is complete and has met its limits.
fn watch(server: &Server, plan: Plan<'_>, shared: &Shared) -> Result<Samples> {
    // Those who are between two connections are not here at any one moment.
    let most = plan.sessions - plan.sessions / 10;
    let complete = || shared.connected.load(Ordering::Relaxed) >= most;
    wait::until(COME_MAX, || complete().then_some(())).ok_or_else(|| {
        let connected = shared.connected.load(Ordering::Relaxed);
        format!("only {connected} of {} clients have connected", plan.sessions)
    })?;
    wait::pause(WARM_UP);
    let mut samples = Samples::of(server.id())?;
    let stopwatch = Stopwatch::start();
    let time = Duration::from_secs(60 * plan.minutes);
    while stopwatch.elapsed() < time {
        wait::pause(SAMPLE);
        samples.take()?;
    }
    Ok(samples)
}

/// Waits until the server has no descriptor more than at its start.
fn forgotten(server: &Server, descriptors: usize) -> Result<()> {
    let back = || procfs::descriptors(server.id()).is_ok_and(|now| now == descriptors);
    wait::until(FORGET_MAX, || back().then_some(())).ok_or_else(|| {
        let now = procfs::descriptors(server.id()).unwrap_or_default();
        format!(
            "all clients have gone; {now} descriptors are open, {descriptors} were at the start"
        )
        .into()
    })
}

/// What the completion ports have counted: no queue overflowed, and all closed cleanly.
fn of_the_ports(ended: &Ended) -> Result<String> {
    let said = &ended.stderr;
    let sum = |counter: &str| -> Result<u64> {
        let name = format!("{counter}: ");
        let mut found = said.split(&name).skip(1).peekable();
        ensure(found.peek().is_some(), || format!("{counter} is not said: {said}"))?;
        found.map(|it| Ok(it.split([',', ' ']).next().unwrap_or_default().parse::<u64>()?)).sum()
    };
    let overflows = sum("queue_overflows")?;
    ensure(overflows == 0, || format!("completion queues have overflowed {overflows} times"))?;
    ensure(!said.contains("did not close cleanly"), || format!("operations are left: {said}"))?;
    let [waits, shortages] = [sum("waits")?, sum("buffer_shortages")?].map(grouped);
    Ok(format!("0 queue overflows, {shortages} waits for a buffer, {waits} waits in all"))
}
