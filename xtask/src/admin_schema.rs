//! The admin endpoint against what it is described as: a fuzzer of APIs reads the description from a server under
//! load, and asks for what is in it, and for what is not.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::checks::{Checks, ensure};
use crate::server::{Server, serve_echo};
use crate::totals::Totals;
use crate::workspace::{self, Profile};
use crate::{Result, load, packages, process, smoke};

/// The fuzzer, of which another release may ask for more.
const FUZZER: &str = "schemathesis==4.32.5";
/// How long it may ask, in seconds, and how long until it has ended in any case.
const ASKS_FOR: &str = "45";
const FUZZER_MAX: Duration = Duration::from_secs(150);
/// How long its installation may take.
const INSTALL_MAX: Duration = Duration::from_secs(300);
/// The same questions each time: what fails has been changed.
const SEED: &str = "1";
/// What cannot be asked for and the server go on.
const DRAIN: &str = "/api/v1/drain";
/// `after` is for `order=id` alone and less than 2^64, which the description cannot say: what it takes to be right
/// may be refused.
const LEFT_OUT: &str = "positive_data_acceptance";
/// Sessions are kicked in the course of it: enough of them to the end.
const LOAD: &str = "--sessions 200 --rate 2000 --duration 200";
/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// Runs the fuzzer, and then the drain that it was not let.
pub(crate) fn run() -> Result<Totals> {
    let fuzzer = install()?;
    let wharf = workspace::wharf(Profile::Dev)?;
    let admin = free_address()?;
    let server = Server::start(&mut serve_echo(&wharf, &format!("--workers 2 --admin {admin}")))?;
    let mut checks = Checks::default();
    {
        // It ends with this block, whatever became of its sessions.
        let _load = load::start(&wharf, &server, LOAD)?;
        checks.check("what is answered is what is described", || fuzz(&fuzzer, admin));
        checks.check("all is well afterwards", || answers(admin, "GET", "/health", 200));
        checks.check("it accepts", || {
            answers(admin, "POST", "/api/v1/accepting/resume", 200)?;
            answers(admin, "GET", "/ready", 200)
        });
    }
    checks.check("a drain", || {
        let said = answers(admin, "POST", DRAIN, 202)?;
        smoke::drained(&server.wait()?)?;
        Ok(said)
    });
    Ok(checks.totals())
}

/// Installs the fuzzer into a folder of its own below `target/`, and says where it is.
fn install() -> Result<PathBuf> {
    let folder = workspace::target()?.join("admin-schema");
    let fuzzer = folder.join("bin/schemathesis");
    let wanted = FUZZER.replace("==", ", version ");
    let is_there = || {
        let said = process::run(Command::new(&fuzzer).arg("--version"), PATIENCE);
        said.is_ok_and(|ended| ended.stdout.trim() == wanted)
    };
    if is_there() {
        return Ok(fuzzer);
    }
    let hint = "the fuzzer needs Python with venv and pip: apt-get install python3 python3-venv python3-pip";
    let python = packages::find("python3", &[]).ok_or(hint)?;
    let must = |command: &mut Command| -> Result<()> {
        let ended = process::run(command, INSTALL_MAX)?;
        let words = process::shown(command);
        ensure(ended.code == Some(0), || format!("`{words}`: {}; {hint}", ended.stderr.trim()))
    };
    must(Command::new(python).args(["-m", "venv"]).arg(&folder))?;
    let pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", FUZZER];
    must(Command::new(folder.join("bin/python3")).args(pip))?;
    ensure(is_there(), || format!("{} is not what it should be", fuzzer.display()))?;
    Ok(fuzzer)
}

/// An address that nobody has: the fuzzer is told it before it can be read from the server.
pub(crate) fn free_address() -> Result<SocketAddr> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?)
}

/// What the fuzzer has found, which is to be nothing.
fn fuzz(fuzzer: &Path, admin: SocketAddr) -> Result<String> {
    let mut command = Command::new(fuzzer);
    command.args(["run", &format!("http://{admin}/api/v1/openapi.json")]);
    command.args(["--exclude-path", DRAIN, "--exclude-checks", LEFT_OUT]);
    command.args([
        "--seed",
        SEED,
        "--max-time",
        ASKS_FOR,
        "--request-timeout",
        "10",
        "--continue-on-failure",
    ]);
    // It keeps what it has found, and writes reports, where it runs.
    command.current_dir(workspace::target()?.join("admin-schema"));
    let ended = process::run(&mut command, FUZZER_MAX)?;
    ensure(ended.code == Some(0), || format!("\n{}{}", ended.stdout, ended.stderr))?;
    let cases = ended.stdout.lines().find(|line| line.contains(" generated, "));
    let cases = cases.ok_or_else(|| format!("it does not say what it did:\n{}", ended.stdout))?;
    Ok(cases.trim().to_owned())
}

/// Asks for a path, and gives the body of what must have this status.
pub(crate) fn answers(admin: SocketAddr, method: &str, path: &str, status: u16) -> Result<String> {
    let mut stream = TcpStream::connect(admin)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let headers = format!("Host: {admin}\r\nX-Wharf-Admin: 1\r\nConnection: close\r\n");
    stream.write_all(format!("{method} {path} HTTP/1.1\r\n{headers}\r\n").as_bytes())?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let is_right = answer.starts_with(&format!("HTTP/1.1 {status} "));
    ensure(is_right, || format!("{method} {path}: {answer}"))?;
    Ok(answer.rsplit("\r\n").next().unwrap_or_default().trim().to_owned())
}
