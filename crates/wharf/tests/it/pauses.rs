//! Receiving can be paused: nothing is delivered meanwhile, nothing is lost, and no deadline takes it for
//! the peer's fault.

use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use wharf::{Backend, Context, Limits, OverRate, Rate, SendStatus, SessionRef, SlowReader};

use crate::support::client::Client;
use crate::support::record::{Event, Events, What, frames, on_frame, recording};
use crate::support::server::{Setup, TestServer};
use crate::support::time::{PATIENCE, let_pass, wait_until, wait_until_stable};
use crate::support::wire::{Wire, pattern};

each_backend! {
    no_frame_comes_behind_a_pause_and_none_is_lost,
    a_pause_for_each_frame_keeps_all_of_them_in_order,
    a_session_can_begin_paused,
    a_paused_peer_is_stopped_and_its_worker_sleeps,
    a_session_of_another_worker_is_paused_and_resumed,
    a_session_is_not_idle_while_it_is_paused,
    the_first_frame_has_its_time_from_the_resume_on,
    a_frame_that_a_pause_has_cut_has_its_time_from_the_resume_on,
    the_end_of_a_paused_stream_comes_behind_its_last_line,
    a_resume_does_not_end_a_throttling,
    the_end_of_a_throttling_does_not_end_a_pause,
    a_resume_does_not_end_the_pause_of_a_slow_reader,
    whoever_has_sent_what_it_may_is_not_closed_for_a_resume,
    a_paused_session_is_drained,
    a_paused_session_is_closed,
    a_paused_session_that_is_sent_to_finds_out_that_its_peer_is_gone,
}

/// So long nothing must happen.
const SILENCE: Duration = Duration::from_millis(150);

/// A server whose sessions pause themselves when a frame says so, and send back nothing but an answer to
/// `ask`; where their handles come, and what happens to them.
fn start(setup: &Setup) -> (TestServer, Receiver<SessionRef>, Events) {
    let (log, events) = recording();
    let (handles, arrived) = channel();
    let server = setup.start(move |arrival| {
        let _ = handles.send(arrival.session_ref());
        log.of(on_frame(|ctx: &mut Context<'_>, frame: &[u8]| {
            match frame {
                b"pause" => ctx.pause_receiving(),
                b"pause and resume" => {
                    ctx.pause_receiving();
                    ctx.resume_receiving();
                }
                b"ask" => {
                    ctx.send(b"answer");
                }
                _ => {}
            }
            Ok(())
        }))
    });
    (server, arrived, events)
}

/// Waits for some frames and checks them.
#[track_caller]
fn expect_frames(events: &Events, wanted: &[&[u8]]) {
    for wanted in wanted {
        let (before, frame) = events.until(|event| matches!(event.what, What::Frame(_)));
        let others = before.iter().filter(|event| event.what != What::Connected);
        assert_eq!(others.count(), 0, "{before:?}");
        assert_eq!(frames(&[frame]), [*wanted]);
    }
}

/// Checks that no callback is called for some time.
#[track_caller]
fn expect_silence(events: &Events) {
    let_pass(SILENCE);
    let said = events.so_far();
    assert!(said.is_empty(), "{said:?}");
}

#[track_caller]
fn next(arrived: &Receiver<SessionRef>) -> SessionRef {
    arrived.recv_timeout(PATIENCE).expect("a session")
}

fn no_frame_comes_behind_a_pause_and_none_is_lost(backend: Backend) {
    let (server, arrived, events) = start(&Setup::new(backend));
    let mut client = server.connect();
    let session = next(&arrived);
    for _ in 0..20 {
        let together: &[&[u8]] = &[b"pause and resume", b"one", b"pause", b"two", b"three"];
        let bytes: Vec<u8> = together.iter().flat_map(|it| Wire::U32Le.encode(it)).collect();
        client.write(&bytes);
        expect_frames(&events, &together[..3]);
        client.send(b"four");
        // A session that is paused sends all the same.
        session.send(b"sent");
        client.expect(b"sent");
        let said = events.so_far();
        assert!(said.is_empty(), "{said:?}");
        assert_eq!(session.resume_receiving(), SendStatus::Queued);
        expect_frames(&events, &[b"two", b"three", b"four"]);
    }
}

fn a_pause_for_each_frame_keeps_all_of_them_in_order(backend: Backend) {
    const FRAMES: u64 = 5_000;
    let (log, events) = recording();
    let (handles, arrived) = channel();
    let server = Setup::new(backend).start(move |arrival| {
        let _ = handles.send(arrival.session_ref());
        log.of(on_frame(|ctx: &mut Context<'_>, _: &[u8]| {
            ctx.pause_receiving();
            Ok(())
        }))
    });
    let mut client = server.connect();
    let session = next(&arrived);
    let writing = std::thread::spawn(move || {
        (0..FRAMES).for_each(|number| client.send(&pattern(number, 40)));
        client
    });
    for number in 0..FRAMES {
        expect_frames(&events, &[&pattern(number, 40)]);
        session.resume_receiving();
    }
    drop(writing.join().unwrap());
    assert_eq!(events.disconnected_of(session.id()).reason(), "peer_closed");
}

fn a_session_can_begin_paused(backend: Backend) {
    struct Paused;
    impl wharf::Session for Paused {
        fn on_connected(&mut self, ctx: &mut Context<'_>) -> wharf::Outcome {
            ctx.pause_receiving();
            Ok(())
        }
        fn on_frame(&mut self, _: &mut Context<'_>, _: &[u8]) -> wharf::Outcome {
            Ok(())
        }
    }
    let (log, events) = recording();
    let server = Setup::new(backend).start(move |_| log.of(Paused));
    let mut client = server.connect();
    client.send(b"early");
    let id = events.connected().id;
    expect_silence(&events);
    server.handle.session(id).resume_receiving();
    expect_frames(&events, &[b"early"]);
}

fn a_paused_peer_is_stopped_and_its_worker_sleeps(backend: Backend) {
    const FRAME: usize = 16 << 10;
    const FRAMES: u64 = 1_000;
    let setup = Setup::new(backend).kernel_buffers(64 << 10, 64 << 10);
    let (server, arrived, events) = start(&setup);
    let mut client = server.connect();
    let session = next(&arrived);
    client.send(b"pause");
    expect_frames(&events, &[b"pause"]);
    let (written, so_far) = channel();
    let writing = std::thread::spawn(move || {
        for number in 0..FRAMES {
            client.send(&pattern(number, FRAME));
            let _ = written.send(number);
        }
        client
    });
    let mut count = 0;
    let count = wait_until_stable("the peer", SILENCE, || {
        count += so_far.try_iter().count() as u64;
        count
    });
    assert!(count < FRAMES / 2, "{count} of {FRAMES} frames have been taken");
    let received = server.stats().bytes_in;
    assert_eq!(received, Wire::U32Le.frame_len(5) as u64, "nothing was received in the pause");
    let turns = server.stats().turns;
    let_pass(SILENCE);
    let turned = server.stats().turns - turns;
    assert!(turned < 20, "{turned} turns of a worker with nothing to do");
    session.resume_receiving();
    (0..FRAMES).for_each(|number| expect_frames(&events, &[&pattern(number, FRAME)]));
    writing.join().unwrap();
}

fn a_session_of_another_worker_is_paused_and_resumed(backend: Backend) {
    let (log, events) = recording();
    let (handles, arrived) = channel();
    let (first, of_first) = channel::<SessionRef>();
    let of_first = std::sync::Mutex::new(of_first);
    let server = Setup::new(backend).workers(2).start(move |arrival| {
        let other = of_first.lock().unwrap().try_recv().map(|it| it.id());
        let _ = handles.send(arrival.session_ref());
        log.of(on_frame(move |ctx: &mut Context<'_>, frame: &[u8]| {
            let status = match frame {
                b"pause other" => ctx.pause_receiving_of(other?),
                b"resume other" => ctx.resume_receiving_of(other?),
                _ => return Ok(()),
            };
            assert_eq!(status, SendStatus::Queued);
            assert!(!ctx.is_writable(other?), "its queue is not seen from here");
            ctx.send(b"done");
            Ok(())
        }))
    });
    let mut one = server.connect();
    let session = next(&arrived);
    first.send(session.clone()).unwrap();
    let mut two = server.connect();
    assert_ne!(next(&arrived).id().worker(), session.id().worker());
    for _ in 0..20 {
        two.ping_for(b"pause other", b"done");
        expect_frames(&events, &[b"pause other"]);
        // It has heard of the pause when it has been sent what comes behind it.
        session.send(b"you are paused");
        one.expect(b"you are paused");
        one.send(b"paused");
        two.send(b"said");
        expect_frames(&events, &[b"said"]);
        two.ping_for(b"resume other", b"done");
        expect_frames(&events, &[b"resume other", b"paused"]);
    }
}

/// Waits for the end of a stream, so that the session's own end is not put off by its peer.
fn leaves_at_the_end(mut client: Client) {
    std::thread::spawn(move || client.expect_end());
}

fn a_session_is_not_idle_while_it_is_paused(backend: Backend) {
    const IDLE: Duration = Duration::from_millis(300);
    let setup = Setup::new(backend).limits(|limits| limits.idle = Some(IDLE));
    let (server, arrived, events) = start(&setup);
    let mut client = server.connect();
    let session = next(&arrived);
    client.send(b"pause");
    let paused = events.until(|event| matches!(event.what, What::Frame(_))).1.at;
    let_pass(2 * IDLE);
    session.send(b"sent");
    client.expect(b"sent");
    session.resume_receiving();
    leaves_at_the_end(client);
    let end = events.disconnected_of(session.id());
    assert_eq!(end.reason(), "idle");
    assert!(end.at - paused >= 3 * IDLE, "{:?} behind the pause", end.at - paused);
}

fn the_first_frame_has_its_time_from_the_resume_on(backend: Backend) {
    const FIRST: Duration = Duration::from_millis(300);
    let setup = Setup::new(backend).limits(|limits| limits.first_frame = Some(FIRST));
    let (server, arrived, events) = start(&setup);
    let mut client = server.connect();
    let session = next(&arrived);
    session.pause_receiving();
    let connected = events.connected().at;
    let_pass(2 * FIRST);
    session.send(b"sent");
    client.expect(b"sent");
    session.resume_receiving();
    leaves_at_the_end(client);
    let end = events.disconnected_of(session.id());
    assert_eq!(end.reason(), "first_frame_late");
    assert!(end.at - connected >= 3 * FIRST, "{:?}", end.at - connected);
}

fn a_frame_that_a_pause_has_cut_has_its_time_from_the_resume_on(backend: Backend) {
    const FRAME: Duration = Duration::from_millis(300);
    let setup = Setup::new(backend).limits(|limits| limits.frame_deadline = Some(FRAME));
    let (server, arrived, events) = start(&setup);
    let mut client = server.connect();
    let session = next(&arrived);
    let frame = Wire::U32Le.encode(b"cut in two");
    client.send(b"ask");
    client.write(&frame[..7]);
    client.expect(b"answer");
    let asked = events.until(|event| matches!(event.what, What::Frame(_))).1.at;
    session.pause_receiving();
    session.send(b"paused");
    client.expect(b"paused");
    let_pass(2 * FRAME);
    session.resume_receiving();
    leaves_at_the_end(client);
    let end = events.disconnected_of(session.id());
    assert_eq!(end.reason(), "frame_late");
    assert!(end.at - asked >= 3 * FRAME, "{:?}", end.at - asked);
}

fn the_end_of_a_paused_stream_comes_behind_its_last_line(backend: Backend) {
    let (server, arrived, events) = start(&Setup::new(backend).wire(Wire::Lines));
    let mut client = server.connect();
    let session = next(&arrived);
    client.write(b"one\npause\nthe last has no end");
    expect_frames(&events, &[b"one", b"pause"]);
    client.finish();
    expect_silence(&events);
    session.resume_receiving();
    expect_frames(&events, &[b"the last has no end"]);
    client.expect_end();
    assert_eq!(events.disconnected_of(session.id()).reason(), "peer_closed");
}

/// Three frames at once, and so many a second.
fn rated(backend: Backend, per_second: u32) -> Setup {
    let rate = Rate { per_second, burst: 3 };
    Setup::new(backend).limits(|limits: &mut Limits| limits.frames_per_second = Some(rate))
}

fn a_resume_does_not_end_a_throttling(backend: Backend) {
    let (server, arrived, events) = start(&rated(backend, 1));
    let mut client = server.connect();
    let session = next(&arrived);
    ["one", "two", "three", "four"].iter().for_each(|it| client.send(it.as_bytes()));
    wait_until("it is throttled", || server.stats().throttled == 1);
    session.pause_receiving();
    session.resume_receiving();
    let is_frame = |event: &Event| matches!(event.what, What::Frame(_));
    let at: Vec<_> = (0..4).map(|_| events.until(is_frame).1.at).collect();
    assert!(at[3] - at[0] >= Duration::from_millis(990), "a fourth within {:?}", at[3] - at[0]);
}

fn the_end_of_a_throttling_does_not_end_a_pause(backend: Backend) {
    let (server, arrived, events) = start(&rated(backend, 20));
    let mut client = server.connect();
    let session = next(&arrived);
    ["one", "two", "three", "four"].iter().for_each(|it| client.send(it.as_bytes()));
    wait_until("it is throttled", || server.stats().throttled == 1);
    expect_frames(&events, &[b"one", b"two", b"three"]);
    session.pause_receiving();
    session.send(b"sent");
    client.expect(b"sent");
    // On a machine that is too busy the fourth has come before the pause: then nothing is shown.
    let early = frames(&events.so_far()).len();
    expect_silence(&events);
    session.resume_receiving();
    let late: &[&[u8]] = if early == 0 { &[b"four"] } else { &[] };
    expect_frames(&events, late);
}

fn a_resume_does_not_end_the_pause_of_a_slow_reader(backend: Backend) {
    const FRAMES: u64 = 2_000;
    let setup = Setup::new(backend).kernel_buffers(16 << 10, 16 << 10).limits(|limits| {
        limits.slow_reader = SlowReader::Pause;
        limits.send_bytes_max = 64 << 10;
    });
    let (log, events) = recording();
    let server = setup.start(move |_| {
        log.of(on_frame(|ctx: &mut Context<'_>, frame: &[u8]| {
            ctx.send(frame);
            // Neither of them may let more in than the queue allows, or it would be disconnected.
            ctx.pause_receiving();
            ctx.resume_receiving();
            Ok(())
        }))
    });
    let mut client = server.connect();
    let mut writer = client.writer();
    let writing = std::thread::spawn(move || {
        (0..FRAMES).for_each(|number| writer.send(&pattern(number, 4_000)));
    });
    let taken = wait_until_stable("the server", SILENCE, || server.stats().frames_in);
    assert!(taken < FRAMES, "all is taken from one who does not read");
    (0..FRAMES).for_each(|number| client.expect(&pattern(number, 4_000)));
    writing.join().unwrap();
    drop(client);
    assert_eq!(events.disconnected().reason(), "peer_closed");
}

fn whoever_has_sent_what_it_may_is_not_closed_for_a_resume(backend: Backend) {
    let setup = rated(backend, 1).limits(|limits| limits.over_rate = OverRate::Disconnect);
    let (server, arrived, events) = start(&setup);
    let mut client = server.connect();
    let session = next(&arrived);
    ["one", "two", "pause"].iter().for_each(|it| client.send(it.as_bytes()));
    expect_frames(&events, &[b"one", b"two", b"pause"]);
    session.resume_receiving();
    // One that closes is sent nothing.
    for _ in 0..2 {
        session.send(b"sent");
        client.expect(b"sent");
    }
    (0..10).for_each(|_| client.send(b"too much"));
    assert_eq!(events.disconnected_of(session.id()).reason(), "rate_limited");
}

fn a_paused_session_is_drained(backend: Backend) {
    let (server, arrived, events) = start(&Setup::new(backend));
    let mut client = server.connect();
    let session = next(&arrived);
    client.send(b"pause");
    expect_frames(&events, &[b"pause"]);
    client.send(b"not delivered");
    session.send(b"queued");
    server.handle.drain();
    client.expect(b"queued");
    client.expect_end();
    drop(client);
    assert_eq!(events.disconnected_of(session.id()).reason(), "drain");
    let report = server.end();
    assert_eq!((report.drained, report.forced, report.bytes_lost), (1, 0, 0), "{report:?}");
}

fn a_paused_session_is_closed(backend: Backend) {
    let (server, arrived, events) = start(&Setup::new(backend));
    for reset in [false, true] {
        let mut client = server.connect();
        let session = next(&arrived);
        client.send(b"pause");
        expect_frames(&events, &[b"pause"]);
        client.send(b"not delivered");
        if reset {
            session.reset();
            client.expect_reset();
        } else {
            session.close();
            client.expect_end();
        }
        drop(client);
        let life = events.life_of(session.id());
        assert_eq!(frames(&life).len(), 0, "{life:?}");
        // A pause that comes too late changes nothing, and neither does a resume.
        session.pause_receiving();
        session.resume_receiving();
    }
    server.connect().ping_for(b"ask", b"answer");
}

fn a_paused_session_that_is_sent_to_finds_out_that_its_peer_is_gone(backend: Backend) {
    let (server, arrived, events) = start(&Setup::new(backend));
    let mut client = server.connect();
    let session = next(&arrived);
    client.send(b"pause");
    expect_frames(&events, &[b"pause"]);
    session.send(b"not read");
    client.reset();
    wait_until("its end is noticed", || {
        session.send(b"is anybody there?");
        events.so_far().iter().any(|event| matches!(event.what, What::Disconnected { .. }))
    });
}
