//! The live line of `wharf serve`, on a terminal of our own.

use std::io::Read;
use std::net::TcpStream;
use std::os::fd::OwnedFd;
use std::process::{Command, Stdio};
use std::sync::mpsc::Receiver;

use crate::pty::Pty;
use crate::serving::{PATIENCE, Process, Signal, check_echo, connect, read_to_end, serve_echo};

/// A terminal: what is on its screen.
pub(crate) struct Terminal {
    output: Receiver<Vec<u8>>,
    /// The lines above the cursor's.
    pub(crate) lines: Vec<String>,
    /// The cursor's line, with the cursor at its end.
    pub(crate) current: String,
    rest: Vec<u8>,
}

impl Terminal {
    /// A terminal of so many columns, and what a program writes to.
    pub(crate) fn open(columns: u16) -> (Self, OwnedFd) {
        let Pty { output, user, .. } = Pty::open(24, columns);
        let terminal = Self { output, lines: Vec::new(), current: String::new(), rest: Vec::new() };
        (terminal, user)
    }

    /// Waits until the cursor's line is such a one.
    #[track_caller]
    pub(crate) fn wait_until(&mut self, is: impl Fn(&str) -> bool) {
        // Something is written twice a second.
        for _ in 0..60 {
            if is(&self.current) {
                return;
            }
            let Ok(bytes) = self.output.recv_timeout(PATIENCE) else { break };
            self.show(&bytes);
        }
        panic!("not shown: {:?} {:?}", self.lines, self.current);
    }

    /// Shows what is still written, up to the end.
    pub(crate) fn show_all(&mut self) {
        while let Ok(bytes) = self.output.recv_timeout(PATIENCE) {
            self.show(&bytes);
        }
    }

    fn show(&mut self, bytes: &[u8]) {
        self.rest.extend_from_slice(bytes);
        let text = String::from_utf8(std::mem::take(&mut self.rest)).unwrap();
        let mut text = text.as_str();
        while let Some(next) = text.chars().next() {
            if let Some(behind) = text.strip_prefix("\r\x1b[2K") {
                self.current.clear();
                text = behind;
            } else if let Some(behind) = text.strip_prefix("\r\n") {
                self.lines.push(std::mem::take(&mut self.current));
                text = behind;
            } else if "\r\x1b[2K".starts_with(text) {
                // A sequence that has not come as a whole.
                self.rest = text.as_bytes().to_vec();
                return;
            } else {
                assert!(!next.is_control(), "{text:?}");
                self.current.push(next);
                text = &text[next.len_utf8()..];
            }
        }
    }
}

/// A server whose standard error stream, and nothing else, is the terminal.
pub(crate) fn serve_on(terminal: OwnedFd, mut command: Command) -> (Process, TcpStream) {
    command.stdout(Stdio::piped()).stderr(terminal);
    let mut process = Process(command.spawn().unwrap());
    // The command has the terminal too, and its end would never be seen.
    drop(command);
    let mut line = Vec::new();
    let mut stdout = process.0.stdout.take().unwrap();
    while line.last() != Some(&b'\n') {
        let mut byte = [0];
        stdout.read_exact(&mut byte).unwrap();
        line.push(byte[0]);
    }
    let line = String::from_utf8(line).unwrap();
    let session = connect(line.split(' ').nth(2).unwrap().parse().unwrap()).unwrap();
    (process, session)
}

#[test]
fn a_live_line_is_rewritten_in_place_and_gone_at_the_end() {
    let (mut terminal, user) = Terminal::open(100);
    let (mut process, session) = serve_on(user, serve_echo("--backend readiness --log debug"));
    check_echo(&session, b"hello");
    terminal.wait_until(|line| line == "1 session  0 frames/s  in 0 B/s  out 0 B/s");
    assert_eq!(terminal.lines.len(), 1, "it is rewritten, not repeated: {:?}", terminal.lines);
    assert!(terminal.lines[0].contains("server started"), "{:?}", terminal.lines);
    let second = connect(session.peer_addr().unwrap()).unwrap();
    terminal.wait_until(|line| line.starts_with("2 sessions  "));

    // What is done shows, within the next half second.
    let is_still = |line: &str| {
        ["  0 frames/s", "in 0 B/s", "out 0 B/s"].iter().any(|nothing| line.contains(nothing))
    };
    let moves = (0..1_000_000).any(|_| {
        check_echo(&session, b"hello");
        terminal.output.try_iter().collect::<Vec<_>>().iter().for_each(|it| terminal.show(it));
        !is_still(&terminal.current)
    });
    assert!(moves, "{}", terminal.current);

    // What is logged stands above it.
    drop(second);
    terminal.wait_until(|line| line.starts_with("1 session  "));
    assert_eq!(terminal.lines.len(), 2, "{:?}", terminal.lines);
    assert!(terminal.lines[1].contains("closed"), "{:?}", terminal.lines);

    process.signal(Signal::TERM);
    assert_eq!(read_to_end(&session), b"");
    drop(session);
    terminal.show_all();
    assert_eq!(process.exit_code(), Some(0));
    assert_eq!(terminal.current, "", "the live line is gone");
    let last = terminal.lines.last().unwrap();
    assert_eq!(last, "wharf: 1 sessions drained, 0 forced, 0 bytes lost");
    assert!(terminal.lines.iter().all(|line| !line.contains("frames/s")), "{:?}", terminal.lines);
}

#[test]
fn a_narrow_terminal_gets_a_part_of_the_line() {
    let (mut terminal, user) = Terminal::open(20);
    let (mut process, session) = serve_on(user, serve_echo(""));
    check_echo(&session, b"hello");
    terminal.wait_until(|line| line == "1 session  0 fram");
    process.signal(Signal::TERM);
    drop(session);
    terminal.show_all();
    assert_eq!(process.exit_code(), Some(0));
}

#[test]
fn a_terminal_that_cannot_rewrite_gets_lines_only() {
    let (mut terminal, user) = Terminal::open(100);
    let mut command = serve_echo("");
    command.env("TERM", "dumb");
    let (mut process, session) = serve_on(user, command);
    check_echo(&session, b"hello");
    drop(session);
    process.signal(Signal::TERM);
    terminal.show_all();
    assert_eq!(process.exit_code(), Some(0));
    let report = terminal.lines.last().unwrap();
    assert!(report.starts_with("wharf: ") && report.ends_with("0 bytes lost"), "{report}");
    assert!(terminal.lines.iter().all(|line| !line.contains("frames/s")), "{:?}", terminal.lines);
}
