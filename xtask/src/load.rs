//! A load on a server under test: `wharf load`, which verifies every byte that comes back.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread::JoinHandle;
use std::time::Duration;

use serde_json::Value;

use crate::Result;
use crate::checks::{ensure, grouped};
use crate::process::{self, Ended};
use crate::server::Server;
use crate::wait;

/// Longer than any load here takes.
const LOAD_MAX: Duration = Duration::from_secs(300);

/// What a load has shown.
#[derive(Debug)]
pub(crate) struct Load(Value);

/// Puts a load on a server, with more flags separated by spaces; an error if a byte was wrong or
/// missing.
pub(crate) fn echo(wharf: &Path, server: &Server, flags: &str) -> Result<Load> {
    start(wharf, server, flags)?.finish()
}

/// Begins to put a load on a server.
pub(crate) fn start(wharf: &Path, server: &Server, flags: &str) -> Result<Loading> {
    start_mode("echo", wharf, server, flags)
}

/// The same for a chat: one of the sessions speaks, and all compare.
#[cfg(target_os = "linux")]
pub(crate) fn start_chat(wharf: &Path, server: &Server, flags: &str) -> Result<Loading> {
    start_mode("chat", wharf, server, flags)
}

pub(crate) fn start_mode(
    mode: &str,
    wharf: &Path,
    server: &Server,
    flags: &str,
) -> Result<Loading> {
    let mut command = Command::new(wharf);
    command.args(["load", mode, "--connect", &server.address.to_string()]);
    command.args(["--server-pid", &server.id().to_string(), "--json", "-"]);
    command.args(flags.split_whitespace());
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = process::spawn(&mut command)?;
    let stdout = process::read_lines(child.stdout.take(), None);
    let stderr = process::read_lines(child.stderr.take(), None);
    Ok(Loading {
        words: process::shown(&command),
        child,
        stdout: Some(stdout),
        stderr: Some(stderr),
    })
}

/// A load that runs. It is killed if it still does when this is dropped.
#[derive(Debug)]
pub(crate) struct Loading {
    words: String,
    child: Child,
    stdout: Option<JoinHandle<String>>,
    stderr: Option<JoinHandle<String>>,
}

impl Loading {
    /// Waits for its end; an error if a byte was wrong or missing.
    pub(crate) fn finish(mut self) -> Result<Load> {
        let ended = self.end(LOAD_MAX)?;
        ensure(ended.code == Some(0), || {
            format!("`{}` ended with {:?}: {}", self.words, ended.code, ended.stderr.trim())
        })?;
        let load = Load(serde_json::from_str(&ended.stdout)?);
        load.complete()?;
        Ok(load)
    }

    /// Whether it still runs.
    #[cfg(target_os = "linux")]
    pub(crate) fn goes_on(&mut self) -> Result<bool> {
        Ok(self.child.try_wait()?.is_none())
    }

    /// Waits for its end, however it is.
    #[cfg(target_os = "linux")]
    pub(crate) fn ends_within(mut self, limit: Duration) -> Result<()> {
        self.end(limit).map(drop)
    }

    fn end(&mut self, limit: Duration) -> Result<Ended> {
        let status = wait::until(limit, || self.child.try_wait().transpose());
        let status = status.ok_or_else(|| {
            format!("`{}` does not end within {} s", self.words, limit.as_secs())
        })??;
        let [stdout, stderr] = [self.stdout.take(), self.stderr.take()].map(process::all_of);
        Ok(Ended { code: status.code(), stdout, stderr })
    }

    /// Stops its process, as a debugger does: its connections stay.
    #[cfg(target_os = "linux")]
    pub(crate) fn stop(&self) -> Result<()> {
        Ok(process::send(&self.child, rustix::process::Signal::STOP)?)
    }

    /// Kills its process: it cannot end its connections, the system does.
    #[cfg(target_os = "linux")]
    pub(crate) fn kill(mut self) -> Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }
}

impl Drop for Loading {
    fn drop(&mut self) {
        // It may have ended, and been waited for: then both do nothing.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Load {
    /// Checks that everything that was sent came back, and that there was something.
    fn complete(&self) -> Result<()> {
        let [sent, received] = [self.count("sent")?, self.count("received")?];
        let [wrong, missing] = [self.count("wrong")?, self.count("missing")?];
        ensure(received > 0 && sent == received && wrong == 0 && missing == 0, || {
            format!("{sent} sent, {received} received, {wrong} wrong, {missing} missing")
        })
    }

    /// Checks that the report has every field that scripts rely on.
    pub(crate) fn has_its_fields(&self) -> Result<()> {
        let Self(report) = self;
        ensure(report["mode"] == "echo", || format!("mode is {}", report["mode"]))?;
        for field in ["sessions", "sent", "received", "wrong", "missing"] {
            self.count(field)?;
        }
        let latency = ["p50", "p90", "p99", "p999", "max"];
        let numbers = ["per_second", "bytes_per_second", "server_cpu_ns_per_message"];
        let fields = numbers.iter().map(|name| (*name, &report[*name]));
        let percentiles = latency.iter().map(|name| (*name, &report["latency_us"][*name]));
        for (name, value) in fields.chain(percentiles) {
            ensure(value.is_number(), || format!("{name} is {value} in {report}"))?;
        }
        Ok(())
    }

    /// A count of the report.
    pub(crate) fn count(&self, field: &str) -> Result<u64> {
        let count = self.0[field].as_u64();
        count.ok_or_else(|| format!("the report has no count '{field}': {}", self.0).into())
    }

    /// A percentile of the latency, in microseconds: `p50`, `p99` and others.
    #[cfg(target_os = "linux")]
    pub(crate) fn micros(&self, percentile: &str) -> Result<f64> {
        let micros = self.0["latency_us"][percentile].as_f64();
        micros.ok_or_else(|| format!("the report has no {percentile}: {}", self.0).into())
    }

    /// What came back, for people.
    pub(crate) fn figure(&self) -> Result<String> {
        let per_second = self.0["per_second"].as_f64().unwrap_or(0.0);
        Ok(format!("{} messages verified, {per_second:.0}/s", grouped(self.count("received")?)))
    }
}
