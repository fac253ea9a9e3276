//! Archives: the same bytes however often they are made, so that anybody can make one and compare.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, UNIX_EPOCH};

use super::build::Built;
use super::notices;
use super::source::Source;
use crate::checks::{ensure, grouped};
use crate::{Result, packages, process};

/// What goes with the program, from the root of the workspace.
const DOCUMENTS: [&str; 4] = ["CHANGELOG.md", "LICENSE-APACHE", "LICENSE-MIT", "README.md"];
/// The licences of the crates that are linked into it.
const NOTICES: &str = "THIRD-PARTY.txt";
/// The list of checksums.
const CHECKSUMS: &str = "SHA256SUMS";

/// An archive.
#[derive(Debug)]
pub(super) struct Archive {
    pub(super) path: PathBuf,
    /// The one folder in it.
    pub(super) name: String,
}

impl Archive {
    /// Packs a program and what goes with it: a zip for Windows, which opens no other by itself.
    pub(super) fn make(source: &Source, built: &Built<'_>, folder: &Path) -> Result<Self> {
        let name = format!("wharf-{}-{}", source.version(), built.target);
        let staged = folder.join(&name);
        fs::create_dir_all(&staged)?;
        fs::copy(&built.program, staged.join(built.target.program()))?;
        for document in DOCUMENTS {
            fs::copy(built.sources.join(document), staged.join(document))?;
        }
        fs::write(staged.join(NOTICES), notices::of(built)?)?;
        let mut files = vec![built.target.program(), NOTICES];
        files.extend(DOCUMENTS);
        files.sort_unstable();
        let time = UNIX_EPOCH + Duration::from_secs(source.time);
        for file in &files {
            File::options().append(true).open(staged.join(file))?.set_modified(time)?;
        }
        let ending = if built.target.is_windows() { "zip" } else { "tar.gz" };
        let path = folder.join(format!("{name}.{ending}"));
        let files: Vec<String> = files.iter().map(|file| format!("{name}/{file}")).collect();
        if built.target.is_windows() {
            zip(folder, &path, &files)?;
        } else {
            tar(folder, &path, &files)?;
        }
        fs::remove_dir_all(&staged)?;
        println!("{}: {} bytes", path.display(), grouped(fs::metadata(&path)?.len()));
        Ok(Self { path, name })
    }

    /// Unpacks it to a folder, and gives the one that was in it.
    pub(super) fn unpack(&self, to: &Path) -> Result<PathBuf> {
        fs::create_dir_all(to)?;
        let mut command = if self.path.extension().is_some_and(|it| it == "zip") {
            let mut unzip = Command::new("unzip");
            unzip.arg("-q").arg(&self.path).arg("-d").arg(to);
            unzip
        } else {
            let mut tar = Command::new("tar");
            tar.args(["--extract", "--gzip", "--file"]).arg(&self.path).arg("--directory").arg(to);
            tar
        };
        process::succeed(&mut command)?;
        Ok(to.join(&self.name))
    }
}

fn tar(folder: &Path, path: &Path, files: &[String]) -> Result<()> {
    let plain = path.with_extension("");
    let mut tar = Command::new("tar");
    tar.args(["--create", "--format=ustar", "--owner=0", "--group=0", "--numeric-owner"]);
    tar.args(["--mode=u=rwX,go=rX", "--file"]).arg(&plain).arg("--directory").arg(folder);
    process::succeed(tar.args(files))?;
    // Without a name and a time of its own.
    process::succeed(Command::new("gzip").args(["--no-name", "--best", "--force"]).arg(&plain))
}

fn zip(folder: &Path, path: &Path, files: &[String]) -> Result<()> {
    let there = || ["zip", "unzip"].iter().all(|it| packages::find(it, &[]).is_some());
    packages::install(&["zip", "unzip"], there)?;
    if path.exists() {
        fs::remove_file(path)?;
    }
    let mut zip = Command::new("zip");
    // It writes times of a clock on the wall: everywhere the same one.
    zip.args(["-q", "-9", "-X", "-D"]).arg(path).args(files).env("TZ", "UTC");
    process::succeed(zip.current_dir(folder))
}

/// Writes down the checksums of these, and checks them as those do who have got both.
pub(super) fn checksums(folder: &Path, archives: &[Archive]) -> Result<String> {
    let sums = || {
        let mut sha256sum = Command::new("sha256sum");
        sha256sum.current_dir(folder);
        sha256sum
    };
    let mut of_all = sums();
    of_all.args(archives.iter().filter_map(|archive| archive.path.file_name()));
    let ended = process::run(&mut of_all, Duration::from_secs(60))?;
    ensure(ended.code == Some(0), || ended.stderr.trim().to_owned())?;
    fs::write(folder.join(CHECKSUMS), &ended.stdout)?;
    process::succeed(sums().args(["--check", "--strict", "--quiet", CHECKSUMS]))?;
    Ok(format!("{} in {CHECKSUMS}", ended.stdout.lines().count()))
}
