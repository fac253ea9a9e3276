//! The canaries: deliberate bugs that the simulation must find. A simulation that finds nothing proves
//! nothing, unless it would have found something.
//!
//! Each lies in `canaries/` as a patch, which is applied to a copy of the tree: the tree itself never
//! has a bug on purpose. The text before the patch says what the bug is, and the line `Shows:` which
//! invariants break.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde_json::Value;

use crate::checks::{Checks, ensure, grouped};
use crate::process::{self, Ended};
use crate::totals::Totals;
use crate::{Result, workspace};

/// Seeds within which every canary must be found.
pub(crate) const SEEDS_MAX: u64 = 10_000;
/// How long one may take to be found, and to be built.
const FOUND_WITHIN: Duration = Duration::from_secs(300);

/// Builds and runs the canaries; all of them if none is named.
pub(crate) fn run(only: &[String]) -> Result<Totals> {
    let canaries = all()?;
    if let Some(unknown) = only.iter().find(|name| !canaries.iter().any(|it| it.name == **name)) {
        let names: Vec<&str> = canaries.iter().map(|canary| canary.name.as_str()).collect();
        return Err(format!("no canary '{unknown}': {}", names.join(", ")).into());
    }
    let cage = Cage::new()?;
    let mut checks = Checks::default();
    for canary in canaries {
        if only.is_empty() || only.contains(&canary.name) {
            checks.check(&canary.name, || cage.try_canary(&canary));
        }
    }
    Ok(checks.totals())
}

/// A deliberate bug.
struct Canary {
    name: String,
    patch: PathBuf,
    /// The invariants that it breaks; the simulation may meet any of them first.
    shows: Vec<String>,
}

/// What lies in `canaries/`, by name.
fn all() -> Result<Vec<Canary>> {
    let folder = workspace::root().join("xtask/canaries");
    let mut canaries = Vec::new();
    for entry in fs::read_dir(&folder)? {
        let patch = entry?.path();
        let name = patch.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let text = fs::read_to_string(&patch)?;
        let shows = text.lines().find_map(|line| line.strip_prefix("Shows: "));
        let shows = shows.ok_or_else(|| format!("{}: no line `Shows:`", patch.display()))?;
        let shows = shows.split(", ").map(str::to_owned).collect();
        canaries.push(Canary { name, patch, shows });
    }
    canaries.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(canaries)
}

/// A copy of the tree to which the bugs are applied, and where it is built.
struct Cage {
    tree: PathBuf,
    build: PathBuf,
}

impl Cage {
    fn new() -> Result<Self> {
        let folder = workspace::target()?.join("canaries");
        let cage = Self { tree: folder.join("tree"), build: folder.join("build") };
        cage.copy_tree()?;
        Ok(cage)
    }

    /// Copies what git knows of. What is the same already is left alone, so that it is not built again.
    fn copy_tree(&self) -> Result<()> {
        let mut list = Command::new("git");
        list.args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"]);
        let listed = process::run(list.current_dir(workspace::root()), Duration::from_secs(60))?;
        ensure(listed.code == Some(0), || format!("git ls-files: {}", listed.stderr))?;
        for name in listed.stdout.split('\0').filter(|name| !name.is_empty()) {
            let (from, to) = (workspace::root().join(name), self.tree.join(name));
            if !from.is_file() || fs::read(&from)? == fs::read(&to).unwrap_or_default() {
                continue;
            }
            fs::create_dir_all(to.parent().unwrap_or(&self.tree))?;
            fs::copy(&from, &to)?;
        }
        Ok(())
    }

    /// Applies a bug, lets the simulation find it, and takes it out again.
    fn try_canary(&self, canary: &Canary) -> Result<String> {
        self.git_apply(&canary.patch, &[])?;
        let found = self.build().and_then(|wharf| self.find(&wharf, canary));
        self.git_apply(&canary.patch, &["--reverse"])?;
        found
    }

    fn git_apply(&self, patch: &Path, flags: &[&str]) -> Result<()> {
        let mut apply = Command::new("git");
        apply.arg("apply").args(flags).arg(patch).current_dir(&self.tree);
        // The copy is no repository, and git must not take the one around it for its own.
        apply.env("GIT_CEILING_DIRECTORIES", self.tree.parent().unwrap_or(&self.tree));
        process::succeed(&mut apply)
    }

    /// Builds for speed of building: the bug is found in the first seconds.
    fn build(&self) -> Result<PathBuf> {
        let mut build = workspace::cargo();
        build.args(["build", "--quiet", "--package", "wharf-cli", "--profile", "sim"]);
        // What a bug leaves unused is no matter here.
        build
            .current_dir(&self.tree)
            .env("CARGO_TARGET_DIR", &self.build)
            .env("RUSTFLAGS", "-Awarnings")
            .env("CARGO_PROFILE_SIM_OPT_LEVEL", "1");
        process::succeed(&mut build)?;
        Ok(self.build.join("sim").join(format!("wharf{}", std::env::consts::EXE_SUFFIX)))
    }

    fn find(&self, wharf: &Path, canary: &Canary) -> Result<String> {
        let seeds = SEEDS_MAX.to_string();
        let mut sim = Command::new(wharf);
        sim.args(["sim", "--seeds", &seeds, "--from", "0", "--replays", "0", "--json", "-"]);
        let ended = process::run(sim.current_dir(&self.tree), FOUND_WITHIN)?;
        let (invariant, seed) = violation(&ended)?;
        let expected = canary.shows.join(" or ");
        ensure(canary.shows.contains(&invariant), || {
            format!("seed {seed} breaks {invariant}, and {expected} was to break")
        })?;
        Ok(format!("seed {} breaks {invariant}", grouped(seed)))
    }
}

/// Which invariant was broken, and by which seed.
fn violation(ended: &Ended) -> Result<(String, u64)> {
    ensure(ended.code != Some(0), || format!("not found in {} seeds", grouped(SEEDS_MAX)))?;
    let report: Value = serde_json::from_str(&ended.stdout)
        .map_err(|error| format!("no report ({error}): {}{}", ended.stdout, ended.stderr))?;
    let violation = &report["violation"];
    let invariant = violation["invariant"].as_str().map(str::to_owned);
    invariant
        .zip(violation["seed"].as_u64())
        .ok_or_else(|| format!("no violation: {report}").into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_canary_says_what_it_shows() {
        let canaries = all().unwrap();
        for invariant in 1..=9 {
            let name = format!("I{invariant}");
            assert!(canaries.iter().any(|canary| canary.shows.contains(&name)), "none for {name}");
        }
    }
}
