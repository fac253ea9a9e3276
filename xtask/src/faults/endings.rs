//! Servers under load that are ended by a signal, each at another moment of its life; and with clients that
//! do not read, whose sessions only the deadline of the drain ends.

use std::time::Duration;

use crate::backends::Terms;
use crate::checks::ensure;
use crate::client::Client;
use crate::process::Ended;
use crate::server::{STOP_MAX, Server, Signal, serve_echo};
use crate::wait::{self, Stopwatch};
use crate::{Result, chance, load};

/// The load, which connects while the server may end already.
const LOAD: &str = "--framing u32le --sessions 50 --size 4KiB --depth 8 --duration 60";
/// The moments, in milliseconds after the server accepts: connecting, the first messages, full load.
const MOMENT_MS_MAX: u64 = 200;
/// How long a drain may take: the peers see the end of their streams and go.
const DRAIN: &str = "--drain 5";

/// Readers that write until the server takes no more, and never read: 64 MiB fit nowhere.
const STUCK: usize = 4;
const STUCK_BYTES: usize = 64 << 20;
/// Their sessions are open when the drain begins; or closing, since they were idle for three seconds.
const STUCK_TERMS: [(&str, u64); 2] = [("--idle 60", 0), ("--idle 3", 4_000)];
/// The deadline of that drain, and a loaded machine.
const STUCK_MAX: Duration = Duration::from_secs(1 + 2);

pub(super) fn run(terms: &Terms<'_>) -> Result<String> {
    let ended = at_random_moments(terms)?;
    for (idle, stuck_ms) in STUCK_TERMS {
        before_stuck_readers(terms, idle, stuck_ms)
            .map_err(|error| format!("stuck readers, {idle}: {error}"))?;
    }
    Ok(ended)
}

/// Ends a server none of whose clients reads: at the deadline, and it says what is lost.
fn before_stuck_readers(terms: &Terms<'_>, idle: &str, stuck_ms: u64) -> Result<()> {
    let flags = format!("--backend {} --workers 2 --framing raw --drain 1 {idle}", terms.backend);
    let server = Server::start(&mut serve_echo(terms.wharf, &flags))?;
    // Each writes as soon as it is connected: one that waited for the others would be idle meanwhile.
    let mut clients = Vec::with_capacity(STUCK);
    for _ in 0..STUCK {
        let mut client = Client::connect(server.address)?;
        let written = client.write_until_stuck(STUCK_BYTES)?;
        ensure(written < STUCK_BYTES, || format!("all of {written} bytes were taken"))?;
        clients.push(client);
    }
    wait::pause(Duration::from_millis(stuck_ms));
    let stopwatch = Stopwatch::start();
    let ended = server.stop(Signal::Terminate)?;
    let took = stopwatch.elapsed();
    let forced = format!("0 sessions drained, {STUCK} forced, ");
    let said = ended.stderr.contains(&forced) && !ended.stderr.contains(" 0 bytes lost");
    ensure(ended.code == Some(3) && said, || format!("not all were cut off: {ended:?}"))?;
    ensure(took <= STUCK_MAX, || format!("the drain took {took:?}"))
}

fn at_random_moments(terms: &Terms<'_>) -> Result<String> {
    let times = if terms.many { 500 } else { 20 };
    let (mut slowest, mut lost) = (Duration::ZERO, 0);
    for _ in 0..times {
        let server = terms.serve(DRAIN)?;
        let load = load::start(terms.wharf, &server, LOAD)?;
        let moment = chance::below(MOMENT_MS_MAX);
        wait::pause(Duration::from_millis(moment));
        let signal = if moment.is_multiple_of(2) { Signal::Terminate } else { Signal::Interrupt };
        let stopwatch = Stopwatch::start();
        let ended = server.stop(signal)?;
        slowest = slowest.max(stopwatch.elapsed());
        lost += u32::from(said_how(&ended).map_err(|error| format!("{moment} ms: {error}"))?);
        // It has lost its server, or never found it, and says so itself.
        load.ends_within(STOP_MAX)?;
    }
    Ok(format!(
        "{times} times, the slowest end took {:.2} s, {lost} times with bytes lost and said",
        slowest.as_secs_f64()
    ))
}

/// Checks that no session was cut off, since all peers answer, and that the exit code is what the report
/// says; gives whether bytes were lost.
fn said_how(ended: &Ended) -> Result<bool> {
    let lost = !ended.stderr.contains(" 0 bytes lost");
    let code = if lost { 3 } else { 0 };
    let reported = ended.stderr.contains(" sessions drained, 0 forced, ");
    let panicked = ended.stderr.contains("panicked");
    ensure(ended.code == Some(code) && reported && !panicked, || {
        format!("the exit code should be {code}: {ended:?}")
    })?;
    Ok(lost)
}
