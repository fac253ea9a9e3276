//! CPU time of processes, as the kernel's scheduler counts it (Linux).

use std::io;

/// The CPU time of one process, all of its threads.
#[derive(Debug)]
pub(super) struct CpuMeter {
    tasks: String,
}

impl CpuMeter {
    pub(super) fn of_process(pid: u64) -> Self {
        Self { tasks: format!("/proc/{pid}/task") }
    }

    pub(super) fn of_this_process() -> Self {
        Self { tasks: "/proc/self/task".to_owned() }
    }

    /// Nanoseconds on a CPU so far, up to a few milliseconds ago: the kernel counts a running thread
    /// at its ticks. A thread that has ended no longer counts, so what servers with a steady set of
    /// threads use is right, and what others use comes out too low.
    ///
    /// # Errors
    /// What the system says if there is no such process, or no such file: then this is not Linux.
    pub(super) fn nanos(&self) -> io::Result<u64> {
        let mut total = 0;
        for task in std::fs::read_dir(&self.tasks)? {
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
        let before = meter.nanos().unwrap();
        // Until it shows: the kernel counts at its ticks. The bound is the test runner's patience.
        while meter.nanos().unwrap() < before + 1_000_000 {
            std::hint::spin_loop();
        }
    }

    #[test]
    fn a_process_that_is_not_there_is_an_error() {
        // Beyond the largest process id of Linux.
        assert!(CpuMeter::of_process(1 << 30).nanos().is_err());
    }
}
