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

/// What a server is in the comparison.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Role {
    /// What the machine allows.
    Anchor,
    /// Who else does this.
    Peer,
    /// Who is compared.
    Own,
}

/// A server that has a name: its role, its program (none for `wharf`), and its arguments.
type Known = (&'static str, Role, Option<&'static str>, &'static [&'static str]);

/// How many servers have names.
pub(crate) const NAMED: usize = 21;

/// The servers with names, in the order of the tables.
const KNOWN: [Known; NAMED] = [
    ("bare", Role::Anchor, Some("bare-server"), &[]),
    ("bare-skip", Role::Anchor, Some("bare-server"), &["--skip"]),
    ("bare-direct", Role::Anchor, Some("bare-server"), &["--direct"]),
    ("mio", Role::Peer, Some("mio-server"), &[]),
    ("tokio", Role::Peer, Some("tokio-server"), &[]),
    ("compio", Role::Peer, Some("compio-server"), &[]),
    ("compio-multi", Role::Peer, Some("compio-server"), &["--multi"]),
    ("monoio", Role::Peer, Some("monoio-server"), &[]),
    ("glommio", Role::Peer, Some("glommio-server"), &[]),
    ("asio", Role::Peer, Some("asio-server"), &[]),
    ("asio-uring", Role::Peer, Some("asio-uring-server"), &[]),
    ("libuv", Role::Peer, Some("libuv-server"), &[]),
    ("asio-gather", Role::Peer, Some("asio-server"), &["--gather"]),
    ("libuv-gather", Role::Peer, Some("libuv-server"), &["--gather"]),
    ("wharf-uring", Role::Own, None, &["--backend", "uring", "--workers", "1"]),
    ("wharf-readiness", Role::Own, None, &["--backend", "readiness", "--workers", "1"]),
    ("wharf-uring-2", Role::Own, None, &["--backend", "uring", "--workers", "2"]),
    ("wharf-readiness-2", Role::Own, None, &["--backend", "readiness", "--workers", "2"]),
    ("wharf-uring-4", Role::Own, None, &["--backend", "uring", "--workers", "4"]),
    ("wharf-readiness-4", Role::Own, None, &["--backend", "readiness", "--workers", "4"]),
    ("wharf-spin", Role::Own, None, &["--backend", "uring", "--workers", "1", "--spin", "50"]),
];

/// Whether a server is one that others have made of the same thing.
pub(crate) fn is_peer(name: &str) -> bool {
    KNOWN.iter().any(|known| known.0 == name && known.1 == Role::Peer)
}

/// The place of a server among those with names.
pub(crate) fn place(name: &str) -> Option<usize> {
    KNOWN.iter().position(|known| known.0 == name)
}

/// A server of the comparison.
#[derive(Clone, Debug)]
pub(crate) struct Contender {
    pub(crate) name: String,
    pub(crate) program: PathBuf,
    /// Whether it is the program `wharf`, which has other words.
    is_wharf: bool,
    arguments: Vec<String>,
}

impl Contender {
    /// The server of that name.
    pub(crate) fn named(name: &str, programs: &Programs) -> Result<Self> {
        let known = KNOWN.iter().find(|known| known.0 == name).ok_or_else(|| {
            let names: Vec<_> = KNOWN.iter().map(|known| known.0).collect();
            format!("there is no server `{name}`; there are {}", names.join(", "))
        })?;
        let contender = Self::of(known, programs);
        check_program(&contender.program)?;
        Ok(contender)
    }

    /// Those that are built, but for variants of one: one worker each, the anchor in the two ways that
    /// matter, and those that gather what they send only where this is what is compared.
    pub(crate) fn built(programs: &Programs, with_gathering: bool) -> Vec<Self> {
        let is_variant = |name: &str| {
            name == "bare-direct"
                || ["-2", "-4", "-spin"].iter().any(|ending| name.ends_with(ending))
                || (name.ends_with("-gather") && !with_gathering)
        };
        let is_wanted = |known: &&Known| !is_variant(known.0);
        let contenders = KNOWN.iter().filter(is_wanted).map(|known| Self::of(known, programs));
        contenders.filter(|contender| contender.program.is_file()).collect()
    }

    fn of(&(name, _, program, arguments): &Known, programs: &Programs) -> Self {
        Self {
            name: name.to_owned(),
            program: program.map_or(programs.wharf.clone(), |name| programs.folder.join(name)),
            is_wharf: program.is_none(),
            arguments: arguments.iter().map(ToString::to_string).collect(),
        }
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
        if self.is_wharf {
            command.args(["serve", framing.kind(), "--framing", framing.word()]);
        } else {
            command.args(["--mode", framing.mode()]);
        }
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
        "there is no program {program}: `cargo xtask bench` builds it; or say where it is with --wharf, \
         --load, --programs; or leave it out with --servers"
    )
    .into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn peers_are_neither_anchors_nor_ours() {
        assert!(is_peer("tokio") && is_peer("mio"));
        assert!(!is_peer("bare") && !is_peer("wharf-uring") && !is_peer("bare-1024"));
    }

    #[test]
    fn a_server_that_is_not_built_is_told_and_not_among_the_built() {
        let programs = Programs { folder: "/nowhere".into(), wharf: "/nowhere/wharf".into() };
        assert!(Contender::built(&programs, true).is_empty());
        let error = Contender::named("tokio", &programs).unwrap_err().to_string();
        assert!(error.contains("/nowhere/tokio-server"), "{error}");
        let error = Contender::named("nobody", &programs).unwrap_err().to_string();
        assert!(error.contains("there are bare, "), "{error}");
    }
}
