//! The fuzz targets, with cargo-fuzz: made-up input for what takes input from outside. Nothing is
//! installed here; what is missing is said.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::checks::{Checks, ensure};
use crate::process::{self, Ended};
use crate::totals::Totals;
use crate::{Result, workspace};

/// Bytes of an input, at most: what is found in longer ones shows in these.
const INPUT_MAX: u32 = 1_024;
/// Memory that a target may take, in MiB: most of it is AddressSanitizer's.
const MEMORY_MAX: u32 = 1_024;
/// How long one input may take, in seconds.
const INPUT_SECONDS_MAX: u32 = 10;
/// How long building and ending may take.
const OVERHEAD_MAX: Duration = Duration::from_secs(600);

/// Runs targets, all if none is named, for so many seconds each.
pub(crate) fn run(only: &[String], seconds: u32, keep: bool) -> Result<Totals> {
    let targets = targets()?;
    if let Some(unknown) = only.iter().find(|name| !targets.contains(name)) {
        return Err(format!("no target '{unknown}': {}", targets.join(", ")).into());
    }
    tools_are_there()?;
    let mut checks = Checks::default();
    for target in targets.iter().filter(|target| only.is_empty() || only.contains(target)) {
        checks.check(target, || Target::new(target)?.run(seconds, keep));
    }
    Ok(checks.totals())
}

/// The targets there are, by name.
fn targets() -> Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(folder().join("fuzz_targets"))? {
        let path = entry?.path();
        names.push(path.file_stem().unwrap_or_default().to_string_lossy().into_owned());
    }
    names.sort();
    Ok(names)
}

fn folder() -> PathBuf {
    workspace::root().join("fuzz")
}

/// cargo-fuzz, which needs flags that only the nightly toolchain takes.
fn cargo_fuzz() -> Result<Command> {
    let mut command = Command::new("rustup");
    command.args(["run", "nightly", "cargo", "fuzz"]).current_dir(folder());
    // The compiler of this program is not the one that is asked for.
    command.env_remove("CARGO").env_remove("RUSTC").env_remove("RUSTDOC");
    command.env("CARGO_TARGET_DIR", workspace::target()?.join("fuzz"));
    Ok(command)
}

fn tools_are_there() -> Result<()> {
    const INSTALL: &str = "`rustup toolchain install nightly` and `cargo install cargo-fuzz`";
    let asked = process::run(cargo_fuzz()?.arg("--version"), Duration::from_secs(20));
    let there = asked.as_ref().is_ok_and(|ended| ended.code == Some(0));
    let said = asked.map_or_else(|error| error.to_string(), |ended| ended.stderr);
    let said = said.lines().next().unwrap_or_default();
    ensure(there, || format!("the nightly toolchain or cargo-fuzz is missing ({said}): {INSTALL}"))
}

/// One target, and where its inputs lie.
struct Target<'a> {
    name: &'a str,
    /// What is committed, and replayed by the tests.
    corpus: PathBuf,
    /// What runs on this machine have found besides.
    found: PathBuf,
}

impl<'a> Target<'a> {
    fn new(name: &'a str) -> Result<Self> {
        let found = workspace::target()?.join("fuzz/found").join(name);
        fs::create_dir_all(&found)?;
        Ok(Self { name, corpus: folder().join("corpus").join(name), found })
    }

    fn run(&self, seconds: u32, keep: bool) -> Result<String> {
        let mut flags = limits();
        flags.push(format!("-max_total_time={seconds}"));
        let time = Duration::from_secs(seconds.into());
        let ended = self.fuzz(&[&self.found, &self.corpus], &flags, OVERHEAD_MAX + time)?;
        // `#57911 DONE   cov: 592 ft: 3301 corp: 541/14480b ...`: the last line but one.
        let done = ended.stderr.lines().rev().find(|line| line.contains("DONE"));
        let done = done.unwrap_or_default().split_whitespace().collect::<Vec<_>>().join(" ");
        if keep {
            self.keep()?;
        }
        Ok(done)
    }

    /// Takes into the corpus what reaches code that its inputs do not.
    fn keep(&self) -> Result<()> {
        let mut flags = limits();
        flags.push("-merge=1".to_owned());
        self.fuzz(&[&self.corpus, &self.found], &flags, OVERHEAD_MAX).map(drop)
    }

    fn fuzz(&self, folders: &[&Path], flags: &[String], limit: Duration) -> Result<Ended> {
        let mut command = cargo_fuzz()?;
        command.args(["run", self.name]).args(folders).arg("--").args(flags);
        let ended = process::run(&mut command, limit)?;
        ensure(ended.code == Some(0), || {
            let lines: Vec<&str> = ended.stderr.lines().collect();
            lines[lines.len().saturating_sub(80)..].join("\n")
        })?;
        Ok(ended)
    }
}

/// What holds for every run of a target.
fn limits() -> Vec<String> {
    vec![
        format!("-max_len={INPUT_MAX}"),
        format!("-rss_limit_mb={MEMORY_MAX}"),
        format!("-timeout={INPUT_SECONDS_MAX}"),
    ]
}
