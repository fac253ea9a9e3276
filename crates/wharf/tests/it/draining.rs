//! Drain and stop: what is queued arrives, peers are told, and the report says what became of whom.

use std::net::TcpStream;
use std::sync::mpsc::channel;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use wharf::{
    Backend, Context, Outcome, SendStatus, ServerError, ServerHandle, Session, SlowReader,
};

use crate::support::client::Client;
use crate::support::gate::Gate;
use crate::support::record::{Echo, Greets, What, frames, on_frame, recording};
use crate::support::server::Setup;
use crate::support::time::{PATIENCE, SLACK, Stopwatch, let_pass, wait_until};
use crate::support::wire::{Wire, assert_same, pattern};

each_backend! {
    a_drain_of_nobody_ends_at_once,
    what_is_queued_arrives_before_the_end,
    a_peer_that_reads_slowly_loses_nothing,
    a_peer_that_does_not_end_its_own_stream_holds_a_drain_up_for_a_second,
    connections_that_wait_to_be_accepted_are_served_an_orderly_end,
    connections_on_their_way_to_a_worker_are_served_an_orderly_end,
    nobody_is_accepted_after_a_drain,
    a_stuck_peer_is_cut_off_at_the_deadline,
    a_stuck_peer_that_has_ended_its_stream_is_cut_off_at_the_deadline,
    a_drain_during_a_close_does_not_wait_longer,
    frames_that_come_during_a_drain_are_not_delivered,
    a_stop_resets_every_session,
    a_stop_cuts_a_drain_short,
    a_stop_resets_connections_that_wait_to_be_accepted,
    a_session_drains_its_own_server,
    dropping_a_server_stops_it,
    a_farewell_is_the_last_frame_of_every_session_that_reads,
    a_farewell_that_is_too_long_does_not_start_a_server_nor_drain_one,
}

fn a_drain_of_nobody_ends_at_once(backend: Backend) {
    for (workers, listeners) in [(1, 1), (2, 1), (2, 3), (4, 2)] {
        let server = Setup::new(backend).workers(workers).listeners(listeners).start(|_| Echo);
        let report = server.drain();
        assert_eq!((report.drained, report.forced, report.bytes_lost), (0, 0, 0));
        assert_eq!(report.to_string(), "0 sessions drained, 0 forced, 0 bytes lost");
    }
}

fn what_is_queued_arrives_before_the_end(backend: Backend) {
    let (log, events) = recording();
    let setup = Setup::new(backend).workers(2).limits(|limits| limits.send_bytes_max = 4 << 20);
    let server = setup.start(move |_| log.of(Echo));
    let sent: Vec<Vec<u8>> = (0..50).map(|seed| pattern(seed, 20_000)).collect();
    let mut clients: Vec<Client> = (0..10).map(|_| server.connect()).collect();
    let stream = Wire::U32Le.encode_all(&sent);
    for client in &mut clients {
        client.write(&stream);
    }
    server.wait_for_bytes_in(10 * stream.len() as u64);
    wait_until("every frame is delivered", || server.stats().frames_in == 500);
    server.handle.drain();
    for client in &mut clients {
        assert_same("the answers, then the end", &client.rest(), &stream);
    }
    // Half-closed: what the client says now is no error.
    for client in &mut clients {
        client.send(b"bye");
    }
    drop(clients);
    let report = server.end();
    assert_eq!((report.drained, report.forced, report.bytes_lost), (10, 0, 0));
    let events = events.remaining();
    let ends: Vec<&str> = events
        .iter()
        .filter(|event| matches!(event.what, What::Disconnected { .. }))
        .map(|event| event.reason())
        .collect();
    assert_eq!(ends, ["drain"; 10]);
}

fn a_peer_that_reads_slowly_loses_nothing(backend: Backend) {
    let setup = Setup::new(backend)
        .kernel_buffers(32 << 10, 32 << 10)
        .limits(|limits| limits.send_bytes_max = 4 << 20);
    let server = setup.start(|_| Echo);
    let stream = Wire::U32Le.encode(&pattern(1, 50_000)).repeat(20);
    let mut client = server.connect();
    client.write(&stream);
    server.wait_for_bytes_in(stream.len() as u64);
    wait_until("every frame is delivered", || server.stats().frames_in == 20);
    server.handle.drain();
    let mut got = Vec::new();
    for _ in 0..20 {
        got.extend(client.bytes(10_000));
        let_pass(Duration::from_millis(10));
    }
    got.extend(client.rest());
    assert_same("the answers, then the end", &got, &stream);
    drop(client);
    let report = server.end();
    assert_eq!((report.drained, report.forced, report.bytes_lost), (1, 0, 0));
}

fn a_peer_that_does_not_end_its_own_stream_holds_a_drain_up_for_a_second(backend: Backend) {
    const LINGER: Duration = Duration::from_secs(1);
    let server = Setup::new(backend).start(|_| Echo);
    let mut client = server.connect();
    client.ping(b"hello");
    let watch = Stopwatch::start();
    server.handle.drain();
    client.expect_end();
    assert!(watch.elapsed() < SLACK, "the client is told at once");
    let report = server.end();
    let took = watch.elapsed();
    assert!((LINGER..LINGER + SLACK).contains(&took), "{took:?}");
    // It was flushed and told: that is an orderly end.
    assert_eq!((report.drained, report.forced, report.bytes_lost), (1, 0, 0));
}

fn connections_that_wait_to_be_accepted_are_served_an_orderly_end(backend: Backend) {
    let (log, events) = recording();
    let (gate, post) = Gate::new();
    let server = Setup::new(backend).start(move |_| log.of(Greets(b"welcome", post.echo())));
    let mut first = server.connect();
    first.expect(b"welcome");
    first.send(b"wait");
    gate.wait_for_arrival();
    // The worker is held up: these are in the listener's queue.
    let mut waiting: Vec<Client> = (0..100).map(|_| server.connect()).collect();
    for client in &mut waiting {
        client.send(b"hello");
    }
    server.handle.drain();
    gate.open();
    first.expect(b"wait");
    first.expect_end();
    for client in &mut waiting {
        client.expect(b"welcome");
        client.expect_end();
    }
    drop((first, waiting));
    let report = server.end();
    assert_eq!((report.drained, report.forced, report.bytes_lost), (101, 0, 0));
    let mut ends = events.remaining();
    ends.retain(|event| matches!(event.what, What::Disconnected { .. }));
    assert_eq!(ends.len(), 101);
    assert!(ends.iter().all(|end| end.reason() == "drain"));
}

fn connections_on_their_way_to_a_worker_are_served_an_orderly_end(backend: Backend) {
    // Worker 0 listens, and hands every other connection to worker 1, which is held up.
    let (gate, post) = Gate::new();
    let server = Setup::new(backend).workers(2).start(move |arrival| {
        let greeting: &[u8] = if arrival.id().worker() == 0 { b"welcome" } else { b"over here" };
        Greets(greeting, post.echo())
    });
    let mut early = [server.connect(), server.connect()];
    let second = early.iter_mut().map(Client::frame).position(|frame| frame == b"over here");
    let held_up = &mut early[second.expect("a session of the second worker")];
    held_up.send(b"wait");
    gate.wait_for_arrival();
    let mut clients: Vec<Client> = (0..20).map(|_| server.connect()).collect();
    wait_until("all are accepted", || server.handle.sessions() == 22);
    server.handle.drain();
    gate.open();
    held_up.expect(b"wait");
    let greetings: Vec<_> = clients.iter_mut().map(Client::frame).collect();
    let handed_over = greetings.iter().filter(|greeting| *greeting == b"over here").count();
    assert_eq!(handed_over, 10);
    for client in early.iter_mut().chain(&mut clients) {
        client.expect_end();
    }
    drop((early, clients));
    let report = server.end();
    assert_eq!((report.drained, report.forced, report.bytes_lost), (22, 0, 0));
}

fn nobody_is_accepted_after_a_drain(backend: Backend) {
    let server = Setup::new(backend).workers(2).listeners(2).start(|_| Echo);
    let addresses = server.handle.addresses().to_vec();
    let mut client = server.connect();
    client.ping(b"hello");
    server.handle.drain();
    client.expect_end();
    for address in addresses {
        wait_until("nobody listens", || TcpStream::connect(&address).is_err());
    }
    drop(client);
    // A few who came while the listeners were closing have had their orderly end.
    let report = server.end();
    assert_eq!((report.forced, report.bytes_lost), (0, 0));
}

/// A peer that is sent more than the kernel takes and never reads it, drained with half a second's
/// deadline.
fn drain_of_a_stuck_peer(backend: Backend, ends_its_stream: bool) {
    const DEADLINE: Duration = Duration::from_millis(500);
    const LEN: usize = 4 << 20;
    let setup = Setup::new(backend).kernel_buffers(64 << 10, 64 << 10).limits(|limits| {
        limits.frame_bytes_max = LEN;
        limits.send_bytes_max = LEN;
        limits.drain = DEADLINE;
    });
    let (log, events) = recording();
    let server = setup.start(move |_| log.of(Echo));
    let mut stuck = server.connect();
    let id = events.connected().id;
    stuck.send(&pattern(1, LEN));
    if ends_its_stream {
        stuck.finish();
    }
    let mut well = server.connect();
    wait_until("the answer is queued", || server.stats().frames_in == 1);
    well.ping(b"hello");
    let watch = Stopwatch::start();
    server.handle.drain();
    well.expect_end();
    drop(well);
    let report = server.end();
    let took = watch.elapsed();
    assert!((DEADLINE..DEADLINE + SLACK).contains(&took), "{took:?}");
    assert_eq!((report.drained, report.forced), (1, 1), "{report}");
    let lost = usize::try_from(report.bytes_lost).unwrap();
    assert!((LEN / 4..LEN).contains(&lost), "{report}");
    stuck.expect_reset();
    let reason = if ends_its_stream { "peer_closed" } else { "drain" };
    assert_eq!(events.disconnected_of(id).reason(), reason);
}

fn a_stuck_peer_is_cut_off_at_the_deadline(backend: Backend) {
    drain_of_a_stuck_peer(backend, false);
}

fn a_stuck_peer_that_has_ended_its_stream_is_cut_off_at_the_deadline(backend: Backend) {
    drain_of_a_stuck_peer(backend, true);
}

fn a_drain_during_a_close_does_not_wait_longer(backend: Backend) {
    const DEADLINE: Duration = Duration::from_millis(500);
    const LEN: usize = 4 << 20;
    let setup = Setup::new(backend).kernel_buffers(64 << 10, 64 << 10).limits(|limits| {
        limits.frame_bytes_max = LEN;
        limits.flush = PATIENCE;
        limits.drain = DEADLINE;
    });
    let server = setup.start(|_| {
        on_frame(|ctx, frame| {
            ctx.send(frame);
            ctx.close();
            Ok(())
        })
    });
    let mut stuck = server.connect();
    stuck.send(&pattern(1, LEN));
    wait_until("the answer is queued", || server.stats().frames_in == 1);
    let watch = Stopwatch::start();
    let report = server.drain();
    let took = watch.elapsed();
    assert!((DEADLINE..DEADLINE + SLACK).contains(&took), "{took:?}");
    assert_eq!((report.drained, report.forced), (0, 1));
    drop(stuck);
}

fn frames_that_come_during_a_drain_are_not_delivered(backend: Backend) {
    let (log, events) = recording();
    let server = Setup::new(backend).start(move |_| log.of(Echo));
    let mut client = server.connect();
    client.ping(b"in time");
    server.handle.drain();
    client.expect_end();
    client.send(b"too late");
    drop(client);
    server.end();
    let events = events.remaining();
    assert_eq!(frames(&events), [b"in time"]);
}

fn a_stop_resets_every_session(backend: Backend) {
    let (log, events) = recording();
    let server = Setup::new(backend).workers(2).start(move |_| log.of(Echo));
    let mut clients: Vec<Client> = (0..20).map(|_| server.connect()).collect();
    for client in &mut clients {
        client.ping(b"hello");
    }
    let report = server.stop();
    assert_eq!((report.drained, report.forced, report.bytes_lost), (0, 20, 0));
    for client in &mut clients {
        assert_eq!(client.expect_reset(), b"");
    }
    let mut ends = events.remaining();
    ends.retain(|event| matches!(event.what, What::Disconnected { .. }));
    assert_eq!(ends.len(), 20);
    assert!(ends.iter().all(|end| end.reason() == "stop"));
}

fn a_stop_cuts_a_drain_short(backend: Backend) {
    let setup = Setup::new(backend).workers(2).kernel_buffers(64 << 10, 64 << 10);
    let setup = setup.limits(|limits| {
        limits.drain = 10 * PATIENCE;
        limits.send_bytes_max = 4 << 20;
        limits.slow_reader = SlowReader::Pause;
    });
    let server = setup.start(|_| Echo);
    let mut stuck: Vec<Client> = (0..4).map(|_| server.connect()).collect();
    let frame = Wire::U32Le.encode(&pattern(1, 60_000)).repeat(30);
    for client in &mut stuck {
        client.write(&frame);
    }
    wait_until("the answers are queued", || server.stats().frames_in == 120);
    server.handle.drain();
    let report = server.stop();
    assert_eq!(report.forced, 4, "{report}");
    assert!(report.bytes_lost > 1 << 20, "{report}");
    for client in &mut stuck {
        client.expect_reset();
    }
}

fn a_stop_resets_connections_that_wait_to_be_accepted(backend: Backend) {
    let (gate, post) = Gate::new();
    let server = Setup::new(backend).start(move |_| post.echo());
    let mut first = server.connect();
    first.send(b"wait");
    gate.wait_for_arrival();
    let mut waiting: Vec<Client> = (0..10).map(|_| server.connect()).collect();
    server.handle.stop();
    gate.open();
    server.end();
    for client in &mut waiting {
        client.expect_reset();
    }
}

fn a_session_drains_its_own_server(backend: Backend) {
    let own: Arc<OnceLock<ServerHandle>> = Arc::default();
    let handle = Arc::clone(&own);
    let server = Setup::new(backend).workers(2).start(move |_| {
        let handle = Arc::clone(&handle);
        on_frame(move |ctx, frame| {
            ctx.send(frame);
            if frame == b"shutdown" {
                handle.get().ok_or("no handle")?.drain();
            }
            Ok(())
        })
    });
    own.set(server.handle.clone()).unwrap();
    let mut clients: Vec<Client> = (0..4).map(|_| server.connect()).collect();
    for client in &mut clients {
        client.ping(b"hello");
    }
    clients[1].ping(b"shutdown");
    for client in &mut clients {
        client.expect_end();
    }
    drop(clients);
    assert_eq!(server.end().drained, 4);
}

fn dropping_a_server_stops_it(backend: Backend) {
    let running = Setup::new(backend).server().start(|_| Echo).unwrap();
    let address = running.handle().addresses()[0].tcp().unwrap();
    let mut client = Client::connect(address, Wire::U32Le);
    client.ping(b"hello");
    let (sender, dropped) = channel();
    std::thread::spawn(move || {
        drop(running);
        sender.send(()).unwrap();
    });
    dropped.recv_timeout(PATIENCE).expect("it is dropped");
    client.expect_reset();
}

/// Fills its own queue, and has something to say when the server drains.
struct Talks;

impl Session for Talks {
    fn on_frame(&mut self, ctx: &mut Context<'_>, frame: &[u8]) -> Outcome {
        ctx.send(frame);
        Ok(())
    }

    fn on_drain(&mut self, ctx: &mut Context<'_>) -> Outcome {
        ctx.send(b"own farewell");
        // More than its queue may hold.
        while ctx.send(&[7; 60_000]) == SendStatus::Queued {}
        Ok(())
    }
}

fn a_farewell_is_the_last_frame_of_every_session_that_reads(backend: Backend) {
    for (workers, with_another) in [(1, false), (2, false), (2, true)] {
        // The queue is full when the farewell is due: it comes behind it all the same.
        let setup = Setup::new(backend).workers(workers).limits(|limits| {
            limits.slow_reader = SlowReader::DropNewest;
            limits.send_bytes_max = 256 << 10;
        });
        let running = setup.server().farewell(b"farewell").start(|_| Talks).unwrap();
        let handle = running.handle();
        let address = handle.addresses()[0].tcp().unwrap();
        let mut clients: Vec<Client> =
            (0..20).map(|_| Client::connect(address, Wire::U32Le)).collect();
        for (number, client) in clients.iter_mut().enumerate() {
            client.ping(b"hello");
            if number % 2 == 0 {
                // Half a frame is pending.
                client.write(&Wire::U32Le.encode(b"half of it")[..7]);
            }
        }
        let farewell: &[u8] = if with_another { b"another" } else { b"farewell" };
        if with_another {
            handle.drain_with(farewell).unwrap();
        } else {
            handle.drain();
        }
        for client in &mut clients {
            let frames = client.rest_frames();
            assert!(
                frames.first().is_some_and(|first| first == b"own farewell"),
                "another is the first"
            );
            assert!(
                frames.last().is_some_and(|last| last == farewell),
                "another frame is the last"
            );
            assert_eq!(frames.len(), 1 + 5 + 1, "its own, what fills the queue, the server's");
        }
        drop(clients);
        let report = {
            let (sender, ended) = channel();
            std::thread::spawn(move || sender.send(running.join()));
            ended.recv_timeout(PATIENCE).unwrap().unwrap()
        };
        assert_eq!((report.drained, report.forced, report.bytes_lost), (20, 0, 0));
    }
}

fn a_farewell_that_is_too_long_does_not_start_a_server_nor_drain_one(backend: Backend) {
    let setup = Setup::new(backend).limits(|limits| limits.frame_bytes_max = 10);
    match setup.server().farewell(&[7; 11]).start(|_| Echo) {
        Err(ServerError::Options(problem)) => assert!(problem.contains("farewell"), "{problem}"),
        other => panic!("{other:?}"),
    }
    let server = setup.start(|_| Echo);
    let mut client = server.connect();
    assert!(server.handle.drain_with(&[7; 11]).is_err());
    client.ping(b"still here");
}
