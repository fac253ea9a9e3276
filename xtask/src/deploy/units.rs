//! The units of systemd.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::checks::{Checks, ensure};
use crate::totals::read;
use crate::{Result, packages, process, workspace};

/// The units, in deploy/.
const UNITS: [&str; 2] = ["wharf.service", "wharf.socket"];
/// Where the service expects the program.
const PROGRAM: &str = "/usr/local/bin/wharf";
/// How exposed the service may be, by systemd's own measure of 0 to 10, in tenths.
const EXPOSURE_MAX: &str = "20";
/// How long systemd may take to look at them.
const LOOK_MAX: Duration = Duration::from_secs(60);

pub(super) fn check(wharf: &Path, checks: &mut Checks) -> Result<()> {
    packages::install(&["systemd"], || packages::find("systemd-analyze", &[]).is_some())?;
    let copies = copies(wharf)?;
    checks.check("units as systemd reads them", || verified(&copies));
    checks.check("how exposed the service is", exposure);
    Ok(())
}

/// The units with a program that there is, since systemd looks for it.
fn copies(wharf: &Path) -> Result<Vec<PathBuf>> {
    let folder = workspace::target()?.join("deploy");
    fs::create_dir_all(&folder)?;
    let copy = |unit: &&str| {
        let text = read(&in_deploy(unit))?;
        let copy = folder.join(unit);
        fs::write(&copy, text.replace(PROGRAM, &wharf.display().to_string()))?;
        Ok(copy)
    };
    UNITS.iter().map(copy).collect()
}

/// It says nothing of units in which nothing is wrong.
fn verified(units: &[PathBuf]) -> Result<String> {
    let mut verify = Command::new("systemd-analyze");
    let ended = process::run(verify.args(["--man=no", "verify"]).args(units), LOOK_MAX)?;
    let fine = ended.code == Some(0) && ended.stderr.is_empty();
    ensure(fine, || format!("systemd says: {}", ended.stderr.trim()))?;
    Ok(UNITS.join(", "))
}

fn exposure() -> Result<String> {
    let mut security = Command::new("systemd-analyze");
    security.args(["security", "--no-pager", "--offline=true"]);
    security.arg(format!("--threshold={EXPOSURE_MAX}")).arg(in_deploy("wharf.service"));
    let ended = process::run(&mut security, LOOK_MAX)?;
    let last = ended.stdout.lines().rfind(|line| line.contains("exposure")).unwrap_or_default();
    ensure(ended.code == Some(0), || format!("more than {EXPOSURE_MAX} tenths: {last}"))?;
    Ok(last.trim().to_owned())
}

fn in_deploy(file: &str) -> PathBuf {
    workspace::root().join("deploy").join(file)
}
