//! Runs `wharf serve echo` and talks to it. Every wait has a bound.

use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

pub(crate) use rustix::process::Signal;
use rustix::process::{Pid, kill_process};

use crate::program::{Ended, run, wharf};

/// Longer than anything here takes on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// A process that is killed when it is dropped: a test that fails leaves none behind.
#[derive(Debug)]
pub(crate) struct Process(pub(crate) Child);

impl Process {
    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.0), signal).unwrap();
    }

    pub(crate) fn exit_code(&mut self) -> Option<i32> {
        self.0.wait().unwrap().code()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A server that accepts.
#[derive(Debug)]
pub(crate) struct Serving {
    process: Process,
    /// The line that said so.
    pub(crate) line: String,
    stdout: Receiver<String>,
    stderr: Receiver<String>,
    /// What has been read of the standard error stream.
    said: Vec<String>,
}

impl Serving {
    /// `wharf serve echo` with more arguments, separated by spaces; on a free port if they do not say
    /// otherwise.
    #[track_caller]
    pub(crate) fn start(arguments: &str) -> Self {
        Self::spawn(serve_echo(arguments))
    }

    /// Runs a command that becomes a server.
    #[track_caller]
    pub(crate) fn spawn(mut command: Command) -> Self {
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut process = Process(command.spawn().unwrap());
        let stdout = lines_of(process.0.stdout.take().unwrap());
        let stderr = lines_of(process.0.stderr.take().unwrap());
        let line = stdout.recv_timeout(PATIENCE);
        let mut serving = Self { process, line: String::new(), stdout, stderr, said: Vec::new() };
        match line {
            Ok(line) => serving.line = line,
            Err(_) => panic!("{command:?} does not listen: {:?}", serving.end()),
        }
        serving
    }

    /// All the addresses that it listens on.
    pub(crate) fn addresses(&self) -> Vec<SocketAddr> {
        let words: Vec<&str> = self.line.split(' ').collect();
        let ["listening", "on", addresses, _, _] = words[..] else { panic!("{}", self.line) };
        addresses.split(',').map(|address| address.parse().unwrap()).collect()
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.addresses()[0]
    }

    pub(crate) fn connect(&self) -> TcpStream {
        connect(self.address()).unwrap()
    }

    /// The number of its process.
    #[cfg(target_os = "linux")]
    pub(crate) fn id(&self) -> u32 {
        self.process.0.id()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        self.process.signal(signal);
    }

    /// Waits for a line on the standard error stream that contains `text`.
    #[track_caller]
    pub(crate) fn wait_for(&mut self, text: &str) {
        while !self.said.last().is_some_and(|line| line.contains(text)) {
            match self.stderr.recv_timeout(PATIENCE) {
                Ok(line) => self.said.push(line),
                Err(_) => panic!("'{text}' is not said: {:?}", self.said),
            }
        }
    }

    /// Where its admin endpoint is.
    #[track_caller]
    pub(crate) fn admin(&mut self) -> SocketAddr {
        self.wait_for("admin on http://");
        let line = self.said.last().unwrap();
        line.rsplit_once('/').unwrap().1.parse().unwrap()
    }

    /// Waits until it has opened its admin endpoint, and says where in its own words.
    #[track_caller]
    pub(crate) fn admin_line(&mut self) -> String {
        self.wait_for("admin on ");
        self.said.last().unwrap().clone()
    }

    /// Waits for its end.
    #[track_caller]
    pub(crate) fn end(&mut self) -> Ended {
        let stdout = rest_of(&self.stdout);
        self.said.extend(rest_of(&self.stderr));
        let join =
            |lines: Vec<String>| -> String { lines.into_iter().map(|line| line + "\n").collect() };
        // Both streams have ended, and nobody else has them: so has the process.
        let code = self.process.exit_code();
        Ended { code, stdout: join(stdout), stderr: join(std::mem::take(&mut self.said)) }
    }

    /// Ends it with `SIGTERM`, which must go well.
    #[track_caller]
    pub(crate) fn stop(mut self) -> Ended {
        self.signal(Signal::TERM);
        let ended = self.end();
        assert_eq!(ended.code, Some(0), "{ended:?}");
        ended
    }
}

/// `wharf serve echo` with more arguments, separated by spaces; on a free port if they do not say
/// otherwise.
pub(crate) fn serve_echo(arguments: &str) -> Command {
    serve("echo", arguments)
}

/// The same of another mode.
pub(crate) fn serve(mode: &str, arguments: &str) -> Command {
    let mut command = wharf(["serve", mode]);
    command.args(arguments.split_whitespace());
    if !arguments.contains("--listen") {
        command.args(["--listen", "127.0.0.1:0"]);
    }
    command
}

/// The backends that this system has: a container may deny `io_uring`.
pub(crate) fn backends() -> &'static [&'static str] {
    static BACKENDS: OnceLock<Vec<&str>> = OnceLock::new();
    BACKENDS.get_or_init(|| {
        // The port is refused, and a backend that is not to be had before that.
        let says_port = |backend: &&str| {
            let listen = "--listen 192.0.2.1:1 --workers 1 --backend";
            run(serve_echo(&format!("{listen} {backend}"))).stderr.contains("192.0.2.1:1")
        };
        ["uring", "readiness"].into_iter().filter(says_port).collect()
    })
}

/// The lines of a stream, read by a thread so that waiting for one has a bound.
fn lines_of(stream: impl Read + Send + 'static) -> Receiver<String> {
    let (sender, lines) = channel();
    std::thread::spawn(move || {
        for line in BufReader::new(stream).lines().map_while(Result::ok) {
            if sender.send(line).is_err() {
                break;
            }
        }
    });
    lines
}

#[track_caller]
fn rest_of(lines: &Receiver<String>) -> Vec<String> {
    let mut rest = Vec::new();
    loop {
        match lines.recv_timeout(PATIENCE) {
            Ok(line) => rest.push(line),
            Err(RecvTimeoutError::Disconnected) => return rest,
            Err(RecvTimeoutError::Timeout) => panic!("the program does not end: {rest:?}"),
        }
    }
}

pub(crate) fn connect(address: SocketAddr) -> std::io::Result<TcpStream> {
    let stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    Ok(stream)
}

/// Sends and expects the same back.
#[track_caller]
pub(crate) fn check_echo(mut stream: &TcpStream, bytes: &[u8]) {
    stream.write_all(bytes).unwrap();
    check_receives(stream, bytes);
}

/// Expects exactly these bytes next.
#[track_caller]
pub(crate) fn check_receives(mut stream: &TcpStream, bytes: &[u8]) {
    let mut received = vec![0; bytes.len()];
    stream.read_exact(&mut received).unwrap();
    assert!(received == bytes, "{} bytes came back as others", bytes.len());
}

/// Sends the last of it, and expects these bytes and the end of the stream.
#[track_caller]
pub(crate) fn check_last(mut stream: &TcpStream, sent: &[u8], expected: &[u8]) {
    stream.write_all(sent).unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    assert!(read_to_end(stream) == expected, "{sent:?}");
}

/// Everything up to the end of the stream.
#[track_caller]
pub(crate) fn read_to_end(mut stream: &TcpStream) -> Vec<u8> {
    let mut received = Vec::new();
    stream.read_to_end(&mut received).unwrap();
    received
}

/// Whether the peer has closed or reset the connection, and not fallen silent.
#[track_caller]
pub(crate) fn is_over(result: std::io::Result<usize>) -> bool {
    match result {
        Ok(count) => count == 0,
        Err(error) => {
            let waits = matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut);
            assert!(!waits, "neither closed nor reset");
            true
        }
    }
}

/// Whether nothing comes for so long that nothing more will.
pub(crate) fn is_silent(session: &TcpStream) -> bool {
    session.set_read_timeout(Some(Duration::from_millis(300))).unwrap();
    let nothing =
        matches!(session.peek(&mut [0]), Err(error) if error.kind() == ErrorKind::WouldBlock);
    session.set_read_timeout(Some(PATIENCE)).unwrap();
    nothing
}

/// Writes without reading until the server takes no more for 300 ms; returns how many bytes it took.
/// They are the numbers from 0, four bytes each, so that a hole or a repetition shows.
pub(crate) fn write_until_stuck(mut stream: &TcpStream, bytes_max: usize) -> usize {
    stream.set_write_timeout(Some(Duration::from_millis(300))).unwrap();
    let mut written = 0;
    while written < bytes_max {
        let next = numbers(written, (bytes_max - written).min(64 << 10));
        match stream.write(&next) {
            Ok(count) => written += count,
            Err(error) if error.kind() == ErrorKind::WouldBlock => break,
            Err(error) => panic!("after {written} bytes: {error}"),
        }
    }
    written
}

/// Bytes of the stream of numbers: `len` of them from `start` on.
pub(crate) fn numbers(start: usize, len: usize) -> Vec<u8> {
    let first = u32::try_from(start / 4).unwrap();
    let mut bytes = Vec::with_capacity(len + 8);
    for number in first.. {
        if bytes.len() >= len + start % 4 {
            break;
        }
        bytes.extend_from_slice(&number.to_be_bytes());
    }
    bytes.drain(..start % 4);
    bytes.truncate(len);
    bytes
}

/// How long something took.
#[expect(clippy::disallowed_methods, reason = "it measures the program from outside")]
pub(crate) fn timed<T>(what: impl FnOnce() -> T) -> (Duration, T) {
    let start = Instant::now();
    let result = what();
    (start.elapsed(), result)
}

/// When a wait that begins now has failed.
pub(crate) fn deadline() -> Instant {
    moment() + PATIENCE
}

#[expect(clippy::disallowed_methods, reason = "it bounds a wait for another process")]
pub(crate) fn moment() -> Instant {
    Instant::now()
}
