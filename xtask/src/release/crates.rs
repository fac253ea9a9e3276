//! The crates as they would be published.

use std::fs;
use std::time::Duration;

use super::build::unpacked;
use super::source::Source;
use crate::changelog::VERSION;
use crate::checks::ensure;
use crate::workspace::{self, cargo};
use crate::{Result, process};

/// What is published, each after what it stands on.
const CRATES: [&str; 6] =
    ["wharf-port", "wharf", "wharf-capture", "wharf-admin", "wharf-models", "wharf-cli"];
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
    forget_unpacked()?;
    // Nor is anything built again that was built of one of that version.
    let built = workspace::target()?.join("release-crates");
    if built.exists() {
        fs::remove_dir_all(&built)?;
    }
    let mut package = cargo();
    package
        .env("CARGO_TARGET_DIR", built)
        .args(["package", "--quiet"])
        .args(CRATES.iter().flat_map(|name| ["--package", name]));
    process::succeed(&mut package)?;
    Ok(format!("{} crates, {files} files", CRATES.len()))
}

/// Removes what cargo has unpacked of packages that it has made before: those of one version are the same to it,
/// and a crate would be built on an older state of another.
fn forget_unpacked() -> Result<()> {
    for registry in unpacked()? {
        // One that is a folder of this machine has no host in its name.
        let is_local = registry.file_name().is_some_and(|name| name.as_encoded_bytes()[0] == b'-');
        for name in CRATES.iter().filter(|_| is_local) {
            let old = registry.join(format!("{name}-{VERSION}"));
            if old.exists() {
                fs::remove_dir_all(old)?;
            }
        }
    }
    Ok(())
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
