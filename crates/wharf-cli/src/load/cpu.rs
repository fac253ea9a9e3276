//! CPU time of processes, as the kernel's scheduler counts it (Linux).

use std::io;

/// The CPU time of one process, all of its threads.
#[derive(Debug)]
pub(super) struct CpuMeter {
    process: String,
}

/// The CPU time of a process up to a moment.
#[derive(Clone, Copy, Debug)]
pub(super) struct CpuTime {
    /// Nanoseconds of the threads that live.
    threads: u64,
    /// Nanoseconds of all threads that there were, in ticks.
    process: u64,
}

/// What `/proc/PID/stat` counts in: a hundredth of a second, on all systems that Rust knows.
const TICK_NANOS: u64 = 10_000_000;

impl CpuTime {
    /// Nanoseconds since an earlier moment. Those of the threads are exact, and lack the threads that have ended;
    /// where the process has used more than rounding explains, threads have ended.
    pub(super) const fn since(self, earlier: Self) -> u64 {
        let threads = self.threads.saturating_sub(earlier.threads);
        let process = self.process.saturating_sub(earlier.process);
        if process > threads + 2 * TICK_NANOS { process } else { threads }
    }
}

impl CpuMeter {
    pub(super) fn of_process(pid: u64) -> Self {
        Self { process: format!("/proc/{pid}") }
    }

    pub(super) fn of_this_process() -> Self {
        Self { process: "/proc/self".to_owned() }
    }

    /// The time on a CPU so far, up to a few milliseconds ago: the kernel counts a running thread at its ticks.
    /// Child processes do not count.
    ///
    /// # Errors
    /// What the system says if there is no such process, or no such file: then this is not Linux.
    pub(super) fn time(&self) -> io::Result<CpuTime> {
        Ok(CpuTime { threads: self.of_threads()?, process: self.of_process_in_ticks()? })
    }

    fn of_process_in_ticks(&self) -> io::Result<u64> {
        let line = std::fs::read_to_string(format!("{}/stat", self.process))?;
        // The name of the program, in parentheses, may hold anything; `utime` and `stime` are the 12th and 13th
        // field behind it.
        let fields = line.rsplit_once(')').map_or("", |(_, fields)| fields);
        let ticks: Option<Vec<u64>> =
            fields.split_whitespace().skip(11).take(2).map(|field| field.parse().ok()).collect();
        match ticks.as_deref() {
            Some(&[user, system]) => Ok((user + system) * TICK_NANOS),
            _ => Err(io::ErrorKind::InvalidData.into()),
        }
    }

    fn of_threads(&self) -> io::Result<u64> {
        let mut total = 0;
        for task in std::fs::read_dir(format!("{}/task", self.process))? {
            let line = match std::fs::read_to_string(task?.path().join("schedstat")) {
                Ok(line) => line,
                // The thread has ended since the directory was read.
                Err(error) if gone(&error) => continue,
                Err(error) => return Err(error),
            };
            let on_cpu = line.split_whitespace().next().and_then(|field| field.parse::<u64>().ok());
            total += on_cpu.ok_or(io::ErrorKind::InvalidData)?;
        }
        Ok(total)
    }
}

/// Whether a thread has ended: its files are gone, or cannot be read any more (`ESRCH`).
fn gone(error: &io::Error) -> bool {
    const ESRCH: i32 = 3;
    error.kind() == io::ErrorKind::NotFound || error.raw_os_error() == Some(ESRCH)
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn work_shows_in_the_meter() {
        let meter = CpuMeter::of_this_process();
        let before = meter.time().unwrap();
        // Until it shows: the kernel counts at its ticks. The bound is the test runner's patience.
        while meter.time().unwrap().since(before) < 1_000_000 {
            std::hint::spin_loop();
        }
    }

    #[test]
    fn the_work_of_a_thread_that_has_ended_still_counts() {
        const WORK_NANOS: u64 = 300_000_000;
        let meter = CpuMeter::of_this_process();
        let before = meter.time().unwrap();
        let work = || {
            let meter = CpuMeter { process: "/proc/thread-self".to_owned() };
            while meter.of_process_in_ticks().unwrap() < WORK_NANOS {
                std::hint::spin_loop();
            }
        };
        std::thread::spawn(work).join().unwrap();
        let worked = meter.time().unwrap().since(before);
        assert!(worked + 2 * TICK_NANOS >= WORK_NANOS, "{worked} ns");
    }

    #[test]
    fn a_process_that_is_not_there_is_an_error() {
        // Beyond the largest process id of Linux.
        assert!(CpuMeter::of_process(1 << 30).time().is_err());
    }
}
