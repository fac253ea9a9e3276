//! What the server used, second by second.

use std::fmt;
use std::time::Duration;

use crate::checks::{ensure, grouped};
use crate::wait::Stopwatch;
use crate::{Result, procfs};

/// What the server's memory may grow by between the first third of the samples and the last.
const GROWTH_MAX: i64 = 1 << 20;

#[derive(Debug)]
pub(super) struct Samples {
    process: u32,
    stopwatch: Stopwatch,
    cpu_before: Duration,
    memory: Vec<u64>,
    descriptors: Vec<usize>,
    /// CPU time and real time, as of the last sample.
    cpu: Duration,
    time: Duration,
}

impl Samples {
    pub(super) fn of(process: u32) -> Result<Self> {
        Ok(Self {
            process,
            stopwatch: Stopwatch::start(),
            cpu_before: procfs::cpu(process)?,
            memory: Vec::new(),
            descriptors: Vec::new(),
            cpu: Duration::ZERO,
            time: Duration::ZERO,
        })
    }

    pub(super) fn take(&mut self) -> Result<()> {
        self.memory.push(procfs::memory(self.process)?);
        self.descriptors.push(procfs::descriptors(self.process)?);
        self.cpu = procfs::cpu(self.process)? - self.cpu_before;
        self.time = self.stopwatch.elapsed();
        Ok(())
    }

    /// Checks that the memory stays where it is.
    pub(super) fn check(&self, figure: &str) -> Result<()> {
        let (first, last) = thirds(&self.memory);
        ensure(last - first <= GROWTH_MAX, || format!("the memory grows: {figure}"))
    }
}

/// The means of the first and of the last third.
fn thirds(samples: &[u64]) -> (i64, i64) {
    let third = (samples.len() / 3).max(1).min(samples.len());
    let mean = |part: &[u64]| {
        let sum: u64 = part.iter().sum();
        i64::try_from(sum / part.len().max(1) as u64).unwrap_or(i64::MAX)
    };
    (mean(&samples[..third]), mean(&samples[samples.len() - third..]))
}

impl fmt::Display for Samples {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (first, last) = thirds(&self.memory);
        let least = self.descriptors.iter().min().copied().unwrap_or_default();
        let most = self.descriptors.iter().max().copied().unwrap_or_default();
        write!(
            f,
            "{} samples: memory {} KiB in the first third, {:+} KiB to the last; {least} to {most} \
             descriptors; {:.0}% of a core",
            self.memory.len(),
            grouped(first.unsigned_abs() >> 10),
            (last - first) >> 10,
            100.0 * self.cpu.as_secs_f64() / self.time.as_secs_f64().max(1e-9)
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thirds_are_means_and_the_middle_does_not_count() {
        assert_eq!(thirds(&[1, 3, 100, 100, 7, 9]), (2, 8));
        assert_eq!(thirds(&[5]), (5, 5));
        assert_eq!(thirds(&[]), (0, 0));
    }
}
