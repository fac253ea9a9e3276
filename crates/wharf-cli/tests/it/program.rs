//! Runs the program and waits for its end, not for ever.

use std::ffi::OsStr;
use std::net::SocketAddr;
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use serde_json::Value;

/// Longer than any run here takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// A backend that is never denied.
pub(crate) const BACKEND: &str = if cfg!(windows) { "iocp" } else { "readiness" };

/// What a run of the program has left.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// The program with these arguments, and with no environment but what is set on it.
pub(crate) fn wharf<I: IntoIterator<Item: AsRef<OsStr>>>(arguments: I) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_wharf"));
    command.env_clear().args(arguments).stdin(Stdio::null());
    command
}

/// `wharf load echo` to a server, with more arguments, separated by spaces.
pub(crate) fn load_echo(server: SocketAddr, arguments: &str) -> Command {
    load("echo", server, arguments)
}

/// A mode of `wharf load`, on a server.
pub(crate) fn load(mode: &str, server: SocketAddr, arguments: &str) -> Command {
    let mut command = wharf(["load", mode, "--connect", &server.to_string()]);
    command.args(arguments.split_whitespace());
    command
}

/// Runs a command to its end.
pub(crate) fn run(mut command: Command) -> Ended {
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let child = command.spawn().unwrap();
    let id = child.id();
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || sender.send(child.wait_with_output()));
    let Ok(output) = receiver.recv_timeout(PATIENCE) else {
        let _ = Command::new("kill").args(["-9", &id.to_string()]).status();
        panic!("{command:?} does not end");
    };
    let output = output.unwrap();
    Ended {
        code: output.status.code(),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

/// Runs a command with `--json -`: what it has left, and its JSON.
pub(crate) fn run_json(mut command: Command) -> (Ended, Value) {
    command.args(["--json", "-"]);
    let ended = run(command);
    assert_eq!(ended.stdout.lines().count(), 1, "the JSON alone, in a line: {ended:?}");
    let json = serde_json::from_str(&ended.stdout).unwrap();
    (ended, json)
}

impl Ended {
    /// Checks that it has failed with a code and one line, which is returned.
    #[track_caller]
    pub(crate) fn failure(&self, code: i32) -> &str {
        assert_eq!(self.code, Some(code), "{self:?}");
        let lines: Vec<&str> =
            self.stderr.lines().filter(|line| line.starts_with("wharf: error: ")).collect();
        assert_eq!(lines.len(), 1, "{self:?}");
        assert_eq!(self.stderr.lines().last(), Some(lines[0]), "{self:?}");
        lines[0]
    }

    /// Why the sessions of a server ended, and how many for each reason, as its last lines have it.
    #[cfg(unix)]
    pub(crate) fn reasons(&self) -> Option<&str> {
        self.stderr.lines().find_map(|line| line.strip_prefix("wharf: sessions ended: "))
    }

    /// Checks that it has failed with a code, one line and nothing else.
    #[track_caller]
    pub(crate) fn failure_alone(&self, code: i32) -> &str {
        let line = self.failure(code);
        // Where the best backend is denied, another line has said so.
        let others = self.stderr.lines().filter(|line| !line.starts_with("wharf: backend "));
        assert_eq!(others.count(), 1, "{self:?}");
        assert_eq!(self.stdout, "", "{self:?}");
        line
    }
}

/// A count in the JSON.
#[track_caller]
pub(crate) fn count(json: &Value, field: &str) -> u64 {
    json[field].as_u64().unwrap_or_else(|| panic!("{field} in {json}"))
}
