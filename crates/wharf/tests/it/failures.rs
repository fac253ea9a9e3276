//! Callbacks that fail or panic end their own session, and nothing else.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use wharf::{Backend, CloseReason, Context, Outcome, Session, SessionId};

use crate::support::backend::{Bomb, panic_on_purpose};
use crate::support::client::Client;
use crate::support::record::{Echo, Event, Events, What, frames, on_frame, recording, whats};
use crate::support::server::{Setup, TestServer};
use crate::support::time::wait_until;
use crate::support::wire::{Wire, pattern};

each_backend! {
    any_error_ends_its_session_with_that_reason,
    an_error_in_on_connected_ends_its_session,
    an_error_in_on_frame_ends_its_session,
    an_error_in_on_writable_ends_its_session,
    a_panic_in_the_factory_ends_its_session,
    a_panic_in_on_connected_ends_its_session,
    a_panic_in_on_frame_ends_its_session,
    a_panic_in_on_writable_ends_its_session,
    a_panic_in_on_disconnected_ends_its_session,
    a_panic_in_drop_ends_its_session,
    a_panic_in_on_frame_and_in_drop_ends_its_session,
    a_panic_with_a_payload_that_panics_ends_its_session,
    an_error_that_panics_when_it_is_dropped_ends_its_session,
    what_was_sent_to_others_before_a_panic_arrives,
    many_sessions_panic_and_their_seats_are_free_again,
}

/// Where a session goes wrong.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Place {
    Nowhere,
    Factory,
    Connected,
    Frame,
    Writable,
    Disconnected,
    Drop,
    FrameAndDrop,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum How {
    Error,
    Panic,
}

/// Answers each frame with one that fills its queue, and goes wrong where it is to.
struct Faulty {
    place: Place,
    how: How,
}

const FILLING: usize = 5000;

impl Faulty {
    fn go_wrong_at(&self, here: Place) -> Outcome {
        match self.how {
            _ if self.place != here => Ok(()),
            How::Error => Err("it went wrong".into()),
            How::Panic => panic_on_purpose(),
        }
    }
}

impl Session for Faulty {
    fn on_connected(&mut self, ctx: &mut Context<'_>) -> Outcome {
        ctx.send(b"hello");
        self.go_wrong_at(Place::Connected)
    }

    fn on_frame(&mut self, ctx: &mut Context<'_>, frame: &[u8]) -> Outcome {
        ctx.send(&frame.repeat(FILLING));
        if self.place == Place::FrameAndDrop {
            panic_on_purpose();
        }
        self.go_wrong_at(Place::Frame)
    }

    fn on_writable(&mut self, _: &mut Context<'_>) -> Outcome {
        self.go_wrong_at(Place::Writable)
    }

    fn on_disconnected(&mut self, _: &mut Context<'_>, _: &CloseReason) {
        let _ = self.go_wrong_at(Place::Disconnected);
    }
}

impl Drop for Faulty {
    fn drop(&mut self) {
        if matches!(self.place, Place::Drop | Place::FrameAndDrop) {
            panic_on_purpose();
        }
    }
}

/// A server with two sessions: one that is all right, and one that goes wrong.
struct Pair {
    server: TestServer,
    neighbour: Client,
    /// `None` if it was reset before it was connected.
    faulty: Option<Client>,
    events: Events,
}

impl Pair {
    fn new(backend: Backend, place: Place, how: How) -> Self {
        let (log, events) = recording();
        let place = Mutex::new(vec![place, Place::Nowhere]);
        let setup = Setup::new(backend).limits(|limits| limits.send_bytes_max = 4096);
        let server = setup.start(move |_| {
            let place = place.lock().unwrap().pop().unwrap();
            if place == Place::Factory {
                panic_on_purpose();
            }
            log.of(Faulty { place, how })
        });
        let mut neighbour = server.connect();
        neighbour.expect(b"hello");
        events.connected();
        let faulty = Client::try_connect(server.address(), Wire::U32Le);
        Self { server, neighbour, faulty, events }
    }

    /// Sends the faulty session two frames at once.
    fn send(&mut self) {
        self.faulty().write(&Wire::U32Le.encode_all(&[b"x", b"y"]));
    }

    #[track_caller]
    fn faulty(&mut self) -> &mut Client {
        self.faulty.as_mut().expect("a connection that is not reset at once")
    }

    #[track_caller]
    fn expect_reset(&mut self) {
        if let Some(faulty) = &mut self.faulty {
            faulty.expect_reset();
        }
    }

    /// The faulty session's life. Checks that it is the only one that went wrong.
    #[track_caller]
    fn end(mut self, panics: u64) -> Vec<Event> {
        drop(self.faulty);
        self.server.wait_for_sessions(1);
        self.neighbour.send(b"z");
        self.neighbour.expect(&b"z".repeat(FILLING));
        let stats = || self.server.stats();
        wait_until("panics are counted", || stats().panics == panics && stats().sessions == 1);
        drop(self.neighbour);
        self.server.wait_for_sessions(0);
        self.server.drain();
        let events = self.events.remaining();
        let id = events[0].id;
        let (faulty, neighbour): (Vec<_>, Vec<_>) =
            events.into_iter().partition(|event| event.id == id);
        let neighbour = whats(&neighbour);
        let disconnected = &neighbour[neighbour.len() - 2];
        assert!(
            matches!(disconnected, What::Disconnected { name: "peer_closed", .. }),
            "{neighbour:?}"
        );
        faulty
    }
}

/// What a session that failed hears.
fn failed() -> [What; 2] {
    let text = "a callback failed: it went wrong".to_owned();
    [What::Disconnected { name: "failed", text }, What::Dropped]
}

fn any_error_ends_its_session_with_that_reason(backend: Backend) {
    let (log, events) = recording();
    let server = Setup::new(backend).wire(Wire::Lines).start(move |_| {
        log.of(on_frame(|ctx, frame| {
            let number: i8 = std::str::from_utf8(frame)?.parse()?;
            if number < 0 {
                Err(format!("{number} is negative"))?;
            }
            ctx.send(frame);
            Ok(())
        }))
    });
    for (line, reason) in [
        (&b"\xFF"[..], "a callback failed: invalid utf-8 sequence of 1 bytes from index 0"),
        (b"x", "a callback failed: invalid digit found in string"),
        (b"-1", "a callback failed: -1 is negative"),
    ] {
        let mut client = server.connect();
        let id = events.connected().id;
        client.write(&Wire::Lines.encode_all(&[b"1", line, b"2"]));
        assert_eq!(client.rest_frames(), [b"1"], "what was answered before arrives, no more");
        drop(client);
        let life = events.life_of(id);
        assert_eq!(frames(&life), [b"1", line]);
        let end = &life[life.len() - 2];
        assert_eq!((end.reason(), end.reason_text()), ("failed", reason));
    }
    assert_eq!(server.stats().panics, 0);
}

fn an_error_in_on_connected_ends_its_session(backend: Backend) {
    let mut pair = Pair::new(backend, Place::Connected, How::Error);
    pair.send();
    pair.faulty().expect(b"hello");
    pair.faulty().expect_end();
    let life = whats(&pair.end(0));
    assert_eq!(life[0], What::Connected);
    assert_eq!(life[1..], failed());
}

fn an_error_in_on_frame_ends_its_session(backend: Backend) {
    let mut pair = Pair::new(backend, Place::Frame, How::Error);
    pair.send();
    pair.faulty().expect(b"hello");
    pair.faulty().expect(&b"x".repeat(FILLING));
    pair.faulty().expect_end();
    let life = whats(&pair.end(0));
    assert_eq!(life[..2], [What::Connected, What::Frame(b"x".to_vec())]);
    assert_eq!(life[life.len() - 2..], failed());
    assert!(life[2..life.len() - 2].iter().all(|what| *what == What::Writable), "{life:?}");
}

fn an_error_in_on_writable_ends_its_session(backend: Backend) {
    let mut pair = Pair::new(backend, Place::Writable, How::Error);
    pair.faulty().send(b"x");
    pair.faulty().expect(b"hello");
    pair.faulty().expect(&b"x".repeat(FILLING));
    pair.faulty().expect_end();
    let life = whats(&pair.end(0));
    assert_eq!(life[..3], [What::Connected, What::Frame(b"x".to_vec()), What::Writable]);
    assert_eq!(life[3..], failed());
}

fn a_panic_in_the_factory_ends_its_session(backend: Backend) {
    let mut pair = Pair::new(backend, Place::Factory, How::Panic);
    pair.expect_reset();
    pair.neighbour.send(b"n");
    pair.neighbour.expect(&b"n".repeat(FILLING));
    pair.server.wait_for_sessions(1);
    assert_eq!(pair.server.stats().panics, 1);
    let callbacks = whats(&pair.events.so_far());
    assert!(!callbacks.contains(&What::Connected), "{callbacks:?}");
}

fn a_panic_in_on_connected_ends_its_session(backend: Backend) {
    let mut pair = Pair::new(backend, Place::Connected, How::Panic);
    pair.expect_reset();
    assert_eq!(whats(&pair.end(1)), [What::Connected, What::Dropped]);
}

fn a_panic_in_on_frame_ends_its_session(backend: Backend) {
    let mut pair = Pair::new(backend, Place::Frame, How::Panic);
    pair.send();
    pair.expect_reset();
    let life = whats(&pair.end(1));
    assert_eq!(life, [What::Connected, What::Frame(b"x".to_vec()), What::Dropped]);
}

fn a_panic_in_on_writable_ends_its_session(backend: Backend) {
    let mut pair = Pair::new(backend, Place::Writable, How::Panic);
    pair.faulty().send(b"x");
    pair.expect_reset();
    let life = whats(&pair.end(1));
    let wanted = [What::Connected, What::Frame(b"x".to_vec()), What::Writable, What::Dropped];
    assert_eq!(life, wanted);
}

fn a_panic_in_on_disconnected_ends_its_session(backend: Backend) {
    let mut pair = Pair::new(backend, Place::Disconnected, How::Panic);
    pair.faulty().expect(b"hello");
    let life = whats(&pair.end(1));
    assert!(
        matches!(life[..], [What::Connected, What::Disconnected { .. }, What::Dropped]),
        "{life:?}"
    );
}

fn a_panic_in_drop_ends_its_session(backend: Backend) {
    let mut pair = Pair::new(backend, Place::Drop, How::Panic);
    pair.faulty().expect(b"hello");
    let life = whats(&pair.end(1));
    assert!(
        matches!(life[..], [What::Connected, What::Disconnected { .. }, What::Dropped]),
        "{life:?}"
    );
}

fn a_panic_in_on_frame_and_in_drop_ends_its_session(backend: Backend) {
    let mut pair = Pair::new(backend, Place::FrameAndDrop, How::Panic);
    pair.send();
    pair.expect_reset();
    let life = whats(&pair.end(2));
    assert_eq!(life, [What::Connected, What::Frame(b"x".to_vec()), What::Dropped]);
}

/// Sessions that answer their first frame with `callback`, and a neighbour that must not notice.
fn check_neighbour_is_spared(backend: Backend, callback: fn() -> Outcome) {
    let (log, events) = recording();
    let server = Setup::new(backend).start(move |_| {
        log.of(on_frame(move |ctx, frame| {
            if frame == b"ping" {
                ctx.send(frame);
                return Ok(());
            }
            callback()
        }))
    });
    let mut neighbour = server.connect();
    events.connected();
    for _ in 0..3 {
        let mut faulty = server.connect();
        let id = events.connected().id;
        faulty.write(&Wire::U32Le.encode_all(&[b"one", b"two"]));
        faulty.bytes_until_gone(1);
        drop(faulty);
        assert_eq!(frames(&events.life_of(id)), [b"one"]);
        server.wait_for_sessions(1);
        neighbour.ping(b"ping");
    }
}

fn a_panic_with_a_payload_that_panics_ends_its_session(backend: Backend) {
    check_neighbour_is_spared(backend, || std::panic::panic_any(Bomb));
}

fn an_error_that_panics_when_it_is_dropped_ends_its_session(backend: Backend) {
    #[derive(Debug)]
    struct Fault(Bomb);
    impl std::fmt::Display for Fault {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            write!(f, "{:?}", self.0)
        }
    }
    impl std::error::Error for Fault {}
    check_neighbour_is_spared(backend, || Err(Box::new(Fault(Bomb))));
}

fn what_was_sent_to_others_before_a_panic_arrives(backend: Backend) {
    let listener: Arc<Mutex<Option<SessionId>>> = Arc::default();
    let server = Setup::new(backend).start(move |_| {
        let listener = Arc::clone(&listener);
        on_frame(move |ctx, frame| {
            if frame == b"listen" {
                *listener.lock().unwrap() = Some(ctx.id());
                ctx.send(b"listening");
                return Ok(());
            }
            let listener = listener.lock().unwrap().expect("a listener");
            ctx.send_to(listener, b"copied");
            ctx.send_to(listener, frame);
            ctx.send(b"lost with the session");
            panic_on_purpose();
        })
    });
    let mut listener = server.connect();
    listener.ping_for(b"listen", b"listening");
    for round in 0..10 {
        // Long enough to be sent from where it was received.
        let frame = pattern(round, 2000);
        let mut faulty = server.connect();
        faulty.send(&frame);
        assert_eq!(faulty.expect_reset(), b"");
        listener.expect(b"copied");
        listener.expect(&frame);
    }
}

fn many_sessions_panic_and_their_seats_are_free_again(backend: Backend) {
    let arrivals = AtomicUsize::new(0);
    let setup = Setup::new(backend).workers(2).limits(|limits| limits.sessions_max = Some(4));
    let server = setup.start(move |_| {
        // Every third in the factory, every third in its callback, every third not at all.
        let kind = arrivals.fetch_add(1, Ordering::Relaxed) % 3;
        if kind == 0 {
            panic_on_purpose();
        }
        on_frame(move |ctx, frame| {
            if kind == 1 {
                panic_on_purpose();
            }
            Echo.on_frame(ctx, frame)
        })
    });
    let hello = Wire::U32Le.encode(b"hello");
    for round in 0..300 {
        let answer = Client::try_connect(server.address(), Wire::U32Le).map(|mut client| {
            client.try_write(&hello);
            client.bytes_until_gone(hello.len())
        });
        let wanted = if round % 3 == 2 { &hello[..] } else { b"" };
        assert_eq!(answer.unwrap_or_default(), wanted, "{round}");
        server.wait_for_sessions(0);
    }
    let stats = server.stats();
    assert_eq!((stats.panics, stats.accepted, stats.refused_sessions_max), (200, 300, 0));
}
