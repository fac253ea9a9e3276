//! A server whose descriptor limit is lowered while it runs, so that it can open nothing more, and raised
//! again.
//!
//! With `readiness` each accept looks at the limit: they fail with `EMFILE` from then on. The kernel side
//! of `io_uring` notes the limit when an accept is armed, and one that stays armed goes on beyond a limit
//! that came later: all are served, and what is shown is that nobody is harmed. What happens there
//! without descriptors, [`starvation`] shows.

use rustix::process::{Pid, Resource, Rlimit, getrlimit, prlimit};

use super::starvation;
use crate::backends::Terms;
use crate::checks::ensure;
use crate::client::Client;
use crate::server::{Server, Signal};
use crate::{Result, procfs, smoke};

/// Clients that come before, and after.
const EARLY: usize = 20;
const LATE: usize = 60;

pub(super) fn run(terms: &Terms<'_>) -> Result<String> {
    let server = terms.serve("")?;
    let mut early = Client::connect_all(server.address, EARLY)?;
    // They are accepted in their order, so with this one all are.
    served(&mut early[EARLY - 1])?;
    let open = procfs::descriptors(server.id())?;
    let limit = procfs::next_descriptor(server.id())?;
    let before = set_limit(&server, Some(limit))?;
    let mut late = Client::connect_all(server.address, LATE)?;
    let mut last = late.split_off(LATE - 1);
    if terms.backend == "uring" {
        served(&mut last[0])?;
        return passed_by(server, open);
    }
    let cpu = starvation::starved(terms, &server, open, &mut early[0])?;
    let raise = || set_limit(&server, before).map(drop);
    let recovery = starvation::recovery(&mut last[0], raise)?;
    drop((early, late, last));
    starvation::passed(terms, server, cpu, recovery)
}

/// Has a server answer a client.
fn served(client: &mut Client) -> Result<()> {
    client.write(b"\x05\0\0\0hello")?;
    client.expect(b"\x05\0\0\0hello")
}

/// Sets how many descriptors a server may have from now on, as `prlimit --pid` does; gives how many it
/// might have before. The hard limit, which it has from us, stays.
fn set_limit(server: &Server, current: Option<u64>) -> Result<Option<u64>> {
    let limit = Rlimit { current, maximum: getrlimit(Resource::Nofile).maximum };
    let process = i32::try_from(server.id()).ok().and_then(Pid::from_raw);
    let before = prlimit(process, Resource::Nofile, limit)
        .map_err(|error| format!("cannot set the limit of process {}: {error}", server.id()))?;
    Ok(before.current)
}

/// Ends a server that has gone beyond its limit.
fn passed_by(server: Server, before: usize) -> Result<String> {
    let more = procfs::descriptors(server.id())?.saturating_sub(before);
    ensure(more == LATE, || format!("{more} clients were accepted, and {LATE} served"))?;
    smoke::drained(&server.stop(Signal::Terminate)?)?;
    Ok(format!("the accept that was armed goes on: {more} descriptors beyond the limit"))
}
