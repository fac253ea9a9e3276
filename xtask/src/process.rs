//! Running other programs.

use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crate::{Error, Result, wait};

/// Runs a command that must succeed. What it says goes where ours goes.
pub(crate) fn succeed(command: &mut Command) -> Result<()> {
    let status = spawn(command.stdin(Stdio::null()))?.wait()?;
    if status.success() { Ok(()) } else { Err(failed(command, status)) }
}

/// Runs a command; what it prints is shown as it comes, and returned.
pub(crate) fn tee(command: &mut Command) -> Result<(ExitStatus, String)> {
    let mut child = spawn(command.stdin(Stdio::null()).stdout(Stdio::piped()))?;
    let mut printed = String::new();
    if let Some(stdout) = child.stdout.take() {
        for line in BufReader::new(stdout).split(b'\n') {
            let line = line?;
            let line = String::from_utf8_lossy(&line);
            println!("{line}");
            printed.push_str(&line);
            printed.push('\n');
        }
    }
    Ok((child.wait()?, printed))
}

/// A program that has ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// Runs a program to its end, for at most `limit`.
pub(crate) fn run(command: &mut Command, limit: Duration) -> Result<Ended> {
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = spawn(command)?;
    let stdout = read_lines(child.stdout.take(), None);
    let stderr = read_lines(child.stderr.take(), None);
    let Some(status) = wait::until(limit, || child.try_wait().transpose()) else {
        let _ = child.kill();
        let _ = child.wait();
        let words = shown(command);
        return Err(format!("`{words}` does not end within {} s", limit.as_secs()).into());
    };
    Ok(Ended { code: status?.code(), stdout: all_of(Some(stdout)), stderr: all_of(Some(stderr)) })
}

/// What a program has printed, once it has ended.
pub(crate) fn all_of(reader: Option<JoinHandle<String>>) -> String {
    reader.and_then(|reader| reader.join().ok()).unwrap_or_default()
}

/// Reads what a program prints, so that it never waits for room; passes the first line on.
pub(crate) fn read_lines(
    from: Option<impl Read + Send + 'static>,
    first: Option<mpsc::Sender<String>>,
) -> JoinHandle<String> {
    thread::spawn(move || {
        let Some(from) = from else { return String::new() };
        let mut from = BufReader::new(from);
        let mut all = Vec::new();
        if let Some(first) = first
            && from.read_until(b'\n', &mut all).is_ok()
        {
            // Nobody waits for it if it came too late.
            let _ = first.send(String::from_utf8_lossy(&all).trim_end().to_owned());
        }
        // What could be read until an error is what there is.
        let _ = from.read_to_end(&mut all);
        String::from_utf8_lossy(&all).into_owned()
    })
}

/// Sends a signal to a child that has not been waited for, so that nobody else has its process id.
#[cfg(unix)]
pub(crate) fn send(child: &Child, signal: rustix::process::Signal) -> std::io::Result<()> {
    Ok(rustix::process::kill_process(rustix::process::Pid::from_child(child), signal)?)
}

/// A command that has failed, with the words to repeat it.
pub(crate) fn failed(command: &Command, status: ExitStatus) -> Error {
    format!("`{}` failed ({status}); its own words stand above", shown(command)).into()
}

/// Starts a command.
pub(crate) fn spawn(command: &mut Command) -> Result<Child> {
    let child = command.spawn();
    child.map_err(|error| {
        format!("cannot start `{}`: {error}; is it installed?", shown(command)).into()
    })
}

/// A command as it would be typed.
pub(crate) fn shown(command: &Command) -> String {
    let program = Path::new(command.get_program()).file_name();
    let words = program.into_iter().chain(command.get_args());
    words.map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ")
}
