//! Client processes that are killed while they send and receive frames of 64 KiB.

use super::{SETTLED_MAX, has_opened, settled};
use crate::Result;
use crate::backends::Terms;
use crate::checks::ensure;
use crate::server::Signal;
use crate::wait::{self, Stopwatch};
use crate::{chance, load, procfs, smoke};

/// Sessions of those who stay.
const HONEST: usize = 50;
/// Sessions of each process that is killed. What is in flight is always more than a read takes, so
/// most of them die with half a frame on its way, each way.
const VICTIMS: usize = 20;
const VICTIM: &str = "--framing u32le --sessions 20 --size 64KiB --depth 4 --duration 60";
/// How long a victim lives after it has connected, in milliseconds.
const LIFE_MS: u64 = 60;

pub(super) fn run(terms: &Terms<'_>) -> Result<String> {
    let server = terms.serve("")?;
    let before = procfs::descriptors(server.id())?;
    let time = terms.time();
    let flags = format!(
        "--framing u32le --sessions {HONEST} --size 1KiB --warmup off --duration {}",
        time.as_secs() + 2
    );
    let honest = load::start(terms.wharf, &server, &flags)?;
    has_opened(&server, before + HONEST)?;
    let stopwatch = Stopwatch::start();
    let mut killed = 0;
    while stopwatch.elapsed() < time {
        let victim = load::start(terms.wharf, &server, VICTIM)?;
        has_opened(&server, before + HONEST + VICTIMS)?;
        wait::pause(std::time::Duration::from_millis(chance::below(LIFE_MS)));
        victim.kill()?;
        killed += 1;
    }
    let honest = honest.finish()?;
    settled(&server, before, SETTLED_MAX)?;
    smoke::drained(&server.stop(Signal::Terminate)?)?;
    ensure(killed >= 2 * time.as_secs(), || format!("only {killed} processes were killed"))?;
    let sessions = killed * VICTIMS as u64;
    let figure = honest.figure()?;
    Ok(format!("{killed} processes with {sessions} sessions killed; beside them {figure}"))
}
