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

/// The names of the tests that `cargo test --no-fail-fast` printed as failed: each program lists its own at its
/// end, indented.
pub(crate) fn names_of_failed(output: &str) -> Vec<String> {
    let mut in_list = false;
    let mut names = Vec::new();
    for line in output.lines() {
        match line.strip_prefix("    ") {
            Some(name) if in_list => names.push(name.to_owned()),
            _ => in_list = line == "failures:" || (in_list && line.is_empty()),
        }
    }
    names
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
    fn the_failed_tests_are_named_and_what_they_printed_is_not() {
        let output = "running 3 tests\n.. 2/3\na::b --- FAILED\n\nfailures:\n\n---- a::b stdout ----\n\
            \n    left: 1\n\n\nfailures:\n    a::b\n    c\n\n\
            test result: FAILED. 1 passed; 2 failed\n\nrunning 1 test\n\nfailures:\n\n\
            ---- d stdout ----\nx\n\nfailures:\n    d\n\ntest result: FAILED. 0 passed; 1 failed\n";
        assert_eq!(names_of_failed(output), ["a::b", "c", "d"]);
        assert!(names_of_failed("test result: ok. 3 passed; 0 failed\n    1: main\n").is_empty());
    }

    #[test]
    fn no_result_is_no_test() {
        assert_eq!(Totals::of_output("error: could not compile\n"), Totals::default());
    }
}
