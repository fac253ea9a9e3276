//! Notes the commit that is built, for what has to be repeated on the same sources.

use std::fs;
use std::path::Path;
use std::process::Command;

/// What git writes to whenever the commit that is checked out changes.
const LOG: &str = "../../.git/logs/HEAD";
/// What a package has in place of a repository.
const PACKAGED: &str = ".cargo_vcs_info.json";
/// How much of a commit is noted.
const DIGITS: usize = 12;

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    if Path::new(LOG).exists() {
        println!("cargo:rerun-if-changed={LOG}");
    }
    // A package may lie within a repository, whose commit is another.
    let commit = if Path::new(PACKAGED).exists() { packaged() } else { checked_out() };
    println!("cargo:rustc-env=WHARF_COMMIT={}", commit.as_deref().unwrap_or("unknown"));
}

/// The commit that a package was made of.
fn packaged() -> Option<String> {
    let noted = fs::read_to_string(PACKAGED).ok()?;
    let (_, rest) = noted.split_once("\"sha1\"")?;
    rest.split('"').nth(1)?.get(..DIGITS).map(str::to_owned)
}

/// The commit that is checked out.
fn checked_out() -> Option<String> {
    let short = format!("--short={DIGITS}");
    let asked = Command::new("git").args(["rev-parse", &short, "HEAD"]).output().ok()?;
    let commit = asked.status.success().then_some(asked.stdout)?;
    String::from_utf8(commit).ok().map(|commit| commit.trim().to_owned())
}
