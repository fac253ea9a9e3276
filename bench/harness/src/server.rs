//! A running server: started on its CPU, ended by its own process id.

use std::fs;
use std::io::{self, BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process, set_parent_process_death_signal, setsid};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

use crate::Result;

/// Longest wait for the line that says where it listens.
const START_MAX: Duration = Duration::from_secs(10);

/// Longest wait for it to end when asked, before it is killed.
const STOP_MAX: Duration = Duration::from_secs(3);

/// Lines of stderr that are kept.
const COMPLAINT_LINES: usize = 3;

/// How often a wait looks.
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// A child process that does not outlive this value.
#[derive(Debug)]
pub(crate) struct Running {
    child: Child,
    /// Reads stderr.
    complaint: Option<JoinHandle<String>>,
}

impl Running {
    /// Starts a program on these CPUs. Its threads and children stay there too, and the system ends
    /// it should this process die.
    pub(crate) fn start(command: &mut Command, cpus: &[usize], nice: i32) -> Result<Self> {
        let set = cpu_set(cpus)?;
        let before_exec = move || {
            // A session of its own has a scheduling group of its own.
            setsid()?;
            sched_setaffinity(None, &set)?;
            set_parent_process_death_signal(Some(Signal::KILL))?;
            Ok(())
        };
        // SAFETY: between fork and exec only what is async-signal-safe may run. These are three
        // bare system calls and the conversion of an error number; nothing allocates or locks.
        #[expect(unsafe_code)]
        let command = unsafe { command.pre_exec(before_exec) };
        let mut child =
            command.stdin(Stdio::null()).stderr(Stdio::piped()).spawn().map_err(|error| {
                let program = command.get_program().display();
                format!("cannot start {program} on CPUs {cpus:?}: {error}")
            })?;
        // Where the kernel groups the tasks of a session, niceness counts within the group only,
        // and the group has one too. Without this right, or this kernel, it stays as it is.
        let _ = fs::write(format!("/proc/{}/autogroup", child.id()), nice.to_string());
        let complaint = child.stderr.take().map(|stderr| thread::spawn(|| complaint(stderr)));
        Ok(Self { child, complaint })
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Whether it has ended, and if so, whether well.
    pub(crate) fn ended(&mut self) -> io::Result<Option<bool>> {
        Ok(self.child.try_wait()?.map(|status| status.success()))
    }

    /// Ends it, if it has not ended, and returns what it said on stderr.
    pub(crate) fn complaint(mut self) -> String {
        self.end_or_kill();
        let complaint = self.complaint.take().and_then(|thread| thread.join().ok());
        complaint.unwrap_or_default()
    }

    fn end_or_kill(&mut self) {
        if !self.end() {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }

    /// Asks it to end and waits; true if it has.
    fn end(&mut self) -> bool {
        if let Ok(Some(_)) = self.child.try_wait() {
            return true;
        }
        // The child has not been waited for, so nobody else can have its process id.
        let _ = kill_process(Pid::from_child(&self.child), Signal::TERM);
        let deadline = Instant::now() + STOP_MAX;
        while Instant::now() < deadline {
            if let Ok(Some(_)) = self.child.try_wait() {
                return true;
            }
            thread::sleep(LOOK_EVERY);
        }
        false
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.end_or_kill();
    }
}

/// Reads to the end and keeps the first lines: there a program says what is wrong.
fn complaint(stream: impl Read) -> String {
    let lines = BufReader::new(stream).lines().map_while(io::Result::ok);
    let mut lines = lines.filter(|line| !line.trim().is_empty());
    let first: Vec<_> = lines.by_ref().take(COMPLAINT_LINES).collect();
    lines.for_each(drop);
    first.join(" / ")
}

/// Starts a server on these CPUs and waits until it accepts.
pub(crate) fn start(
    command: &mut Command,
    cpus: &[usize],
    nice: i32,
) -> Result<(Running, SocketAddr)> {
    let mut running = Running::start(command.stdout(Stdio::piped()), cpus, nice)?;
    match wait_for_address(&mut running) {
        Some(address) => Ok((running, address)),
        None => {
            let complaint = running.complaint();
            Err(format!("the server does not say where it listens; it says: {complaint}").into())
        }
    }
}

fn wait_for_address(running: &mut Running) -> Option<SocketAddr> {
    let mut stdout = BufReader::new(running.child.stdout.take()?);
    let (line_sender, line_receiver) = mpsc::channel();
    // Reads on after the first line, so that the server never blocks on a full pipe; ends with it.
    thread::spawn(move || {
        let mut line = String::new();
        if stdout.read_line(&mut line).is_ok() && line_sender.send(line).is_ok() {
            let _ = io::copy(&mut stdout, &mut io::sink());
        }
    });
    address(&line_receiver.recv_timeout(START_MAX).ok()?)
}

/// The address in `listening on ADDR ...`.
fn address(line: &str) -> Option<SocketAddr> {
    line.strip_prefix("listening on ")?.split_whitespace().next()?.parse().ok()
}

/// The CPUs that this process may use.
pub(crate) fn cpus_allowed() -> Result<Vec<usize>> {
    let set = sched_getaffinity(None)?;
    Ok((0..CpuSet::MAX_CPU).filter(|cpu| set.is_set(*cpu)).collect())
}

/// Pins this process to a CPU; it hardly uses it.
pub(crate) fn pin_self(cpu: usize) -> Result<()> {
    sched_setaffinity(None, &cpu_set(&[cpu])?)
        .map_err(|error| format!("cannot use CPU {cpu}: {error}"))?;
    Ok(())
}

fn cpu_set(cpus: &[usize]) -> Result<CpuSet> {
    let mut set = CpuSet::new();
    for &cpu in cpus {
        if cpu >= CpuSet::MAX_CPU {
            return Err(format!("there is no CPU {cpu}").into());
        }
        set.set(cpu);
    }
    Ok(set)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_line_names_the_address() {
        let expected = "127.0.0.1:7777".parse().ok();
        assert_eq!(address("listening on 127.0.0.1:7777 backend=uring workers=1\n"), expected);
        assert_eq!(address("listening on 127.0.0.1:7777\n"), expected);
        assert_eq!(address("ready\n"), None);
        assert_eq!(address(""), None);
    }
}
