//! Runs with traffic: messages, deliveries, connections.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::generator::{self, EXTRA_MAX, LOOK_EVERY, ReportFile, number};
use crate::Result;
use crate::case::{Case, Messages};
use crate::contender::Contender;
use crate::procfs::{self, Sample, Sampler};
use crate::results::Run;
use crate::rounds::Plan;
use crate::server::{self, Running};

/// Longest time that the sessions beside may take to be there.
const CONNECT_MAX: Duration = Duration::from_secs(30);

pub(super) fn run(
    plan: &Plan,
    contender: &Contender,
    case: Case,
    rate: Option<u64>,
) -> Result<Run> {
    let (server_cpus, load_cpus) = plan.cpus(case);
    let mut command = contender.command(case.framing());
    let (server, address) = server::start(&mut command, &server_cpus, plan.nice)?;
    let beside = match case {
        Case::Messages(Messages { idle, .. }) if idle > 0 => {
            Some(sit_beside(plan, address, idle, &load_cpus)?)
        }
        _ => None,
    };
    let report = ReportFile::new();
    let mut command = generator::busy(plan, address, case, rate);
    command.args(["--server-pid", &server.id().to_string()]).arg("--json").arg(&report.path);
    let generator = Running::start(&mut command, &load_cpus, plan.nice)?;
    let shares_cpus = case.is_unpinned().then(|| generator.id());
    let sampler = Sampler::new(server.id(), &server_cpus, shares_cpus);
    let mut samples = Vec::new();
    let time_max = plan.warmup + plan.window + EXTRA_MAX;
    let said = generator::wait(generator, &report, time_max, || {
        samples.push(sampler.sample()?);
        Ok(())
    })?;
    if let Some(mut beside) = beside
        && beside.ended()?.is_some()
    {
        return Err(format!("the idle sessions have ended: {}", beside.complaint()).into());
    }
    let mut run = evaluate(&said, &samples, plan.window, sampler.cpus(), case.is_unpinned())?;
    run.busiest_thread_share = busiest_share(&procfs::on_cpu_by_thread(server.id())?);
    Ok(run)
}

/// Opens sessions that say nothing, and waits until they are there.
///
/// What counts is that all sockets are open; the last connects are through long before the warm-up is. A
/// connect that fails ends the generator, which is looked for when the run is over.
fn sit_beside(plan: &Plan, address: SocketAddr, sessions: u32, cpus: &[usize]) -> Result<Running> {
    let kept = plan.warmup + plan.window + EXTRA_MAX * 2;
    let mut command = generator::command(plan, "idle", address, sessions);
    command.args(["--duration", &kept.as_secs_f64().to_string()]);
    let mut running = Running::start(&mut command, cpus, plan.nice)?;
    let deadline = Instant::now() + CONNECT_MAX;
    while procfs::descriptors(running.id())? < sessions as usize {
        if running.ended()?.is_some() || Instant::now() > deadline {
            let complaint = running.complaint();
            return Err(format!("the idle sessions do not come about: {complaint}").into());
        }
        std::thread::sleep(LOOK_EVERY);
    }
    Ok(running)
}

/// Reads the generator's report and puts the samples of its window beside it.
fn evaluate(
    report: &Value,
    samples: &[Sample],
    window: Duration,
    cpus: usize,
    is_unpinned: bool,
) -> Result<Run> {
    let per_second = number(report, "per_second")?;
    let (wrong, missing) = (number(report, "wrong")?, number(report, "missing")?);
    if wrong > 0.0 || missing > 0.0 {
        return Err(format!("{wrong} messages came back wrong, {missing} not at all").into());
    }
    if number(report, "received")? < 1.0 || per_second <= 0.0 {
        return Err("no message came back".into());
    }
    // Behind the window the generator waits for the last answers; its own end takes a few milliseconds.
    let drained = Duration::try_from_secs_f64(number(report, "drained_s")?)?;
    let (first, last) =
        ends(samples, window, drained).ok_or("the window is longer than the run")?;
    let seconds = |time: fn(&Sample) -> Duration| (time(last) - time(first)).as_secs_f64();
    let length = (last.at - first.at).as_secs_f64();
    let (server, softirq_thread) = (seconds(|s| s.server), seconds(|s| s.softirq_thread));
    let per_message = 1e9 / (length * per_second);
    let server_ns = report["server_cpu_ns_per_message"].as_f64().unwrap_or(server * per_message);
    // Where both share the CPUs, so do they the soft-interrupt threads.
    let softirq_thread_ns = if is_unpinned { 0.0 } else { softirq_thread * per_message };
    let (user, system) = (seconds(|s| s.user), seconds(|s| s.system));
    let user_share = (user + system > 0.0).then(|| user / (user + system));
    let accounted = server + softirq_thread + seconds(|s| s.generator) + seconds(|s| s.idle);
    let all = length * cpus as f64;
    let latency = &report["latency_us"];
    Ok(Run {
        cpu_ns: Some(server_ns + softirq_thread_ns),
        user_ns: user_share.map(|share| share * server_ns),
        system_ns: user_share.map(|share| (1.0 - share) * server_ns),
        softirq_thread_ns: Some(softirq_thread_ns),
        generator_ns: report["own_cpu_ns_per_message"].as_f64(),
        per_second: Some(per_second),
        p50_us: Some(number(latency, "p50")?),
        p90_us: Some(number(latency, "p90")?),
        p99_us: Some(number(latency, "p99")?),
        p999_us: Some(number(latency, "p999")?),
        foreign_share: (1.0 - accounted / all).max(seconds(|s| s.stolen) / all).max(0.0),
        ..Run::default()
    })
}

/// The samples nearest to the beginning and the end of a window that was over `drained` before the last one.
fn ends(samples: &[Sample], window: Duration, drained: Duration) -> Option<(&Sample, &Sample)> {
    let over = samples.last()?.at;
    let nearest = |age| samples.iter().min_by_key(|sample| (over - sample.at).abs_diff(age));
    let (first, last) = (nearest(drained + window)?, nearest(drained)?);
    (first.at < last.at).then_some((first, last))
}

/// The share of the busiest thread in what all have used.
fn busiest_share(threads: &[(u32, Duration)]) -> Option<f64> {
    let all: Duration = threads.iter().map(|(_, time)| *time).sum();
    let busiest = threads.iter().map(|(_, time)| *time).max()?;
    (all > Duration::ZERO).then(|| busiest.as_secs_f64() / all.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const WINDOW: Duration = Duration::from_secs(2);

    fn samples() -> Vec<Sample> {
        let start = Instant::now();
        let sample = |at_ms: u64, share_percent: u64| Sample {
            at: start + Duration::from_millis(at_ms),
            server: Duration::from_millis(at_ms * share_percent / 100),
            user: Duration::from_millis(at_ms / 10),
            system: Duration::from_millis(at_ms * 3 / 10),
            softirq_thread: Duration::from_millis(at_ms / 50),
            generator: Duration::ZERO,
            idle: Duration::from_millis(at_ms / 10),
            stolen: Duration::ZERO,
        };
        [0, 500, 1000, 1500, 2000, 2500].map(|at| sample(at, 80)).to_vec()
    }

    fn report(cpu: &Value) -> Value {
        json!({
            "received": 2500, "per_second": 1000.0, "wrong": 0, "missing": 0, "drained_s": 0.0,
            "latency_us": { "p50": 1, "p90": 2, "p99": 2.5, "p999": 3 },
            "server_cpu_ns_per_message": cpu,
        })
    }

    fn close(left: Option<f64>, right: f64) -> bool {
        left.is_some_and(|left| (left - right).abs() < 1.0)
    }

    #[test]
    fn the_generators_figure_is_used_and_the_softirq_thread_added() {
        let run = evaluate(&report(&json!(700_000.0)), &samples(), WINDOW, 1, false).unwrap();
        assert!(close(run.softirq_thread_ns, 20_000.0), "{run:?}");
        assert!(close(run.cpu_ns, 720_000.0), "{run:?}");
        assert!((run.foreign_share - 0.08).abs() < 1e-6, "{run:?}");
    }

    #[test]
    fn user_and_system_are_parts_of_the_servers_own_time() {
        let run = evaluate(&report(&json!(700_000.0)), &samples(), WINDOW, 1, false).unwrap();
        assert!(close(run.user_ns, 175_000.0) && close(run.system_ns, 525_000.0), "{run:?}");
    }

    #[test]
    fn without_it_the_samples_of_the_window_count() {
        let run = evaluate(&report(&Value::Null), &samples(), WINDOW, 1, false).unwrap();
        assert!(close(run.cpu_ns, 820_000.0), "{run:?}");
    }

    #[test]
    fn what_comes_behind_the_window_does_not_count() {
        let mut samples = samples();
        // The last answers take a second, in which the server does nothing.
        let (at, server) = samples.last().map(|last| (last.at, last.server)).unwrap();
        for millis in [500, 1000] {
            let at = at + Duration::from_millis(millis);
            samples.push(Sample { at, server, ..*samples.last().unwrap() });
        }
        let mut report = report(&Value::Null);
        report["drained_s"] = json!(1.0);
        let run = evaluate(&report, &samples, WINDOW, 1, false).unwrap();
        assert!(close(run.cpu_ns, 820_000.0), "{run:?}");
    }

    #[test]
    fn an_unpinned_server_is_not_charged_for_threads_that_all_share() {
        let run = evaluate(&report(&json!(700_000.0)), &samples(), WINDOW, 2, true).unwrap();
        assert!(close(run.cpu_ns, 700_000.0), "{run:?}");
        // Of two CPUs, one was busy with nobody knows what.
        assert!((run.foreign_share - 0.54).abs() < 1e-6, "{run:?}");
    }

    #[test]
    fn wrong_bytes_are_a_failure() {
        let mut report = report(&Value::Null);
        report["wrong"] = json!(1);
        assert!(evaluate(&report, &samples(), WINDOW, 1, false).is_err());
    }

    #[test]
    fn the_busiest_thread_is_told_as_a_share() {
        let threads = [(1, Duration::from_secs(1)), (2, Duration::from_secs(3))];
        assert_eq!(busiest_share(&threads), Some(0.75));
        assert_eq!(busiest_share(&[(1, Duration::ZERO)]), None);
    }
}
