//! Checks of the program as it runs, on every backend that it has here: some seconds each, or as large as must
//! be shown.

use std::path::Path;

use clap::ValueEnum;

use crate::checks::{Checks, ensure};
use crate::totals::Totals;
use crate::workspace::{self, Profile};
use crate::{Result, server};

/// What the checks of one run have in common.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Terms<'a> {
    pub(crate) wharf: &'a Path,
    /// What all programs of a check run on.
    pub(crate) backend: &'a str,
    /// As large, as often and as long as must be shown, where CI has seconds.
    pub(crate) many: bool,
}

impl Terms<'_> {
    /// The smaller size, or what must be shown.
    pub(crate) const fn either<T: Copy>(&self, small: T, shown: T) -> T {
        if self.many { shown } else { small }
    }
}

/// A kind of checks that can be named on the command line.
pub(crate) trait Check: ValueEnum + PartialEq {
    /// What is printed before its figure.
    fn headline(&self) -> &'static str;

    /// Checks it on one backend; gives what was measured.
    ///
    /// # Errors
    /// Why it does not hold.
    fn run(&self, terms: &Terms<'_>) -> Result<String>;
}

/// Runs these checks, or all of the kind, on each backend or on the only one that is wanted.
pub(crate) fn check<C: Check>(
    only: &[C],
    many: bool,
    only_backend: Option<&str>,
) -> Result<Totals> {
    let wharf = workspace::wharf(Profile::Release)?;
    let mut checks = Checks::default();
    for backend in server::backends(&wharf)? {
        if only_backend.is_some_and(|only| only != backend) {
            continue;
        }
        let terms = Terms { wharf: &wharf, backend, many };
        for check in C::value_variants() {
            if only.is_empty() || only.contains(check) {
                checks.check(format!("{backend}, {}", check.headline()), || check.run(&terms));
            }
        }
    }
    let totals = checks.totals();
    ensure(totals != Totals::default(), || "there is no such backend here".to_owned())?;
    Ok(totals)
}

/// The middle of some figures, in no order.
pub(crate) fn median(figures: &[f64]) -> f64 {
    let mut sorted = figures.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or(f64::NAN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_in_the_middle() {
        assert_eq!(median(&[9.0, 1.0, 5.0]), 5.0);
        assert!(median(&[]).is_nan());
    }
}
