//! The crates as they would be published.

use std::time::Duration;

use super::source::Source;
use crate::checks::ensure;
use crate::workspace::cargo;
use crate::{Result, process};

/// What is published, each after what it stands on.
const CRATES: [&str; 4] = ["wharf-port", "wharf", "wharf-models", "wharf-cli"];
/// Those whose interfaces are promised.
const PROMISED: [&str; 2] = ["wharf-port", "wharf"];
/// What each package must hold besides its sources.
const NEEDED: [&str; 3] = ["LICENSE-APACHE", "LICENSE-MIT", "README.md"];
/// How long cargo may take to list the files of a package.
const LIST_MAX: Duration = Duration::from_secs(60);

/// Packs each crate, unpacks it where nothing of this workspace is, and builds it there.
pub(super) fn package() -> Result<String> {
    let mut files = 0;
    for name in CRATES {
        let listed = cargo_run(&["package", "--list", "--package", name])?;
        let listed: Vec<&str> = listed.lines().collect();
        for needed in NEEDED {
            ensure(listed.contains(&needed), || format!("{name} has no {needed}"))?;
        }
        files += listed.len();
    }
    let mut package = cargo();
    package.args(["package", "--quiet"]).args(CRATES.iter().flat_map(|name| ["--package", name]));
    process::succeed(&mut package)?;
    Ok(format!("{} crates, {files} files", CRATES.len()))
}

/// Compares the interfaces with those of the last release, by cargo-semver-checks if it is installed: to build
/// it takes longer than everything else together.
pub(super) fn compare(source: &Source) -> Result<String> {
    let Some(tag) = source.last_release() else {
        return Ok("nothing has been released that they could differ from".to_owned());
    };
    if cargo_run(&["semver-checks", "--version"]).is_err() {
        return Ok("left out: no cargo-semver-checks (`cargo install --locked` gets it)".to_owned());
    }
    let mut check = cargo();
    check.args(["semver-checks", "--baseline-rev", &tag]);
    check.args(PROMISED.iter().flat_map(|name| ["--package", name]));
    process::succeed(&mut check)?;
    Ok(format!("they keep what {tag} has promised"))
}

fn cargo_run(arguments: &[&str]) -> Result<String> {
    let ended = process::run(cargo().args(arguments), LIST_MAX)?;
    let words = arguments.join(" ");
    ensure(ended.code == Some(0), || format!("`cargo {words}`: {}", ended.stderr.trim()))?;
    Ok(ended.stdout)
}
