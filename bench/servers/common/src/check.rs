//! What a server has to do right before its speed means anything.
//!
//! Each check talks to a running server over loopback and panics with a sentence if an answer is
//! wrong; every wait is bounded. The tests of each server run all of them.

mod chat;

pub use chat::lagging_members;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use crate::{FRAME_PAYLOAD_BYTES_MAX, Mode};

/// Longest wait for anything.
const PATIENCE: Duration = Duration::from_secs(20);

/// How often a wait for the end of a server looks.
const END_LOOK: Duration = Duration::from_millis(10);

/// A server started for a test; ended when dropped.
#[derive(Debug)]
pub struct TestServer {
    child: Child,
    /// Where it listens.
    pub address: SocketAddr,
    /// What it echoes.
    pub mode: Mode,
}

impl TestServer {
    /// Starts `program` on a free port and waits for its `listening on` line.
    ///
    /// # Panics
    /// If it does not start.
    #[must_use]
    pub fn start(program: &Path, mode: Mode, arguments: &[&str]) -> Self {
        let mut child = Command::new(program)
            .args(["--listen", "127.0.0.1:0", "--mode"])
            .arg(match mode {
                Mode::Raw => "raw",
                Mode::Framed => "framed",
                Mode::Chat => "chat",
            })
            .args(arguments)
            .stdout(Stdio::piped())
            .spawn()
            .expect("the server starts");
        let stdout = child.stdout.take().expect("stdout is piped");
        let (line_sender, line_receiver) = mpsc::channel();
        thread::spawn(move || {
            let mut line = String::new();
            let _ = BufReader::new(stdout).read_line(&mut line);
            let _ = line_sender.send(line);
        });
        let line = line_receiver.recv_timeout(PATIENCE).expect("the server says where it listens");
        let address = line.trim().strip_prefix("listening on ").map(str::parse);
        let Some(Ok(address)) = address else { panic!("no address in {line:?}") };
        Self { child, address, mode }
    }

    /// Opens a connection.
    ///
    /// # Panics
    /// If the server does not accept.
    #[must_use]
    pub fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).expect("the server accepts");
        stream.set_read_timeout(Some(PATIENCE)).expect("a read timeout can be set");
        stream.set_write_timeout(Some(PATIENCE)).expect("a write timeout can be set");
        stream.set_nodelay(true).expect("nodelay can be set");
        stream
    }

    /// Asks it to end with SIGTERM and waits until it has, well.
    ///
    /// # Panics
    /// If it does not, or not with the exit code 0.
    pub fn end(mut self) {
        // It has not been waited for, so nobody else can have its process id.
        kill_process(Pid::from_child(&self.child), Signal::TERM).expect("it can be asked");
        let mut looks = PATIENCE.as_millis() / END_LOOK.as_millis();
        let status = loop {
            if let Some(status) = self.child.try_wait().expect("it can be waited for") {
                break status;
            }
            looks = looks.checked_sub(1).expect("the server ends when it is asked to");
            thread::sleep(END_LOOK);
        };
        assert!(status.success(), "the server ends with {status}");
    }
}

impl Drop for TestServer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Runs every check in every mode, each on a server of its own.
///
/// # Panics
/// If the server fails one.
pub fn in_every_mode(program: &str, arguments: &[&str]) {
    for_each_mode(program, arguments, all);
}

/// The same of a server that closes those members of a chat who lag too far behind.
///
/// # Panics
/// If the server fails one.
pub fn in_every_mode_with_a_limit(program: &str, arguments: &[&str]) {
    for_each_mode(program, arguments, |server| {
        all(server);
        if server.mode == Mode::Chat {
            lagging_members(server);
        }
    });
}

fn for_each_mode(program: &str, arguments: &[&str], check: impl Fn(&TestServer)) {
    for mode in [Mode::Raw, Mode::Framed, Mode::Chat] {
        check(&TestServer::start(Path::new(program), mode, arguments));
    }
}

/// Runs every check that applies to the server's mode.
///
/// # Panics
/// If the server fails one.
pub fn all(server: &TestServer) {
    if server.mode == Mode::Chat {
        chat::all(server);
        return ping(&mut server.connect(), server.mode);
    }
    echoes_every_size(server);
    echoes_many_connections_at_once(server);
    flushes_after_a_half_close(server);
    sees_the_end_behind_much(server);
    survives_resets(server);
    holds_for_slow_readers(server);
    leaves_unread_who_does_not_read(server);
    if server.mode == Mode::Framed {
        echoes_frames_cut_anywhere(server);
        keeps_a_half_frame_to_itself(server);
        refuses_a_frame_that_is_too_long(server);
    }
    ping(&mut server.connect(), server.mode);
}

/// One message after another, from empty frames to the largest ones.
fn echoes_every_size(server: &TestServer) {
    let mut stream = server.connect();
    let sizes = [1, 4, 5, 60, 1020, 4096, 16_380, 16_384, 16_385, 40_000, FRAME_PAYLOAD_BYTES_MAX];
    for (seed, size) in sizes.into_iter().enumerate() {
        round_trip(&mut stream, &message(server.mode, size, seed));
    }
    if server.mode == Mode::Framed {
        round_trip(&mut stream, &message(server.mode, 0, 0));
    }
}

/// More connections than receive buffers, all with data at the same time.
fn echoes_many_connections_at_once(server: &TestServer) {
    let mut streams: Vec<_> = (0..100).map(|_| server.connect()).collect();
    for round in 0..5 {
        for (index, stream) in streams.iter_mut().enumerate() {
            let bytes = message(server.mode, 10_000, round * 100 + index);
            stream.write_all(&bytes).expect("the message is sent");
        }
        for (index, stream) in streams.iter_mut().enumerate() {
            expect(stream, &message(server.mode, 10_000, round * 100 + index));
        }
    }
}

/// The answer comes in full though the peer has finished sending, and then the end of the stream.
fn flushes_after_a_half_close(server: &TestServer) {
    for size in [1, 300_000] {
        let bytes = messages(server.mode, size);
        let mut stream = server.connect();
        let mut writer = stream.try_clone().expect("the socket can be cloned");
        let sent = bytes.clone();
        let writing = thread::spawn(move || {
            writer.write_all(&sent).expect("everything is sent");
            writer.shutdown(Shutdown::Write).expect("the sending side can be closed");
        });
        let mut echoed = Vec::new();
        stream.read_to_end(&mut echoed).expect("the answer ends");
        writing.join().expect("the writer ends");
        assert!(echoed == bytes, "{} of {} bytes came back", echoed.len(), bytes.len());
    }
}

/// Peers that have sent much and finished before the server looks get all of it back, and the end.
fn sees_the_end_behind_much(server: &TestServer) {
    for size in (50_000..80_000).step_by(5000) {
        let bytes = messages(server.mode, size);
        let mut streams: Vec<_> = (0..30).map(|_| server.connect()).collect();
        for stream in &mut streams {
            stream.write_all(&bytes).expect("everything is sent");
            stream.shutdown(Shutdown::Write).expect("the sending side can be closed");
        }
        for stream in &mut streams {
            let mut echoed = Vec::new();
            stream.read_to_end(&mut echoed).expect("the answer ends");
            assert!(echoed == bytes, "{} of {} bytes came back", echoed.len(), bytes.len());
        }
    }
}

/// Peers that go away with answers unread (which resets the connection) harm nobody else.
fn survives_resets(server: &TestServer) {
    let bytes = messages(server.mode, 200_000);
    for _ in 0..20 {
        let mut stream = server.connect();
        stream.write_all(&message(server.mode, 100, 1)).expect("the message is sent");
        let _ = stream.peek(&mut [0]);
        let _ = stream.set_write_timeout(Some(Duration::from_millis(20)));
        let _ = stream.write_all(&bytes);
        drop(stream);
        ping(&mut server.connect(), server.mode);
    }
}

/// Peers that send 4 MiB before they read anything get all of it back, and delay nobody.
fn holds_for_slow_readers(server: &TestServer) {
    let bytes = messages(server.mode, 4 * 1024 * 1024);
    let mut readers: Vec<_> = (0..8).map(|_| server.connect()).collect();
    let writers: Vec<_> = readers
        .iter()
        .map(|stream| {
            let mut writer = stream.try_clone().expect("the socket can be cloned");
            let bytes = bytes.clone();
            thread::spawn(move || writer.write_all(&bytes).expect("everything is sent"))
        })
        .collect();
    let mut other = server.connect();
    for _ in 0..50 {
        ping(&mut other, server.mode);
        thread::sleep(Duration::from_millis(2));
    }
    for reader in &mut readers {
        expect(reader, &bytes);
    }
    for writer in writers {
        writer.join().expect("the writer ends");
    }
}

/// Who sends and does not read is stopped by the server before it holds much of what was sent, and
/// gets all of it once it reads.
fn leaves_unread_who_does_not_read(server: &TestServer) {
    /// More than the kernel's buffers of both ends can hold.
    const SENT_MAX: usize = 128 * 1024 * 1024;
    let bytes = messages(server.mode, 1024 * 1024);
    let mut stream = server.connect();
    stream.set_write_timeout(Some(Duration::from_millis(500))).expect("a timeout can be set");
    let mut sent = 0;
    while let Ok(count) = stream.write(&bytes[sent % bytes.len()..]) {
        sent += count;
        assert!(sent < SENT_MAX, "the server takes and takes");
    }
    stream.set_write_timeout(Some(PATIENCE)).expect("a timeout can be set");
    let mut writer = stream.try_clone().expect("the socket can be cloned");
    let rest = bytes[sent % bytes.len()..].to_vec();
    let writing = thread::spawn(move || writer.write_all(&rest).expect("the rest is sent"));
    for _ in 0..=sent / bytes.len() {
        expect(&mut stream, &bytes);
    }
    writing.join().expect("the writer ends");
}

/// Frames that arrive in pieces of every small size.
fn echoes_frames_cut_anywhere(server: &TestServer) {
    let bytes: Vec<u8> = (0..6).flat_map(|seed| message(server.mode, seed * 3, seed)).collect();
    for piece in 1..12 {
        let mut stream = server.connect();
        for part in bytes.chunks(piece) {
            stream.write_all(part).expect("the piece is sent");
            thread::sleep(Duration::from_micros(200));
        }
        expect(&mut stream, &bytes);
    }
}

/// Only whole frames are echoed.
fn keeps_a_half_frame_to_itself(server: &TestServer) {
    let mut stream = server.connect();
    let whole = message(Mode::Framed, 100, 1);
    let half = message(Mode::Framed, 50, 2);
    stream.write_all(&[&whole[..], &half[..20]].concat()).expect("the frames are sent");
    stream.shutdown(Shutdown::Write).expect("the sending side can be closed");
    let mut echoed = Vec::new();
    stream.read_to_end(&mut echoed).expect("the answer ends");
    assert!(echoed == whole, "{} bytes came back instead of {}", echoed.len(), whole.len());
}

/// A length above the maximum closes the connection.
fn refuses_a_frame_that_is_too_long(server: &TestServer) {
    let mut stream = server.connect();
    let length = u32::try_from(FRAME_PAYLOAD_BYTES_MAX + 1).expect("the maximum is small");
    stream.write_all(&length.to_le_bytes()).expect("the header is sent");
    let answer = stream.read(&mut [0; 16]);
    let closed = match &answer {
        Ok(count) => *count == 0,
        Err(error) => error.kind() == std::io::ErrorKind::ConnectionReset,
    };
    assert!(closed, "{answer:?} instead of the end of the stream");
}

/// One small message there and back.
fn ping(stream: &mut TcpStream, mode: Mode) {
    round_trip(stream, &message(mode, 64, 7));
}

fn round_trip(stream: &mut TcpStream, bytes: &[u8]) {
    stream.write_all(bytes).expect("the message is sent");
    expect(stream, bytes);
}

/// Reads as many bytes as are expected and compares them.
fn expect(stream: &mut TcpStream, bytes: &[u8]) {
    let mut echoed = vec![0; bytes.len()];
    stream.read_exact(&mut echoed).expect("the answer comes");
    assert!(echoed == bytes, "the answer of {} bytes differs", bytes.len());
}

/// Bytes that differ from place to place and from seed to seed; framed if the mode says so.
fn message(mode: Mode, size: usize, seed: usize) -> Vec<u8> {
    let payload = (0..size).map(|at| ((at * 31 + at / 251 + seed * 17) % 256) as u8);
    match mode {
        Mode::Raw => payload.collect(),
        Mode::Framed | Mode::Chat => {
            let length = u32::try_from(size).expect("a message is small");
            length.to_le_bytes().into_iter().chain(payload).collect()
        }
    }
}

/// Messages of mixed sizes, at least `size` bytes in all.
fn messages(mode: Mode, size: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut seed = 0;
    while bytes.len() < size {
        bytes.extend(message(mode, 1 + seed * 997 % 5000, seed));
        seed += 1;
    }
    bytes
}
