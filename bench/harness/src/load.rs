//! One run: a server, a load on it, and what that cost.

use std::env;
use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::Result;
use crate::case::Case;
use crate::contender::Contender;
use crate::procfs::{Sample, Sampler};
use crate::rounds::Plan;
use crate::server::{self, Running};

/// Pause between two samples.
const SAMPLE_EVERY: Duration = Duration::from_millis(20);

/// Longest time that the generator may take beyond warm-up and window.
const EXTRA_MAX: Duration = Duration::from_secs(20);

/// What one run has shown.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Run {
    /// CPU time of the server and its CPU's soft-interrupt thread, per message, in nanoseconds.
    pub(crate) cpu_ns: f64,
    /// The soft-interrupt thread's part of it.
    pub(crate) softirq_thread_ns: f64,
    /// Messages per second.
    pub(crate) per_second: f64,
    pub(crate) p50_us: f64,
    pub(crate) p99_us: f64,
    /// Share of the window that the server's CPU spent on neither server nor idleness.
    pub(crate) foreign_share: f64,
}

/// Starts the server, loads it, ends it.
pub(crate) fn run(plan: &Plan, contender: &Contender, case: Case) -> Result<Run> {
    let mut command = contender.command(case.framing);
    let (server, address) = server::start(&mut command, plan.server_cpu, plan.nice)?;
    let report = ReportFile::new();
    let mut command = Command::new(&plan.load);
    command
        .args(["load", case.framing.kind(), "--connect", &address.to_string()])
        .args(["--sessions", &case.sessions.to_string()])
        .args(["--size", &case.size.to_string()])
        .args(["--depth", &case.depth.to_string()])
        .args(["--duration", &plan.window.as_secs_f64().to_string()])
        .args(["--warmup", &plan.warmup.as_secs_f64().to_string()])
        .args(["--framing", case.framing.word()])
        .args(["--server-pid", &server.id().to_string()])
        .arg("--json")
        .arg(&report.path)
        .stdout(Stdio::null());
    let sampler = Sampler::new(server.id(), plan.server_cpu);
    let mut generator = Running::start(&mut command, plan.load_cpu, plan.nice)?;
    let samples = watch(&mut generator, &sampler, plan.window + plan.warmup + EXTRA_MAX)
        .map_err(|error| format!("{error}; it says: {}", generator.complaint()))?;
    let text = fs::read_to_string(&report.path);
    let text = text.map_err(|error| format!("the generator left no report: {error}"))?;
    evaluate(&serde_json::from_str(&text)?, &samples)
}

/// Samples until the generator has ended.
fn watch(generator: &mut Running, sampler: &Sampler, time_max: Duration) -> Result<Vec<Sample>> {
    let deadline = Instant::now() + time_max;
    let mut samples = vec![sampler.sample()?];
    loop {
        thread::sleep(SAMPLE_EVERY);
        let ended = generator.ended()?;
        samples.push(sampler.sample().map_err(|_| "the server ended under the generator")?);
        match ended {
            Some(true) => return Ok(samples),
            Some(false) => return Err("the generator reports a failure".into()),
            None if Instant::now() > deadline => return Err("the generator does not end".into()),
            None => {}
        }
    }
}

/// Reads the generator's report and puts the samples of its window beside it.
fn evaluate(report: &Value, samples: &[Sample]) -> Result<Run> {
    let number = |value: &Value, name: &str| {
        value[name].as_f64().ok_or_else(|| format!("the generator does not report `{name}`"))
    };
    let received = number(report, "received")?;
    let per_second = number(report, "per_second")?;
    let (wrong, missing) = (number(report, "wrong")?, number(report, "missing")?);
    if wrong > 0.0 || missing > 0.0 {
        return Err(format!("{wrong} messages came back wrong, {missing} not at all").into());
    }
    if received < 1.0 || per_second <= 0.0 {
        return Err("no message came back".into());
    }
    // The window ends when the generator does, but for the few milliseconds of its own end.
    let window = Duration::from_secs_f64(received / per_second);
    let (first, last) = ends(samples, window).ok_or("the window is longer than the run")?;
    let seconds = |time: fn(&Sample) -> Duration| (time(last) - time(first)).as_secs_f64();
    let length = (last.at - first.at).as_secs_f64();
    let (server, softirq_thread) = (seconds(|s| s.server), seconds(|s| s.softirq_thread));
    let accounted = server + softirq_thread + seconds(|s| s.idle);
    let per_message = 1e9 / (length * per_second);
    let server_ns = report["server_cpu_ns_per_message"].as_f64().unwrap_or(server * per_message);
    let softirq_thread_ns = softirq_thread * per_message;
    let latency = &report["latency_us"];
    Ok(Run {
        cpu_ns: server_ns + softirq_thread_ns,
        softirq_thread_ns,
        per_second,
        p50_us: number(latency, "p50")?,
        p99_us: number(latency, "p99")?,
        foreign_share: (1.0 - accounted / length).max(seconds(|s| s.stolen) / length).max(0.0),
    })
}

/// The last sample and the one nearest to the beginning of the window before it.
fn ends(samples: &[Sample], window: Duration) -> Option<(&Sample, &Sample)> {
    let last = samples.last()?;
    let first = samples.iter().min_by_key(|sample| (last.at - sample.at).abs_diff(window))?;
    (first.at < last.at).then_some((first, last))
}

/// A file for the generator's report; removed when dropped.
#[derive(Debug)]
struct ReportFile {
    path: PathBuf,
}

impl ReportFile {
    fn new() -> Self {
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

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn samples() -> Vec<Sample> {
        let start = Instant::now();
        let sample = |at_ms: u64, share_percent: u64| Sample {
            at: start + Duration::from_millis(at_ms),
            server: Duration::from_millis(at_ms * share_percent / 100),
            softirq_thread: Duration::from_millis(at_ms / 50),
            idle: Duration::from_millis(at_ms / 10),
            stolen: Duration::ZERO,
        };
        [0, 500, 1000, 1500, 2000, 2500].map(|at| sample(at, 80)).to_vec()
    }

    fn report(cpu: &Value) -> Value {
        json!({
            "received": 2000, "per_second": 1000.0, "wrong": 0, "missing": 0,
            "latency_us": { "p50": 1, "p99": 2.5 }, "server_cpu_ns_per_message": cpu,
        })
    }

    #[test]
    fn the_generators_figure_is_used_and_the_softirq_thread_added() {
        let run = evaluate(&report(&json!(700_000.0)), &samples()).unwrap();
        assert!((run.softirq_thread_ns - 20_000.0).abs() < 1.0, "{run:?}");
        assert!((run.cpu_ns - 720_000.0).abs() < 1.0, "{run:?}");
        assert!((run.foreign_share - 0.08).abs() < 1e-6, "{run:?}");
    }

    #[test]
    fn without_it_the_samples_of_the_window_count() {
        let run = evaluate(&report(&Value::Null), &samples()).unwrap();
        assert!((run.cpu_ns - 820_000.0).abs() < 1.0, "{run:?}");
    }

    #[test]
    fn wrong_bytes_are_a_failure() {
        let mut report = report(&Value::Null);
        report["wrong"] = json!(1);
        assert!(evaluate(&report, &samples()).is_err());
    }
}
