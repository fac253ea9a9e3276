//! What the live line says.

use std::fmt;
use std::time::{Duration, Instant};

use indicatif::{HumanBytes, HumanCount};
use wharf::Stats;

use crate::clock::now;
use crate::counted::Counted;

/// What a server does in a second, from two looks at what it has counted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Rates {
    sessions: u64,
    frames: u64,
    bytes_in: u64,
    bytes_out: u64,
}

impl Rates {
    fn between(before: &Stats, after: &Stats, elapsed: Duration) -> Self {
        let nanos = elapsed.as_nanos().max(1);
        let per_second = |before: u64, after: u64| {
            let count = u128::from(after.saturating_sub(before));
            u64::try_from(count * 1_000_000_000 / nanos).unwrap_or(u64::MAX)
        };
        Self {
            sessions: after.sessions,
            frames: per_second(before.frames_in, after.frames_in),
            bytes_in: per_second(before.bytes_in, after.bytes_in),
            bytes_out: per_second(before.bytes_out, after.bytes_out),
        }
    }
}

impl fmt::Display for Rates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}  {} frames/s  in {}/s  out {}/s",
            Counted(self.sessions, "session"),
            HumanCount(self.frames),
            HumanBytes(self.bytes_in),
            HumanBytes(self.bytes_out),
        )
    }
}

/// The last look.
#[derive(Debug)]
pub(super) struct Meter {
    stats: Stats,
    at: Instant,
}

impl Meter {
    pub(super) fn new(stats: Stats) -> Self {
        Self { stats, at: now() }
    }

    /// What was done since the last look.
    pub(super) fn look(&mut self, stats: Stats) -> Rates {
        let now = now();
        let rates = Rates::between(&self.stats, &stats, now - self.at);
        *self = Self { stats, at: now };
        rates
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_per_second_whatever_the_time_between_two_looks() {
        let mut after = Stats::default();
        after.sessions = 1_200;
        after.frames_in = 50_000;
        after.bytes_in = 1 << 20;
        after.bytes_out = 1 << 10;
        let rates = Rates::between(&Stats::default(), &after, Duration::from_millis(500));
        let line = "1,200 sessions  100,000 frames/s  in 2.00 MiB/s  out 2.00 KiB/s";
        assert_eq!(rates.to_string(), line);
        let still = Rates::between(&after, &after, Duration::ZERO);
        assert_eq!(still.to_string(), "1,200 sessions  0 frames/s  in 0 B/s  out 0 B/s");
    }
}
