//! Runs `wharf top` on a terminal that has a screen. Every wait has a bound.

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener};
use std::num::NonZero;
use std::process::{Command, Stdio};

use rustix::io::ioctl_fionread;
use rustix::termios::{LocalModes, tcgetattr};

use crate::program::wharf;
use crate::pty::Pty;
use crate::serving::{PATIENCE, Process, Signal, deadline, moment};

pub(crate) const DOWN: &str = "\u{1b}[B";
pub(crate) const LEFT: &str = "\u{1b}[D";
pub(crate) const RIGHT: &str = "\u{1b}[C";
pub(crate) const ESCAPE: &str = "\u{1b}";
pub(crate) const ENTER: &str = "\r";

/// A view, and what is on its terminal.
pub(crate) struct View {
    process: Process,
    pty: Pty,
    emulator: vt100::Parser,
    /// All that was written.
    pub(crate) raw: Vec<u8>,
}

/// `wharf top` of an endpoint that looks often, with more arguments, separated by spaces.
pub(crate) fn top(admin: SocketAddr, arguments: &str) -> Command {
    let mut command = wharf(["top", "--interval", "0.2", "--admin", &admin.to_string()]);
    command.args(arguments.split_whitespace());
    command
}

/// An endpoint that is none of ours: `answer` gets the first line of a request, and gives the status and the body.
pub(crate) fn endpoint(
    answer: impl Fn(&str) -> (&'static str, &'static str) + Send + 'static,
) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let mut line = String::new();
            if BufReader::new(&stream).read_line(&mut line).is_err() {
                continue;
            }
            let (status, body) = answer(&line);
            let head = format!("HTTP/1.1 {status}\r\nConnection: close\r\nContent-Length:");
            let _ = write!(&stream, "{head} {}\r\n\r\n{body}", body.len());
        }
    });
    address
}

/// One that answers with these bodies, whatever else it is asked with.
pub(crate) fn endpoint_with(
    server: &'static str,
    workers: &'static str,
    sessions: &'static str,
) -> SocketAddr {
    endpoint(move |line| {
        let body = match line.split(' ').nth(1).unwrap_or_default() {
            "/api/v1/server" => server,
            "/api/v1/workers" => workers,
            _ => sessions,
        };
        ("200 OK", body)
    })
}

impl View {
    /// A view on a terminal of 100 columns and 30 rows.
    pub(crate) fn start(admin: SocketAddr) -> Self {
        Self::spawn(top(admin, ""))
    }

    pub(crate) fn spawn(mut command: Command) -> Self {
        let pty = Pty::open(30, 100);
        let end = || Stdio::from(pty.user.try_clone().unwrap());
        command.stdin(end()).stdout(end()).stderr(end());
        let process = Process(command.spawn().unwrap());
        // The command has the terminal too.
        drop(command);
        Self {
            process,
            pty,
            emulator: vt100::Parser::new(cells(30), cells(100), 0),
            raw: Vec::new(),
        }
    }

    pub(crate) fn press(&self, keys: &str) {
        self.pty.write(keys.as_bytes());
    }

    pub(crate) fn signal(&self, signal: Signal) {
        self.process.signal(signal);
    }

    /// As a terminal does whose window gets another size.
    pub(crate) fn resize(&mut self, rows: u16, columns: u16) {
        self.emulator.screen_mut().set_size(cells(rows), cells(columns));
        self.pty.resize(rows, columns);
        self.signal(Signal::WINCH);
    }

    /// Waits until the program has read what was typed.
    #[track_caller]
    pub(crate) fn wait_until_typed(&self) {
        let end = deadline();
        while ioctl_fionread(&self.pty.user).unwrap() > 0 {
            assert!(moment() < end, "it reads no keys");
            std::thread::yield_now();
        }
    }

    /// As if something else had written all over it.
    pub(crate) fn wipe(&mut self) {
        self.emulator.process(b"\x1b[2J");
    }

    pub(crate) fn screen(&self) -> &vt100::Screen {
        self.emulator.screen()
    }

    /// Rows and columns.
    pub(crate) fn size(&self) -> (u16, u16) {
        let (rows, columns) = self.screen().size();
        (rows.get(), columns.get())
    }

    /// The lines of the screen.
    pub(crate) fn lines(&self) -> Vec<String> {
        let (_, columns) = self.size();
        self.screen().rows(0, columns).map(|line| line.trim_end().to_owned()).collect()
    }

    /// The line that has a text.
    pub(crate) fn line_with(&self, text: &str) -> Option<String> {
        self.lines().into_iter().find(|line| line.contains(text))
    }

    /// The first column of the table of sessions.
    pub(crate) fn peers(&self) -> Vec<String> {
        let lines = self.lines();
        // The last line is no part of it.
        let Some((_, lines)) = lines.split_last() else { return Vec::new() };
        let table = lines.iter().skip_while(|line| !line.starts_with("PEER"));
        let rows = table.skip(1).filter_map(|line| line.split(' ').next());
        rows.filter(|word| word.contains(':')).map(str::to_owned).collect()
    }

    /// Waits until the screen is such a one.
    #[track_caller]
    pub(crate) fn wait_until(&mut self, what: &str, is: impl Fn(&Self) -> bool) {
        let end = deadline();
        while !is(self) {
            let rest = end.saturating_duration_since(moment());
            let Ok(bytes) = self.pty.output.recv_timeout(rest) else {
                panic!("{what} is not shown:\n{}", self.lines().join("\n"));
            };
            self.take(&bytes);
        }
    }

    /// Waits until a text is somewhere on the screen.
    #[track_caller]
    pub(crate) fn wait_for(&mut self, text: &str) {
        self.wait_until(text, |view| view.screen().contents().contains(text));
    }

    /// Takes what has been written, frame by frame.
    pub(crate) fn look_at_what_there_is(&mut self, mut look: impl FnMut(&Self)) {
        while let Ok(bytes) = self.pty.output.try_recv() {
            self.take(&bytes);
            look(self);
        }
    }

    /// Waits for the end of the program; what it has left on the terminal can be looked at then.
    #[track_caller]
    pub(crate) fn end(&mut self) -> Option<i32> {
        let end = deadline();
        let code = loop {
            if let Some(status) = self.process.0.try_wait().unwrap() {
                break status.code();
            }
            assert!(moment() < end, "it does not end:\n{}", self.lines().join("\n"));
            self.take_what_there_is();
        };
        // What was written before the end has come, but perhaps not yet to the thread that reads.
        while let Ok(bytes) = self.pty.output.recv_timeout(PATIENCE / 60) {
            self.take(&bytes);
        }
        code
    }

    /// Whether the terminal shows what is typed, and hands it over by lines, as it did at first.
    pub(crate) fn is_cooked(&self) -> bool {
        let modes = tcgetattr(&self.pty.user).unwrap().local_modes;
        modes.contains(LocalModes::ICANON | LocalModes::ECHO | LocalModes::ISIG)
    }

    fn take_what_there_is(&mut self) {
        if let Ok(bytes) = self.pty.output.recv_timeout(PATIENCE / 600) {
            self.take(&bytes);
        }
    }

    fn take(&mut self, bytes: &[u8]) {
        self.raw.extend_from_slice(bytes);
        self.emulator.process(bytes);
    }
}

fn cells(count: u16) -> NonZero<u16> {
    NonZero::new(count).unwrap()
}
