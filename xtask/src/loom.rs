//! The models of what crosses threads: loom runs the code of `wharf-port` and `wharf` in every
//! interleaving of their threads, and with every value that a memory ordering allows to be read.

use std::env;
use std::ffi::OsString;

use crate::checks::ensure;
use crate::totals::Totals;
use crate::workspace::{self, cargo};
use crate::{Result, steps};

/// How often a thread is interrupted where it need not be, at most, in one interleaving. Nearly every
/// bug of this kind shows with two; each more costs four times the time.
const PREEMPTIONS_MAX: &str = "3";

/// Runs the models; all interleavings without a bound take some minutes.
pub(crate) fn run(exhaustive: bool) -> Result<Totals> {
    let mut command = cargo();
    command.args(["test", "--quiet", "--no-fail-fast", "--lib", "--package", "wharf-port"]);
    command.args(["--package", "wharf", "--", "loom_models::"]);
    // With other flags everything is built anew: in a folder of its own, or the next build would be.
    command.env("CARGO_TARGET_DIR", workspace::target()?.join("loom"));
    command.env_remove("CARGO_ENCODED_RUSTFLAGS").env("RUSTFLAGS", flags());
    if !exhaustive {
        command.env("LOOM_MAX_PREEMPTIONS", PREEMPTIONS_MAX);
    }
    let (totals, _) = steps::run_tests(&mut command)?;
    ensure(totals.passed + totals.failed > 0, || "no model ran".to_owned())?;
    Ok(totals)
}

/// The compiler's flags of the environment, and loom's.
fn flags() -> OsString {
    let mut flags = env::var_os("RUSTFLAGS").unwrap_or_default();
    flags.push(" --cfg loom");
    flags
}
