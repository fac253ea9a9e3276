//! Checks that print what they have measured.

use std::fmt::Display;

use crate::Result;
use crate::totals::Totals;
use crate::wait::Stopwatch;

/// Runs checks, prints each with its figure, and counts them. A check that fails does not stop those
/// after it.
#[derive(Debug, Default)]
pub(crate) struct Checks {
    totals: Totals,
}

impl Checks {
    /// Runs one check: what it gives is what it has measured, or why it has failed.
    pub(crate) fn check<T: Display>(
        &mut self,
        name: impl Display,
        run: impl FnOnce() -> Result<T>,
    ) {
        let stopwatch = Stopwatch::start();
        match run() {
            Ok(figure) => {
                self.totals.passed += 1;
                println!("  ok    {name}: {figure} ({stopwatch})");
            }
            Err(error) => {
                self.totals.failed += 1;
                println!("  FAIL  {name}: {error} ({stopwatch})");
            }
        }
    }

    pub(crate) const fn totals(self) -> Totals {
        self.totals
    }
}

/// A condition of a check.
pub(crate) fn ensure(holds: bool, otherwise: impl FnOnce() -> String) -> Result<()> {
    if holds { Ok(()) } else { Err(otherwise().into()) }
}

/// A number with its thousands apart: 12,345.
pub(crate) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::with_capacity(digits.len() * 4 / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checks_are_counted() {
        let mut checks = Checks::default();
        checks.check("this", || Ok("fine"));
        checks.check("that", || ensure(1 > 2, || "1 is not above 2".to_owned()).map(|()| ""));
        assert_eq!(checks.totals(), Totals { passed: 1, failed: 1 });
    }

    #[test]
    fn thousands_stand_apart() {
        assert_eq!([0, 999, 1_000, 1_234_567].map(grouped), ["0", "999", "1,000", "1,234,567"]);
    }
}
