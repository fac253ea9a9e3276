//! Where things lie, and how cargo is called.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::Result;

/// The root of the workspace.
pub(crate) fn root() -> &'static Path {
    let xtask = Path::new(env!("CARGO_MANIFEST_DIR"));
    xtask.parent().unwrap_or(xtask)
}

/// The workspace of the comparison.
pub(crate) fn bench() -> PathBuf {
    root().join("bench")
}

/// The workspace of the examples that need more than wharf.
pub(crate) fn examples() -> PathBuf {
    root().join("examples")
}

/// Where cargo builds to. This program lies in its folder `debug`, whatever the environment and the
/// configuration say.
pub(crate) fn target() -> Result<PathBuf> {
    let own = env::current_exe()?;
    let target = own.parent().and_then(Path::parent).map(Path::to_path_buf);
    target.ok_or_else(|| format!("{} lies in no build folder", own.display()).into())
}

/// The cargo that runs this program, in the root of the workspace.
pub(crate) fn cargo() -> Command {
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(root());
    command
}

/// The program `wharf`, which is built first.
pub(crate) fn wharf(profile: Profile) -> Result<PathBuf> {
    let mut build = cargo();
    build.args(["build", "--quiet", "--package", "wharf-cli", "--profile", profile.name()]);
    crate::process::succeed(&mut build)?;
    Ok(profile.wharf(&target()?))
}

/// How the program is built.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Profile {
    /// As the tests build it.
    Dev,
    /// As users build it.
    Release,
    /// For the simulation: fast, and with every assertion.
    Sim,
}

impl Profile {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Dev => "dev",
            Self::Release => "release",
            Self::Sim => "sim",
        }
    }

    pub(crate) const fn folder(self) -> &'static str {
        match self {
            Self::Dev => "debug",
            Self::Release => "release",
            Self::Sim => "sim",
        }
    }

    /// Where the program `wharf` lies in a target folder.
    pub(crate) fn wharf(self, target: &Path) -> PathBuf {
        target.join(self.folder()).join(format!("wharf{}", env::consts::EXE_SUFFIX))
    }
}
