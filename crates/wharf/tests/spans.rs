//! What callbacks log says whose they were. Alone in its process, of which it is the log.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::mpsc::{Sender, channel};
use std::time::Duration;

use tracing_subscriber::filter::LevelFilter;
use wharf::{Context, Outcome, Room, RoomContext, RoomOptions, Server, Session, SessionId};

#[path = "it/support/log.rs"]
mod log;

use self::log::Log;

/// Beyond what anything here takes.
const PATIENCE: Duration = Duration::from_secs(10);

struct Speaks;

impl Session for Speaks {
    fn on_frame(&mut self, ctx: &mut Context<'_>, frame: &[u8]) -> Outcome {
        tracing::info!("heard something");
        ctx.send(frame);
        Ok(())
    }
}

struct Lobby;

impl Room for Lobby {
    fn on_frame(&mut self, _: &mut RoomContext<'_>, _: SessionId, _: &[u8]) {}
}

/// The only line of the log with these words.
fn line_with(log: &Log, words: &str) -> String {
    let log = log.text();
    let lines: Vec<_> = log.lines().filter(|line| line.contains(words)).collect();
    assert_eq!(lines.len(), 1, "{log}");
    lines[0].to_owned()
}

#[test]
fn what_a_callback_logs_says_whose_it_was() {
    let log = Log::default();
    let subscriber = tracing_subscriber::fmt().with_max_level(LevelFilter::DEBUG);
    subscriber.with_writer(log.clone()).with_ansi(false).init();
    let server = Server::bind("127.0.0.1:0").workers(1).start(|_| Speaks).unwrap();
    let handle = server.handle();
    let mut client = TcpStream::connect(handle.addresses()[0].tcp().unwrap()).unwrap();
    client.set_read_timeout(Some(PATIENCE)).unwrap();
    client.write_all(&[1, 0, 0, 0, b'x']).unwrap();
    client.read_exact(&mut [0; 5]).unwrap();
    let (tell, told): (Sender<()>, _) = channel();
    let options = RoomOptions { name: "lobby".into(), ..RoomOptions::default() };
    let room = handle.open_room(options, Lobby).unwrap();
    room.post(move |_, _| {
        tracing::info!("a room speaks");
        tell.send(()).unwrap();
    });
    told.recv_timeout(PATIENCE).unwrap();
    let line = line_with(&log, "heard something");
    let peer = client.local_addr().unwrap();
    assert!(line.contains("session{id=0-"), "{line}");
    assert!(line.contains(&format!(" peer={peer} callback=\"on_frame\"}}")), "{line}");
    let line = line_with(&log, "a room speaks");
    assert!(line.contains("room{name=\"lobby\" callback="), "{line}");
    handle.drain();
    server.join().unwrap();
    tracing::info!("of nobody");
    assert!(!line_with(&log, "of nobody").contains('{'));
}
