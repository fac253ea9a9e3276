//! What lies in deploy/, held against the program: the units as systemd reads them, and the program under the
//! very lists of calls that containers are given.

mod seccomp;
mod units;

use crate::Result;
use crate::checks::Checks;
use crate::totals::Totals;
use crate::workspace::{self, Profile};

pub(crate) use seccomp::exec;

/// Runs the checks.
pub(crate) fn run() -> Result<Totals> {
    let wharf = workspace::wharf(Profile::Dev)?;
    let mut checks = Checks::default();
    units::check(&wharf, &mut checks)?;
    seccomp::check(&wharf, &mut checks)?;
    Ok(checks.totals())
}
