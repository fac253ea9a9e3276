//! What must be shown of the examples that users start from, as programs that run: some seconds each; `--many`
//! is the size that must be shown.
//!
//! | module | what it shows |
//! |---|---|
//! | [`gateway`], [`flow`] | a stream through the gateway to a slow reader is whole, and takes no memory |
//! | [`reconnects`] | a client outlives its server, however often that is killed |
//! | [`room`] | a room's ticks are as regular as those of a bare thread |
//!
//! That a slow query of the database example delays nobody else is a test of its own, in `examples/`.

mod flow;
mod gateway;
mod reconnects;
mod room;

use std::env;
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use clap::ValueEnum;

use crate::backends::{self, Check, Terms};
use crate::totals::Totals;
use crate::{Result, process, workspace};

/// What is shown.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub(crate) enum Show {
    /// The gateway forwards to slow readers without a byte lost, and without memory for it.
    Gateway,
    /// A client finds its server again each time that it is killed, and says so once.
    Reconnects,
    /// A room's ticks are as regular as those of a bare thread, beside a busy room.
    Room,
}

/// Shows these, or all of them, on each backend.
pub(crate) fn run(only: &[Show], many: bool, only_backend: Option<&str>) -> Result<Totals> {
    backends::check(only, many, only_backend)
}

impl Check for Show {
    fn headline(&self) -> &'static str {
        match self {
            Self::Gateway => "a gateway to slow readers",
            Self::Reconnects => "a client whose server is killed",
            Self::Room => "a room beside a busy one",
        }
    }

    fn run(&self, terms: &Terms<'_>) -> Result<String> {
        match self {
            Self::Gateway => gateway::run(terms),
            Self::Reconnects => reconnects::run(terms),
            Self::Room => room::run(terms),
        }
    }
}

impl Terms<'_> {
    /// The words that start an example, which takes `io_uring` if it is there: so it is denied for the other
    /// backend.
    fn example(&self, name: &str) -> Result<Command> {
        let program = build(name, self.many)?;
        if self.backend == "uring" {
            return Ok(Command::new(program));
        }
        let mut command = Command::new(env::current_exe()?);
        command.args(["deny-uring", "--"]).arg(program);
        Ok(command)
    }
}

/// An example, as users build it; or as the tests have built it, which CI need not build anew.
fn build(name: &str, release: bool) -> Result<PathBuf> {
    let mut build = workspace::cargo();
    build.args(["build", "--quiet", "--package", "wharf", "--example", name]);
    if release {
        build.arg("--release");
    }
    process::succeed(&mut build)?;
    let folder = if release { "release" } else { "debug" };
    Ok(workspace::target()?.join(folder).join("examples").join(name))
}

/// An address of the loopback interface that was free just now.
fn free_address() -> Result<SocketAddr> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?)
}

/// A program that runs, and is killed when this is dropped.
#[derive(Debug)]
struct Running(Child);

impl Running {
    fn start(command: &mut Command) -> Result<Self> {
        process::spawn(command.stdin(Stdio::null())).map(Self)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended, and been waited for: then both do nothing.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
