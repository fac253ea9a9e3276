//! What the system tells about CPU time.

use std::fs;
use std::time::{Duration, Instant};

use crate::Result;

/// CPU times at one moment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sample {
    pub(crate) at: Instant,
    /// On-CPU time of all threads of the server.
    pub(crate) server: Duration,
    /// On-CPU time of the server CPU's soft-interrupt thread, which does network work for the
    /// server when there is much of it.
    pub(crate) softirq_thread: Duration,
    /// Time that the server's CPU was idle.
    pub(crate) idle: Duration,
    /// Time that the host gave to somebody else.
    pub(crate) stolen: Duration,
}

/// Takes samples for one server.
#[derive(Debug)]
pub(crate) struct Sampler {
    server: u32,
    softirq_thread: Option<u32>,
    cpu: usize,
}

impl Sampler {
    pub(crate) fn new(server: u32, cpu: usize) -> Self {
        Self { server, softirq_thread: softirq_thread(cpu), cpu }
    }

    pub(crate) fn sample(&self) -> Result<Sample> {
        let (idle, stolen) = idle_and_stolen(self.cpu)?;
        Ok(Sample {
            at: Instant::now(),
            server: on_cpu(self.server)?,
            softirq_thread: self.softirq_thread.map_or(Ok(Duration::ZERO), on_cpu)?,
            idle,
            stolen,
        })
    }
}

/// On-CPU time of a process, all threads that live.
fn on_cpu(process: u32) -> Result<Duration> {
    let mut total = Duration::ZERO;
    for thread in fs::read_dir(format!("/proc/{process}/task"))? {
        // A thread may end between the listing and the reading.
        let Ok(schedstat) = fs::read_to_string(thread?.path().join("schedstat")) else { continue };
        let nanoseconds = schedstat.split_whitespace().next().unwrap_or_default().parse()?;
        total += Duration::from_nanos(nanoseconds);
    }
    Ok(total)
}

/// The process id of `ksoftirqd` of a CPU, if it can be seen.
fn softirq_thread(cpu: usize) -> Option<u32> {
    let name = format!("ksoftirqd/{cpu}");
    let processes = fs::read_dir("/proc").ok()?.flatten();
    let mut ids = processes.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    ids.find(|id: &u32| {
        fs::read_to_string(format!("/proc/{id}/comm")).is_ok_and(|comm| comm.trim_end() == name)
    })
}

/// Idle time (with that of waiting for disks) and stolen time of a CPU since the system started.
fn idle_and_stolen(cpu: usize) -> Result<(Duration, Duration)> {
    let stat = fs::read_to_string("/proc/stat")?;
    parse_stat(&stat, cpu).ok_or_else(|| format!("/proc/stat tells nothing of CPU {cpu}").into())
}

fn parse_stat(stat: &str, cpu: usize) -> Option<(Duration, Duration)> {
    /// A tick of `/proc/stat` is 10 ms on every architecture that matters here.
    const TICK: Duration = Duration::from_millis(10);
    let name = format!("cpu{cpu}");
    let line = stat.lines().find(|line| line.split_whitespace().next() == Some(name.as_str()))?;
    let ticks: Vec<u32> = line.split_whitespace().skip(1).flat_map(str::parse).collect();
    // user, nice, system, idle, iowait, irq, softirq, steal
    Some((TICK * ticks.get(3)?.checked_add(*ticks.get(4)?)?, TICK * *ticks.get(7)?))
}

/// The processor's name and the kernel's release.
pub(crate) fn machine() -> String {
    let info = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = info.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    let model = model.map_or("unknown processor", |(_, model)| model);
    let kernel = rustix::system::uname();
    format!(
        "{model}, {} {}",
        kernel.sysname().to_string_lossy(),
        kernel.release().to_string_lossy()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn idle_and_stolen_are_found_in_the_right_columns() {
        let stat = "cpu  1 1 1 1 1 1 1 1 1 1\n\
            cpu0 10 20 30 400 50 60 70 8 0 0\n\
            cpu1 1 2 3 4 5 6 7 8 0 0\n";
        let expected = (Duration::from_millis(4500), Duration::from_millis(80));
        assert_eq!(parse_stat(stat, 0), Some(expected));
        assert_eq!(parse_stat(stat, 2), None);
    }

    #[test]
    fn the_own_process_has_used_cpu_time() {
        assert!(on_cpu(std::process::id()).unwrap() > Duration::ZERO);
    }
}
