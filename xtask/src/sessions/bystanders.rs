//! Members of a chat in a process of their own, which read until they are stopped.

use std::env;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use rustix::process::{Signal, set_parent_process_death_signal};

use crate::checks::ensure;
use crate::{Result, process};

/// What a process says when its members are connected.
const READY: &str = "ready";
/// How long that may take.
const READY_MAX: Duration = Duration::from_secs(20);

/// A process with members. It is killed when this is dropped, stopped or not.
#[derive(Debug)]
pub(super) struct Bystanders {
    child: Child,
}

impl Bystanders {
    /// Starts this program anew, and waits until its members are connected.
    pub(super) fn start(address: SocketAddr, count: usize) -> Result<Self> {
        let mut command = Command::new(env::current_exe()?);
        command.args(["bystanders", &address.to_string(), &count.to_string()]);
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut this = Self { child: process::spawn(&mut command)? };
        let (first, first_line) = mpsc::channel();
        process::read_lines(this.child.stdout.take(), Some(first));
        let line = first_line.recv_timeout(READY_MAX).unwrap_or_default();
        ensure(line == READY, || "members cannot connect; why stands above".to_owned())?;
        Ok(this)
    }

    /// Stops it, as a debugger does: its connections stay.
    pub(super) fn stop(&self) -> Result<()> {
        Ok(process::send(&self.child, Signal::STOP)?)
    }
}

impl Drop for Bystanders {
    fn drop(&mut self) {
        // It may have ended, and been waited for: then both do nothing.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What such a process does, until the standard input ends, which it does with who has started it. Who is
/// stopped does not see that, but is killed.
pub(crate) fn take_part(address: SocketAddr, count: usize) -> Result<()> {
    set_parent_process_death_signal(Some(Signal::KILL))?;
    for _ in 0..count {
        let mut stream = TcpStream::connect(address)?;
        std::thread::spawn(move || {
            let mut bytes = vec![0; 16 << 10];
            while stream.read(&mut bytes).is_ok_and(|count| count > 0) {}
        });
    }
    let mut stdout = std::io::stdout().lock();
    writeln!(stdout, "{READY}")?;
    stdout.flush()?;
    std::io::stdin().read_to_end(&mut Vec::new())?;
    Ok(())
}
