//! A client whose server is killed and comes again, at the same address: it says of each connection and of each
//! end once, in order, and hears from each server.

use std::fmt::Display;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use super::{Running, free_address};
use crate::Result;
use crate::backends::{Terms, median};
use crate::checks::ensure;
use crate::server::Server;
use crate::wait::Stopwatch;

/// How long the client may take to say something.
const PATIENCE: Duration = Duration::from_secs(20);

pub(super) fn run(terms: &Terms<'_>) -> Result<String> {
    let kills = terms.either(10, 100);
    let address = free_address()?;
    let mut server = serve(terms, address)?;
    let mut command = terms.example("reconnect")?;
    command.arg(address.to_string()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut client = Running::start(&mut command)?;
    let (sender, lines) = channel();
    let said = client.0.stdout.take().map(BufReader::new);
    std::thread::spawn(move || {
        let lines = said.into_iter().flat_map(|said| said.lines().map_while(std::io::Result::ok));
        lines.map(|line| sender.send(line)).find(std::result::Result::is_err)
    });
    let mut story = Story { lines, address, sessions: 0, unanswered: 0 };
    let mut took = vec![story.begins()?];
    for _ in 0..kills {
        // SIGKILL: nothing is said, and the system resets what is open.
        drop(server);
        let lost = story.next()?;
        ensure(lost.starts_with("lost: the peer "), || format!("it should be lost: {lost:?}"))?;
        server = serve(terms, address)?;
        took.push(story.begins()?);
    }
    drop(client);
    let more = story.lines.iter().next();
    ensure(more.is_none(), || format!("something is said twice: {more:?}"))?;
    let took: Vec<f64> = took.iter().map(|time| time.as_secs_f64() * 1e3).collect();
    Ok(format!(
        "killed {kills} times, found again each time and told once ({} met a server that died before its \
         answer); back after {:.0} ms in the middle, {:.0} ms at most",
        story.unanswered,
        median(&took),
        took.iter().copied().fold(0.0, f64::max),
    ))
}

/// The program, at an address that its predecessor had.
fn serve(terms: &Terms<'_>, address: SocketAddr) -> Result<Server> {
    let mut command = Command::new(terms.wharf);
    command.args(["serve", "echo", "--framing", "lines", "--workers", "1"]);
    command.args(["--backend", terms.backend, "--listen", &address.to_string()]);
    Server::start(&mut command)
}

/// What the client says.
struct Story {
    lines: Receiver<String>,
    address: SocketAddr,
    /// Sessions that it has told of.
    sessions: usize,
    /// Those that were lost before a word had come back.
    unanswered: usize,
}

impl Story {
    fn next(&self) -> Result<String> {
        self.lines.recv_timeout(PATIENCE).map_err(|_| "the client says nothing more".into())
    }

    fn expect(&self, wanted: impl Display) -> Result<()> {
        let (line, wanted) = (self.next()?, wanted.to_string());
        ensure(line == wanted, || format!("it says {line:?} and should say {wanted:?}"))
    }

    /// The next session begins, and is answered; gives how long that took. A server that was about to be killed
    /// may have let one in and never answered it.
    fn begins(&mut self) -> Result<Duration> {
        let stopwatch = Stopwatch::start();
        loop {
            let number = self.sessions;
            self.expect(format_args!("connected to {}, reconnect {number}", self.address))?;
            self.sessions += 1;
            let line = self.next()?;
            if line == format!("heard hello {number}") {
                return Ok(stopwatch.elapsed());
            }
            let lost = line.starts_with("lost: the peer ");
            ensure(lost, || format!("session {number} is neither answered nor lost: {line:?}"))?;
            self.unanswered += 1;
        }
    }
}
