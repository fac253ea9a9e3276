//! A server that accepts nobody for now: who connects waits, and is not lost.

use std::time::Duration;

use wharf::{Arrival, Backend, Context, Outcome, Session};

use crate::support::client::Client;
use crate::support::server::{Setup, TestServer};
use crate::support::time::{let_pass, wait_until};

each_backend! {
    who_connects_during_a_pause_is_served_after_it,
    sessions_go_on_during_a_pause,
    the_last_word_counts,
    a_drain_during_a_pause_loses_nobody_who_waits,
    a_server_that_has_ended_accepts_nobody,
}

struct Echo;

impl Session for Echo {
    fn on_frame(&mut self, ctx: &mut Context<'_>, frame: &[u8]) -> Outcome {
        ctx.send(frame);
        Ok(())
    }
}

/// Says so as soon as it is there.
struct Greeter;

impl Session for Greeter {
    fn on_connected(&mut self, ctx: &mut Context<'_>) -> Outcome {
        ctx.send(b"hello");
        Ok(())
    }

    fn on_frame(&mut self, _: &mut Context<'_>, _: &[u8]) -> Outcome {
        Ok(())
    }
}

/// Connections that a paused server may still accept on this backend: those that it had asked for.
fn late_max(backend: Backend) -> usize {
    #[cfg(windows)]
    if backend == Backend::Iocp {
        // For each listener; the system may be about to take one more.
        return 65;
    }
    let _ = backend;
    0
}

/// A server with two workers and two listeners that has accepted somebody and is paused, and the client.
fn paused<H: Session + Send>(
    backend: Backend,
    factory: impl Fn(&Arrival) -> H + Send + Sync + 'static,
) -> (TestServer, Client) {
    let server = Setup::new(backend).workers(2).listeners(2).start(factory);
    let first = server.connect();
    server.wait_for_sessions(1);
    assert!(server.handle.is_accepting());
    server.handle.pause_accepting();
    assert!(!server.handle.is_accepting());
    // Each worker has heard of it when it has made some turns, which an answer of each shows.
    let turns = || server.handle.worker_stats().iter().map(|stats| stats.turns).collect::<Vec<_>>();
    let before = turns();
    wait_until("both workers have turned", || {
        server.handle.group("nobody").close_all();
        turns().iter().zip(&before).all(|(now, before)| *now >= before + 3)
    });
    (server, first)
}

fn who_connects_during_a_pause_is_served_after_it(backend: Backend) {
    let (server, _first) = paused(backend, |_| Echo);
    let count = late_max(backend) + 20;
    let mut clients: Vec<Client> = (0..count).map(|_| server.connect()).collect();
    clients.iter_mut().for_each(|client| client.send(b"hello"));
    let_pass(Duration::from_millis(50));
    let late = server.handle.sessions() - 1;
    assert!(late <= late_max(backend), "{late} were accepted during a pause");
    server.handle.resume_accepting();
    assert!(server.handle.is_accepting());
    clients.iter_mut().for_each(|client| client.expect(b"hello"));
    server.wait_for_sessions(count + 1);
}

fn sessions_go_on_during_a_pause(backend: Backend) {
    let (server, mut first) = paused(backend, |_| Echo);
    first.ping(b"still here");
    server.handle.resume_accepting();
    server.connect().ping(b"here again");
}

fn the_last_word_counts(backend: Backend) {
    let (server, mut first) = paused(backend, |_| Echo);
    for _ in 0..100 {
        server.handle.resume_accepting();
        server.handle.pause_accepting();
    }
    server.handle.resume_accepting();
    server.connect().ping(b"accepted");
    first.ping(b"and so on");
}

fn a_drain_during_a_pause_loses_nobody_who_waits(backend: Backend) {
    let (server, mut first) = paused(backend, |_| Greeter);
    let mut clients: Vec<Client> = (0..late_max(backend) + 20).map(|_| server.connect()).collect();
    server.handle.drain();
    let count = clients.len() + 1;
    for client in clients.iter_mut().chain([&mut first]) {
        client.expect(b"hello");
        client.expect_end();
    }
    drop((clients, first));
    let report = server.end();
    assert_eq!((report.drained, report.forced, report.bytes_lost), (count as u64, 0, 0));
}

fn a_server_that_has_ended_accepts_nobody(backend: Backend) {
    let server = Setup::new(backend).start(|_| Echo);
    let handle = server.handle.clone();
    assert!(handle.is_accepting());
    server.drain();
    assert!(!handle.is_accepting());
    handle.pause_accepting();
    handle.resume_accepting();
    assert!(!handle.is_accepting());
}
