//! This program again, as a server or as a load generator, in processes that end with what holds them.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use serde_json::Value;

use crate::failure::{Exit, Failure};

/// How long a server may take to listen, and a load generator to connect and to end.
const PATIENCE: Duration = Duration::from_secs(120);

/// A model that serves, killed when dropped.
#[derive(Debug)]
pub(super) struct Server {
    pub(super) process: Child,
    pub(super) address: SocketAddr,
    complaints: Receiver<String>,
}

impl Server {
    /// Starts a model on a free port of the loopback interface.
    pub(super) fn start(model: &str) -> Result<Self, Failure> {
        let broken =
            |why: String| Failure::new(Exit::Failed, format_args!("{model} does not start: {why}"));
        let address = ["--listen", "127.0.0.1:0", "--until-input-ends"];
        let mut process = this_program(["models", "run", model].iter().chain(&address))
            .map_err(|error| broken(error.to_string()))?;
        let lines = lines_of(process.stdout.take());
        let mut server = Self {
            complaints: lines_of(process.stderr.take()),
            process,
            address: SocketAddr::from(([127, 0, 0, 1], 0)),
        };
        let line = lines.recv_timeout(PATIENCE).unwrap_or_default();
        let address = line.strip_prefix("listening on ").and_then(|rest| rest.split(' ').next());
        let Some(Ok(address)) = address.map(str::parse) else {
            return Err(broken(server.complaint(PATIENCE).unwrap_or(line)));
        };
        server.address = address;
        Ok(server)
    }

    /// The last thing that it has said on its standard error stream, if it says something within `patience`.
    pub(super) fn complaint(&mut self, patience: Duration) -> Option<String> {
        let first = self.complaints.recv_timeout(patience).ok()?;
        Some(self.complaints.try_iter().last().unwrap_or(first))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        end(&mut self.process);
    }
}

/// Loads a server with `wharf load echo`: its JSON, or why there is none.
pub(super) fn load(server: &Server, connections: u64, length: &[String]) -> Result<Value, String> {
    let (address, connections) = (server.address.to_string(), connections.to_string());
    let process = server.process.id().to_string();
    let mut arguments = vec!["load", "echo", "--connect", &address, "--sessions", &connections];
    arguments.extend(["--json", "-"]);
    if cfg!(target_os = "linux") {
        arguments.extend(["--server-pid", &process]);
    }
    arguments.extend(length.iter().map(String::as_str));
    let mut process = this_program(&arguments).map_err(|error| error.to_string())?;
    let complaints = lines_of(process.stderr.take());
    let answer = lines_of(process.stdout.take()).recv_timeout(PATIENCE);
    end(&mut process);
    let said = complaints.iter().filter(|line| line.starts_with("wharf: error: ")).last();
    match (answer, said) {
        (Ok(line), None) => serde_json::from_str(&line).map_err(|error| error.to_string()),
        (_, Some(said)) => Err(said),
        (Err(_), None) => Err("the load did not end".to_owned()),
    }
}

/// This program, without what the environment says to it.
fn this_program<I: IntoIterator<Item: AsRef<OsStr>>>(arguments: I) -> std::io::Result<Child> {
    let mut command = Command::new(std::env::current_exe()?);
    for (name, _) in std::env::vars_os().filter(|(name, _)| is_ours(name)) {
        command.env_remove(name);
    }
    command.args(arguments);
    // Held until the process is dropped: a server ends with this one, however that ends.
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()
}

fn is_ours(name: &OsStr) -> bool {
    name.to_string_lossy().starts_with("WHARF_")
}

/// The lines of a stream as they come, without their ends.
fn lines_of<R: Read + Send + 'static>(stream: Option<R>) -> Receiver<String> {
    let (sender, lines) = channel();
    if let Some(stream) = stream {
        std::thread::spawn(move || {
            for line in BufReader::new(stream).lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
    }
    lines
}

/// Ends a process, and waits for its end.
fn end(process: &mut Child) {
    // Fails only where it has ended already.
    let _ = process.kill();
    let _ = process.wait();
}
