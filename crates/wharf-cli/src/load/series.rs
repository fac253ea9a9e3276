//! How many messages had come back by when: the throughput over time.
//!
//! A series is bounded however long a run is: when it is full, every other mark goes, and the marks that
//! follow are twice as far apart.

use std::time::Duration;

use wharf_port::Time;

/// How far two marks are apart in a short run.
const INTERVAL: Duration = Duration::from_millis(50);
/// The most marks.
const MARKS_MAX: usize = 400;

/// So many messages had come back at a moment.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Mark {
    pub(super) at: Time,
    pub(super) received: u64,
}

/// Marks of a run, none of them closer to the one before than the interval, but for the last one.
#[derive(Debug)]
pub(super) struct Series {
    marks: Vec<Mark>,
    interval: Duration,
    /// When the next mark is due; far away if nobody wants a series.
    next: Time,
    is_wanted: bool,
}

impl Series {
    /// A series without marks. One that nobody wants stays so.
    pub(super) const fn new(is_wanted: bool) -> Self {
        let next = Time::from_nanos(u64::MAX);
        Self { marks: Vec::new(), interval: INTERVAL, next, is_wanted }
    }

    /// The moment from which on it is measured.
    pub(super) fn begin(&mut self, at: Time, received: u64) {
        if self.is_wanted {
            self.mark(at, received);
        }
    }

    /// When the next mark is due, if there is to be another one.
    #[inline]
    pub(super) const fn next(&self) -> Time {
        self.next
    }

    /// Marks what has come back if the time has come.
    #[inline]
    pub(super) fn sample(&mut self, now: Time, received: u64) {
        if now >= self.next {
            self.mark(now, received);
        }
    }

    /// The moment at which measuring ends.
    pub(super) fn end(&mut self, at: Time, received: u64) {
        if self.is_wanted {
            self.mark(at, received);
            self.next = Time::from_nanos(u64::MAX);
        }
    }

    #[cold]
    fn mark(&mut self, at: Time, received: u64) {
        if self.marks.len() == MARKS_MAX {
            let mut number = 0;
            self.marks.retain(|_| {
                number += 1;
                number % 2 == 1
            });
            self.interval *= 2;
        }
        self.marks.push(Mark { at, received });
        self.next = at + self.interval;
    }

    /// Seconds since the beginning, and messages per second from there to the next mark. The last
    /// moment stands there with the rate that led to it.
    pub(super) fn rates(&self) -> Vec<(f64, f64)> {
        let Some(first) = self.marks.first() else { return Vec::new() };
        let seconds = |mark: &Mark| (mark.at - first.at).as_secs_f64();
        let mut rates = Vec::with_capacity(self.marks.len());
        let mut last = None;
        for pair in self.marks.windows(2) {
            let [from, to] = pair else { continue };
            // The last mark may come on the heels of the one before.
            let is_short = (to.at - from.at) < self.interval / 2 && last.is_some();
            if !is_short {
                let messages = (to.received - from.received) as f64;
                let rate = messages / (to.at - from.at).as_secs_f64().max(1e-9);
                rates.push((seconds(from), rate));
                last = Some((seconds(to), rate));
            }
        }
        rates.extend(last);
        rates
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Time {
        Time::from_nanos(millis * 1_000_000)
    }

    #[test]
    fn a_long_series_keeps_its_bounds_and_its_sum() {
        let mut series = Series::new(true);
        series.begin(at(0), 7);
        for milli in 1..=1_000_000 {
            series.sample(at(milli), 7 + milli);
        }
        series.end(at(1_000_001), 1_000_008);
        assert!(series.marks.len() <= MARKS_MAX, "{}", series.marks.len());
        assert!(series.marks.len() > MARKS_MAX / 2 - 2, "{}", series.marks.len());
        assert_eq!(series.marks[0], Mark { at: at(0), received: 7 });
        assert!(series.rates().iter().all(|(_, rate)| (rate - 1_000.0).abs() < 0.01));
    }

    #[test]
    fn a_stall_is_seen() {
        let mut series = Series::new(true);
        series.begin(at(0), 0);
        series.sample(at(49), 10);
        series.sample(at(50), 100);
        series.sample(at(250), 100);
        series.end(at(300), 200);
        assert_eq!(series.rates(), [(0.0, 2_000.0), (0.05, 0.0), (0.25, 2_000.0), (0.3, 2_000.0)]);
    }

    #[test]
    fn a_series_that_nobody_wants_has_no_marks() {
        let mut series = Series::new(false);
        series.begin(at(0), 0);
        series.sample(at(1_000_000), 5);
        series.end(at(1_000_001), 5);
        assert_eq!(series.marks, []);
        assert_eq!(series.next(), Time::from_nanos(u64::MAX));
    }
}
