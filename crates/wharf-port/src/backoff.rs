//! How long a listener rests when it cannot accept.

use std::time::Duration;

use crate::clock::Time;
use crate::error::AcceptError;

const FIRST: Duration = Duration::from_millis(10);
const LONGEST: Duration = Duration::from_secs(1);
/// Connections that may be gone before they are accepted, in a row, before that counts as a cause
/// to rest.
const ABORTED_MAX: u32 = 16;

/// The rest of a listener: 10 ms, doubled up to 1 s for as long as accepting fails. A listener
/// never gives up, and never spins.
#[derive(Debug, Default)]
pub(crate) struct Backoff {
    delay: Option<Duration>,
    resume_at: Option<Time>,
    aborted: u32,
}

impl Backoff {
    /// A connection was accepted.
    pub(crate) fn success(&mut self) {
        self.delay = None;
        self.aborted = 0;
    }

    /// How long to rest after a failure; `None` means to go on at once, since only the connection
    /// was at fault.
    pub(crate) fn failure(&mut self, error: AcceptError, now: Time) -> Option<Duration> {
        if error == AcceptError::Aborted {
            self.aborted += 1;
            if self.aborted < ABORTED_MAX {
                return None;
            }
            self.aborted = 0;
        }
        let delay = self.delay.map_or(FIRST, |last| (last * 2).min(LONGEST));
        self.delay = Some(delay);
        self.resume_at = Some(now + delay);
        Some(delay)
    }

    pub(crate) const fn resume_at(&self) -> Option<Time> {
        self.resume_at
    }

    /// Whether the rest is over; true once.
    pub(crate) fn take_due(&mut self, now: Time) -> bool {
        let due = self.resume_at.is_some_and(|at| at <= now);
        if due {
            self.resume_at = None;
        }
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rest_doubles_to_a_second_and_success_ends_it() {
        let mut backoff = Backoff::default();
        let rests: Vec<u128> = (0..9)
            .map(|_| backoff.failure(AcceptError::ProcessDescriptors, Time::ZERO).unwrap())
            .map(|rest| rest.as_millis())
            .collect();
        assert_eq!(rests, [10, 20, 40, 80, 160, 320, 640, 1000, 1000]);
        backoff.success();
        let rest = backoff.failure(AcceptError::Memory, Time::ZERO).unwrap();
        assert_eq!(rest, FIRST);
        assert!(!backoff.take_due(Time::ZERO));
        assert!(backoff.take_due(Time::ZERO + FIRST));
        assert!(!backoff.take_due(Time::ZERO + FIRST));
    }

    #[test]
    fn a_connection_at_fault_costs_no_rest_until_there_are_many_in_a_row() {
        let mut backoff = Backoff::default();
        for _ in 1..ABORTED_MAX {
            assert_eq!(backoff.failure(AcceptError::Aborted, Time::ZERO), None);
        }
        assert_eq!(backoff.failure(AcceptError::Aborted, Time::ZERO), Some(FIRST));
    }
}
