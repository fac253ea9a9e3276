//! A Wine that nobody else uses: a prefix in the build folder, and a server that is kept up while this
//! runs, since to start one takes longer than most programs.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use super::WINDOWS;
use super::toolchain::{folder, within};
use crate::checks::ensure;
use crate::{Result, packages, process, wait, workspace};

/// Wine and the linker for Windows.
const PACKAGES: [&str; 3] = ["wine64", "wine", "gcc-mingw-w64-x86-64"];
/// Where Debian has what is not meant to be typed.
const WINE_FOLDERS: [&str; 1] = ["/usr/lib/wine"];
const COMPILER: &str = "x86_64-w64-mingw32-gcc";
/// A library that Rust's standard library needs, and old Wines lack.
const RANDOM: &str = "bcryptprimitives.dll";
const RANDOM_SOURCE: &str = "xtask/src/windows/bcryptprimitives.c";
/// For how many seconds the server stays without anybody: longer than what is built in between takes.
const PERSISTENT: &str = "--persistent=300";
/// How long a prefix may take to be made, the library to be compiled, a server to end.
const PREFIX_MAX: Duration = Duration::from_secs(120);
/// How long one test program, or one server, may run.
const PROGRAM_MAX: Duration = Duration::from_secs(400);

/// Wine, from its start until this is dropped.
#[derive(Debug)]
pub(crate) struct Wine {
    wine: PathBuf,
    prefix: PathBuf,
    server_program: PathBuf,
    server: Child,
}

impl Wine {
    /// Installs what is missing, makes a prefix if there is none, and starts its server.
    pub(crate) fn start() -> Result<Self> {
        let wine = || packages::find("wine64", &WINE_FOLDERS);
        let server = || {
            let found = packages::find("wineserver64", &WINE_FOLDERS);
            found.or_else(|| packages::find("wineserver", &WINE_FOLDERS))
        };
        let compiler = || packages::find(COMPILER, &[]);
        let all = || wine().and_then(|_| server()).and_then(|_| compiler()).is_some();
        packages::install(&PACKAGES, all)?;
        let (Some(wine), Some(server_program)) = (wine(), server()) else {
            return Err("Wine is not where it should be".into());
        };
        let prefix = folder()?.join("wine");
        fs::create_dir_all(&prefix)?;
        // In the foreground, so that it is a child that can be waited for; and out of reach of a signal
        // that ends this program, after which it has to end the processes of Wine by itself.
        let mut command = Command::new(&server_program);
        command.args(["--foreground", PERSISTENT]).env("WINEPREFIX", &prefix);
        #[cfg(unix)]
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let server = process::spawn(&mut command)?;
        let wine = Self { wine, prefix, server_program, server };
        wine.prepare()?;
        Ok(wine)
    }

    /// Makes what is missing in the prefix.
    fn prepare(&self) -> Result<()> {
        let library = self.prefix.join("drive_c/windows/system32").join(RANDOM);
        if library.exists() {
            return Ok(());
        }
        println!("making a prefix for Wine in {}", self.prefix.display());
        let mut boot = within(PREFIX_MAX, &self.wine);
        // Neither .NET nor a browser is needed, and both would be asked for.
        boot.args(["wineboot", "--init"]).env("WINEDLLOVERRIDES", "mscoree,mshtml=");
        let log = File::create(self.prefix.join("wineboot.log"))?;
        boot.stdout(log.try_clone()?).stderr(log);
        self.set_up(&mut boot);
        process::succeed(&mut boot)?;
        if library.exists() {
            return Ok(());
        }
        let mut compiler = within(PREFIX_MAX, Path::new(COMPILER));
        compiler.args(["-shared", "-O2", "-o"]).arg(&library);
        compiler.arg(workspace::root().join(RANDOM_SOURCE)).arg("-ladvapi32");
        process::succeed(&mut compiler)
    }

    fn set_up(&self, command: &mut Command) {
        command.env("WINEPREFIX", &self.prefix).env("WINEDEBUG", "-all");
    }

    /// Has cargo run what it has built for Windows.
    pub(super) fn run_by(&self, cargo: &mut Command) {
        let variable = WINDOWS.to_uppercase().replace('-', "_");
        let limit = PROGRAM_MAX.as_secs();
        let runner = format!("timeout --kill-after=5 {limit} {}", self.wine.display());
        cargo.env(format!("CARGO_TARGET_{variable}_RUNNER"), runner);
        self.set_up(cargo);
    }

    /// A program of Linux that is a program of Windows under this Wine.
    pub(crate) fn wrap(&self, program: &Path) -> Result<PathBuf> {
        let script = program.with_extension("sh");
        let [wine, prefix, program] =
            [&self.wine, &self.prefix, program].map(|path| path.display().to_string());
        for path in [&wine, &prefix, &program] {
            ensure(!path.contains('\''), || format!("{path} has an apostrophe"))?;
        }
        let text = format!(
            "#!/bin/sh\nexport WINEPREFIX='{prefix}' WINEDEBUG=-all HOME='{prefix}'\n\
             exec '{wine}' '{program}' \"$@\"\n"
        );
        fs::write(&script, text)?;
        process::succeed(Command::new("chmod").arg("+x").arg(&script))?;
        Ok(script)
    }
}

impl Drop for Wine {
    fn drop(&mut self) {
        // It ends what still runs in its prefix, and nothing else.
        let mut end = Command::new(&self.server_program);
        let _ = process::succeed(end.arg("--kill").env("WINEPREFIX", &self.prefix));
        let ended = wait::until(PREFIX_MAX, || self.server.try_wait().transpose());
        if ended.is_none() {
            eprintln!("process {} (wineserver) has not ended", self.server.id());
        }
    }
}
