//! What is given away: the crates as packages, and the program for Linux and for Windows as archives with a
//! list of checksums, in `target/release-files`. Nothing is uploaded.
//!
//! | module | what it does |
//! |---|---|
//! | [`source`] | the commit that it is made of, and whether it is a release or a trial |
//! | [`crates`] | `cargo package`, and the check of their interfaces against the last release |
//! | [`build`] | the program: static, stripped, and the same wherever it is built |
//! | [`notices`] | the licences of what is linked into it |
//! | [`archive`] | archives that are the same however often they are made, and their checksums |
//! | [`trial`] | an archive that is unpacked and has to show what it can do |

mod archive;
mod build;
mod crates;
mod notices;
mod source;
mod trial;

use std::fs;
use std::path::{Path, PathBuf};

use clap::Args;

use crate::checks::{Checks, ensure};
use crate::totals::Totals;
use crate::{Result, changelog, process, workspace};
use archive::Archive;
use build::{Built, Target};
use source::Source;

/// What of it.
#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct ReleaseArgs {
    /// The crates alone.
    #[arg(long, conflicts_with_all = ["programs", "twice"])]
    crates: bool,
    /// The programs alone.
    #[arg(long)]
    programs: bool,
    /// Build the programs a second time, from a copy of the sources in another folder: the archives must
    /// be the same, byte by byte.
    #[arg(long)]
    twice: bool,
}

/// Makes everything, and checks it.
pub(crate) fn run(args: ReleaseArgs) -> Result<Totals> {
    let source = Source::find()?;
    println!("{source}");
    let mut checks = Checks::default();
    if source.is_release {
        checks.check("changes", changelog::has_this_version);
    }
    if !args.programs {
        checks.check("packages", crates::package);
        checks.check("interfaces", || crates::compare(&source));
    }
    if !args.crates {
        let folder = folder()?;
        let archives = programs(&source, &mut checks, &folder)?;
        checks.check("checksums", || archive::checksums(&folder, &archives));
        if args.twice {
            checks.check("built again elsewhere", || again(&source, &archives));
        }
        println!("in {}", folder.display());
    }
    Ok(checks.totals())
}

/// Where archives go. What was there before is of another commit.
fn folder() -> Result<PathBuf> {
    let folder = workspace::target()?.join("release-files");
    if folder.exists() {
        fs::remove_dir_all(&folder)?;
    }
    fs::create_dir_all(&folder)?;
    Ok(folder)
}

/// Builds the program for each system, packs it, and has it do what it is for.
fn programs(source: &Source, checks: &mut Checks, folder: &Path) -> Result<Vec<Archive>> {
    let mut archives = Vec::new();
    for target in Target::all()? {
        let built =
            Built::of(&target, workspace::root(), &workspace::target()?.join("release-build"))?;
        checks.check(format!("{target}, no path of this machine"), || built.names_no_path());
        let archive = Archive::make(source, &built, folder)?;
        trial::run(&target, &archive, checks)?;
        archives.push(archive);
    }
    Ok(archives)
}

/// Builds all of it once more from a copy, as somebody else would, and compares.
fn again(source: &Source, archives: &[Archive]) -> Result<String> {
    let elsewhere = workspace::target()?.join("release-again");
    let copy = elsewhere.join("another-place");
    if copy.exists() {
        fs::remove_dir_all(&copy)?;
    }
    fs::create_dir_all(&elsewhere)?;
    let mut clone = source::git(&["clone", "--quiet", "--no-hardlinks"]);
    process::succeed(clone.arg(workspace::root()).arg(&copy))?;
    process::succeed(source::git(&["checkout", "--quiet", &source.commit]).current_dir(&copy))?;
    let files = elsewhere.join("files");
    fs::create_dir_all(&files)?;
    for (target, first) in Target::all()?.iter().zip(archives) {
        let built = Built::of(target, &copy, &elsewhere.join("build"))?;
        let second = Archive::make(source, &built, &files)?;
        ensure(fs::read(&first.path)? == fs::read(&second.path)?, || {
            format!("{} and {} differ", first.path.display(), second.path.display())
        })?;
    }
    Ok(format!("{} archives are the same", archives.len()))
}
