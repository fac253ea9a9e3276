//! What CI runs, step by step.

use std::path::Path;

#[cfg(target_os = "linux")]
use crate::proof::{self, Scale};
use crate::totals::{self, Totals};
use crate::wait::Stopwatch;
use crate::{Error, Result, conformance, loom, simulation, steps, tidy};
#[cfg(target_os = "linux")]
use crate::{canaries, deploy, fallback, smoke};

/// Runs every step and stops at the first that fails. The last line printed sums up the tests and
/// checks of all steps.
///
/// `tests_from` is what `cargo test` has printed already: the same tests need not run twice.
pub(crate) fn run(tests_from: Option<&Path>) -> Result<Totals> {
    let mut ci = Ci::default();
    let outcome = ci.run(tests_from);
    ci.print(outcome.err());
    Ok(ci.totals())
}

/// The steps that have run.
#[derive(Default)]
struct Ci {
    done: Vec<Done>,
}

/// A step that has run.
struct Done {
    name: &'static str,
    time: String,
    totals: Totals,
    failed: bool,
}

impl Ci {
    /// The cheap ones first: a wrong blank is told in a second, not after the tests.
    fn run(&mut self, tests_from: Option<&Path>) -> Result<()> {
        self.step("fmt", steps::fmt)?;
        self.step("tidy", tidy::run)?;
        self.step("lint", steps::lint)?;
        self.step("docs", steps::docs)?;
        self.step("deny", steps::deny)?;
        self.step("test", || test(tests_from))?;
        self.step("tools", steps::test_tools)?;
        self.step("loom", || loom::run(false))?;
        self.step("sim", || simulation::run(false))?;
        self.on_linux()?;
        #[cfg(target_os = "linux")]
        self.step("windows", || crate::windows::run(&[], false))?;
        Ok(())
    }

    /// What asks Linux for signals, for what a process holds, or for patches to a copy of the tree.
    #[cfg(target_os = "linux")]
    fn on_linux(&mut self) -> Result<()> {
        self.step("canaries", || canaries::run(&[], false))?;
        self.step("fallback", fallback::run)?;
        self.step("smoke", smoke::run)?;
        self.step("deploy", deploy::run)?;
        self.step("admin-schema", crate::admin_schema::run)?;
        self.step("dashboard", || crate::dashboard::run(false))?;
        self.step("faults", || crate::faults::run(&[], false))?;
        self.step("sessions", || crate::sessions::run(&[], false, None))?;
        self.step("instructions", || crate::instructions::run(false))?;
        self.step("examples", || crate::examples::run(&[], false, None))?;
        self.step("bench", crate::bench::short)?;
        self.step("proof", || proof::run(&[], Scale::Quick))
    }

    #[cfg(not(target_os = "linux"))]
    fn on_linux(&mut self) -> Result<()> {
        println!(
            "\n== canaries, fallback, smoke, deploy, admin-schema, dashboard, faults, sessions, \
             instructions, examples, bench and proof need Linux: left out"
        );
        Ok(())
    }

    fn step(&mut self, name: &'static str, run: impl FnOnce() -> Result<Totals>) -> Result<()> {
        println!("\n== {name}");
        let stopwatch = Stopwatch::start();
        let outcome = run();
        let failed = !matches!(outcome, Ok(Totals { failed: 0, .. }));
        // A step that fails without a test counts as one that failed: the sum must not say 0.
        let totals = *outcome.as_ref().unwrap_or(&Totals { passed: 0, failed: 1 });
        self.done.push(Done { name, time: stopwatch.to_string(), totals, failed });
        match outcome {
            Ok(_) if failed => Err(format!("step {name}: {} failed", totals.failed).into()),
            Ok(_) => Ok(()),
            Err(error) => Err(format!("step {name}: {error}").into()),
        }
    }

    fn totals(&self) -> Totals {
        let mut sum = Totals::default();
        for done in &self.done {
            sum += done.totals;
        }
        sum
    }

    /// What went wrong stands before the sum, which is the last line either way.
    fn print(&self, error: Option<Error>) {
        println!("\n{:<12} {:>9} {:>8} {:>8}", "step", "time", "passed", "failed");
        for Done { name, time, totals: Totals { passed, failed: count }, failed } in &self.done {
            let mark = if *failed { "  <- stopped here" } else { "" };
            println!("{name:<12} {time:>9} {passed:>8} {count:>8}{mark}");
        }
        if let Some(error) = error {
            println!("{error}");
        }
        println!("{}", self.totals());
    }
}

/// The tests, now or as they were run before; and how many there were on each backend.
fn test(tests_from: Option<&Path>) -> Result<Totals> {
    let (totals, output) = match tests_from {
        Some(file) => {
            println!("taken from {}", file.display());
            let output = totals::read(file)?;
            (Totals::of_output(&output), output)
        }
        None => steps::run_tests(crate::workspace::cargo().arg("test"))?,
    };
    conformance::summarise(&output)?;
    Ok(totals)
}
