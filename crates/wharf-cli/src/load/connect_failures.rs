//! Connects that fail while a mode with a loop of its own runs.

use wharf_port::ConnectError;

use super::report::grouped;
use crate::failure::{Exit, Failure};

/// How many have failed, and why the first of them did.
#[derive(Debug, Default)]
pub(super) struct ConnectFailures {
    count: u64,
    first: Option<ConnectError>,
}

impl ConnectFailures {
    pub(super) fn add(&mut self, error: ConnectError) {
        self.count += 1;
        self.first.get_or_insert(error);
    }

    pub(super) const fn count(&self) -> u64 {
        self.count
    }

    /// How a line about sessions goes on, if any failed: `, 3 not made, the first one so: ...`.
    pub(super) fn clause(&self, how: &str) -> String {
        self.first.map_or_else(String::new, |error| {
            format!(", {} {how}, the first one so: {error}", grouped(self.count))
        })
    }

    /// Whether all was well with `all` of them; `how` says what was not.
    ///
    /// # Errors
    /// If one has failed, with what to do about it.
    pub(super) fn verdict(&self, all: u64, how: &str, advice: &str) -> Result<(), Failure> {
        let Some(error) = self.first else { return Ok(()) };
        Err(Failure::new(
            Exit::NotConnected,
            format_args!(
                "{} of {} {how}, the first one so: {error}; {advice}",
                grouped(self.count),
                grouped(all),
            ),
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_failure_is_told_and_all_are_counted() {
        let mut failures = ConnectFailures::default();
        assert_eq!(failures.clause("not made"), "");
        assert!(failures.verdict(3, "connects failed", "wait").is_ok());
        failures.add(ConnectError::Refused);
        failures.add(ConnectError::TimedOut);
        let refused = ConnectError::Refused;
        let clause = format!(", 2 not made, the first one so: {refused}");
        assert_eq!((failures.count(), failures.clause("not made")), (2, clause));
        let verdict = failures.verdict(3, "connects failed", "wait").unwrap_err();
        let said =
            format!("wharf: error: 2 of 3 connects failed, the first one so: {refused}; wait\n");
        assert_eq!(verdict.parts(), (Exit::NotConnected, said.as_str()));
    }
}
