//! Client processes that are stopped (SIGSTOP): their connections stay, and nobody reads them. Those
//! with little in flight end by the idle deadline. Those with much in flight fill the kernel's buffers
//! and then their send queues, which are bounded; what is queued ends by the deadline of a flush.

use std::time::Duration;

use super::{has_opened, settled};
use crate::Result;
use crate::backends::Terms;
use crate::checks::{ensure, grouped};
use crate::server::Signal;
use crate::{load, procfs, smoke};

/// Sessions that go on.
const HONEST: usize = 180;
/// Sessions that are stopped with a small message in flight, and with 16 MiB.
const QUIET: usize = 10;
const LOADED: usize = 10;
const QUIET_FLAGS: &str = "--framing u32le --sessions 10 --size 64 --duration 120";
const LOADED_FLAGS: &str = "--framing u32le --sessions 10 --size 64KiB --depth 256 --duration 120";
/// What the server may keep for each session with much in flight: its send queue, which may grow to
/// twice its limit (512 KiB), as much again that is with the kernel, and what comes after a pause, which
/// is bounded by the port's buffers. Without a bound it would be most of the 16 MiB.
const KEPT_MAX: u64 = 2 << 20;
/// Idle deadline of the server, the wait for the peer's end, and a loaded machine.
const QUIET_MAX: Duration = Duration::from_secs(2 + 1 + 3);
/// The idle deadline, then the deadline of a flush, which is the library's.
const LOADED_MAX: Duration = Duration::from_secs(2 + 60 + 8);

pub(super) fn run(terms: &Terms<'_>) -> Result<String> {
    let server = terms.serve("--idle 2")?;
    let before = procfs::descriptors(server.id())?;
    let memory = procfs::memory_peak(server.id())?;
    let loaded = load::start(terms.wharf, &server, LOADED_FLAGS)?;
    has_opened(&server, before + LOADED)?;
    let quiet = load::start(terms.wharf, &server, QUIET_FLAGS)?;
    has_opened(&server, before + LOADED + QUIET)?;
    let flags = format!("--framing u32le --sessions {HONEST} --size 512 --warmup off --duration 5");
    let honest = load::start(terms.wharf, &server, &flags)?;
    let all = before + LOADED + QUIET + HONEST;
    has_opened(&server, all)?;
    loaded.stop()?;
    quiet.stop()?;
    let ended = settled(&server, all - QUIET, QUIET_MAX)?;
    let honest = honest.finish()?;
    settled(&server, before + LOADED, QUIET_MAX)?;
    let kept = (procfs::memory_peak(server.id())? - memory) / LOADED as u64;
    if terms.many {
        settled(&server, before, LOADED_MAX)?;
    }
    loaded.kill()?;
    quiet.kill()?;
    settled(&server, before, QUIET_MAX)?;
    smoke::drained(&server.stop(Signal::Terminate)?)?;
    let figure = format!(
        "the quiet ones ended after {:.1} s, the server kept at most {} KiB for each of the others; \
         beside them {}",
        ended.as_secs_f64(),
        grouped(kept >> 10),
        honest.figure()?
    );
    ensure(kept <= KEPT_MAX, || format!("at most {} KiB are allowed: {figure}", KEPT_MAX >> 10))?;
    Ok(figure)
}
