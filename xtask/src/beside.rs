//! A step that runs beside others, in a process of its own.

use std::fs::{self, File};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use crate::totals::{self, Totals};
use crate::{Result, process, workspace};

/// A step that computes while others wait; what it prints is shown when it is waited for.
pub(crate) struct Beside {
    child: Child,
    printed: PathBuf,
}

impl Beside {
    /// Starts `cargo xtask STEP`, as this program and not by cargo.
    ///
    /// # Errors
    /// If it cannot be started, or there is no place for what it prints.
    pub(crate) fn start(step: &str) -> Result<Self> {
        let printed = workspace::target()?.join(format!("ci-{step}.txt"));
        let file = File::create(&printed)
            .map_err(|error| format!("cannot write {}: {error}", printed.display()))?;
        let mut command = Command::new(std::env::current_exe()?);
        command.arg(step).stdin(Stdio::null()).stderr(file.try_clone()?).stdout(file);
        Ok(Self { child: process::spawn(&mut command)?, printed })
    }

    /// Waits for its end, shows what it has printed, and takes its tests from the last line.
    ///
    /// # Errors
    /// If it has failed without a failed test.
    pub(crate) fn join(mut self) -> Result<Totals> {
        let status = self.child.wait()?;
        let printed = totals::read(&self.printed)?;
        print!("{printed}");
        let sum = printed.lines().rev().find_map(Totals::of_sum).unwrap_or_default();
        if status.success() == (sum.failed == 0 && sum.passed > 0) {
            return Ok(sum);
        }
        Err(format!("it ended with {status} and told of {sum}; its own words stand above").into())
    }
}

impl Drop for Beside {
    /// Whoever does not wait for it has failed already. It has ended if it was waited for.
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = fs::remove_file(&self.printed);
    }
}
