//! The release binary against a real client, on every backend: it starts, says where it listens,
//! echoes, and ends as it should.

use std::path::Path;

use crate::Result;
use crate::checks::{Checks, ensure};
use crate::client::Client;
use crate::load;
use crate::process::Ended;
use crate::server::{self, Server, Signal, serve_echo};
use crate::totals::Totals;
use crate::workspace::{self, Profile};

/// The loads that a server gets, with the framing that it is started with.
const LOADS: [(&str, &str); 2] =
    [("raw", "--depth 1 --duration 1"), ("u32le", "--depth 16 --duration 1")];

/// Runs the smoke checks.
pub(crate) fn run() -> Result<Totals> {
    let wharf = &workspace::wharf(Profile::Release)?;
    let mut checks = Checks::default();
    for backend in server::backends(wharf)? {
        for (framing, flags) in LOADS {
            let name = format!("{backend}, {framing}, {flags}");
            checks.check(name, || loaded(wharf, backend, framing, flags));
        }
        checks.check(format!("{backend}, by hand, ended by SIGINT"), || by_hand(wharf, backend));
        checks.check(format!("{backend}, a second signal"), || second_signal(wharf, backend));
    }
    Ok(checks.totals())
}

/// Starts a server, loads it, ends it.
fn loaded(wharf: &Path, backend: &str, framing: &str, flags: &str) -> Result<String> {
    let flags_of_server = format!("--backend {backend} --framing {framing} --workers 2");
    let server = Server::start(&mut serve_echo(wharf, &flags_of_server))?;
    says_what_it_is(&server, backend, 2)?;
    let load = load::echo(wharf, &server, &format!("--framing {framing} {flags}"))?;
    load.has_its_fields()?;
    let figure = load.figure()?;
    drained(&server.stop(Signal::Terminate)?)?;
    Ok(figure)
}

/// What a person does first: types something, reads it, presses Ctrl-C.
fn by_hand(wharf: &Path, backend: &str) -> Result<String> {
    let server = Server::start(&mut serve_echo(wharf, &format!("--backend {backend}")))?;
    let mut client = Client::connect(server.address)?;
    for line in ["hello\n", "\n", "what you type comes back\n"] {
        client.write(line.as_bytes())?;
        client.expect(line.as_bytes())?;
    }
    server.signal(Signal::Interrupt)?;
    client.expect_end()?;
    drop(client);
    let ended = server.wait()?;
    drained(&ended)?;
    let report = ended.stderr.lines().last().unwrap_or_default();
    ensure(report.contains("1 session"), || format!("one session was drained, not: {report}"))?;
    Ok(report.to_owned())
}

/// A second signal ends a drain that waits for a peer, and says so by its exit code.
fn second_signal(wharf: &Path, backend: &str) -> Result<String> {
    let server = Server::start(&mut serve_echo(wharf, &format!("--backend {backend}")))?;
    let mut client = Client::connect(server.address)?;
    client.write(b"hello")?;
    client.expect(b"hello")?;
    server.signal(Signal::Terminate)?;
    // The server has ended its own direction, and waits for ours.
    client.expect_end()?;
    let ended = server.stop(Signal::Terminate)?;
    ensure(ended.code == Some(3), || format!("the exit code is {ended:?} and should be 3"))?;
    Ok("exit code 3".to_owned())
}

/// Checks the one line that scripts read.
fn says_what_it_is(server: &Server, backend: &str, workers: usize) -> Result<()> {
    let expected = format!("listening on {} backend={backend} workers={workers}", server.address);
    ensure(server.line == expected, || format!("it says {:?}, not {expected:?}", server.line))
}

/// Checks the end of a server that was asked to drain and had nothing in its way.
pub(crate) fn drained(ended: &Ended) -> Result<()> {
    ensure(ended.code == Some(0), || format!("it did not end well: {ended:?}"))?;
    ensure(ended.stdout.lines().count() == 1, || {
        format!("one line belongs on the standard output: {:?}", ended.stdout)
    })?;
    ensure(ended.stderr.contains("0 bytes lost"), || {
        format!("its report does not say that nothing was lost: {:?}", ended.stderr)
    })
}
