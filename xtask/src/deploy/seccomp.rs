//! The lists of calls that containers are given (deploy/seccomp-*.json, in the form of OCI runtimes), and the
//! program under them.

use std::env;
use std::ffi::OsString;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use seccompiler::{BpfProgram, TargetArch};
use serde_json::{Value, json};

use crate::admin_schema::{answers, free_address};
use crate::checks::{Checks, ensure};
use crate::server::{self, Server, Signal};
use crate::totals::{Totals, read};
use crate::{Result, load, process, smoke, workspace};

/// The command of this program that applies a list, and becomes another program.
const COMMAND: &str = "under-seccomp";
/// How a call fails that a list does not have: as where a container runtime has denied it.
const DENIED: i32 = libc::EPERM;
/// How long a program may take that is denied what it is for.
const REFUSAL_MAX: Duration = Duration::from_secs(20);
/// What the server is loaded with.
const LOAD: &str = "--sessions 20 --depth 4 --duration 1";

/// Becomes the command, with every call denied that a list does not have. Returns only if that fails.
pub(crate) fn exec(profile: &Path, command: &[OsString]) -> Result<Totals> {
    let Some((program, arguments)) = command.split_first() else {
        return Err(
            format!("a command is missing: cargo xtask {COMMAND} FILE -- COMMAND...").into()
        );
    };
    let filter = filter(&read(profile)?)?;
    seccompiler::apply_filter(&filter)
        .map_err(|error| format!("the kernel takes no seccomp filter: {error}"))?;
    let error = Command::new(program).args(arguments).exec();
    Err(format!("cannot start {}: {error}", program.display()).into())
}

/// The filter that a list describes.
fn filter(profile: &str) -> Result<BpfProgram> {
    let profile = serde_json::from_str(profile)?;
    let allowed = allowed(&profile)?;
    let rules: Vec<Value> = allowed.iter().map(|name| json!({ "syscall": name })).collect();
    let filter = json!({ "all": {
        "mismatch_action": { "errno": DENIED }, "match_action": "allow", "filter": rules,
    } });
    let architecture = TargetArch::try_from(env::consts::ARCH)?;
    let mut filters = seccompiler::compile_from_json(filter.to_string().as_bytes(), architecture)?;
    Ok(filters.remove("all").unwrap_or_default())
}

/// The calls of a list; an error if it says more than that these are allowed and every other fails as `DENIED`.
fn allowed(profile: &Value) -> Result<Vec<&str>> {
    let denies = profile["defaultAction"] == "SCMP_ACT_ERRNO";
    ensure(denies && profile["defaultErrnoRet"] == DENIED, || {
        "it denies in another way".to_owned()
    })?;
    let mut names = Vec::new();
    for rule in profile["syscalls"].as_array().into_iter().flatten() {
        let plain = rule["action"] == "SCMP_ACT_ALLOW" && rule.get("args").is_none();
        ensure(plain, || format!("a rule does more than to allow: {rule}"))?;
        names.extend(rule["names"].as_array().into_iter().flatten().filter_map(Value::as_str));
    }
    ensure(!names.is_empty(), || "it allows nothing".to_owned())?;
    Ok(names)
}

pub(super) fn check(wharf: &Path, checks: &mut Checks) -> Result<()> {
    for backend in server::backends(wharf)? {
        checks.check(format!("{backend} under its list of calls"), || serves(wharf, backend));
        let name = format!("{backend} with --admin under its list of calls");
        checks.check(name, || is_asked(wharf, backend));
    }
    checks.check("io_uring under the list of readiness", || is_refused(wharf));
    checks.check("a call that no list has", is_denied);
    Ok(())
}

/// A command under a list.
fn under(backend: &str) -> Result<Command> {
    let mut command = Command::new(env::current_exe()?);
    command.arg(COMMAND).arg(profile(backend)).arg("--");
    Ok(command)
}

fn profile(backend: &str) -> PathBuf {
    workspace::root().join(format!("deploy/seccomp-{backend}.json"))
}

/// It starts, writes its log, serves, and drains.
fn serves(wharf: &Path, backend: &str) -> Result<String> {
    let mut command = under(backend)?;
    command.arg(wharf).args(["serve", "echo", "--listen", "127.0.0.1:0", "--workers", "2"]);
    let server = Server::start(command.args(["--log", "info", "--backend", backend]))?;
    let figure = load::echo(wharf, &server, LOAD)?.figure()?;
    let ended = server.stop(Signal::Terminate)?;
    smoke::drained(&ended)?;
    ensure(ended.stderr.contains("server started"), || format!("no log: {}", ended.stderr.trim()))?;
    Ok(figure)
}

/// It tells of itself over HTTP, and drains when it is told to.
fn is_asked(wharf: &Path, backend: &str) -> Result<String> {
    let admin = free_address()?;
    let mut command = under(backend)?;
    command.arg(wharf).args(["serve", "echo", "--listen", "127.0.0.1:0", "--workers", "2"]);
    let server =
        Server::start(command.args(["--backend", backend, "--admin", &admin.to_string()]))?;
    load::echo(wharf, &server, LOAD)?;
    let metrics = answers(admin, "GET", "/metrics", 200)?;
    answers(admin, "GET", "/health", 200)?;
    answers(admin, "POST", "/api/v1/drain", 202)?;
    smoke::drained(&server.wait()?)?;
    Ok(format!("{} bytes of metrics, and a drain", metrics.len()))
}

/// Each list has the calls of its own backend, and of the endpoint.
fn is_refused(wharf: &Path) -> Result<String> {
    let mut command = under("readiness")?;
    command.arg(wharf).args(["serve", "echo", "--listen", "127.0.0.1:0", "--backend", "uring"]);
    let ended = process::run(&mut command, REFUSAL_MAX)?;
    let refused = ended.code == Some(1) && ended.stderr.contains("is not available");
    ensure(refused, || format!("it is not refused: {ended:?}"))?;
    Ok(ended.stderr.trim().to_owned())
}

/// A directory is nothing that a server makes.
fn is_denied() -> Result<String> {
    let place = workspace::target()?.join("deploy/denied");
    let mut command = under("readiness")?;
    let ended = process::run(command.arg("mkdir").arg(&place), REFUSAL_MAX)?;
    let made = place.exists();
    if made {
        std::fs::remove_dir(&place)?;
    }
    ensure(!made && ended.code != Some(0), || format!("it is allowed: {ended:?}"))?;
    ensure(ended.stderr.contains("not permitted"), || format!("it fails otherwise: {ended:?}"))?;
    Ok("is denied".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_that_says_more_is_not_taken_for_less() {
        let list = |errno: i32, rule: Value| {
            json!({
                "defaultAction": "SCMP_ACT_ERRNO", "defaultErrnoRet": errno, "syscalls": [rule],
            })
        };
        let read = json!({ "names": ["read"], "action": "SCMP_ACT_ALLOW" });
        assert_eq!(allowed(&list(DENIED, read.clone())).unwrap(), ["read"]);
        assert!(allowed(&list(libc::ENOSYS, read)).is_err());
        let logged = json!({ "names": ["read"], "action": "SCMP_ACT_LOG" });
        assert!(allowed(&list(DENIED, logged)).is_err());
        let some = json!({ "names": ["read"], "action": "SCMP_ACT_ALLOW", "args": [] });
        assert!(allowed(&list(DENIED, some)).is_err());
        assert!(allowed(&json!({})).is_err());
    }
}
