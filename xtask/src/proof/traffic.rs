//! Thousands of connections of every size, every byte verified; afterwards the server has as many
//! descriptors as before, and its memory is back to where it was.

use std::time::Duration;

use super::{Scale, Terms};
use crate::Result;
use crate::checks::{Checks, ensure, grouped};
use crate::load;
use crate::procfs;
use crate::server::{Server, Signal, serve_echo};
use crate::{smoke, wait};

/// A load: so many sessions, and messages of so many bytes.
type Case = (u32, &'static str);

/// The sizes around which something changes: a byte, a cache line, a slice that is worth its own
/// entry (512), a KiB.
const FULL: &[Case] = &[
    (10_000, "1"),
    (10_000, "2"),
    (10_000, "3"),
    (10_000, "63"),
    (10_000, "64"),
    (10_000, "100"),
    (10_000, "255"),
    (10_000, "511"),
    (10_000, "512"),
    (10_000, "1000"),
    (10_000, "1023"),
    (10_000, "1024"),
    (2_000, "64KiB"),
    (200, "1MiB"),
];

const QUICK: &[Case] =
    &[(1_000, "1"), (1_000, "100"), (1_000, "1024"), (200, "64KiB"), (20, "1MiB")];

/// What touches every receive buffer of a port: more messages as long as one than there are of them.
const POOLS: Case = (200, "16KiB");

/// Messages of each session, and how many of them are in flight.
const FLAGS: &str = "--messages 8 --depth 4";

/// What the memory may be above where it was: chunks that are kept for use again, and what the
/// allocator rounds up.
const MEMORY_SLACK: u64 = 8 << 20;
/// How long the server may take to close what its clients have closed.
const SETTLED_MAX: Duration = Duration::from_secs(5);

pub(super) fn run(terms: &Terms<'_>, checks: &mut Checks) {
    for backend in terms.backends {
        for framing in ["raw", "u32le"] {
            let name = format!("{backend}, {framing}");
            let flags = format!("--backend {backend} --framing {framing} --frame-max 1MiB");
            match Server::start(&mut serve_echo(terms.wharf, &flags)) {
                Ok(server) => traffic(terms, &name, framing, server, checks),
                Err(error) => checks.check(name, || Err::<String, _>(error)),
            }
        }
    }
}

/// Everything on one server.
fn traffic(terms: &Terms<'_>, name: &str, framing: &str, server: Server, checks: &mut Checks) {
    let cases = if terms.scale == Scale::Full { FULL } else { QUICK };
    let one = |&(sessions, size): &Case| {
        let flags = format!("--sessions {sessions} --size {size} --framing {framing} {FLAGS}");
        load::echo(terms.wharf, &server, &flags)?.figure()
    };
    let mut before = None;
    checks.check(format!("{name}: before"), || {
        let descriptors = procfs::descriptors(server.id())?;
        let start = procfs::memory(server.id())?;
        // Tables grow to what the most sessions need and keep it; pools are touched once.
        one(&cases[0])?;
        one(&POOLS)?;
        let memory = procfs::memory(server.id())?;
        before = Some((descriptors, memory));
        Ok(format!("memory {} when started, {} now", kib(start), kib(memory)))
    });
    for case @ (sessions, size) in cases {
        let sessions = grouped(u64::from(*sessions));
        checks.check(format!("{name}: {sessions} sessions, messages of {size}"), || one(case));
    }
    checks.check(format!("{name}: nothing left behind"), || {
        let (descriptors, memory) = before.ok_or("nothing was measured before")?;
        left_behind(&server, descriptors, memory)
    });
    checks.check(format!("{name}: ends"), || {
        let ended = server.stop(Signal::Terminate)?;
        smoke::drained(&ended)?;
        Ok(ended.stderr.lines().last().unwrap_or_default().to_owned())
    });
}

/// Descriptors as they were, memory where it was.
fn left_behind(server: &Server, descriptors: usize, memory: u64) -> Result<String> {
    let now = || -> Result<(usize, u64)> {
        Ok((procfs::descriptors(server.id())?, procfs::memory(server.id())?))
    };
    let is_back = |(open, used): (usize, u64)| open == descriptors && used <= memory + MEMORY_SLACK;
    let settled = wait::until(SETTLED_MAX, || now().ok().filter(|&now| is_back(now)));
    let (descriptors_now, memory_now) = settled.map_or_else(now, Ok)?;
    let figure = format!(
        "{descriptors_now} descriptors ({descriptors} before), memory {} ({} before)",
        kib(memory_now),
        kib(memory)
    );
    ensure(settled.is_some(), || format!("not back to where it was: {figure}"))?;
    Ok(figure)
}

fn kib(bytes: u64) -> String {
    format!("{} KiB", grouped(bytes / 1024))
}
