//! An archive, as somebody has got it: it is unpacked, and the program in it has to serve.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use super::archive::Archive;
use super::build::Target;
use crate::checks::{Checks, ensure};
use crate::server::{Server, Signal};
use crate::windows::{Wine, driven};
use crate::workspace;
use crate::{Result, load, process, server, smoke};

/// What a server is loaded with, and with what framing.
const FRAMING: &str = "--framing u32le";
const LOAD: &str = "--framing u32le --sessions 50 --depth 4 --duration 1";
/// How long `ldd` may take.
const LDD_MAX: Duration = Duration::from_secs(20);

/// Unpacks it, and runs what can be run of it here.
pub(super) fn run(target: &Target, archive: &Archive, checks: &mut Checks) -> Result<()> {
    let folder = workspace::target()?.join("release-trial");
    if folder.exists() {
        fs::remove_dir_all(&folder)?;
    }
    let unpacked = archive.unpack(&folder)?;
    let program = unpacked.join(target.program());
    if target.is_windows() {
        let wine = Wine::start()?;
        let server = wine.wrap(&program)?;
        let client = linux_client()?;
        checks.check(format!("{target}, under Wine"), || {
            driven::loaded(&server, &client, FRAMING, LOAD)
        });
    } else {
        checks.check(format!("{target}, alone"), || needs_no_library(&program));
        for backend in server::backends(&program)? {
            checks.check(format!("{target}, {backend}, in an empty root"), || {
                alone(&unpacked, &program, backend)
            });
        }
    }
    Ok(())
}

/// The program for Linux, which comes first and has been built by now.
fn linux_client() -> Result<std::path::PathBuf> {
    let target = &Target::all()?[0];
    let built = workspace::target()?.join("release-build").join(target.name);
    Ok(built.join("release").join(target.program()))
}

fn needs_no_library(program: &Path) -> Result<String> {
    let ended = process::run(Command::new("ldd").arg(program), LDD_MAX)?;
    let said = format!("{}{}", ended.stdout, ended.stderr);
    let is_static = ["statically linked", "not a dynamic executable"];
    ensure(is_static.iter().any(|it| said.contains(it)), || format!("ldd says: {}", said.trim()))?;
    Ok(said.trim().to_owned())
}

/// Where there is nothing but the program and what came with it: no library, no `/etc`, no `/proc`, no `/dev`.
fn alone(root: &Path, program: &Path, backend: &str) -> Result<String> {
    let mut command = if rustix::process::geteuid().is_root() {
        Command::new("chroot")
    } else {
        let mut unshare = Command::new("unshare");
        unshare.args(["--map-root-user", "chroot"]);
        unshare
    };
    command.arg(root).args(["/wharf", "serve", "echo", "--listen", "127.0.0.1:0"]);
    command.args(["--backend", backend]).args(FRAMING.split_whitespace());
    let server = Server::start(&mut command)?;
    let figure = load::echo(program, &server, LOAD)?.figure()?;
    smoke::drained(&server.stop(Signal::Terminate)?)?;
    Ok(figure)
}
