//! Heartbeats of either side, and what comes of a peer that has none.

use std::time::Duration;

use wharf::{Backend, Client, Framing, Limits, Server, ServerError, SlowReader, Target};

use crate::support::caller::{TestClient, Told, client, client_with};
use crate::support::client::Client as Plain;
use crate::support::record::{Echo, Greets, on_frame, recording};
use crate::support::server::Setup;
use crate::support::time::{PATIENCE, Stopwatch, let_pass, wait_until};

each_backend! {
    a_silent_session_is_sent_heartbeats,
    a_heartbeat_keeps_a_session_from_being_idle,
    a_target_has_terms_of_its_own,
    a_busy_session_is_sent_none,
    a_peer_that_does_not_read_is_sent_none_and_is_idle_all_the_same,
    a_heartbeat_that_cannot_be_is_refused,
}

const OFTEN: Duration = Duration::from_millis(20);

fn a_silent_session_is_sent_heartbeats(backend: Backend) {
    let server = Setup::new(backend).server().heartbeat(OFTEN, b"still here");
    let running = server.start(|_| Greets(b"hello", Echo)).unwrap();
    let to = running.handle().addresses()[0].tcp().unwrap();
    let mut client = Plain::connect(to, Setup::new(backend).wire);
    client.expect(b"hello");
    let watch = Stopwatch::start();
    for _ in 0..5 {
        client.expect(b"still here");
    }
    // The first may have been sent before the watch was started.
    assert!(watch.elapsed() >= 4 * OFTEN - Duration::from_millis(5), "{:?}", watch.elapsed());
    let sent = running.handle().stats().heartbeats;
    assert!((4..100).contains(&sent), "{sent} heartbeats");
}

fn a_heartbeat_keeps_a_session_from_being_idle(backend: Backend) {
    let idle = 25 * OFTEN;
    let (log, events) = recording();
    let server = Setup::new(backend).limits(|limits| limits.idle = Some(idle));
    let server = server.start(move |_| log.of(on_frame(|_, _| Ok(()))));
    let with = client(backend).heartbeat(OFTEN, b"").connect(server.address());
    let with = TestClient::start(with);
    let alive = events.connected().id;
    let without = TestClient::start(client(backend).connect(server.address()));
    let id = without.hears.connected(0);
    assert_eq!(without.hears.next(), Told::Ended { id, reason: "peer_closed" });
    let ended = events.disconnected();
    assert_eq!(ended.reason(), "idle");
    assert_ne!(ended.id, alive, "the one with a heartbeat is older, and lives");
    let_pass(2 * idle);
    assert_eq!(server.handle.sessions(), 1);
    drop(with);
}

fn a_target_has_terms_of_its_own(backend: Backend) {
    let silent = Setup::new(backend).start(|_| on_frame(|_, _| Ok(())));
    let echo = Setup::new(backend).start(|_| Echo);
    let own = Target::from(echo.address()).heartbeat(OFTEN, b"mine").tag(1);
    let patient = Target::from(silent.address()).idle(None).tag(2);
    let impatient = Target::from(silent.address()).idle(Some(5 * OFTEN)).tag(3);
    let hour = Duration::from_secs(3600);
    let all = client_with(backend, |limits| limits.idle = Some(hour));
    let all = all.heartbeat(hour, b"the client's");
    let all = TestClient::start([own, patient, impatient].into_iter().fold(all, Client::connect));
    let (mut ids, mut beats, mut ended) = ([None; 4], 0, None);
    let watch = Stopwatch::start();
    while beats < 5 || ended.is_none() {
        assert!(watch.elapsed() < PATIENCE, "{beats} heartbeats, idle: {ended:?}");
        match all.hears.next() {
            Told::Connected { tag: tag @ 1..=3, id, .. } => {
                ids[usize::try_from(tag).unwrap()] = Some(id)
            }
            Told::Frame(id, frame) if frame == b"mine" => {
                assert_eq!(Some(id), ids[1]);
                beats += 1;
            }
            Told::Frame(_, frame) => assert_eq!(frame, b"hello"),
            Told::Ended { id, reason: "idle" } => ended = Some(id),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(ended, ids[3]);
    wait_until("its target is over", || all.handle.targets() == 2);
}

fn a_busy_session_is_sent_none(backend: Backend) {
    let server = Setup::new(backend).server().heartbeat(Duration::from_secs(1), b"still here");
    let running = server.start(|_| Echo).unwrap();
    let to = running.handle().addresses()[0].tcp().unwrap();
    let mut client = Plain::connect(to, Setup::new(backend).wire);
    let watch = Stopwatch::start();
    while watch.elapsed() < Duration::from_millis(2500) {
        client.ping(b"busy");
        let_pass(OFTEN);
    }
    assert_eq!(running.handle().stats().heartbeats, 0);
    client.expect(b"still here");
}

fn a_peer_that_does_not_read_is_sent_none_and_is_idle_all_the_same(backend: Backend) {
    let (log, events) = recording();
    let setup = Setup::new(backend).kernel_buffers(8 << 10, 8 << 10).limits(|limits| {
        limits.idle = Some(20 * OFTEN);
        limits.flush = OFTEN;
        limits.slow_reader = SlowReader::Pause;
        limits.send_bytes_max = 32 << 20;
    });
    let flood = on_frame(|ctx, _| {
        for _ in 0..200 {
            ctx.send(&[7; 60_000]);
        }
        Ok(())
    });
    let flood = std::sync::Mutex::new(Some(log.of(flood)));
    let server = setup.server().heartbeat(OFTEN, b"still here");
    let running = server.start(move |_| flood.lock().unwrap().take().unwrap()).unwrap();
    let handle = running.handle();
    let mut client = Plain::connect(handle.addresses()[0].tcp().unwrap(), setup.wire);
    client.send(b"go");
    wait_until("it is flooded", || handle.stats().frames_in == 1);
    let before = handle.stats().heartbeats;
    wait_until("it closes", || handle.close_counts().get("idle") == 1);
    assert_eq!(handle.stats().heartbeats, before);
    assert_eq!(events.disconnected().reason(), "idle");
}

fn a_heartbeat_that_cannot_be_is_refused(backend: Backend) {
    let server = || Server::bind("127.0.0.1:0").backend(backend);
    let small = Limits { frame_bytes_max: 3, ..Limits::default() };
    let cases = [
        (server().heartbeat(Duration::ZERO, b"x"), "heartbeat is every 0ns: 1 ms and up"),
        (server().framing(Framing::RAW).heartbeat(OFTEN, b""), "heartbeat is empty"),
        (server().limits(small).heartbeat(OFTEN, b"four"), "heartbeat is no frame"),
        (
            server().and_connect(Target::new("1.2.3.4:5").heartbeat(Duration::ZERO, b"")),
            "target 1.2.3.4:5: heartbeat is every 0ns",
        ),
        (
            server().and_connect(Target::new("1.2.3.4:5").idle(Some(Duration::ZERO))),
            "target 1.2.3.4:5: idle is 0",
        ),
    ];
    for (server, wanted) in cases {
        match server.start(|_| Echo) {
            Err(error @ (ServerError::Options(_) | ServerError::Target(_))) => {
                assert!(error.to_string().contains(wanted), "{error}");
            }
            other => panic!("{other:?} instead of {wanted}"),
        }
    }
}
