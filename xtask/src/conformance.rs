//! The conformance suite of the completion port, per backend.
//!
//! Its tests are named `<file>::<backend>::<test>`, so that what ran on which backend can be read off
//! any output of the suite.

use std::collections::BTreeMap;

use crate::Result;
use crate::checks::ensure;
use crate::steps;
use crate::totals::Totals;
use crate::workspace::cargo;

/// The backends that the suite runs on here.
const BACKENDS: &[&str] = if cfg!(target_os = "linux") {
    &[
        "uring",
        "uring_stepdown",
        "readiness",
        "auto",
        "sim_uring",
        "sim_iocp",
        "sim_readiness",
        "sim_faulty",
    ]
} else if cfg!(windows) {
    &["iocp", "iocp_refiller", "auto", "sim_uring", "sim_iocp", "sim_readiness", "sim_faulty"]
} else {
    &["readiness", "auto", "sim_uring", "sim_iocp", "sim_readiness", "sim_faulty"]
};

/// Runs the suite on these backends, or on all, one after the other.
pub(crate) fn run(backends: &[String]) -> Result<Totals> {
    let asked: Vec<&str> = backends.iter().map(String::as_str).collect();
    let asked = if asked.is_empty() { BACKENDS } else { &asked };
    if let Some(unknown) = asked.iter().find(|backend| !BACKENDS.contains(backend)) {
        return Err(format!("no backend '{unknown}': one of {}", BACKENDS.join(", ")).into());
    }
    let mut totals = Totals::default();
    for backend in asked {
        println!("conformance of {backend}");
        // With the colons: the name alone is part of other words.
        let filter = format!("::{backend}::");
        let mut command = suite();
        command.args(["--", &filter]);
        let (of_backend, _) = steps::run_tests(&mut command)?;
        ensure(of_backend.passed + of_backend.failed > 0, || {
            format!("no test of the suite runs on {backend}")
        })?;
        totals += of_backend;
    }
    Ok(totals)
}

/// The command that runs the whole suite.
pub(crate) fn suite() -> std::process::Command {
    let mut command = cargo();
    command.args(["test", "--package", "wharf-port", "--test", "conformance"]);
    command
}

/// Reads off the output of `cargo test` how many tests of the suite passed and failed on each
/// backend.
pub(crate) fn per_backend(output: &str) -> BTreeMap<&'static str, Totals> {
    let mut totals: BTreeMap<_, _> = BACKENDS.iter().map(|&it| (it, Totals::default())).collect();
    for line in output.lines() {
        let Some((name, result)) = line.strip_prefix("test ").and_then(|it| it.split_once(" ... "))
        else {
            continue;
        };
        // `wakes::uring::rule_01_a_wake_is_never_lost`, and no test of a module `uring`.
        let mut parts = name.split("::").skip(1);
        let Some(of_backend) = parts.next().and_then(|backend| totals.get_mut(backend)) else {
            continue;
        };
        if parts.next().is_none_or(|test| parts.next().is_some() || !is_of_the_suite(test)) {
            continue;
        }
        match result {
            "ok" => of_backend.passed += 1,
            "FAILED" => of_backend.failed += 1,
            _ => {}
        }
    }
    totals
}

/// Whether a test's name begins as those of the suite do.
fn is_of_the_suite(test: &str) -> bool {
    test.starts_with("rule_") || test.starts_with("choice_")
}

/// Prints how the suite went on each backend; an error if it did not run on one.
pub(crate) fn summarise(output: &str) -> Result<()> {
    for (backend, totals) in per_backend(output) {
        println!("conformance of {backend}: {totals}");
        ensure(totals.passed + totals.failed > 0, || {
            format!("no test of the conformance suite ran on {backend}")
        })?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tests_are_told_apart_by_their_backend() {
        let output = "\
            test wakes::uring::rule_01_a_wake_is_never_lost ... ok\n\
            test wakes::readiness::rule_01_a_wake_is_never_lost ... FAILED\n\
            test choice::readiness::choice_a_lesser_backend_says_why ... ok\n\
            test close::readiness::rule_06_a_close_during_a_pause_ends_the_receive ... ok\n\
            test uring::token::tests::what_goes_in_comes_out ... ok\n\
            test readiness::poller::tests::a_name_survives_packing ... ok\n\
            test result: FAILED. 5 passed; 1 failed\n";
        let totals = per_backend(output);
        if cfg!(unix) {
            assert_eq!(totals["readiness"], Totals { passed: 2, failed: 1 });
        }
        assert_eq!(totals["auto"], Totals::default());
        if cfg!(target_os = "linux") {
            assert_eq!(totals["uring"], Totals { passed: 1, failed: 0 });
        }
        assert!(summarise(output).is_err(), "nothing ran on auto");
    }
}
