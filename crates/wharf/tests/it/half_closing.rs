//! Either stream of a session can end before the other: who wants to answers behind its peer's end, or ends its
//! own stream and goes on hearing.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use wharf::{Backend, CloseReason, Context, Outcome, SendStatus, Session, SessionRef};

use crate::support::client::Client;
use crate::support::record::{Events, frames, recording};
use crate::support::server::{Setup, TestServer};
use crate::support::time::{PATIENCE, let_pass};
use crate::support::wire::pattern;

each_backend! {
    a_session_that_stays_open_answers_behind_the_end_of_its_peer,
    a_session_that_has_ended_its_stream_hears_all_that_still_comes,
    what_is_queued_comes_before_the_end_of_a_stream,
    a_session_with_both_streams_over_closes,
    the_end_is_told_once_and_behind_the_frames,
    one_that_stays_open_is_idle_in_the_end,
    one_that_has_ended_its_stream_sends_no_heartbeats_and_sleeps,
    sessions_that_are_half_closed_are_drained,
}

/// Stays open behind the end of its peer, of which it says so, and does what frames say.
struct Stays;

const LONG: usize = 60_000;

impl Session for Stays {
    fn on_frame(&mut self, ctx: &mut Context<'_>, frame: &[u8]) -> Outcome {
        match frame {
            b"finish" => ctx.finish_sending(),
            b"much, and finish" => {
                (0..50).for_each(|number| {
                    ctx.send(&pattern(number, LONG));
                });
                ctx.finish_sending();
                assert_eq!(ctx.send(b"too late"), SendStatus::Closed);
                assert!(!ctx.is_writable(ctx.id()));
            }
            b"pause" => ctx.pause_receiving(),
            _ => {}
        }
        Ok(())
    }

    fn on_end_of_stream(&mut self, ctx: &mut Context<'_>) -> Outcome {
        ctx.send(b"you have ended");
        Ok(())
    }
}

/// A server of these; where their handles come, and what happens to them.
fn start(setup: &Setup) -> (TestServer, Receiver<SessionRef>, Events) {
    let (log, events) = recording();
    let (handles, arrived) = channel();
    let server = setup.start(move |arrival| {
        let _ = handles.send(arrival.session_ref());
        log.of(Stays)
    });
    (server, arrived, events)
}

#[track_caller]
fn connect(server: &TestServer, arrived: &Receiver<SessionRef>) -> (Client, SessionRef) {
    let client = server.connect();
    (client, arrived.recv_timeout(PATIENCE).expect("a session"))
}

fn a_session_that_stays_open_answers_behind_the_end_of_its_peer(backend: Backend) {
    let (server, arrived, events) = start(&Setup::new(backend));
    let (mut client, session) = connect(&server, &arrived);
    client.send(b"a question");
    client.finish();
    client.expect(b"you have ended");
    for number in 0..20 {
        assert_eq!(session.send(&pattern(number, LONG)), SendStatus::Queued);
        client.expect(&pattern(number, LONG));
    }
    session.close();
    client.expect_end();
    let life = events.life_of(session.id());
    assert_eq!(frames(&life), [b"a question"]);
}

fn a_session_that_has_ended_its_stream_hears_all_that_still_comes(backend: Backend) {
    let (server, arrived, events) = start(&Setup::new(backend));
    let (mut client, session) = connect(&server, &arrived);
    client.send(b"finish");
    client.expect_end();
    session.send(b"nobody gets this");
    (0..50).for_each(|number| client.send(&pattern(number, 1000)));
    // Longer than a session that closes waits for its peer.
    let_pass(Duration::from_millis(1_200));
    (50..100).for_each(|number| client.send(&pattern(number, 1000)));
    client.finish();
    let end = events.disconnected_of(session.id());
    assert_eq!(end.reason(), "peer_closed");
    let stats = server.stats();
    assert_eq!((stats.frames_in, stats.bytes_lost), (101, 0));
    client.expect_end();
}

fn what_is_queued_comes_before_the_end_of_a_stream(backend: Backend) {
    let setup = Setup::new(backend).kernel_buffers(16 << 10, 16 << 10);
    let (server, arrived, events) = start(&setup.limits(|limits| limits.send_bytes_max = 4 << 20));
    let (mut client, session) = connect(&server, &arrived);
    client.send(b"much, and finish");
    client.send(b"more");
    (0..50).for_each(|number| client.expect(&pattern(number, LONG)));
    client.expect_end();
    client.send(b"the last");
    client.finish();
    assert_eq!(frames(&events.life_of(session.id())).last().unwrap(), b"the last");
}

fn a_session_with_both_streams_over_closes(backend: Backend) {
    /// At once, or some time later; and where it says why it has ended.
    struct Finishes(bool, Sender<&'static str>);
    impl Session for Finishes {
        fn on_frame(&mut self, ctx: &mut Context<'_>, frame: &[u8]) -> Outcome {
            ctx.send(frame);
            Ok(())
        }
        fn on_end_of_stream(&mut self, ctx: &mut Context<'_>) -> Outcome {
            ctx.send(b"the last word");
            if self.0 {
                ctx.finish_sending();
                assert_eq!(ctx.send(b"too late"), SendStatus::Closed);
            } else {
                ctx.start_timer(Duration::from_millis(20), 0);
            }
            Ok(())
        }
        fn on_timer(&mut self, ctx: &mut Context<'_>, _: u64) -> Outcome {
            ctx.send(b"and this");
            ctx.finish_sending();
            Ok(())
        }
        fn on_disconnected(&mut self, _: &mut Context<'_>, reason: &CloseReason) {
            let _ = self.1.send(reason.name());
        }
    }
    for at_once in [true, false] {
        let (reasons, ended) = channel();
        let server = Setup::new(backend).start(move |_| Finishes(at_once, reasons.clone()));
        let mut client = server.connect();
        client.ping(b"hello");
        client.finish();
        client.expect(b"the last word");
        if !at_once {
            client.expect(b"and this");
        }
        client.expect_end();
        assert_eq!(ended.recv_timeout(PATIENCE), Ok("peer_closed"));
    }
}

fn the_end_is_told_once_and_behind_the_frames(backend: Backend) {
    let (server, arrived, events) = start(&Setup::new(backend));
    let (mut client, session) = connect(&server, &arrived);
    client.send(b"pause");
    client.send(b"behind it");
    client.finish();
    session.send(b"still paused");
    client.expect(b"still paused");
    for _ in 0..5 {
        session.resume_receiving();
        session.pause_receiving();
    }
    session.resume_receiving();
    client.expect(b"you have ended");
    session.pause_receiving();
    session.resume_receiving();
    for _ in 0..2 {
        session.send(b"that was all");
        client.expect(b"that was all");
    }
    session.close();
    client.expect_end();
    let life = events.life_of(session.id());
    assert_eq!(frames(&life), [&b"pause"[..], b"behind it"]);
}

fn one_that_stays_open_is_idle_in_the_end(backend: Backend) {
    let setup = Setup::new(backend);
    let setup = setup.limits(|limits| limits.idle = Some(Duration::from_millis(200)));
    let (server, arrived, events) = start(&setup);
    let (mut client, session) = connect(&server, &arrived);
    client.finish();
    client.expect(b"you have ended");
    client.expect_end();
    assert_eq!(events.disconnected_of(session.id()).reason(), "idle");
}

fn one_that_has_ended_its_stream_sends_no_heartbeats_and_sleeps(backend: Backend) {
    const EVERY: Duration = Duration::from_millis(20);
    let (handles, arrived) = channel();
    let server = Setup::new(backend).start_with(
        |server| server.heartbeat(EVERY, b"beat"),
        move |arrival| {
            let _ = handles.send(arrival.session_ref());
            Stays
        },
    );
    let (mut client, _session) = connect(&server, &arrived);
    client.expect(b"beat");
    client.send(b"finish");
    while !client.rest_frames().iter().all(|frame| frame == b"beat") {}
    let before = server.stats();
    let_pass(10 * EVERY);
    let after = server.stats();
    assert!(after.turns - before.turns < 10, "{} turns", after.turns - before.turns);
    assert_eq!(after.heartbeats, before.heartbeats);
}

fn sessions_that_are_half_closed_are_drained(backend: Backend) {
    let (server, arrived, _events) = start(&Setup::new(backend));
    let (mut ended, _one) = connect(&server, &arrived);
    ended.finish();
    ended.expect(b"you have ended");
    let (mut told, _other) = connect(&server, &arrived);
    told.send(b"finish");
    told.expect_end();
    server.handle.drain();
    ended.expect_end();
    told.finish();
    let report = server.end();
    assert_eq!((report.drained, report.forced, report.bytes_lost), (2, 0, 0), "{report:?}");
}
