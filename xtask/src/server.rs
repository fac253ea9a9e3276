//! A server under test: `wharf serve`, started and ended as a user would.

use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::Duration;

use crate::process::{self, Ended, all_of, read_lines};
use crate::{Result, wait};

/// How long a server may take until it accepts.
const START_MAX: Duration = Duration::from_secs(10);
/// How long a server may take to end, drain included.
pub(crate) const STOP_MAX: Duration = Duration::from_secs(20);

/// The backends that a proof runs on.
pub(crate) const BACKENDS: [&str; 2] = ["uring", "readiness"];

/// A server that runs. It is killed if it still does when this is dropped.
#[derive(Debug)]
pub(crate) struct Server {
    child: Child,
    /// Where it listens.
    pub(crate) address: SocketAddr,
    /// The line with which it said so.
    pub(crate) line: String,
    stdout: Option<JoinHandle<String>>,
    stderr: Option<JoinHandle<String>>,
}

/// How a server is asked to end.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Signal {
    Interrupt,
    Terminate,
}

/// The words for `wharf serve echo` on a free port of the loopback interface.
pub(crate) fn serve_echo(wharf: &Path, flags: &str) -> Command {
    serve(wharf, "echo", flags)
}

/// The same for any mode of `wharf serve`.
pub(crate) fn serve(wharf: &Path, mode: &str, flags: &str) -> Command {
    let mut command = Command::new(wharf);
    command.args(["serve", mode, "--listen", "127.0.0.1:0"]);
    command.args(flags.split_whitespace());
    command
}

/// Which backends there are: where a container denies `io_uring`, what is left is proved, and what
/// is missing is said.
pub(crate) fn backends(wharf: &Path) -> Result<Vec<&'static str>> {
    let mut found = Vec::new();
    for backend in BACKENDS {
        let mut command = serve_echo(wharf, &format!("--backend {backend}"));
        match Server::start(&mut command) {
            Ok(server) => {
                server.stop(Signal::Terminate)?;
                found.push(backend);
            }
            Err(error) if error.to_string().contains("is not available") => {
                println!("{error}: left out");
            }
            Err(error) => return Err(error),
        }
    }
    Ok(found)
}

impl Server {
    /// Starts a server and waits until it accepts.
    pub(crate) fn start(command: &mut Command) -> Result<Self> {
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let words = process::shown(command);
        let mut child = process::spawn(command)?;
        let (first, first_line) = mpsc::channel();
        let stdout = read_lines(child.stdout.take(), Some(first));
        let stderr = read_lines(child.stderr.take(), None);
        let line = first_line.recv_timeout(START_MAX).unwrap_or_default();
        let Some(&address) = addresses(&line).first() else {
            let _ = child.kill();
            let _ = child.wait();
            let said = all_of(Some(stderr));
            return Err(format!("`{words}` does not listen, and says: {}", said.trim()).into());
        };
        Ok(Self { child, address, line, stdout: Some(stdout), stderr: Some(stderr) })
    }

    /// All addresses on which it listens.
    pub(crate) fn addresses(&self) -> Vec<SocketAddr> {
        addresses(&self.line)
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Sends it a signal, by its process id.
    pub(crate) fn signal(&self, signal: Signal) -> Result<()> {
        send(&self.child, signal)
            .map_err(|error| format!("cannot signal process {}: {error}", self.id()).into())
    }

    /// Asks it to end, waits until it has, and gives what it left.
    pub(crate) fn stop(self, signal: Signal) -> Result<Ended> {
        self.signal(signal)?;
        self.wait()
    }

    /// Waits until it has ended.
    pub(crate) fn wait(mut self) -> Result<Ended> {
        let status = wait::until(STOP_MAX, || self.child.try_wait().transpose());
        let status = status.ok_or_else(|| {
            format!("process {} has not ended {} s after its signal", self.id(), STOP_MAX.as_secs())
        })??;
        Ok(Ended {
            code: status.code(),
            stdout: all_of(self.stdout.take()),
            stderr: all_of(self.stderr.take()),
        })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended, and been waited for: then both do nothing.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The addresses in `listening on ADDRESS,ADDRESS backend=...`.
fn addresses(line: &str) -> Vec<SocketAddr> {
    let listed = line.strip_prefix("listening on ").and_then(|it| it.split_whitespace().next());
    listed.map_or_else(Vec::new, |listed| listed.split(',').flat_map(str::parse).collect())
}

#[cfg(unix)]
fn send(child: &Child, signal: Signal) -> io::Result<()> {
    let signal = match signal {
        Signal::Interrupt => rustix::process::Signal::INT,
        Signal::Terminate => rustix::process::Signal::TERM,
    };
    process::send(child, signal)
}

#[cfg(not(unix))]
fn send(_: &Child, signal: Signal) -> io::Result<()> {
    let what = format!("{signal:?} needs a Unix system");
    Err(io::Error::new(io::ErrorKind::Unsupported, what))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_line_says_where() {
        let said = addresses("listening on 127.0.0.1:7777,[::1]:80 backend=uring workers=2");
        let expected: [SocketAddr; 2] =
            ["127.0.0.1:7777", "[::1]:80"].map(|address| address.parse().unwrap());
        assert_eq!(said, expected);
        assert!(addresses("listening").is_empty());
    }
}
