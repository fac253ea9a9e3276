//! The completion port's tests under AddressSanitizer and `LeakSanitizer`, with the nightly toolchain.
//!
//! What `unsafe` does to memory shows here as it happens: a buffer that is used after it was freed, one
//! that is never freed, a read beyond the end. What the kernel writes does not: that is what the tests
//! of rules 3, 6 and 9 look for.
//!
//! ThreadSanitizer needs the standard library built with it, which takes its sources. loom is the proof
//! for what crosses threads.

use std::process::Command;
use std::time::Duration;

use crate::totals::Totals;
use crate::{Result, process, steps, workspace};

/// Where the instrumented build goes, beside the others.
const FOLDER: &str = "sanitize";
/// Leaks that are meant.
const SUPPRESSIONS: &str = "xtask/lsan.supp";
/// How long a toolchain may take to say that it is there.
const VERSION_MAX: Duration = Duration::from_secs(20);

/// Runs the tests; says so and runs none where there is no nightly toolchain.
pub(crate) fn run() -> Result<Totals> {
    let mut version = Command::new("rustc");
    version.args(["+nightly", "--version", "--verbose"]);
    let found = process::run(&mut version, VERSION_MAX)?;
    let host = found.stdout.lines().find_map(|line| line.strip_prefix("host: "));
    let (Some(0), Some(host)) = (found.code, host) else {
        println!("no nightly toolchain: left out (`rustup toolchain install nightly`)");
        return Ok(Totals::default());
    };
    let suppressions = workspace::root().join(SUPPRESSIONS);
    let mut tests = Command::new("cargo");
    tests
        .args(["+nightly", "test", "--quiet", "--package", "wharf-port", "--target", host])
        .args(["--lib", "--tests", "--target-dir"])
        .arg(workspace::target()?.join(FOLDER))
        .env("RUSTFLAGS", "-Zsanitizer=address")
        .env("ASAN_OPTIONS", "detect_leaks=1")
        .env("LSAN_OPTIONS", format!("suppressions={}", suppressions.display()))
        // Those are of the toolchain that runs this program.
        .env_remove("CARGO")
        .env_remove("RUSTUP_TOOLCHAIN")
        .current_dir(workspace::root());
    steps::run_tests(&mut tests).map(|(totals, _)| totals)
}
