//! The programs of `bench/`: how they are built, where they lie then, and what the harness writes.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::workspace::{self, Profile, cargo};
use crate::{Result, process, totals};

/// The profile in which users build, and in which is measured.
pub(crate) const RELEASE: &str = "release";

/// Builds what cargo's words select of `bench/` in a profile, and returns the folder of its programs.
pub(crate) fn build(profile: &str, selection: &[&str]) -> Result<PathBuf> {
    let mut build = cargo();
    build.args(["build", "--quiet", "--profile", profile]).args(selection);
    process::succeed(build.current_dir(workspace::bench()))?;
    Ok(folder(profile))
}

/// Where the programs of a profile lie: where the environment says, or in the target folder of bench/.
pub(crate) fn folder(profile: &str) -> PathBuf {
    let set = env::var_os("CARGO_TARGET_DIR");
    workspace::bench().join(set.unwrap_or_else(|| "target".into())).join(profile)
}

/// The harness, with `wharf` and what cargo's words select of `bench/` built as users build them.
pub(crate) fn harness(selection: &[&str]) -> Result<Command> {
    let wharf = workspace::wharf(Profile::Release)?;
    let mut harness = harness_in(&build(RELEASE, selection)?);
    harness.arg("--wharf").arg(wharf);
    Ok(harness)
}

/// The harness that lies in a folder.
pub(crate) fn harness_in(folder: &Path) -> Command {
    let mut harness = Command::new(folder.join("harness"));
    harness.current_dir(workspace::bench());
    harness
}

/// What the harness has measured, of the file that `--json` names: all cases of all areas.
pub(crate) fn cases(file: &Path) -> Result<Vec<Value>> {
    Ok(cases_of(&serde_json::from_str(&totals::read(file)?)?))
}

/// All cases of all areas.
pub(crate) fn cases_of(results: &Value) -> Vec<Value> {
    each(results).flat_map(|area| each(&area["cases"])).cloned().collect()
}

/// The elements of a list; none of what is no list.
pub(crate) fn each(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}
