//! The canaries: deliberate bugs that the simulation must find. A simulation that finds nothing proves
//! nothing, unless it would have found something.
//!
//! Each lies in `canaries/` as a patch, which is applied to a copy of the tree: the tree itself never
//! has a bug on purpose. The text before the patch says what the bug is; the line `Shows:` which
//! invariants break, and the line `Seed:` a seed that breaks one. That seed is run first. When the
//! simulation has changed, another one shows the bug; `--bless` writes it down, in the page of the bug
//! as well.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde_json::Value;

use crate::Result;
use crate::checks::{Checks, ensure, grouped};
use crate::process::{self, Ended};
use crate::totals::Totals;
use crate::workspace::{self, Profile};

/// Seeds within which every canary must be found.
pub(crate) const SEEDS_MAX: u64 = 10_000;
/// How long one may take to be found, and to be built.
const FOUND_WITHIN: Duration = Duration::from_secs(300);

/// Builds and runs the canaries; all of them if none is named. Blessed, each gets the first seed that
/// shows it.
pub(crate) fn run(only: &[String], bless: bool) -> Result<Totals> {
    let canaries = all()?;
    if let Some(unknown) = only.iter().find(|name| !canaries.iter().any(|it| it.name == **name)) {
        let names: Vec<&str> = canaries.iter().map(|canary| canary.name.as_str()).collect();
        return Err(format!("no canary '{unknown}': {}", names.join(", ")).into());
    }
    let cage = Cage::new()?;
    let mut checks = Checks::default();
    for canary in canaries {
        if only.is_empty() || only.contains(&canary.name) {
            checks.check(&canary.name, || cage.try_canary(&canary, bless));
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
    /// A seed that shows it.
    seed: u64,
}

/// What lies in `canaries/`, by name.
fn all() -> Result<Vec<Canary>> {
    let folder = workspace::root().join("xtask/canaries");
    let mut canaries = Vec::new();
    for entry in fs::read_dir(&folder)? {
        let patch = entry?.path();
        let name = patch.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let text = fs::read_to_string(&patch)?;
        let shows = header(&patch, &text, "Shows: ")?.split(", ").map(str::to_owned).collect();
        let seed = header(&patch, &text, "Seed: ")?.parse()?;
        canaries.push(Canary { name, patch, shows, seed });
    }
    canaries.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(canaries)
}

/// What stands behind a word of a patch's text.
fn header<'a>(patch: &Path, text: &'a str, word: &str) -> Result<&'a str> {
    let found = text.lines().find_map(|line| line.strip_prefix(word));
    found.ok_or_else(|| format!("{}: no line `{word}`", patch.display()).into())
}

impl Canary {
    /// Writes down another seed, here and in the page of the bug if it has one.
    fn bless(&self, seed: u64) -> Result<()> {
        let page = workspace::root().join(format!("docs/classic-bugs/{}.md", self.name));
        for (file, word) in [(&self.patch, "Seed: "), (&page, "Seed ")] {
            if file.is_file() {
                let text = fs::read_to_string(file)?;
                let (before, after) = (format!("\n{word}{}", self.seed), format!("\n{word}{seed}"));
                fs::write(file, text.replacen(&before, &after, 1))?;
            }
        }
        Ok(())
    }
}

/// Removes the files of a copy that the tree does not have.
fn remove_strangers(copy: &Path, folder: &Path) -> Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            remove_strangers(copy, &path)?;
        } else if !workspace::root().join(path.strip_prefix(copy)?).is_file() {
            fs::remove_file(&path)?;
        }
    }
    Ok(())
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

    /// Copies what git knows of, and takes out what it no longer does. What is the same already is left
    /// alone, so that it is not built again.
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
        remove_strangers(&self.tree, &self.tree)
    }

    /// Applies a bug, lets the simulation find it, and takes it out again.
    fn try_canary(&self, canary: &Canary, bless: bool) -> Result<String> {
        self.git_apply(&canary.patch, &[])?;
        let found = self.build(bless).and_then(|wharf| self.find(&wharf, canary, bless));
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

    /// Builds as the tests do if one seed is all that is run, on what they have built of other people's
    /// libraries; and for speed to look for seeds.
    fn build(&self, bless: bool) -> Result<PathBuf> {
        let mut build = workspace::cargo();
        build.args(["build", "--quiet", "--package", "wharf-cli"]).current_dir(&self.tree);
        build.env("CARGO_TARGET_DIR", &self.build);
        // Each differs from the one before in a few lines.
        build.env("CARGO_INCREMENTAL", "1");
        let profile = if bless {
            build.env("CARGO_PROFILE_SIM_DEBUG", "false").env("CARGO_PROFILE_SIM_OPT_LEVEL", "1");
            Profile::Sim
        } else {
            // The program itself still goes to where no other step looks for it. A cargo before 1.91
            // does not know this, and builds everything once more.
            build.env("CARGO_BUILD_BUILD_DIR", workspace::target()?);
            Profile::Dev
        };
        build.args(["--profile", profile.name()]);
        process::succeed(&mut build)?;
        Ok(profile.wharf(&self.build))
    }

    /// Runs the seed that is known to show the bug, or looks for the first that does.
    fn find(&self, wharf: &Path, canary: &Canary, bless: bool) -> Result<String> {
        if !bless {
            let shown = self.simulate(wharf, canary, canary.seed, 1);
            return shown.map_err(|error| {
                let name = &canary.name;
                format!("{error}; if others do: `cargo xtask canaries --bless {name}`").into()
            });
        }
        self.simulate(wharf, canary, 0, SEEDS_MAX)
    }

    /// Runs seeds, of which one must show the bug; and that one once more, which must show the same.
    fn simulate(&self, wharf: &Path, canary: &Canary, from: u64, seeds: u64) -> Result<String> {
        let ended = self.run_seeds(wharf, from, seeds)?;
        ensure(ended.code != Some(0), || format!("not found in {} seeds", grouped(seeds)))?;
        let (invariant, seed, what) = violation(&ended)?;
        let again = violation(&self.run_seeds(wharf, seed, 1)?)?.2;
        ensure(what == again, || {
            format!("seed {seed} shows another thing again: {what}; {again}")
        })?;
        let expected = canary.shows.join(" or ");
        ensure(canary.shows.contains(&invariant), || {
            format!("seed {seed} breaks {invariant}, and {expected} was to break")
        })?;
        if seed != canary.seed {
            canary.bless(seed)?;
        }
        Ok(format!("seed {seed} breaks {invariant}"))
    }
}

impl Cage {
    fn run_seeds(&self, wharf: &Path, from: u64, seeds: u64) -> Result<Ended> {
        let mut sim = Command::new(wharf);
        sim.args(["sim", "--replays", "0", "--json", "-", "--jobs", "1"]);
        sim.args(["--from", &from.to_string(), "--seeds", &seeds.to_string()]);
        process::run(sim.current_dir(&self.tree), FOUND_WITHIN)
    }
}

/// Which invariant was broken, by which seed, and how.
fn violation(ended: &Ended) -> Result<(String, u64, String)> {
    let report: Value = serde_json::from_str(&ended.stdout)
        .map_err(|error| format!("no report ({error}): {}{}", ended.stdout, ended.stderr))?;
    let violation = &report["violation"];
    let text = |key: &str| violation[key].as_str().map(str::to_owned);
    match (text("invariant"), violation["seed"].as_u64(), text("what")) {
        (Some(invariant), Some(seed), Some(what)) => Ok((invariant, seed, what)),
        _ => Err(format!("no violation: {report}").into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_invariant_has_a_canary_that_breaks_no_other() {
        let canaries = all().unwrap();
        for invariant in 1..=14 {
            let name = format!("I{invariant}");
            assert!(canaries.iter().any(|canary| canary.shows == [&*name]), "none for {name}");
        }
    }
}
