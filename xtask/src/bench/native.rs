//! The comparison servers in C and C++, which cargo does not build: what they need is installed if that may be
//! done, the Makefile in `bench/servers/native` builds them, and the checks of behaviour of the Rust servers run
//! on each, once more under the sanitizers.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::checks::{Checks, ensure};
use crate::totals::Totals;
use crate::workspace::{self, cargo};
use crate::{Result, packages, process};

/// A server, and what it is built on.
struct Server {
    name: &'static str,
    /// Headers that it includes, with the Debian packages that have them.
    headers: &'static [(&'static str, &'static str)],
    /// Its switches beside the modes, each set of which is checked.
    switches: &'static [&'static [&'static str]],
}

const ASIO: (&str, &str) = ("asio.hpp", "libasio-dev");

const SERVERS: [Server; 3] = [
    Server {
        name: "asio-server",
        headers: &[ASIO],
        switches: &[&[], &["--gather"], &["--async-writes"], &["--async-writes", "--gather"]],
    },
    Server {
        name: "asio-uring-server",
        headers: &[ASIO, ("liburing.h", "liburing-dev")],
        switches: &[&[], &["--gather"]],
    },
    Server {
        name: "libuv-server",
        headers: &[("uv.h", "libuv1-dev")],
        switches: &[&[], &["--gather"]],
    },
];

/// Programs that build them, with the Debian packages that have them.
const TOOLS: [(&str, &str); 3] = [("make", "make"), ("cc", "gcc"), (COMPILER, "g++")];
const COMPILER: &str = "g++";

/// Longest time that the checks of a server in one mode may take: some seconds, if nobody else uses the machine.
const CHECK_MAX: Duration = Duration::from_secs(240);

/// Builds the servers into a folder and returns the names of those that are there now. What cannot be built as
/// something is not installed is left out, with a line that says so.
///
/// # Errors
/// If one does not compile.
pub(crate) fn build(output: &Path) -> Result<Vec<String>> {
    build_with(output, &[])
}

/// Builds the servers, and runs the checks on each: as it is measured, and under the sanitizers.
pub(crate) fn check(output: &Path) -> Result<Totals> {
    let sanitized = output.join("native-sanitized");
    let names = build_with(output, &[])?;
    build_with(&sanitized, &["SANITIZE=1"])?;
    let checker = checker(output)?;
    let mut checks = Checks::default();
    for server in SERVERS.iter().filter(|server| names.iter().any(|name| name == server.name)) {
        for (folder, ends, how) in [(output, None, ""), (&sanitized, Some("--ends"), ", sanitized")]
        {
            let program = folder.join(server.name);
            for (mode, switches) in server.modes() {
                let words = [&[mode], switches].concat().join(" ");
                checks.check(format!("{} {words}{how}", server.name), || {
                    let mut command = Command::new(&checker);
                    command.args(ends).arg(&program).arg(mode).args(switches);
                    passes(&mut command)
                });
            }
        }
    }
    Ok(checks.totals())
}

impl Server {
    /// The modes with the switches that matter in each: `--gather` does in a chat only.
    fn modes(&self) -> impl Iterator<Item = (&'static str, &'static [&'static str])> {
        ["raw", "framed", "chat"].into_iter().flat_map(|mode| {
            let all = self.switches.iter().copied();
            all.filter(move |set| mode == "chat" || !set.contains(&"--gather"))
                .map(move |switches| (mode, switches))
        })
    }

    /// The packages that it lacks.
    fn missing(&self) -> Vec<&'static str> {
        let lacks = |header: &&(&str, _)| !has_header(header.0);
        self.headers.iter().filter(lacks).map(|(_, package)| *package).collect()
    }
}

fn build_with(output: &Path, settings: &[&str]) -> Result<Vec<String>> {
    install();
    let missing = missing_tools();
    ensure_line(&missing, "the servers in C and C++");
    let mut names = Vec::new();
    if missing.is_empty() {
        for server in &SERVERS {
            let missing = server.missing();
            ensure_line(&missing, server.name);
            names.extend(missing.is_empty().then(|| server.name.to_owned()));
        }
    }
    if names.is_empty() {
        return Ok(names);
    }
    fs::create_dir_all(output)?;
    let mut make = Command::new("make");
    make.args(["--silent", "--jobs=2", "--directory"]).arg(sources());
    make.arg(setting("OUTPUT", &output.canonicalize()?.display().to_string()));
    process::succeed(make.arg(setting("SERVERS", &names.join(" "))).args(settings))?;
    Ok(names)
}

fn sources() -> PathBuf {
    workspace::bench().join("servers").join("native")
}

fn setting(name: &str, value: &str) -> String {
    format!("{name}={value}")
}

/// Says what is left out, and why.
fn ensure_line(missing: &[&str], what: &str) {
    if !missing.is_empty() {
        let packages = missing.join(" ");
        println!("left out: {what}; install what Debian calls {packages} to have them compared");
    }
}

/// Installs what is missing, where that is allowed. What then is still missing is told by who needs it.
fn install() {
    let mut missing = missing_tools();
    missing.extend(SERVERS.iter().flat_map(Server::missing));
    missing.sort_unstable();
    missing.dedup();
    if !missing.is_empty() && rustix::process::geteuid().is_root() {
        let are_there = || {
            missing_tools().is_empty() && SERVERS.iter().all(|server| server.missing().is_empty())
        };
        if let Err(error) = packages::install(&missing, are_there) {
            println!("{error}");
        }
    }
}

fn missing_tools() -> Vec<&'static str> {
    let lacks = |tool: &&(&str, _)| packages::find(tool.0, &[]).is_none();
    TOOLS.iter().filter(lacks).map(|(_, package)| *package).collect()
}

/// Whether the compiler finds a header.
fn has_header(header: &str) -> bool {
    let mut compiler = Command::new(COMPILER);
    compiler.args(["-E", "-x", "c++", "-include", header, "/dev/null", "-o", "/dev/null"]);
    let quiet = compiler.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    quiet.status().is_ok_and(|status| status.success())
}

/// The program that runs the checks on another program.
fn checker(output: &Path) -> Result<PathBuf> {
    let mut build = cargo();
    build.args(["build", "--quiet", "--release", "--package", "bench-common"]);
    build.args(["--example", "check"]).current_dir(workspace::bench());
    process::succeed(&mut build)?;
    Ok(output.join("examples").join("check"))
}

fn passes(command: &mut Command) -> Result<&'static str> {
    // A check says in a sentence what is wrong; where in its source is of no use here.
    let ended = process::run(command.env("RUST_BACKTRACE", "0"), CHECK_MAX)?;
    ensure(ended.code == Some(0), || ended.stderr.trim().to_owned())?;
    Ok("passes")
}
