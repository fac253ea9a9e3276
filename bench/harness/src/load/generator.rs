//! The generator: its words, its report, and waiting for its end.

use std::env;
use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::Result;
use crate::case::{Case, Messages, Pace};
use crate::rounds::Plan;
use crate::server::Running;

/// Pause between two looks.
pub(super) const LOOK_EVERY: Duration = Duration::from_millis(20);

/// Longest time that the generator may take beyond what it was asked for: to connect, and to wait for what
/// is still on its way.
pub(super) const EXTRA_MAX: Duration = Duration::from_secs(30);

/// From so many sessions on they come from several addresses: to find a free port takes long where most are
/// taken.
const ONE_SOURCE_MAX: u32 = 5000;
const SOURCES: &str = "127.5.0.0/28";

/// A command that loads `address`.
pub(super) fn command(plan: &Plan, mode: &str, address: SocketAddr, sessions: u32) -> Command {
    let mut command = Command::new(&plan.load);
    command.args(["load", mode, "--connect", &address.to_string()]);
    command.args(["--sessions", &sessions.to_string()]).stdout(Stdio::null());
    if sessions > ONE_SOURCE_MAX {
        command.args(["--source", SOURCES]);
    }
    command
}

/// The command for a case with traffic.
pub(super) fn busy(plan: &Plan, address: SocketAddr, case: Case, rate: Option<u64>) -> Command {
    let window = plan.window.as_secs_f64().to_string();
    let mut command = match case {
        Case::Messages(messages) => {
            let Messages { sessions, size, framing, .. } = messages;
            let mut command = command(plan, framing.kind(), address, sessions);
            command.args(["--framing", framing.word(), "--size", &size.to_string()]);
            match (rate, messages.pace) {
                (Some(rate), _) => command.args(["--rate", &rate.to_string()]),
                (None, Pace::Closed { depth } | Pace::Share { depth, .. }) => {
                    command.args(["--depth", &depth.to_string()])
                }
                (None, Pace::Rate { per_second }) => {
                    command.args(["--rate", &per_second.to_string()])
                }
            };
            command
        }
        Case::Accept { at_once: sessions } | Case::Idle { sessions } => {
            let mut command = command(plan, "accept", address, sessions);
            command.args(["--size", "1"]);
            command
        }
    };
    command.args(["--warmup", &plan.warmup.as_secs_f64().to_string()]);
    command.args(["--duration", &window]);
    command
}

/// Looks until the generator has ended well, and reads its report.
pub(super) fn wait(
    generator: Running,
    report: &ReportFile,
    time_max: Duration,
    mut look: impl FnMut() -> Result<()>,
) -> Result<Value> {
    let mut generator = generator;
    let deadline = Instant::now() + time_max;
    let mut until_ended = || {
        look()?;
        loop {
            thread::sleep(LOOK_EVERY);
            let ended = generator.ended()?;
            look().map_err(|error| format!("the server ended under the generator: {error}"))?;
            match ended {
                Some(true) => return Ok(()),
                Some(false) => return Err("the generator reports a failure".into()),
                None if Instant::now() > deadline => {
                    return Err("the generator does not end".into());
                }
                None => {}
            }
        }
    };
    let ended: Result<()> = until_ended();
    ended.map_err(|error| format!("{error}; it says: {}", generator.complaint()))?;
    let text = fs::read_to_string(&report.path);
    let text = text.map_err(|error| format!("the generator left no report: {error}"))?;
    Ok(serde_json::from_str(&text)?)
}

/// A number of the report.
pub(super) fn number(report: &Value, name: &str) -> Result<f64> {
    let number = report[name].as_f64();
    number.ok_or_else(|| format!("the generator does not report `{name}`").into())
}

/// A file for the generator's report; removed when dropped.
#[derive(Debug)]
pub(super) struct ReportFile {
    pub(super) path: PathBuf,
}

impl ReportFile {
    pub(super) fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("bench-harness-{}-{count}.json", std::process::id());
        Self { path: env::temp_dir().join(name) }
    }
}

impl Drop for ReportFile {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
    }
}
