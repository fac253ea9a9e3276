//! `wharf.exe` under Wine, and its clients on Linux: so the bytes of Windows are compared by a program
//! that shares nothing with it but the wire.

use std::path::Path;

use super::wine::Wine;
use super::{Bench, WINDOWS, toolchain};
use crate::checks::{Checks, ensure};
use crate::client::Client;
use crate::server::{Server, Signal, serve_echo};
use crate::totals::Totals;
use crate::workspace::{self, Profile};
use crate::{Result, load, process, smoke};

/// What a server is started with, and what it is loaded with.
const LOADS: [(&str, &str); 3] = [
    ("--framing raw", "--framing raw --sessions 50 --duration 1"),
    ("--framing u32le", "--framing u32le --sessions 20 --size 50000 --depth 4 --duration 1"),
    ("--framing lines", "--framing lines --sessions 500 --depth 2 --duration 1"),
];

/// Builds both programs and runs the checks.
pub(super) fn run(bench: &Bench, wine: &Wine) -> Result<Totals> {
    let mut build = bench.cargo(WINDOWS);
    process::succeed(build.args(["build", "--quiet", "--package", "wharf-cli"]))?;
    let program = toolchain::folder()?.join(WINDOWS).join("debug/wharf.exe");
    let server = &wine.wrap(&program)?;
    let client = &workspace::wharf(Profile::Dev)?;
    let mut checks = Checks::default();
    for (serving, loading) in LOADS {
        checks.check(loading, || loaded(server, client, serving, loading));
    }
    checks.check("by hand, ended by Ctrl-C", || by_hand(server));
    checks.check("a second Ctrl-C", || second(server));
    checks.check("a backend of Linux", || refused(server));
    Ok(checks.totals())
}

fn start(server: &Path, flags: &str) -> Result<Server> {
    let server = Server::start(&mut serve_echo(server, &format!("--workers 2 {flags}")))?;
    let says = format!("listening on {} backend=iocp workers=2", server.address);
    ensure(server.line == says, || format!("it says {:?}, not {says:?}", server.line))?;
    Ok(server)
}

/// Starts a server, loads it from Linux, ends it.
pub(crate) fn loaded(server: &Path, client: &Path, serving: &str, loading: &str) -> Result<String> {
    let server = start(server, serving)?;
    let figure = load::echo(client, &server, loading)?.figure()?;
    smoke::drained(&server.stop(Signal::Interrupt)?)?;
    Ok(figure)
}

/// The sessions that there are when it is told to end are ended in order.
fn by_hand(server: &Path) -> Result<String> {
    let server = start(server, "")?;
    let mut client = Client::connect(server.address)?;
    client.write(b"what you type comes back\n")?;
    client.expect(b"what you type comes back\n")?;
    server.signal(Signal::Interrupt)?;
    client.expect_end()?;
    drop(client);
    let ended = server.wait()?;
    smoke::drained(&ended)?;
    let report = ended.stderr.lines().last().unwrap_or_default();
    ensure(report.contains("1 session"), || format!("not what was drained: {report}"))?;
    Ok(report.to_owned())
}

/// It does not wait for a peer that does not end its own direction.
fn second(server: &Path) -> Result<String> {
    let server = start(server, "")?;
    let mut client = Client::connect(server.address)?;
    client.write(b"hello")?;
    client.expect(b"hello")?;
    server.signal(Signal::Interrupt)?;
    client.expect_end()?;
    let ended = server.stop(Signal::Interrupt)?;
    ensure(ended.code == Some(3), || format!("the exit code is {ended:?} and should be 3"))?;
    Ok("exit code 3".to_owned())
}

/// Asked for by name, a backend that Windows does not have is an error of one line.
fn refused(server: &Path) -> Result<String> {
    let mut command = serve_echo(server, "--backend uring");
    let ended = process::run(&mut command, crate::server::STOP_MAX)?;
    let one_line = ended.stderr.lines().count() == 1 && ended.stdout.is_empty();
    ensure(ended.code == Some(1) && one_line, || format!("one line and exit code 1: {ended:?}"))?;
    Ok(ended.stderr.trim_end().to_owned())
}
