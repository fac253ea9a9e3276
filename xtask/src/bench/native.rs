//! The comparison servers in C and C++, which cargo does not build: what they need is installed if that may be
//! done, the Makefile in `bench/servers/native` builds them, and the checks of behaviour of the Rust servers run
//! on each, once more under the sanitizers.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::checks::{Checks, ensure};
use crate::totals::Totals;
use crate::{Result, bench_programs, packages, process, workspace};

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
pub(crate) fn build(output: &Path) -> Result<Vec<&'static str>> {
    let names = buildable();
    make(&names, output, &[])?;
    Ok(names)
}

/// Builds the servers, and runs the checks on each: as it is measured, and under the sanitizers.
pub(crate) fn check(output: &Path) -> Result<Totals> {
    let sanitized = output.join("native-sanitized");
    let names = build(output)?;
    make(&names, &sanitized, &["SANITIZE=1"])?;
    let checker = bench_programs::build(
        bench_programs::RELEASE,
        &["--package=bench-common", "--example=check"],
    )?;
    let checker = checker.join("examples").join("check");
    let mut checks = Checks::default();
    for server in SERVERS.iter().filter(|server| names.contains(&server.name)) {
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

/// The servers that can be built, once what is missing is installed where that may be done. What cannot be
/// built is told, with what it lacks.
fn buildable() -> Vec<&'static str> {
    let missing = Missing::after_installing();
    if !missing.tools.is_empty() {
        say_left_out("the servers in C and C++", &missing.tools);
        return Vec::new();
    }
    let mut names = Vec::new();
    for (server, missing) in SERVERS.iter().zip(&missing.headers) {
        if missing.is_empty() {
            names.push(server.name);
        } else {
            say_left_out(server.name, missing);
        }
    }
    names
}

fn make(names: &[&str], output: &Path, settings: &[&str]) -> Result<()> {
    if names.is_empty() {
        return Ok(());
    }
    fs::create_dir_all(output)?;
    let mut make = Command::new("make");
    make.args(["--silent", "--jobs=2", "--directory"]).arg(sources());
    make.arg(setting("OUTPUT", &output.canonicalize()?.display().to_string()));
    process::succeed(make.arg(setting("SERVERS", &names.join(" "))).args(settings))
}

fn sources() -> PathBuf {
    workspace::bench().join("servers").join("native")
}

fn setting(name: &str, value: &str) -> String {
    format!("{name}={value}")
}

fn say_left_out(what: &str, missing: &[&str]) {
    let packages = missing.join(" ");
    println!("left out: {what}; install what Debian calls {packages} to have them compared");
}

/// What is not installed, as Debian calls it.
struct Missing {
    tools: Vec<&'static str>,
    /// For each of the [`SERVERS`].
    headers: [Vec<&'static str>; SERVERS.len()],
}

impl Missing {
    /// What is still missing after an attempt to install it, where that is allowed.
    fn after_installing() -> Self {
        let missing = Self::look();
        let packages = missing.packages();
        if packages.is_empty() || !rustix::process::geteuid().is_root() {
            return missing;
        }
        if let Err(error) = packages::install(&packages, || Self::look().packages().is_empty()) {
            println!("{error}");
        }
        Self::look()
    }

    fn look() -> Self {
        let lacks = |tool: &&(&str, _)| packages::find(tool.0, &[]).is_none();
        let tools = TOOLS.iter().filter(lacks).map(|(_, package)| *package).collect();
        Self { tools, headers: SERVERS.each_ref().map(Server::missing) }
    }

    fn packages(&self) -> Vec<&'static str> {
        let mut packages = [self.tools.as_slice(), &self.headers.concat()].concat();
        packages.sort_unstable();
        packages.dedup();
        packages
    }
}

/// Whether the compiler finds a header.
fn has_header(header: &str) -> bool {
    let mut compiler = Command::new(COMPILER);
    compiler.args(["-E", "-x", "c++", "-include", header, "/dev/null", "-o", "/dev/null"]);
    let quiet = compiler.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    quiet.status().is_ok_and(|status| status.success())
}

fn passes(command: &mut Command) -> Result<&'static str> {
    // A check says in a sentence what is wrong; where in its source is of no use here.
    let ended = process::run(command.env("RUST_BACKTRACE", "0"), CHECK_MAX)?;
    ensure(ended.code == Some(0), || ended.stderr.trim().to_owned())?;
    Ok("passes")
}
