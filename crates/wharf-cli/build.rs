//! Notes the commit that is built, for what has to be repeated on the same sources.

use std::path::Path;
use std::process::Command;

/// What git writes to whenever the commit that is checked out changes.
const LOG: &str = "../../.git/logs/HEAD";

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    if Path::new(LOG).exists() {
        println!("cargo:rerun-if-changed={LOG}");
    }
    let described = Command::new("git").args(["rev-parse", "--short=12", "HEAD"]).output();
    let commit = described
        .ok()
        .filter(|output| output.status.success())
        .and_then(|output| String::from_utf8(output.stdout).ok())
        .unwrap_or_else(|| "unknown".to_owned());
    println!("cargo:rustc-env=WHARF_COMMIT={}", commit.trim());
}
