//! Limits: each ends what is beyond it, in time and not before.
//!
//! That nothing ends too early is read from the server's own clock, so a test machine that is busy
//! does not matter; that nothing ends too late is checked with patience.

use std::net::{Ipv4Addr, UdpSocket};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;

use wharf::{Backend, Limits, SlowReader};

use crate::support::client::Client;
use crate::support::gate::Gate;
use crate::support::record::{Echo, Event, What, on_frame, recording};
use crate::support::server::{Setup, TestServer};
use crate::support::time::{SLACK, Stopwatch, let_pass, wait_until};
use crate::support::wire::{Wire, pattern};

each_backend! {
    a_session_beyond_the_maximum_is_reset_and_its_seat_is_free_again,
    sessions_from_one_address_are_limited,
    an_idle_session_is_ended,
    what_is_received_puts_the_idle_deadline_off,
    a_late_first_frame_ends_its_session,
    a_session_that_has_sent_its_first_frame_may_be_silent,
    dripping_does_not_put_the_frame_deadline_off,
    each_frame_has_a_deadline_of_its_own,
    limits_that_are_off_end_nothing,
    deadlines_of_ages_are_no_deadlines,
    what_came_while_the_worker_was_held_up_is_not_late,
    deadlines_that_pass_one_after_the_other_during_a_hold_up_are_all_put_off,
    a_frame_is_not_late_because_its_session_was_paused,
    a_frame_is_late_although_its_session_was_paused,
    a_session_that_cannot_be_flushed_is_cut_off,
}

fn a_session_beyond_the_maximum_is_reset_and_its_seat_is_free_again(backend: Backend) {
    const MAX: usize = 3;
    let setup = Setup::new(backend).workers(2).limits(|limits| limits.sessions_max = Some(MAX));
    let server = setup.start(|_| Echo);
    let mut clients: Vec<_> = (0..MAX).map(|_| server.connect()).collect();
    for (round, refused) in (0..30).zip((2..).step_by(2)) {
        for client in &mut clients {
            client.ping(b"hello");
        }
        assert_eq!(server.handle.sessions(), MAX);
        server.expect_refusal();
        server.expect_refusal();
        // The others do not notice.
        for client in &mut clients {
            client.ping(b"still here");
        }
        let stats = server.stats();
        assert_eq!(stats.refused_sessions_max, refused, "round {round}");
        assert_eq!((stats.accepted, stats.sessions), (MAX as u64 + round, MAX as u64));
        clients.remove(usize::try_from(round).unwrap() % MAX);
        server.wait_for_sessions(MAX - 1);
        clients.push(server.connect());
    }
}

fn sessions_from_one_address_are_limited(backend: Backend) {
    // Loopback does not count: this takes another address of this machine. Nothing is sent.
    let route = UdpSocket::bind("0.0.0.0:0").unwrap();
    let own = route.connect("192.0.2.1:9").and_then(|()| route.local_addr());
    let Some(own) = own.ok().map(|it| it.ip()).filter(|it| !it.is_loopback()) else {
        return eprintln!("skipped, this machine has no address but loopback");
    };
    let setup = Setup::new(backend)
        .host("0.0.0.0:0")
        .workers(2)
        .limits(|limits| limits.per_address_max = Some(2));
    let server = setup.start(|_| Echo);
    let port = server.address().port();
    let connect = || Client::try_connect((own, port).into(), Wire::U32Le);
    let mut clients = vec![connect().unwrap(), connect().unwrap()];
    for (round, refused) in (0..10).zip(1..) {
        for client in &mut clients {
            client.ping(b"hello");
        }
        if let Some(mut third) = connect() {
            assert_eq!(third.expect_reset(), b"");
        }
        for client in &mut clients {
            client.ping(b"still here");
        }
        assert_eq!(server.stats().refused_per_address, refused);
        clients.remove(round % 2);
        server.wait_for_sessions(1);
        clients.push(connect().unwrap());
    }
    // From loopback as many as like to.
    let address = (Ipv4Addr::LOCALHOST, port).into();
    let mut local: Vec<_> = (0..5).map(|_| Client::connect(address, Wire::U32Le)).collect();
    for client in &mut local {
        client.ping(b"hello");
    }
}

/// Checks the end of a session: why, and how long after `since`.
#[track_caller]
fn check_end(end: &Event, reason: &str, since: &Event, deadline: Duration) {
    assert_eq!(end.reason(), reason);
    let after = end.at.since(since.at);
    assert!(after >= deadline, "{reason} after {after:?}, {deadline:?} was allowed");
    assert!(after < deadline + SLACK, "{reason} after {after:?}, {deadline:?} was allowed");
}

/// Tries a test with longer and longer deadlines, for as long as it says that this machine was too
/// busy for them.
fn with_growing_deadlines(deadline: Duration, test: impl Fn(Duration) -> bool) {
    let in_time = [1, 2, 4, 8].iter().any(|factor| test(deadline * *factor));
    assert!(in_time, "this machine is too busy");
}

fn an_idle_session_is_ended(backend: Backend) {
    const IDLE: Duration = Duration::from_millis(400);
    let (log, events) = recording();
    let server =
        Setup::new(backend).limits(|limits| limits.idle = Some(IDLE)).start(move |_| log.of(Echo));
    // One that never sends anything, and one that does so once.
    let mut silent = server.connect();
    let connected = events.connected();
    silent.expect_end();
    drop(silent);
    check_end(&events.disconnected(), "idle", &connected, IDLE);

    let mut once = server.connect();
    once.ping(b"hello");
    let (_, frame) = events.until(|event| matches!(event.what, What::Frame(_)));
    once.expect_end();
    drop(once);
    check_end(&events.disconnected(), "idle", &frame, IDLE);
}

fn what_is_received_puts_the_idle_deadline_off(backend: Backend) {
    with_growing_deadlines(Duration::from_millis(300), |idle| {
        let (log, events) = recording();
        let setup = Setup::new(backend).limits(|limits| limits.idle = Some(idle));
        let server = setup.start(move |_| log.of(Echo));
        let mut busy = server.connect();
        // Bytes count, whole frames or not.
        let frame = Wire::U32Le.encode(b"hello");
        for byte in &frame {
            busy.try_write(&[*byte]);
            let_pass(idle / 6);
        }
        if busy.bytes_until_gone(frame.len()) != frame {
            return false;
        }
        busy.expect_end();
        drop(busy);
        let life = events.life_of(events.connected().id);
        let [frame, end, _] = &life[..] else { panic!("{life:?}") };
        check_end(end, "idle", frame, idle);
        true
    });
}

fn a_late_first_frame_ends_its_session(backend: Backend) {
    const FIRST: Duration = Duration::from_millis(300);
    let (log, events) = recording();
    let server = Setup::new(backend)
        .limits(|limits| limits.first_frame = Some(FIRST))
        .start(move |_| log.of(Echo));
    for sends_half in [false, true] {
        let mut client = server.connect();
        let connected = events.connected();
        if sends_half {
            client.write(&Wire::U32Le.encode(b"hello")[..5]);
        }
        client.expect_end();
        drop(client);
        check_end(&events.disconnected(), "first_frame_late", &connected, FIRST);
    }
}

fn a_session_that_has_sent_its_first_frame_may_be_silent(backend: Backend) {
    const FIRST: Duration = Duration::from_millis(500);
    let server =
        Setup::new(backend).limits(|limits| limits.first_frame = Some(FIRST)).start(|_| Echo);
    // An empty frame is one.
    let mut client = server.connect();
    client.ping(b"");
    client.expect_silence(FIRST * 2);
    client.ping(b"still here");
}

fn dripping_does_not_put_the_frame_deadline_off(backend: Backend) {
    const DEADLINE: Duration = Duration::from_millis(300);
    let (log, events) = recording();
    let server = Setup::new(backend)
        .limits(|limits| limits.frame_deadline = Some(DEADLINE))
        .start(move |_| log.of(Echo));
    let mut client = server.connect();
    client.ping(b"hello");
    let mut writer = client.writer();
    let (stop, stopped) = channel::<()>();
    let dripping = std::thread::spawn(move || {
        for byte in Wire::U32Le.encode(&[7; 1000]) {
            let go_on = stopped.recv_timeout(DEADLINE / 20) == Err(RecvTimeoutError::Timeout);
            if !go_on || !writer.try_write(&[byte]) {
                return;
            }
        }
    });
    client.expect_end();
    drop(stop);
    dripping.join().unwrap();
    drop(client);
    let life = events.life_of(events.connected().id);
    let [frame, end, _] = &life[..] else { panic!("{life:?}") };
    check_end(end, "frame_late", frame, DEADLINE);
}

fn each_frame_has_a_deadline_of_its_own(backend: Backend) {
    with_growing_deadlines(Duration::from_millis(300), |deadline| {
        let server = Setup::new(backend)
            .limits(|limits| limits.frame_deadline = Some(deadline))
            .start(|_| Echo);
        let mut client = server.connect();
        let watch = Stopwatch::start();
        // The end of a frame and the beginning of the next one come together: there is half a frame
        // all the time, and never the same one for long.
        let frame = Wire::U32Le.encode(b"hello");
        let stream = frame.repeat(40);
        client.write(&stream[..5]);
        let all_answered = stream[5..].chunks(frame.len()).all(|piece| {
            let_pass(deadline / 20);
            client.try_write(piece) && client.bytes_until_gone(frame.len()) == frame
        });
        assert!(!all_answered || watch.elapsed() > deadline);
        all_answered
    });
}

fn limits_that_are_off_end_nothing(backend: Backend) {
    let server = Setup::new(backend).start(|_| Echo);
    let mut client = server.connect();
    client.write(&Wire::U32Le.encode(b"hello")[..6]);
    client.expect_silence(Duration::from_millis(500));
    client.write(&Wire::U32Le.encode(b"hello")[6..]);
    client.expect(b"hello");
}

fn deadlines_of_ages_are_no_deadlines(backend: Backend) {
    let setup = Setup::new(backend).limits(|limits| {
        limits.idle = Some(Duration::MAX);
        limits.first_frame = Some(Duration::MAX);
        limits.frame_deadline = Some(Duration::MAX);
        limits.flush = Duration::MAX;
        limits.drain = Duration::MAX;
    });
    let server = setup.start(|_| Echo);
    let mut client = server.connect();
    client.ping(b"hello");
    client.write(&[1]);
    client.expect_silence(Duration::from_millis(100));
    server.handle.drain();
    client.expect_end();
    drop(client);
    assert_eq!(server.end().drained, 1);
}

fn what_came_while_the_worker_was_held_up_is_not_late(backend: Backend) {
    let frame = Wire::U32Le.encode(b"hello");
    let halves = frame.split_at(6);
    type Change = fn(&mut Limits, Duration);
    let cases: [(Change, &[u8], &[u8]); 3] = [
        (|limits, deadline| limits.idle = Some(deadline), b"", &frame),
        (|limits, deadline| limits.first_frame = Some(deadline), b"", &frame),
        (|limits, deadline| limits.frame_deadline = Some(deadline), halves.0, halves.1),
    ];
    for (change, before, meanwhile) in cases {
        with_growing_deadlines(Duration::from_millis(200), |deadline| {
            let (gate, post) = Gate::new();
            let setup = Setup::new(backend).limits(|limits| change(limits, deadline));
            let server = setup.start(move |_| post.echo());
            let watch = Stopwatch::start();
            let mut clients: Vec<_> = (0..100).map(|_| server.connect()).collect();
            for client in &mut clients {
                client.try_write(before);
            }
            let mut last = server.connect();
            last.send(b"wait");
            gate.wait_for_arrival();
            for client in &mut clients {
                client.try_write(meanwhile);
            }
            let in_time = watch.elapsed() < deadline;
            let_pass(2 * deadline);
            gate.open();
            for client in clients.iter_mut().filter(|_| in_time) {
                client.expect(b"hello");
            }
            in_time
        });
    }
}

fn deadlines_that_pass_one_after_the_other_during_a_hold_up_are_all_put_off(backend: Backend) {
    with_growing_deadlines(Duration::from_millis(400), |idle| {
        let (gate, post) = Gate::new();
        let setup = Setup::new(backend).limits(|limits| limits.idle = Some(idle));
        let server = setup.start(move |_| post.echo());
        let watch = Stopwatch::start();
        let spaced = |_| {
            let_pass(idle / 200);
            server.connect()
        };
        let mut clients: Vec<_> = (0..100).map(spaced).collect();
        let mut last = server.connect();
        last.send(b"wait");
        gate.wait_for_arrival();
        // The session whose deadline comes first is the last to send something.
        for client in clients.iter_mut().rev() {
            client.try_write(&Wire::U32Le.encode(b"in time"));
        }
        let sent = watch.elapsed();
        let in_time = sent < idle;
        // Until some of the deadlines have passed, some of them just now.
        let_pass((idle + idle / 4).saturating_sub(sent));
        gate.open();
        for client in clients.iter_mut().filter(|_| in_time) {
            client.expect(b"in time");
        }
        in_time
    });
}

/// A session that is paused in the middle of its frame, for longer than the frame may take: the
/// client, which may go on reading, and what is sent to it.
fn paused_in_a_frame(backend: Backend, deadline: Duration) -> (TestServer, Client, Vec<u8>) {
    let flood = pattern(1, 4 << 20);
    let (log, events) = recording();
    let setup = Setup::new(backend).kernel_buffers(64 << 10, 64 << 10).limits(|limits| {
        limits.frame_deadline = Some(deadline);
        limits.slow_reader = SlowReader::Pause;
        limits.frame_bytes_max = 4 << 20;
    });
    let server = setup.start(move |_| log.of(Echo));
    let mut client = server.connect();
    let session = server.handle.session(events.connected().id);
    client.write(&Wire::U32Le.encode(b"hello")[..6]);
    server.wait_for_bytes_in(6);
    // More than the kernel takes and the queue may hold: the session is paused until this is read.
    session.send(&flood);
    let_pass(deadline + deadline / 2);
    (server, client, flood)
}

fn a_frame_is_not_late_because_its_session_was_paused(backend: Backend) {
    let deadline = Duration::from_millis(500);
    let (_server, mut client, flood) = paused_in_a_frame(backend, deadline);
    client.expect(&flood);
    client.write(&Wire::U32Le.encode(b"hello")[6..]);
    client.expect(b"hello");
}

fn a_frame_is_late_although_its_session_was_paused(backend: Backend) {
    let deadline = Duration::from_millis(500);
    let (_server, mut client, flood) = paused_in_a_frame(backend, deadline);
    client.expect(&flood);
    let watch = Stopwatch::start();
    client.expect_end();
    assert!(watch.elapsed() < deadline + SLACK, "{:?}", watch.elapsed());
}

fn a_session_that_cannot_be_flushed_is_cut_off(backend: Backend) {
    const DEADLINE: Duration = Duration::from_millis(400);
    let (log, events) = recording();
    let setup = Setup::new(backend).kernel_buffers(64 << 10, 64 << 10).limits(|limits| {
        limits.flush = DEADLINE;
        limits.frame_bytes_max = 4 << 20;
    });
    let server = setup.start(move |_| {
        log.of(on_frame(|ctx, _| {
            ctx.send(&pattern(1, 4 << 20));
            ctx.close();
            Ok(())
        }))
    });
    let mut client = server.connect();
    client.send(b"more than you read");
    let id = events.connected().id;
    let life = events.life_of(id);
    let [frame, end, _] = &life[..] else { panic!("{life:?}") };
    check_end(end, "closed", frame, DEADLINE);
    client.expect_reset();
    wait_until("what was queued counts as lost", || server.stats().bytes_lost > 1 << 20);
}
