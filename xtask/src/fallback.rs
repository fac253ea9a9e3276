//! The tests where `io_uring` is denied: `auto` takes `readiness`, and says why.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use crate::Result;
use crate::checks::{Checks, ensure};
use crate::client::Client;
use crate::deny_uring::How;
use crate::server::{Server, Signal, serve_echo};
use crate::totals::Totals;
use crate::workspace::{self, Profile, cargo};
use crate::{process, smoke, steps};

/// What the tests expect the backend `auto` to choose.
const EXPECT_BACKEND: (&str, &str) = ("WHARF_EXPECT_BACKEND", "readiness");

/// Runs all tests but those that ask for a backend by name and those of the documents, where all of its
/// calls are denied; and what `auto` chooses, and what the program says, under every other denial.
pub(crate) fn run() -> Result<Totals> {
    let mut totals = Totals::default();
    for how in How::ALL {
        println!("io_uring denied: {}", how.name());
        let mut command = denied(how, &cargo())?;
        command.env(EXPECT_BACKEND.0, EXPECT_BACKEND.1);
        command.args(["test", "--quiet", "--no-fail-fast"]).args(tests(how));
        totals += steps::run_tests(&mut command)?.0;
    }
    totals += program()?;
    Ok(totals)
}

/// The tests that run under a denial: not those that ask for a backend by name, which for `readiness` and the
/// simulator changes nothing. The names are given with their colons, since "during" has "uring" in it.
fn tests(how: How) -> &'static [&'static str] {
    match how {
        How::SetupEperm => &[
            "--lib",
            "--bins",
            "--tests",
            "--",
            "--skip=uring::",
            "--skip=uring_stepdown::",
            "--skip=uring_unix::",
            "--skip=readiness::",
            "--skip=readiness_unix::",
            "--skip=sim_faulty::",
            "--skip=sim_iocp::",
        ],
        How::SetupEnosys | How::EnterEperm => {
            &["--package", "wharf-port", "--test", "conformance", "--", "::auto::"]
        }
    }
}

/// What users of the program meet.
fn program() -> Result<Totals> {
    let wharf = &workspace::wharf(Profile::Dev)?;
    let mut checks = Checks::default();
    for how in How::ALL {
        let how_name = how.name();
        checks.check(format!("{how_name}: auto falls back"), || falls_back(how, wharf));
        checks.check(format!("{how_name}: uring by name"), || refuses(how, wharf));
    }
    Ok(checks.totals())
}

/// The server runs on `readiness`, and says in one line why.
fn falls_back(how: How, wharf: &Path) -> Result<String> {
    let server = Server::start(&mut denied(how, &serve_echo(wharf, ""))?)?;
    ensure(server.line.contains(" backend=readiness "), || format!("it says {:?}", server.line))?;
    let mut client = Client::connect(server.address)?;
    client.write(b"hello")?;
    client.expect(b"hello")?;
    client.end()?;
    let ended = server.stop(Signal::Terminate)?;
    smoke::drained(&ended)?;
    let why: Vec<&str> = ended.stderr.lines().filter(|it| it.contains("io_uring")).collect();
    ensure(why.len() == 1, || format!("one line should say why: {:?}", ended.stderr))?;
    Ok(why.concat())
}

/// Asked for by name, a backend that is not to be had is an error of one line.
fn refuses(how: How, wharf: &Path) -> Result<String> {
    let mut command = denied(how, &serve_echo(wharf, "--backend uring"))?;
    let ended = process::run(&mut command, Duration::from_secs(10))?;
    let one_line = ended.stderr.lines().count() == 1 && ended.stdout.is_empty();
    ensure(ended.code == Some(1) && one_line, || format!("one line and exit code 1: {ended:?}"))?;
    Ok(ended.stderr.trim_end().to_owned())
}

/// A command, with `io_uring` denied to it.
fn denied(how: How, command: &Command) -> Result<Command> {
    let mut denied = Command::new(std::env::current_exe()?);
    denied.args(["deny-uring", "--how", how.name(), "--"]);
    denied.arg(command.get_program()).args(command.get_args());
    denied.current_dir(workspace::root());
    Ok(denied)
}
