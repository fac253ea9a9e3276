//! A server that has no descriptor left, while connections wait for it.
//!
//! It gets there without any privilege, and on `io_uring` too, whose kernel side notes the limit when
//! an accept is armed and not later: the server is started with descriptors of ours, which it does not
//! count in, and so takes itself for a server of more sessions than it can have. A limit
//! that sinks meanwhile is [`lowered`](super::lowered).

use std::fs::File;
use std::process::Command;
use std::time::Duration;

use rustix::io::{FdFlags, fcntl_setfd};

use super::has_opened;
use crate::backends::Terms;
use crate::checks::ensure;
use crate::client::Client;
use crate::server::{Server, Signal, serve_echo};
use crate::wait::{self, Stopwatch};
use crate::{Result, procfs, smoke};

/// Descriptors that the server may open, and those that it is started with.
const LIMIT: usize = 256;
const INHERITED: usize = 150;
/// Clients: more than the server has room for, and, without those that leave, fewer.
const CLIENTS: usize = 130;
const LEAVE: usize = 60;
/// The most that the server may use of a core while it can accept nobody.
const CPU_MAX: f64 = 0.05;
/// How long it may take until the last of those who waited is served: the longest rest of a listener is
/// a second. A machine of CI may be busy with other things.
const RECOVERY_MAX: Duration = Duration::from_millis(1_100);
const RECOVERY_MAX_CI: Duration = Duration::from_millis(2_100);

pub(super) fn run(terms: &Terms<'_>) -> Result<String> {
    let server = start(terms)?;
    let mut clients = Client::connect_all(server.address, CLIENTS)?;
    has_opened(&server, LIMIT)?;
    let cpu = starved(terms, &server, LIMIT, &mut clients[0])?;
    let mut last = clients.split_off(CLIENTS - 1);
    let give_back = || {
        drop(clients.drain(..LEAVE));
        Ok(())
    };
    let recovery = recovery(&mut last[0], give_back)?;
    drop((clients, last));
    passed(terms, server, cpu, recovery)
}

/// How long it takes until the last who waited is served, from when there are descriptors again.
pub(super) fn recovery(
    last: &mut Client,
    give_back: impl FnOnce() -> Result<()>,
) -> Result<Duration> {
    last.write(b"\x04\0\0\0last")?;
    let stopwatch = Stopwatch::start();
    give_back()?;
    last.expect(b"\x04\0\0\0last")?;
    Ok(stopwatch.elapsed())
}

/// Ends a server that has been starved and has recovered, and judges it.
pub(super) fn passed(
    terms: &Terms<'_>,
    server: Server,
    cpu: f64,
    recovery: Duration,
) -> Result<String> {
    let ended = server.stop(Signal::Terminate)?;
    smoke::drained(&ended)?;
    let figure = format!(
        "{:.2}% of a core while starved, recovered after {} ms",
        cpu * 100.0,
        recovery.as_millis()
    );
    ensure(cpu < CPU_MAX, || format!("at most 5% are allowed: {figure}"))?;
    let recovery_max = if terms.many { RECOVERY_MAX } else { RECOVERY_MAX_CI };
    ensure(recovery < recovery_max, || format!("{recovery_max:?} are allowed: {figure}"))?;
    let told: Vec<&str> = ended.stderr.lines().filter(|it| it.contains("descriptor")).collect();
    ensure(told.len() == 1, || format!("one line should say so: {:?}", ended.stderr))?;
    Ok(figure)
}

/// A server that may open [`LIMIT`] descriptors and has [`INHERITED`] of them already.
fn start(terms: &Terms<'_>) -> Result<Server> {
    let inherited: Vec<File> =
        (0..INHERITED).map(|_| File::open("/dev/null")).collect::<std::io::Result<_>>()?;
    for file in &inherited {
        fcntl_setfd(file, FdFlags::empty())?;
    }
    let flags = format!("--backend {} --workers 2 --framing u32le", terms.backend);
    let serve = serve_echo(terms.wharf, &flags);
    let mut limited = Command::new("sh");
    limited.args(["-c", &format!("ulimit -n {LIMIT} && exec \"$@\""), "sh"]);
    limited.arg(serve.get_program()).args(serve.get_args());
    Server::start(&mut limited)
}

/// What part of a core the server uses while it is starved, with so many descriptors open. Who is there
/// already is served.
pub(super) fn starved(
    terms: &Terms<'_>,
    server: &Server,
    descriptors: usize,
    early: &mut Client,
) -> Result<f64> {
    let time = Duration::from_secs(if terms.many { 10 } else { 2 });
    let (stopwatch, before) = (Stopwatch::start(), procfs::cpu(server.id())?);
    wait::pause(time);
    early.write(b"\x05\0\0\0early")?;
    early.expect(b"\x05\0\0\0early")?;
    let used = procfs::cpu(server.id())? - before;
    let (open, elapsed) = (procfs::descriptors(server.id())?, stopwatch.elapsed());
    ensure(open == descriptors, || {
        format!("{open} descriptors are open, and it should be starved at {descriptors}")
    })?;
    Ok(used.as_secs_f64() / elapsed.as_secs_f64())
}
