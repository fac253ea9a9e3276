//! The program as it is given away: it needs no library of the system it runs on, and says nothing of the
//! machine that built it.

use std::env;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::checks::{ensure, grouped};
use crate::windows::{Toolchain, WINDOWS};
use crate::{Result, process, workspace};

/// Linux without a libc of the system.
const MUSL: &str = "x86_64-unknown-linux-musl";
/// Linux where rustup cannot get that: the system's libc is linked into it.
const GNU: &str = "x86_64-unknown-linux-gnu";
/// Has glibc linked into it.
const STATIC: &str = "-Ctarget-feature=+crt-static";
/// A time in the file would differ with each build.
const NO_TIME: &str = "-Clink-arg=-Wl,--no-insert-timestamp";
/// Where Debian has the sources of the standard library.
const DEBIAN_SOURCES: &str = "/usr/lib/rustlib/src/rust";
/// How long the compiler may take to say where it lies.
const ANSWER_MAX: Duration = Duration::from_secs(20);
/// Paths that are no more of one machine than of another.
const PLAIN: [&str; 2] = ["/", "/usr"];

/// A system, and the toolchain that builds for it.
#[derive(Debug)]
pub(super) struct Target {
    pub(super) name: &'static str,
    toolchain: Toolchain,
}

impl Target {
    /// All that the program is given away for; gets what is missing to build for them.
    pub(super) fn all() -> Result<[Self; 2]> {
        let linux = if Toolchain::has(MUSL) { MUSL } else { GNU };
        Ok([
            Self { name: linux, toolchain: Toolchain::Usual },
            Self { name: WINDOWS, toolchain: Toolchain::find([WINDOWS].into_iter())? },
        ])
    }

    pub(super) fn is_windows(&self) -> bool {
        self.name == WINDOWS
    }

    /// The name of the program.
    pub(super) fn program(&self) -> &'static str {
        if self.is_windows() { "wharf.exe" } else { "wharf" }
    }

    /// What the compiler is told besides: what stands before the last matching prefix goes last.
    fn flags(&self, sources: &Path, built: &Path) -> Result<Vec<String>> {
        let mut flags: Vec<String> = remapped(sources, built)?
            .into_iter()
            .map(|(from, to)| format!("--remap-path-prefix={}={to}", from.display()))
            .collect();
        match self.name {
            GNU => flags.push(STATIC.to_owned()),
            WINDOWS => flags.push(NO_TIME.to_owned()),
            _ => {}
        }
        Ok(flags)
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

/// A program that has been built.
#[derive(Debug)]
pub(super) struct Built<'a> {
    pub(super) target: &'a Target,
    pub(super) program: PathBuf,
    /// The manifest that it is of.
    pub(super) sources: PathBuf,
}

impl<'a> Built<'a> {
    /// Builds the sources in a folder to another.
    pub(super) fn of(target: &'a Target, sources: &Path, to: &Path) -> Result<Self> {
        fs::create_dir_all(to)?;
        let mut cargo = target.toolchain.cargo(target.name);
        cargo
            .args(["build", "--quiet", "--locked", "--release", "--package", "wharf-cli"])
            .current_dir(sources)
            .env("CARGO_TARGET_DIR", to)
            .env("CARGO_BUILD_TARGET", target.name)
            .env("CARGO_INCREMENTAL", "0")
            .env("CARGO_PROFILE_RELEASE_STRIP", "symbols")
            .env("CARGO_PROFILE_RELEASE_DEBUG", "none")
            .env_remove("RUSTFLAGS")
            .env("CARGO_ENCODED_RUSTFLAGS", target.flags(sources, to)?.join("\u{1f}"));
        process::succeed(&mut cargo)?;
        let program = to.join(target.name).join("release").join(target.program());
        Ok(Self { target, program, sources: sources.to_path_buf() })
    }

    /// Looks for this machine's paths in the program, all of it.
    pub(super) fn names_no_path(&self) -> Result<String> {
        let program = fs::read(&self.program)?;
        let mut paths: Vec<PathBuf> = remapped(&self.sources, &workspace::target()?)?
            .into_iter()
            .map(|(from, _)| from)
            .chain([workspace::root().to_path_buf()])
            .chain(env::home_dir())
            .collect();
        paths.retain(|path| !PLAIN.iter().any(|plain| path == Path::new(plain)));
        for path in &paths {
            let path = path.as_os_str().as_encoded_bytes();
            ensure(!contains(&program, path), || format!("it has {}", path.escape_ascii()))?;
        }
        Ok(format!("none of {} in {} bytes", paths.len(), grouped(program.len() as u64)))
    }
}

/// What the compiler is to write in place of each path. Of those that match, the last one counts.
fn remapped(sources: &Path, built: &Path) -> Result<Vec<(PathBuf, &'static str)>> {
    let mut remapped = vec![(PathBuf::from(DEBIAN_SOURCES), "/rust"), (sysroot()?, "/rust")];
    remapped.push((cargo_home()?, "/cargo"));
    // Their names are not the same everywhere.
    remapped.extend(unpacked()?.into_iter().map(|registry| (registry, "/crates")));
    remapped.push((sources.to_path_buf(), "/wharf"));
    remapped.push((built.to_path_buf(), "/target"));
    Ok(remapped)
}

/// Where cargo keeps what it has fetched.
fn cargo_home() -> Result<PathBuf> {
    let home = env::var_os("CARGO_HOME").map(PathBuf::from);
    let home = home.or_else(|| Some(env::home_dir()?.join(".cargo")));
    Ok(home.ok_or("neither CARGO_HOME nor HOME says where crates are unpacked")?)
}

/// The folders with the crates that cargo has unpacked, one for each registry.
pub(super) fn unpacked() -> Result<Vec<PathBuf>> {
    let registries = fs::read_dir(cargo_home()?.join("registry/src"));
    registries.into_iter().flatten().map(|registry| Ok(registry?.path())).collect()
}

/// Where the usual compiler has its library.
fn sysroot() -> Result<PathBuf> {
    let mut rustc = Command::new(env::var_os("RUSTC").unwrap_or_else(|| "rustc".into()));
    let said = process::run(rustc.args(["--print", "sysroot"]), ANSWER_MAX)?;
    ensure(said.code == Some(0), || format!("rustc says: {}", said.stderr.trim()))?;
    Ok(said.stdout.trim().into())
}

fn contains(bytes: &[u8], part: &[u8]) -> bool {
    !part.is_empty() && bytes.windows(part.len()).any(|window| window == part)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_in_a_program_is_found() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).as_os_str().as_encoded_bytes();
        let program = [b"\0\x7fELF at ".as_slice(), folder, b"/src/main.rs\0"].concat();
        assert!(contains(&program, folder));
        assert!(!contains(&program[..program.len() - b"/src/main.rs\0".len() - 1], folder));
    }

    #[test]
    fn the_innermost_path_is_remapped_last() {
        let remapped = remapped(Path::new("/a"), Path::new("/a/target")).unwrap();
        for (at, (outer, _)) in remapped.iter().enumerate() {
            let wrong =
                remapped[..at].iter().find(|(inner, _)| inner.starts_with(outer) && inner != outer);
            assert!(wrong.is_none(), "{} hides {wrong:?}", outer.display());
        }
    }
}
