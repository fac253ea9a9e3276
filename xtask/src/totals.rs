//! How many tests have passed and failed.

use std::fmt;
use std::fs;
use std::ops::AddAssign;
use std::path::Path;

use crate::Result;

/// Tests, or checks, that have passed and failed.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(crate) struct Totals {
    pub(crate) passed: u64,
    pub(crate) failed: u64,
}

impl Totals {
    /// Sums up what `cargo test` printed: a line `test result: ...` for each of its programs.
    pub(crate) fn of_output(output: &str) -> Self {
        let mut totals = Self::default();
        for line in output.lines() {
            let Some((_, counts)) = line.split_once("test result: ") else { continue };
            totals.passed += count_before(counts, " passed");
            totals.failed += count_before(counts, " failed");
        }
        totals
    }

    /// The same of a file.
    pub(crate) fn of_file(file: &Path) -> Result<Self> {
        Ok(Self::of_output(&read(file)?))
    }
}

/// Reads a file, or says which could not be read.
pub(crate) fn read(file: &Path) -> Result<String> {
    fs::read_to_string(file)
        .map_err(|error| format!("cannot read {}: {error}", file.display()).into())
}

/// The number that stands before a word; 0 if there is none.
fn count_before(text: &str, word: &str) -> u64 {
    let before = text.split_once(word).map_or("", |(before, _)| before);
    before.rsplit(' ').next().and_then(|number| number.parse().ok()).unwrap_or(0)
}

impl AddAssign for Totals {
    fn add_assign(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
    }
}

impl fmt::Display for Totals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} passed, {} failed", self.passed, self.failed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_results_of_several_programs_are_summed_up() {
        let output = "running 2 tests\ntest a ... ok\n\
            test result: ok. 12 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out\n\
            test result: FAILED. 3 passed; 2 failed; 0 ignored; 0 measured; 9 filtered out\n\
            error: 1 target failed\n";
        let totals = Totals::of_output(output);
        assert_eq!(totals, Totals { passed: 15, failed: 2 });
        assert_eq!(totals.to_string(), "15 passed, 2 failed");
    }

    #[test]
    fn no_result_is_no_test() {
        assert_eq!(Totals::of_output("error: could not compile\n"), Totals::default());
    }
}
