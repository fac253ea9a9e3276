//! The Windows backend and program: built for `x86_64-pc-windows-gnu` and run, under Wine where this is
//! Linux and as they are where this is Windows; and whether the sources compile for other systems.
//!
//! | module | what it does |
//! |---|---|
//! | [`toolchain`] | which compiler builds for other systems, and how it is called |
//! | [`wine`] | a Wine that nobody else uses, from its start to its end |
//! | [`driven`] | `wharf.exe` under Wine, and its clients on Linux |

pub(crate) mod driven;
mod toolchain;
mod wine;

use std::process::Command;

use clap::ValueEnum;

use crate::totals::{self, Totals};
use crate::wait::Stopwatch;
use crate::{Result, client, steps};
pub(crate) use toolchain::Toolchain;
pub(crate) use wine::Wine;

/// What is built, and what the tests run on.
pub(crate) const WINDOWS: &str = "x86_64-pc-windows-gnu";
/// Systems that the sources are checked for and nothing is run on.
const OTHERS: [&str; 3] =
    ["x86_64-pc-windows-msvc", "aarch64-apple-darwin", "x86_64-unknown-freebsd"];
/// What takes minutes under Wine, and is left out unless asked for.
const SLOW: [&str; 2] = ["--skip", "ten_thousand_connections"];
/// How many failed tests of a step Wine is given a second chance with; more are no bad luck.
const SECOND_RUNS_MAX: usize = 2;
/// Descriptors that 5,000 connections take in one process, and Wine's server with them.
const DESCRIPTORS: u64 = 16_000;

/// What can be done for Windows.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub(crate) enum Step {
    /// clippy for every target, warnings denied.
    Lint,
    /// `cargo check` for systems on which nothing is run here.
    Check,
    /// The completion port's suite, on I/O completion ports.
    Conformance,
    /// The other tests of the completion port.
    Port,
    /// The tests of the sessions.
    Sessions,
    /// The tests of the program.
    Program,
    /// The tests of the model lab.
    Models,
    /// `wharf.exe` with clients on Linux.
    Driven,
}

/// Runs these steps, or all; with what takes minutes if many things are to be shown.
pub(crate) fn run(only: &[Step], many: bool) -> Result<Totals> {
    let wanted = |step: &Step| only.is_empty() || only.contains(step);
    let steps: Vec<Step> = Step::value_variants().iter().copied().filter(wanted).collect();
    let toolchain = Toolchain::find([WINDOWS].into_iter().chain(OTHERS))?;
    println!("built by {toolchain}");
    let runs = |step: &Step| !matches!(step, Step::Lint | Step::Check);
    let wine = if cfg!(windows) || !steps.iter().any(runs) { None } else { Some(Wine::start()?) };
    client::need_descriptors(DESCRIPTORS)?;
    let bench = Bench { toolchain, wine, many };
    let mut totals = Totals::default();
    for step in steps {
        println!("-- {}", step.headline());
        let stopwatch = Stopwatch::start();
        let of_step = bench.run(step)?;
        println!("-- {of_step} ({stopwatch})");
        totals += of_step;
    }
    Ok(totals)
}

impl Step {
    const fn headline(self) -> &'static str {
        match self {
            Self::Lint => "clippy for Windows",
            Self::Check => "cargo check for other systems",
            Self::Conformance => "the completion port's suite",
            Self::Port => "the other tests of the completion port",
            Self::Sessions => "the tests of the sessions",
            Self::Program => "the tests of wharf.exe",
            Self::Models => "the tests of the model lab",
            Self::Driven => "wharf.exe with clients on Linux",
        }
    }
}

/// What the steps work with.
struct Bench {
    toolchain: Toolchain,
    /// `None` on Windows.
    wine: Option<Wine>,
    /// Run what takes minutes under Wine, too.
    many: bool,
}

impl Bench {
    fn run(&self, step: Step) -> Result<Totals> {
        match step {
            Step::Lint => self.lint(),
            Step::Check => self.check(),
            Step::Conformance => {
                let of_iocp = ["::iocp", "choice::auto::"];
                self.test(&["--package", "wharf-port", "--test", "conformance"], &of_iocp)
            }
            Step::Port => {
                let targets = ["--package", "wharf-port", "--lib"];
                let tests = ["--test", "windows", "--test", "regressions"];
                self.test(&[&targets[..], &tests[..]].concat(), if self.many { &[] } else { &SLOW })
            }
            Step::Sessions => self.test(&["--package", "wharf", "--lib", "--tests"], &[]),
            Step::Program => self.test(&["--package", "wharf-cli"], &[]),
            Step::Models => self.test(&["--package", "wharf-models"], &[]),
            Step::Driven => {
                self.wine.as_ref().map_or_else(left_out, |wine| driven::run(self, wine))
            }
        }
    }

    fn lint(&self) -> Result<Totals> {
        let mut clippy = self.cargo(WINDOWS);
        clippy.args(["clippy", "--quiet", "--workspace", "--all-targets"]);
        crate::process::succeed(clippy.args(["--", "--deny", "warnings"]))?;
        Ok(Totals::default())
    }

    fn check(&self) -> Result<Totals> {
        for target in OTHERS {
            let mut check = self.cargo(target);
            check.args(["check", "--quiet", "--workspace", "--exclude", "xtask", "--all-targets"]);
            crate::process::succeed(&mut check)?;
            println!("{target}: compiles");
        }
        Ok(Totals::default())
    }

    /// Runs tests, those whose names have one of these parts.
    fn test(&self, targets: &[&str], names: &[&str]) -> Result<Totals> {
        let mut test = self.cargo(WINDOWS);
        test.args(["test", "--quiet", "--no-fail-fast"]).args(targets).arg("--").args(names);
        let (totals, printed) = steps::run_tests(&mut test)?;
        let failed = totals::names_of_failed(&printed);
        if self.wine.is_none() || failed.is_empty() || failed.len() > SECOND_RUNS_MAX {
            return Ok(totals);
        }
        let of_second_run = self.run_again(targets, &failed)?;
        Ok(Totals { passed: totals.passed + of_second_run.passed, ..of_second_run })
    }

    /// Runs these tests once more, by themselves: under Wine a reset can get lost while the machine is busy, and
    /// only then. It is said that they had failed, since one that needs this often is a finding.
    fn run_again(&self, targets: &[&str], failed: &[String]) -> Result<Totals> {
        println!("-- failed under Wine, now run again by themselves: {}", failed.join(", "));
        let mut test = self.cargo(WINDOWS);
        test.args(["test", "--quiet", "--no-fail-fast"]).args(targets);
        test.args(["--", "--exact", "--test-threads", "1"]).args(failed);
        steps::run_tests(&mut test).map(|(totals, _)| totals)
    }

    /// cargo for another system; what it runs for Windows runs under Wine.
    fn cargo(&self, target: &str) -> Command {
        let mut cargo = self.toolchain.cargo(target);
        self.wine.iter().for_each(|wine| wine.run_by(&mut cargo));
        cargo
    }
}

fn left_out() -> Result<Totals> {
    println!("this needs Linux and Wine: left out");
    Ok(Totals::default())
}
