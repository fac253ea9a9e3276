//! What has to be installed, by the names that Debian gives it.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::{Result, process};

/// Finds a program where programs lie or in a folder of its own.
pub(crate) fn find(program: &str, folders: &[&str]) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let folders = env::split_paths(&path).chain(folders.iter().map(PathBuf::from));
    folders.map(|folder| folder.join(program)).find(|file| file.is_file())
}

/// Installs packages, unless everything that they are for is there.
pub(crate) fn install(packages: &[&str], are_there: impl Fn() -> bool) -> Result<()> {
    if are_there() {
        return Ok(());
    }
    let words = packages.join(" ");
    if !Path::new("/usr/bin/apt-get").exists() {
        return Err(format!("install what Debian calls {words}").into());
    }
    println!("installing {words}");
    let apt = |arguments: &[&str]| {
        let mut apt = Command::new("apt-get");
        apt.args(["--yes", "--quiet", "--quiet"]).args(arguments);
        process::succeed(apt.env("DEBIAN_FRONTEND", "noninteractive"))
    };
    let install = [&["install", "--no-install-recommends"], packages].concat();
    apt(&["update"])
        .and_then(|()| apt(&install))
        .map_err(|error| format!("{error}; install {words} as root"))?;
    if are_there() { Ok(()) } else { Err(format!("{words} are not what they should be").into()) }
}
