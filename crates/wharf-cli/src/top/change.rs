//! How much has changed, and in what time.

use std::time::Duration;

use super::sample::Sample;

/// From one look to the next.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) struct Change(Option<Duration>);

impl Change {
    /// `at` says when a part of a look was answered.
    pub(super) fn of(
        before: Option<&Sample>,
        now: &Sample,
        at: impl Fn(&Sample) -> Duration,
    ) -> Self {
        Self(before.and_then(|before| at(now).checked_sub(at(before))))
    }

    /// Nothing, if no time has passed.
    pub(super) fn seconds(self) -> Option<f64> {
        self.0.filter(|time| !time.is_zero()).map(|time| time.as_secs_f64())
    }
}

/// By how much a counter went on in a second; nothing, if it went back.
pub(super) fn rate(before: u64, now: u64, seconds: Option<f64>) -> Option<f64> {
    now.checked_sub(before).zip(seconds).map(|(more, seconds)| more as f64 / seconds)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_counter_that_goes_back_has_no_rate() {
        assert_eq!(rate(10, 30, Some(2.0)), Some(10.0));
        assert_eq!(rate(10, 10, Some(2.0)), Some(0.0));
        assert_eq!(rate(10, 9, Some(2.0)), None);
        assert_eq!(rate(10, 30, None), None);
        assert_eq!(rate(0, u64::MAX, Some(0.5)), Some(u64::MAX as f64 * 2.0));
    }
}
