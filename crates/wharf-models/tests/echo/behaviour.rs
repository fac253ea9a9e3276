//! The tests, for a model by its name with underscores.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::thread;
use std::time::Duration;

use crate::support::{self, Server, message, ping};

/// What the buffers of both ends and of the server can never hold of one connection.
const MORE_THAN_BUFFERS_HOLD: usize = if cfg!(windows) { 8 << 20 } else { 24 << 20 };
/// How many peers do not read, one after the other. Each takes some seconds under Wine.
const DEAF: usize = if cfg!(windows) { 1 } else { 3 };
/// What sixty connections say at once is more than any ring of buffers here holds.
const MORE_THAN_ITS_SHARE: usize = 80_000;
/// What the system's buffers may hold together before a peer is stopped that only sends.
const HELD_BYTES_MAX: usize = 128 << 20;

fn start(name: &str) -> Option<Server> {
    support::start(&name.replace('_', "-"))
}

pub(crate) fn messages_in_pieces_come_back_in_order(name: &str) {
    let Some(server) = start(name) else { return };
    let mut stream = server.connect();
    for size in 1..40 {
        let bytes = message(size, size);
        for byte in &bytes {
            stream.write_all(&[*byte]).expect("a byte is sent");
        }
        expect(&mut stream, &bytes);
    }
}

pub(crate) fn messages_that_arrive_together_come_back_in_order(name: &str) {
    let Some(server) = start(name) else { return };
    let mut stream = server.connect();
    for size in [2, 100, 4095, 4096, 4097, 16_383, 16_384, 16_385, 65_536, 100_003] {
        let bytes: Vec<u8> = (0..3).flat_map(|seed| message(size, seed)).collect();
        stream.write_all(&bytes).expect("the messages are sent");
        expect(&mut stream, &bytes);
    }
}

pub(crate) fn more_than_all_buffers_hold_comes_back(name: &str) {
    let Some(server) = start(name) else { return };
    let bytes = message(MORE_THAN_BUFFERS_HOLD, 3);
    let mut stream = server.connect();
    let mut writer = stream.try_clone().expect("the socket can be cloned");
    let sent = bytes.clone();
    let writing = thread::spawn(move || writer.write_all(&sent).expect("all is sent"));
    expect(&mut stream, &bytes);
    writing.join().expect("the writer ends");
    // The way is free again in both directions.
    ping(&mut stream, 1).expect("the answer comes");
}

pub(crate) fn who_does_not_read_is_not_read_from_and_delays_nobody(name: &str) {
    let Some(server) = start(name) else { return };
    let mut deaf: Vec<(TcpStream, usize)> = Vec::new();
    for _ in 0..DEAF {
        let mut stream = server.connect();
        let sent = send_until_stopped(&mut stream);
        deaf.push((stream, sent));
        ping(&mut server.connect(), 5).expect("another is answered");
    }
    for (mut stream, sent) in deaf {
        stream.shutdown(Shutdown::Write).expect("the sending side can be closed");
        let mut echoed = Vec::new();
        stream.read_to_end(&mut echoed).expect("the answer ends");
        assert!(echoed == stream_of(sent), "{} of {sent} bytes came back", echoed.len());
    }
}

pub(crate) fn what_was_said_before_a_half_close_comes_back(name: &str) {
    let Some(server) = start(name) else { return };
    for size in [0, 1, 300_000] {
        let bytes = message(size, size);
        let mut stream = server.connect();
        let mut writer = stream.try_clone().expect("the socket can be cloned");
        let sent = bytes.clone();
        let writing = thread::spawn(move || {
            writer.write_all(&sent).expect("all is sent");
            writer.shutdown(Shutdown::Write).expect("the sending side can be closed");
        });
        let mut echoed = Vec::new();
        stream.read_to_end(&mut echoed).expect("the answer ends");
        writing.join().expect("the writer ends");
        assert!(echoed == bytes, "{} of {size} bytes came back", echoed.len());
    }
}

pub(crate) fn resets_harm_nobody_else(name: &str) {
    let Some(server) = start(name) else { return };
    let mut bystander = server.connect();
    for round in 0..30 {
        let mut stream = server.connect();
        if round % 3 > 0 {
            stream.write_all(&message(100_000, round)).expect("the message is sent");
        }
        if round % 3 > 1 {
            stream.read_exact(&mut [0; 100]).expect("some of the answer comes");
        }
        let socket = socket2::Socket::from(stream);
        socket.set_linger(Some(Duration::ZERO)).expect("linger can be set");
        drop(socket);
        ping(&mut bystander, round).expect("another is answered");
    }
    ping(&mut server.connect(), 1).expect("the next is answered");
}

pub(crate) fn sixty_connections_talk_at_once(name: &str) {
    let Some(server) = start(name) else { return };
    let mut streams: Vec<TcpStream> = (0..60).map(|_| server.connect()).collect();
    for round in 0..3 {
        for (number, stream) in streams.iter_mut().enumerate() {
            let bytes = message(MORE_THAN_ITS_SHARE, round * 60 + number);
            stream.write_all(&bytes).expect("the message is sent");
        }
        for (number, stream) in streams.iter_mut().enumerate() {
            expect(stream, &message(MORE_THAN_ITS_SHARE, round * 60 + number));
        }
        // Some go, as others come: what a server keeps in order must stay so.
        streams.swap_remove(round * 7);
        streams.push(server.connect());
    }
}

/// Sends until nothing moves for a while: how many bytes were taken.
fn send_until_stopped(stream: &mut TcpStream) -> usize {
    stream.set_nonblocking(false).expect("it can block");
    stream.set_write_timeout(Some(Duration::from_secs(1))).expect("a timeout can be set");
    let bytes = stream_of(1 << 20);
    let mut sent = 0;
    loop {
        assert!(sent < HELD_BYTES_MAX, "the server takes and takes");
        match stream.write(&bytes[sent % bytes.len()..]) {
            Ok(count) => sent += count,
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                return sent;
            }
            Err(error) => panic!("sending failed: {error}"),
        }
    }
}

/// Bytes of a stream that repeats after a mebibyte.
fn stream_of(size: usize) -> Vec<u8> {
    let once = message(1 << 20, 11);
    once.iter().copied().cycle().take(size).collect()
}

/// Reads as many bytes as are expected and compares them.
fn expect(stream: &mut TcpStream, bytes: &[u8]) {
    let mut echoed = vec![0; bytes.len()];
    stream.read_exact(&mut echoed).expect("the answer comes");
    assert!(echoed == bytes, "the answer of {} bytes differs", bytes.len());
}
