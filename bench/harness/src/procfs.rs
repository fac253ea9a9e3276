//! What the system tells about CPU time and memory.

use std::cell::Cell;
use std::fs;
use std::time::{Duration, Instant};

use crate::Result;

/// A tick of `/proc` is 10 ms on every architecture that matters here.
const TICK: Duration = Duration::from_millis(10);

/// CPU times at one moment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sample {
    pub(crate) at: Instant,
    /// On-CPU time of all threads of the server.
    pub(crate) server: Duration,
    /// The server's time in user and in system mode, in ticks: good for their ratio alone.
    pub(crate) user: Duration,
    pub(crate) system: Duration,
    /// On-CPU time of the soft-interrupt threads of the server's CPUs, which do network work for the
    /// server when there is much of it.
    pub(crate) softirq_thread: Duration,
    /// On-CPU time of the generator, if it runs on the server's CPUs.
    pub(crate) generator: Duration,
    /// Time that the server's CPUs were idle, together.
    pub(crate) idle: Duration,
    /// Time that the host gave to somebody else, together.
    pub(crate) stolen: Duration,
}

/// Takes samples for one server.
#[derive(Debug)]
pub(crate) struct Sampler {
    server: u32,
    softirq_threads: Vec<u32>,
    cpus: Vec<usize>,
    generator: Option<u32>,
    /// What the generator had used when it was seen last: its end is sampled too.
    generator_seen: Cell<Duration>,
}

impl Sampler {
    /// Samples a server that runs on `cpus`, and a generator that runs there too.
    pub(crate) fn new(server: u32, cpus: &[usize], generator: Option<u32>) -> Self {
        let softirq_threads = cpus.iter().copied().filter_map(softirq_thread).collect();
        let generator_seen = Cell::new(Duration::ZERO);
        Self { server, softirq_threads, cpus: cpus.to_vec(), generator, generator_seen }
    }

    pub(crate) fn sample(&self) -> Result<Sample> {
        let (idle, stolen) = idle_and_stolen(&self.cpus)?;
        let (user, system) = user_and_system(self.server)?;
        if let Some(Ok(time)) = self.generator.map(on_cpu) {
            self.generator_seen.set(time.max(self.generator_seen.get()));
        }
        let softirq_thread = self.softirq_threads.iter().map(|thread| on_cpu(*thread));
        Ok(Sample {
            at: Instant::now(),
            server: on_cpu(self.server)?,
            user,
            system,
            softirq_thread: softirq_thread.sum::<Result<_>>()?,
            generator: self.generator_seen.get(),
            idle,
            stolen,
        })
    }

    /// How many CPUs the server may run on.
    pub(crate) fn cpus(&self) -> usize {
        self.cpus.len()
    }
}

/// On-CPU time of a process, all threads that live.
fn on_cpu(process: u32) -> Result<Duration> {
    Ok(on_cpu_by_thread(process)?.into_iter().map(|(_, time)| time).sum())
}

/// On-CPU time of each thread of a process that lives, by thread id.
pub(crate) fn on_cpu_by_thread(process: u32) -> Result<Vec<(u32, Duration)>> {
    let mut threads = Vec::new();
    for thread in fs::read_dir(format!("/proc/{process}/task"))? {
        let thread = thread?;
        // A thread may end between the listing and the reading.
        let Ok(schedstat) = fs::read_to_string(thread.path().join("schedstat")) else { continue };
        let nanoseconds = schedstat.split_whitespace().next().unwrap_or_default().parse()?;
        let id = thread.file_name().to_str().and_then(|id| id.parse().ok()).unwrap_or_default();
        threads.push((id, Duration::from_nanos(nanoseconds)));
    }
    Ok(threads)
}

/// Time of a process in user and in system mode, threads that have ended included.
fn user_and_system(process: u32) -> Result<(Duration, Duration)> {
    let stat = fs::read_to_string(format!("/proc/{process}/stat"))?;
    let times = parse_process_stat(&stat);
    times.ok_or_else(|| format!("/proc/{process}/stat has no times in it").into())
}

fn parse_process_stat(stat: &str) -> Option<(Duration, Duration)> {
    // The name may have blanks and brackets in it; nothing behind it does.
    let (_, behind_name) = stat.rsplit_once(')')?;
    let mut fields = behind_name.split_whitespace().skip(11);
    let mut ticks = || fields.next()?.parse::<u32>().ok().map(|ticks| TICK * ticks);
    Some((ticks()?, ticks()?))
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

/// Idle time (with that of waiting for disks) and stolen time of CPUs since the system started.
fn idle_and_stolen(cpus: &[usize]) -> Result<(Duration, Duration)> {
    let stat = fs::read_to_string("/proc/stat")?;
    let mut sum = (Duration::ZERO, Duration::ZERO);
    for &cpu in cpus {
        let times = parse_stat(&stat, cpu);
        let times = times.ok_or_else(|| format!("/proc/stat tells nothing of CPU {cpu}"))?;
        sum = (sum.0 + times.0, sum.1 + times.1);
    }
    Ok(sum)
}

fn parse_stat(stat: &str, cpu: usize) -> Option<(Duration, Duration)> {
    let name = format!("cpu{cpu}");
    let line = stat.lines().find(|line| line.split_whitespace().next() == Some(name.as_str()))?;
    let ticks: Vec<u32> = line.split_whitespace().skip(1).flat_map(str::parse).collect();
    // user, nice, system, idle, iowait, irq, softirq, steal
    Some((TICK * ticks.get(3)?.checked_add(*ticks.get(4)?)?, TICK * *ticks.get(7)?))
}

/// Memory of a process, in bytes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Memory {
    /// Pages that are its own and no file's: what it has allocated.
    pub(crate) anonymous: u64,
    /// All pages that it has touched, files included.
    pub(crate) resident: u64,
}

impl Memory {
    /// That of a process now.
    pub(crate) fn of(process: u32) -> Result<Self> {
        let rollup = fs::read_to_string(format!("/proc/{process}/smaps_rollup"))?;
        let memory = parse_rollup(&rollup);
        memory.ok_or_else(|| format!("/proc/{process}/smaps_rollup has no sizes in it").into())
    }
}

fn parse_rollup(rollup: &str) -> Option<Memory> {
    let bytes = |name: &str| {
        let value = rollup.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
        Some(value.trim().strip_suffix(" kB")?.parse::<u64>().ok()? * 1024)
    };
    Some(Memory { anonymous: bytes("Anonymous")?, resident: bytes("Rss")? })
}

/// Descriptors that a process has open.
pub(crate) fn descriptors(process: u32) -> Result<usize> {
    Ok(fs::read_dir(format!("/proc/{process}/fd"))?.count())
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
    fn user_and_system_stand_behind_a_name_that_may_look_like_them() {
        let stat = "17 (a) b (1 2 3) S 1 17 17 0 -1 4194560 1 2 3 4 250 75 5 6 20 0 1 0 99";
        let expected = (Duration::from_millis(2500), Duration::from_millis(750));
        assert_eq!(parse_process_stat(stat), Some(expected));
        assert_eq!(parse_process_stat("17 (a) S 1"), None);
    }

    #[test]
    fn sizes_of_memory_are_those_of_their_own_lines() {
        let rollup = "5581-7ffe ---p 00000000 00:00 0    [rollup]\n\
            Rss:               12440 kB\nPss:                4028 kB\nPss_Anon:           3 kB\n\
            Anonymous:          2780 kB\nLazyFree:              0 kB\n";
        let expected = Memory { anonymous: 2780 * 1024, resident: 12_440 * 1024 };
        assert_eq!(parse_rollup(rollup), Some(expected));
        assert_eq!(parse_rollup("Rss: 1 kB\n"), None);
    }

    #[test]
    fn the_own_process_has_used_cpu_time_memory_and_descriptors() {
        let own = std::process::id();
        assert!(on_cpu(own).unwrap() > Duration::ZERO);
        assert!(Memory::of(own).unwrap().anonymous > 0);
        assert!(descriptors(own).unwrap() > 2);
    }
}
