//! Bad use: one line on the standard error stream that says what, why and what to do, nothing on the
//! standard output, the exit code of the design, and nothing left behind.

use std::net::TcpListener;
use std::process::Command;
use std::time::Duration;

use super::Terms;
use crate::Result;
use crate::checks::{Checks, ensure};
use crate::process;

/// How long a start that fails may take.
const LIMIT: Duration = Duration::from_secs(10);

/// Exit codes.
const FAILED: i32 = 1;
const ARGUMENTS: i32 = 2;

/// Flags after `serve echo`, the exit code, and a word that the line must have.
const CASES: &[(&str, i32, &str)] = &[
    ("--listen 192.0.2.1:0", FAILED, "192.0.2.1"),
    ("--listen no-such-host.invalid:7777", FAILED, "no-such-host.invalid"),
    ("--listen here", ARGUMENTS, "here"),
    ("--listen 127.0.0.1", ARGUMENTS, "127.0.0.1"),
    ("--listen 127.0.0.1:99999", ARGUMENTS, "99999"),
    ("--listen 127.0.0.1:0 --backend iocp", FAILED, "iocp"),
    ("--listen 127.0.0.1:0 --backend kqueue", ARGUMENTS, "kqueue"),
    ("--listen 127.0.0.1:0 --workers 0", ARGUMENTS, "workers"),
    ("--listen 127.0.0.1:0 --workers 1025", ARGUMENTS, "workers"),
    ("--listen 127.0.0.1:0 --sessions-max 0", ARGUMENTS, "sessions-max"),
    ("--listen 127.0.0.1:0 --frame-max 17MiB", ARGUMENTS, "frame-max"),
    ("--listen 127.0.0.1:0 --framing u16le --frame-max 65536", ARGUMENTS, "65535"),
    ("--listen 127.0.0.1:0 --slow drop-newest", ARGUMENTS, "raw"),
    ("--listen 127.0.0.1:0 --idle 0", ARGUMENTS, "idle"),
    ("--listen 127.0.0.1:0 --drain 0", ARGUMENTS, "drain"),
    ("--no-such-flag", ARGUMENTS, "--no-such-flag"),
];

pub(super) fn run(terms: &Terms<'_>, checks: &mut Checks) {
    for &(flags, code, word) in CASES {
        checks.check(flags, || {
            let mut command = Command::new(terms.wharf);
            command.args(["serve", "echo"]).args(flags.split_whitespace());
            refused(&mut command, code, word)
        });
    }
    checks.check("an address in use", || in_use(terms));
    checks.check("a file limit too low for --sessions-max", || too_few_descriptors(terms));
}

/// Another server's address, which that one keeps.
fn in_use(terms: &Terms<'_>) -> Result<String> {
    let taken = TcpListener::bind("127.0.0.1:0")?;
    let address = taken.local_addr()?.to_string();
    let mut command = Command::new(terms.wharf);
    command.args(["serve", "echo", "--listen", &address]);
    refused(&mut command, FAILED, &address)
}

/// A shell lowers the limit, since a limit is inherited and never raised again.
fn too_few_descriptors(terms: &Terms<'_>) -> Result<String> {
    let mut command = Command::new("sh");
    let script = "ulimit -n 256 && exec \"$0\" serve echo --listen 127.0.0.1:0 --sessions-max 1000";
    command.args(["-c", script]).arg(terms.wharf);
    refused(&mut command, FAILED, "ulimit")
}

/// Runs a program that must refuse; gives its line.
fn refused(command: &mut Command, code: i32, word: &str) -> Result<String> {
    let ended = process::run(command, LIMIT)?;
    ensure(ended.code == Some(code), || format!("exit code {code} was expected: {ended:?}"))?;
    ensure(ended.stdout.is_empty() && ended.stderr.lines().count() == 1, || {
        format!("one line on the standard error stream was expected: {ended:?}")
    })?;
    let line = ended.stderr.trim_end();
    ensure(line.contains(word), || format!("the line does not name '{word}': {line}"))?;
    Ok(line.to_owned())
}
