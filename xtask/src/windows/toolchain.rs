//! Which compiler builds for other systems.
//!
//! The one that builds everything else, if it has their standard libraries or rustup can get them. Where
//! it cannot, Debian has a compiler together with the sources of its library, which is then built too:
//! slower, and the same otherwise.

use std::env;
use std::fmt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::{Result, packages, process, workspace};

/// What Debian calls its compiler, its cargo, the sources of its library, its clippy, and a linker.
const DEBIAN: [&str; 4] = ["rustc-web", "cargo-web", "rust-web-src", "rust-web-clippy"];
/// Where Debian puts them, and what is built of the library.
const DEBIAN_PROGRAMS: &str = "/usr/bin";
const DEBIAN_LIBRARY: &str = "/usr/lib/rustlib/src/rust/library/std/Cargo.toml";
const BUILD_STD: &str = "std,panic_unwind";
/// How long any command of cargo may take, tests included.
const WITHIN: Duration = Duration::from_secs(900);
/// How long a compiler may take to say what it has.
const ANSWER_MAX: Duration = Duration::from_secs(20);

/// A compiler for other systems.
#[derive(Debug)]
pub(crate) enum Toolchain {
    /// The one that has built this program.
    Usual,
    /// Debian's, by the folder of its programs.
    Debian(PathBuf),
}

impl Toolchain {
    /// The toolchain for these targets; installs what is missing.
    pub(crate) fn find(targets: impl Iterator<Item = &'static str>) -> Result<Self> {
        let missing: Vec<&str> = targets.filter(|target| !has_library(target)).collect();
        if missing.is_empty() || add(&missing) {
            return Ok(Self::Usual);
        }
        println!("rustup cannot get the libraries for {}", missing.join(", "));
        let folder = Path::new(DEBIAN_PROGRAMS);
        packages::install(&DEBIAN, || {
            Path::new(DEBIAN_LIBRARY).exists() && folder.join("cargo-clippy").exists()
        })?;
        Ok(Self::Debian(folder.to_path_buf()))
    }

    /// Whether the usual one has a target's library, which it gets if it can.
    #[cfg(target_os = "linux")]
    pub(crate) fn has(target: &'static str) -> bool {
        has_library(target) || add(&[target])
    }

    /// cargo for a target, with a deadline, building to a folder beside the others.
    pub(crate) fn cargo(&self, target: &str) -> Command {
        let cargo = match self {
            Self::Usual => workspace::cargo().get_program().into(),
            Self::Debian(folder) => folder.join("cargo"),
        };
        let mut command = within(WITHIN, &cargo);
        command.current_dir(workspace::root());
        if let Self::Debian(folder) = self {
            let path = env::var_os("PATH").unwrap_or_default();
            let path = env::join_paths([folder.clone()].into_iter().chain(env::split_paths(&path)));
            command
                .envs(path.map(|path| ("PATH", path)))
                .env("RUSTC", folder.join("rustc"))
                .env("RUSTDOC", folder.join("rustdoc"))
                .env("RUSTC_BOOTSTRAP", "1")
                .env("CARGO_UNSTABLE_BUILD_STD", BUILD_STD)
                .env_remove("RUSTUP_TOOLCHAIN");
        }
        if cfg!(windows) {
            return command;
        }
        command.env("CARGO_BUILD_TARGET", target);
        // No debugger sees what is built here, and a panic tells its line without.
        command.env("CARGO_PROFILE_DEV_DEBUG", "false");
        if let Ok(folder) = folder() {
            command.env("CARGO_TARGET_DIR", folder);
        }
        command
    }
}

impl fmt::Display for Toolchain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Usual => f.write_str("the usual toolchain"),
            Self::Debian(folder) => write!(f, "Debian's toolchain in {}", folder.display()),
        }
    }
}

/// Where everything for other systems is built, and where Wine has its files.
pub(super) fn folder() -> Result<PathBuf> {
    Ok(workspace::target()?.join("windows"))
}

/// A command that is ended when its time is over; on Windows only by who has started this.
pub(super) fn within(limit: Duration, program: &Path) -> Command {
    if cfg!(windows) {
        return Command::new(program);
    }
    let mut command = Command::new("timeout");
    command.arg("--kill-after=5").arg(limit.as_secs().to_string()).arg(program);
    command
}

/// Whether the usual compiler has a target's standard library.
fn has_library(target: &str) -> bool {
    let mut rustc = Command::new(env::var_os("RUSTC").unwrap_or_else(|| "rustc".into()));
    rustc.args(["--print", "target-libdir", "--target", target]);
    let ended = process::run(&mut rustc, ANSWER_MAX);
    ended.is_ok_and(|ended| ended.code == Some(0) && Path::new(ended.stdout.trim()).is_dir())
}

/// Has rustup get libraries, if there is a rustup and a way to them.
fn add(targets: &[&str]) -> bool {
    let mut rustup = Command::new("rustup");
    rustup.args(["target", "add"]).args(targets);
    process::run(&mut rustup, WITHIN).is_ok_and(|ended| ended.code == Some(0))
}
