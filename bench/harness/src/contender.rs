//! The servers that can be compared, and how each is started.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::Result;
use crate::case::Framing;

/// Where the programs lie.
#[derive(Debug)]
pub(crate) struct Programs {
    /// Folder of the comparison servers.
    pub(crate) folder: PathBuf,
    /// The program `wharf`.
    pub(crate) wharf: PathBuf,
}

/// Which words a server understands.
#[derive(Clone, Copy, Debug)]
enum Words {
    /// Those of the comparison servers.
    Common,
    /// Those of `wharf serve`.
    Wharf,
}

/// A server of the comparison.
#[derive(Clone, Debug)]
pub(crate) struct Contender {
    pub(crate) name: String,
    program: PathBuf,
    words: Words,
    arguments: Vec<String>,
}

impl Contender {
    /// The server of that name.
    pub(crate) fn named(name: &str, programs: &Programs) -> Result<Self> {
        let common = |program: &str| (programs.folder.join(program), Words::Common);
        let wharf = || (programs.wharf.clone(), Words::Wharf);
        let ((program, words), arguments): (_, &[&str]) = match name {
            "bare" => (common("bare-server"), &[]),
            "bare-skip" => (common("bare-server"), &["--skip"]),
            "bare-direct" => (common("bare-server"), &["--direct"]),
            "asio" => (common("asio-server"), &[]),
            "asio-gather" => (common("asio-server"), &["--gather"]),
            "asio-uring" => (common("asio-uring-server"), &[]),
            "libuv" => (common("libuv-server"), &[]),
            "libuv-gather" => (common("libuv-server"), &["--gather"]),
            "mio" => (common("mio-server"), &[]),
            "tokio" => (common("tokio-server"), &[]),
            "wharf-uring" => (wharf(), &["--backend", "uring"]),
            "wharf-readiness" => (wharf(), &["--backend", "readiness"]),
            _ => {
                return Err(format!(
                    "there is no server `{name}`; there are bare, bare-skip, bare-direct, asio, \
                     asio-gather, asio-uring, libuv, libuv-gather, mio, tokio, wharf-uring, \
                     wharf-readiness"
                )
                .into());
            }
        };
        check_program(&program)?;
        let arguments = arguments.iter().map(ToString::to_string).collect();
        Ok(Self { name: name.to_owned(), program, words, arguments })
    }

    /// The server that `NAME=SERVER ARGUMENTS...` describes.
    pub(crate) fn variant(words: &str, programs: &Programs) -> Result<Self> {
        let wanted = || format!("`{words}` is no variant: NAME=SERVER ARGUMENTS... is one");
        let (name, command) = words.split_once('=').ok_or_else(wanted)?;
        let mut command = command.split_whitespace();
        let mut contender = Self::named(command.next().ok_or_else(wanted)?, programs)?;
        contender.name = name.to_owned();
        contender.arguments.extend(command.map(str::to_owned));
        Ok(contender)
    }

    /// The command that starts it on a free port.
    pub(crate) fn command(&self, framing: Framing) -> Command {
        let mut command = Command::new(&self.program);
        match self.words {
            Words::Common => command.args(["--mode", framing.mode()]),
            Words::Wharf => {
                command.args(["serve", framing.kind(), "--workers", "1"]);
                command.args(["--framing", framing.word()])
            }
        };
        command.args(["--listen", "127.0.0.1:0"]).args(&self.arguments);
        command
    }
}

/// Says what to do if a program is not there.
pub(crate) fn check_program(program: &Path) -> Result<()> {
    if program.is_file() {
        return Ok(());
    }
    let program = program.display();
    Err(format!(
        "there is no program {program}: build it with `cargo build --release`, here and for \
         `wharf` in the folder above; or say where it is with --wharf, --load, --programs; or \
         leave it out with --servers"
    )
    .into())
}
