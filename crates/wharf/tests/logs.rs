//! What peers can cause again and again is logged once. Alone in its process, of which it is the log.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on has failed")]

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::mpsc::channel;
use std::time::Duration;

use wharf::capture::CaptureOptions;
use wharf::{Context, Outcome, Room, RoomContext, RoomOptions, Server, Session, SessionId};

#[path = "it/support/log.rs"]
mod log;

use self::log::Log;

/// Beyond what anything here takes.
const PATIENCE: Duration = Duration::from_secs(10);

struct Panics;

impl Session for Panics {
    fn on_frame(&mut self, _: &mut Context<'_>, _: &[u8]) -> Outcome {
        panic!("as the test wants it")
    }
}

impl Room for Panics {
    fn on_frame(&mut self, _: &mut RoomContext<'_>, _: SessionId, _: &[u8]) {}
}

#[test]
fn panics_of_callbacks_rooms_and_redactions_are_said_once_and_counted() {
    let log = Log::default();
    tracing_subscriber::fmt().with_writer(log.clone()).with_ansi(false).init();
    let captures = CaptureOptions::default().redact(|_, _| panic!("as the test wants it"));
    let server = Server::bind("127.0.0.1:0").workers(2).capture(captures);
    let server = server.start(|_| Panics).unwrap();
    let handle = server.handle();
    let address = handle.addresses()[0].tcp().unwrap();
    for _ in 0..4 {
        let mut client = TcpStream::connect(address).unwrap();
        client.set_read_timeout(Some(PATIENCE)).unwrap();
        client.write_all(&[1, 0, 0, 0, b'x']).unwrap();
        let read = client.read(&mut [0]);
        // Its session has ended, one way or the other.
        assert!(!matches!(&read, Err(error) if error.kind() == std::io::ErrorKind::WouldBlock));
    }
    let (begins, begun) = channel();
    for _ in 0..3 {
        let room = handle.open_room(RoomOptions::default(), Panics).unwrap();
        let begins = begins.clone();
        room.post(move |_, _| {
            begins.send(()).unwrap();
            panic!("as the test wants it")
        });
        begun.recv_timeout(PATIENCE).unwrap();
    }
    handle.drain();
    server.join().unwrap();
    assert_eq!((handle.stats().panics, handle.close_counts().get("panicked")), (7, 4));
    let captured = handle.captured().unwrap();
    assert_eq!(captured.sessions.iter().map(|it| it.frames_left_out).sum::<u64>(), 4);
    let log = log.text();
    for cause in ["a callback panicked", "a room panicked", "a capture's redaction panicked"] {
        assert_eq!(log.matches(cause).count(), 1, "{log}");
    }
}
