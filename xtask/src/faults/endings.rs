//! Servers under load that are ended by a signal, each at another moment of its life.

use std::time::Duration;

use super::Terms;
use crate::checks::ensure;
use crate::process::Ended;
use crate::server::{STOP_MAX, Signal};
use crate::wait::{self, Stopwatch};
use crate::{Result, chance, load};

/// The load, which connects while the server may end already.
const LOAD: &str = "--framing u32le --sessions 50 --size 4KiB --depth 8 --duration 60";
/// The moments, in milliseconds after the server accepts: connecting, the first messages, full load.
const MOMENT_MS_MAX: u64 = 200;
/// How long a drain may take: the peers see the end of their streams and go.
const DRAIN: &str = "--drain 5";

pub(super) fn run(terms: &Terms<'_>) -> Result<String> {
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
