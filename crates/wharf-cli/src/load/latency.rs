//! How long answers took, counted from when their messages were due.

use hdrhistogram::Histogram;
use serde::Serialize;
use wharf_port::Time;

use crate::failure::{Exit, Failure};

/// The longest time that is told from longer ones: an hour.
const LONGEST_NANOS: u64 = 3_600 * 1_000_000_000;
/// Decimal digits that a value keeps.
const DIGITS: u8 = 3;

/// The latencies of a run.
#[derive(Debug)]
pub(super) struct Latency {
    histogram: Histogram<u64>,
    /// Messages that were due before do not count.
    from: Time,
}

/// What the JSON says about latency, in microseconds; `None` if nothing was measured.
#[derive(Clone, Copy, PartialEq, Debug, Serialize)]
pub(super) struct LatencyMicros {
    pub(super) p50: Option<f64>,
    pub(super) p90: Option<f64>,
    pub(super) p99: Option<f64>,
    pub(super) p999: Option<f64>,
    pub(super) max: Option<f64>,
}

impl Latency {
    /// Counts nothing until [`count_from`](Self::count_from).
    pub(super) fn new() -> Result<Self, Failure> {
        let histogram = Histogram::new_with_bounds(1, LONGEST_NANOS, DIGITS)
            .map_err(|error| Failure::new(Exit::Failed, error))?;
        Ok(Self { histogram, from: Time::from_nanos(u64::MAX) })
    }

    /// Counts the messages that are due at `from` or later, whenever they are answered: the last
    /// ones, which a stalled server answers late or in the end, are the ones that matter.
    pub(super) const fn count_from(&mut self, from: Time) {
        self.from = from;
    }

    /// Counts `messages` that were due together and have been answered together.
    #[inline]
    pub(super) fn record(&mut self, due: Time, answered: Time, messages: u64) {
        if due >= self.from {
            let nanos = answered.as_nanos().saturating_sub(due.as_nanos());
            self.histogram.saturating_record_n(nanos, messages);
        }
    }

    /// How many messages were counted.
    pub(super) fn count(&self) -> u64 {
        self.histogram.len()
    }

    /// What the shares of all messages from the fastest up to the slowest took at most: `points` of them,
    /// at even distances of nines. One nine is nine of ten messages, two nines are 99 of 100, and the last
    /// point is the slowest message. Nines, and microseconds; nothing if nothing was measured.
    pub(super) fn by_nines(&self, points: u32) -> Vec<(f64, f64)> {
        if self.histogram.is_empty() {
            return Vec::new();
        }
        let most = (self.count() as f64).log10().max(1.0);
        let point = |step: u32| {
            let nines = most * f64::from(step) / f64::from(points.max(2) - 1);
            let nanos = self.histogram.value_at_quantile(1.0 - 10f64.powf(-nines));
            (nines, nanos.max(1) as f64 / 1000.0)
        };
        let mut curve: Vec<_> = (0..points.max(2)).map(point).collect();
        if let Some((_, micros)) = curve.last_mut() {
            *micros = self.histogram.max() as f64 / 1000.0;
        }
        curve
    }

    pub(super) fn micros(&self) -> LatencyMicros {
        let micros = |nanos: u64| (!self.histogram.is_empty()).then_some(nanos as f64 / 1000.0);
        let quantile = |share| micros(self.histogram.value_at_quantile(share));
        LatencyMicros {
            p50: quantile(0.5),
            p90: quantile(0.9),
            p99: quantile(0.99),
            p999: quantile(0.999),
            max: micros(self.histogram.max()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(nanos: u64) -> Time {
        Time::from_nanos(nanos)
    }

    #[test]
    fn the_curve_goes_from_the_fastest_to_the_slowest() {
        let mut latency = Latency::new().unwrap();
        assert_eq!(latency.by_nines(9), []);
        latency.count_from(at(0));
        latency.record(at(0), at(1_000), 900);
        latency.record(at(0), at(2_000), 90);
        latency.record(at(0), at(4_000), 9);
        latency.record(at(0), at(8_000), 1);
        let curve = latency.by_nines(7);
        let nines: Vec<f64> = curve.iter().map(|(nines, _)| (nines * 2.0).round() / 2.0).collect();
        assert_eq!(nines, [0.0, 0.5, 1.0, 1.5, 2.0, 2.5, 3.0]);
        let micros: Vec<f64> = curve.iter().map(|(_, micros)| micros.round()).collect();
        assert_eq!(micros, [1.0, 1.0, 1.0, 2.0, 2.0, 4.0, 8.0]);
    }

    #[test]
    fn what_was_due_before_the_window_does_not_count() {
        let mut latency = Latency::new().unwrap();
        latency.record(at(0), at(9_000_000), 5);
        assert_eq!(latency.micros().p50, None);
        latency.count_from(at(100));
        latency.record(at(99), at(9_000_000), 5);
        assert_eq!(latency.micros().max, None);
        latency.record(at(100), at(2_100), 99);
        latency.record(at(100), at(1_000_100), 1);
        let micros = latency.micros();
        assert_eq!(micros.p50, Some(2.0));
        assert_eq!(micros.p99, Some(2.0));
        // Three digits are kept.
        assert!(micros.max.is_some_and(|max| (max - 1000.0).abs() < 1.0), "{micros:?}");
    }
}
