//! Durations, counted by how long they are.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Buckets with a bound: 1 µs, 2 µs, 4 µs and so on to 8.4 s.
const BOUNDED: usize = 24;

/// Durations that were counted: how many took up to 1 µs, 2 µs, 4 µs and so on, to 8.4 s and beyond.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Histogram {
    counts: [u64; BOUNDED + 1],
    sum: Duration,
}

impl Histogram {
    /// The buckets, from the shortest: the longest duration that is counted there, `None` for the last,
    /// and how many were. Each duration is counted in one bucket.
    pub fn buckets(&self) -> impl Iterator<Item = (Option<Duration>, u64)> {
        self.counts.iter().enumerate().map(|(index, count)| {
            let bound = (index < BOUNDED).then(|| Duration::from_micros(1 << index));
            (bound, *count)
        })
    }

    /// How many durations were counted.
    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// How long they are together.
    pub const fn sum(&self) -> Duration {
        self.sum
    }
}

/// What one worker has counted, where other threads can read it. Only the worker writes, so that a load
/// and a store are enough.
#[derive(Debug, Default)]
pub(crate) struct HistogramOfWorker {
    counts: [AtomicU64; BOUNDED + 1],
    sum_ns: AtomicU64,
}

impl HistogramOfWorker {
    pub(crate) fn count(&self, duration: Duration) {
        let ns = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        add(&self.counts[bucket(ns)], 1);
        add(&self.sum_ns, ns);
    }

    /// The sum may lack a duration that is being counted.
    pub(crate) fn read(&self) -> Histogram {
        Histogram {
            counts: std::array::from_fn(|index| self.counts[index].load(Ordering::Relaxed)),
            sum: Duration::from_nanos(self.sum_ns.load(Ordering::Relaxed)),
        }
    }
}

fn add(counter: &AtomicU64, more: u64) {
    counter.store(counter.load(Ordering::Relaxed).wrapping_add(more), Ordering::Relaxed);
}

/// The first bucket whose bound is not below so many nanoseconds.
fn bucket(ns: u64) -> usize {
    let us = ns.div_ceil(1000);
    let bits = us.saturating_sub(1).checked_ilog2().map_or(0, |log| log as usize + 1);
    bits.min(BOUNDED)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_is_counted_in_the_first_bucket_that_holds_it() {
        let counted = HistogramOfWorker::default();
        let nanos = [0, 1, 1000, 1001, 2000, 2001, 8_388_608_000, 8_388_608_001, u64::MAX >> 8];
        for ns in nanos {
            counted.count(Duration::from_nanos(ns));
        }
        let histogram = counted.read();
        let full: Vec<_> = histogram.buckets().filter(|(_, count)| *count > 0).collect();
        let us = |us| Some(Duration::from_micros(us));
        let expected = [(us(1), 3), (us(2), 2), (us(4), 1), (us(8_388_608), 1), (None, 2)];
        assert_eq!(full, expected);
        assert_eq!(histogram.count(), 9);
        assert_eq!(histogram.sum(), Duration::from_nanos(nanos.iter().sum()));
    }

    #[test]
    fn every_duration_lies_between_the_bound_before_and_its_own() {
        for shift in 0..64 {
            for ns in [1_u64 << shift, (1 << shift) - 1, (1 << shift) + 1] {
                let index = bucket(ns);
                assert!(index == BOUNDED || ns <= 1000 << index, "{ns} in {index}");
                assert!(index == 0 || ns > 1000 << (index - 1), "{ns} in {index}");
            }
        }
    }
}
