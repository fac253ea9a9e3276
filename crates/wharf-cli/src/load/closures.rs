//! Sessions that the server ended, and when.

use std::fmt;
use std::time::Duration;

use serde::Serialize;

use super::report::{Micros, grouped};

/// How old the sessions were that the server ended. One entry for each: they are bounded by the sessions.
#[derive(Debug, Default)]
pub(super) struct Closures {
    ages: Vec<Duration>,
    resets: u64,
}

/// What the JSON says of them; times in seconds from when a session was open, `None` if there is none.
#[derive(Clone, Copy, PartialEq, Debug, Serialize)]
pub(super) struct ClosuresReport {
    count: u64,
    /// Those of them that were reset.
    reset: u64,
    first_s: Option<f64>,
    median_s: Option<f64>,
    last_s: Option<f64>,
}

impl Closures {
    /// Counts a session of an age; whether it was ended by a reset.
    pub(super) fn count(&mut self, age: Duration, was_reset: bool) {
        self.ages.push(age);
        self.resets += u64::from(was_reset);
    }

    pub(super) const fn len(&self) -> u64 {
        self.ages.len() as u64
    }

    pub(super) fn report(&self) -> ClosuresReport {
        let mut ages = self.ages.clone();
        ages.sort_unstable();
        let seconds = |age: Option<&Duration>| age.map(Duration::as_secs_f64);
        ClosuresReport {
            count: self.len(),
            reset: self.resets,
            first_s: seconds(ages.first()),
            median_s: seconds(ages.get(ages.len() / 2)),
            last_s: seconds(ages.last()),
        }
    }
}

impl fmt::Display for Closures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let report = self.report();
        write!(f, "{}", grouped(report.count))?;
        let times = (report.first_s, report.median_s, report.last_s);
        let (Some(first), Some(median), Some(last)) = times else { return Ok(()) };
        let [first, median, last] = [first, median, last].map(|seconds| Micros(seconds * 1e6));
        let resets = grouped(report.reset);
        write!(f, " ({resets} of them reset), after {first} to {last}, half of them by {median}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_the_last_and_the_one_between_are_told() {
        let mut closures = Closures::default();
        assert_eq!(closures.to_string(), "0");
        for (age, was_reset) in [(3, true), (1, false), (2, true)] {
            closures.count(Duration::from_secs(age), was_reset);
        }
        let said = "3 (2 of them reset), after 1.00 s to 3.00 s, half of them by 2.00 s";
        assert_eq!(closures.to_string(), said);
        let report = closures.report();
        assert_eq!(
            (report.first_s, report.median_s, report.last_s),
            (Some(1.0), Some(2.0), Some(3.0))
        );
    }
}
