//! How sessions end: by the peer, by this side, and that nothing that was queued is lost on the way.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use wharf::{Backend, CloseReason, Context, Outcome, SendStatus, Session, SessionId, SlowReader};

use crate::support::gate::Gate;
use crate::support::record::{Echo, Greets, What, frames, on_frame, recording, whats};
use crate::support::server::Setup;
use crate::support::time::{PATIENCE, SLACK, wait_until};
use crate::support::wine::{resets_can_get_lost, resets_can_look_like_ends};
use crate::support::wire::{Wire, assert_same, pattern};

each_backend! {
    what_came_before_the_peers_end_is_answered,
    answers_wait_for_a_peer_that_has_ended_its_stream_and_reads_late,
    a_session_whose_peer_has_ended_is_gone_once_it_is_flushed,
    half_a_frame_at_the_end_is_truncated,
    the_last_line_needs_no_lf,
    a_reset_by_the_peer_is_told,
    a_reset_while_answers_wait_loses_them_and_is_told,
    close_flushes_what_is_queued_and_takes_nothing_more,
    close_in_on_connected_lets_the_greeting_through,
    close_is_orderly_while_the_peer_keeps_sending,
    close_of_a_paused_session_is_orderly_while_the_peer_keeps_sending,
    close_waits_a_second_for_the_peers_end,
    nothing_is_heard_between_the_close_and_the_end,
    the_first_reason_stays,
    a_session_closes_another,
    a_session_that_has_ended_sends_to_others_only,
}

/// How long a session that is flushed and half-closed waits for its peer's end.
const LINGER: Duration = Duration::from_secs(1);

fn what_came_before_the_peers_end_is_answered(backend: Backend) {
    for wire in Wire::ALL {
        let server = Setup::new(backend).wire(wire).start(|_| Echo);
        let sent = wire.encode_all(&(0..100).map(|seed| pattern(seed, 200)).collect::<Vec<_>>());
        let mut client = server.connect();
        client.write(&sent);
        client.finish();
        assert_same("the answers", &client.rest(), &sent);
    }
}

fn answers_wait_for_a_peer_that_has_ended_its_stream_and_reads_late(backend: Backend) {
    let (log, events) = recording();
    let setup = Setup::new(backend)
        .kernel_buffers(32 << 10, 32 << 10)
        .limits(|limits| limits.send_bytes_max = 4 << 20);
    let server = setup.start(move |_| log.of(Echo));
    let sent: Vec<Vec<u8>> = (0..40).map(|seed| pattern(seed, 50_000)).collect();
    let stream = Wire::U32Le.encode_all(&sent);
    let mut client = server.connect();
    client.write(&stream);
    client.finish();
    server.wait_for_bytes_in(stream.len() as u64);
    assert!(server.stats().bytes_out < stream.len() as u64, "the answers do not fit the kernel");
    assert_same("the answers", &client.rest(), &stream);
    drop(client);
    assert_eq!(events.disconnected().reason(), "peer_closed");
    assert_eq!(server.stats().bytes_lost, 0);
}

fn a_session_whose_peer_has_ended_is_gone_once_it_is_flushed(backend: Backend) {
    let (log, events) = recording();
    let server = Setup::new(backend).start(move |_| log.of(Echo));
    // It does not wait for an end that has come already. A busy machine may take as long as such a
    // wait, but not every time.
    let at_once = (0..5).any(|_| {
        let mut client = server.connect();
        client.send(b"last words");
        client.finish();
        let (_, frame) = events.until(|event| !frames(std::slice::from_ref(event)).is_empty());
        events.disconnected().at.since(frame.at) < LINGER / 2
    });
    assert!(at_once, "the session lingers");
}

fn half_a_frame_at_the_end_is_truncated(backend: Backend) {
    for wire in Wire::FRAMED.into_iter().filter(|&wire| wire != Wire::Lines) {
        let (log, events) = recording();
        let server = Setup::new(backend).wire(wire).start(move |_| log.of(Echo));
        let half = wire.encode(b"half");
        for cut in 1..half.len() {
            let mut client = server.connect();
            let id = events.connected().id;
            client.write(&wire.encode(b"whole"));
            client.write(&half[..cut]);
            client.finish();
            assert_eq!(client.rest_frames(), [b"whole"], "{wire:?}: answered before the end");
            let life = events.life_of(id);
            assert_eq!(frames(&life), [b"whole"], "{wire:?}: half a frame is none");
            assert_eq!(life[life.len() - 2].reason(), "truncated", "{wire:?} {cut}");
        }
    }
}

fn the_last_line_needs_no_lf(backend: Backend) {
    let (log, events) = recording();
    let server = Setup::new(backend).wire(Wire::Lines).start(move |_| log.of(Echo));
    let cases: [(&[u8], &[&[u8]]); 6] = [
        (b"one\ntwo", &[b"one", b"two"]),
        (b"one\ntwo\r", &[b"one", b"two"]),
        (b"one\n", &[b"one"]),
        (b"one\n\n", &[b"one", b""]),
        (b"one\n\r", &[b"one", b""]),
        (b"", &[]),
    ];
    for (stream, wanted) in cases {
        let mut client = server.connect();
        let id = events.connected().id;
        client.write(stream);
        client.finish();
        let what = String::from_utf8_lossy(stream);
        assert_eq!(client.rest_frames(), wanted, "{what:?}");
        let life = events.life_of(id);
        assert_eq!(frames(&life), wanted, "{what:?}");
        assert_eq!(life[life.len() - 2].reason(), "peer_closed", "{what:?}");
    }
}

fn a_reset_by_the_peer_is_told(backend: Backend) {
    let (log, events) = recording();
    let server = Setup::new(backend).start(move |_| log.of(Greets(b"hello", Echo)));
    for _ in 0..20 {
        let client = server.connect();
        let id = events.connected().id;
        client.reset();
        assert_reset(events.disconnected_of(id).reason());
    }
}

#[track_caller]
fn assert_reset(reason: &str) {
    let as_end = reason == "peer_closed" && resets_can_look_like_ends();
    assert!(reason == "peer_reset" || as_end, "{reason}");
}

fn a_reset_while_answers_wait_loses_them_and_is_told(backend: Backend) {
    let (log, events) = recording();
    let setup = Setup::new(backend).kernel_buffers(32 << 10, 32 << 10).limits(|limits| {
        limits.frame_bytes_max = 8 << 20;
        limits.send_bytes_max = 8 << 20;
        if resets_can_get_lost() {
            limits.send_deadline = Some(Duration::from_secs(5));
        }
    });
    let server = setup.start(move |_| {
        log.of(on_frame(|ctx, _| {
            ctx.send(&pattern(1, 8 << 20));
            Ok(())
        }))
    });
    let mut client = server.connect();
    let id = events.connected().id;
    client.send(b"more than you read");
    // A reset may take the question away with it, if the answer has not begun.
    client.bytes(1);
    client.reset();
    let told = events.disconnected_of(id);
    let untold = told.reason() == "slow_reader" && resets_can_get_lost();
    if !untold {
        assert_reset(told.reason());
    }
    wait_until("what was queued counts as lost", || server.stats().bytes_lost > 1 << 20);
}

fn close_flushes_what_is_queued_and_takes_nothing_more(backend: Backend) {
    let (log, events) = recording();
    let (statuses, results) = channel();
    let server = Setup::new(backend).start(move |_| {
        let statuses = statuses.clone();
        log.of(on_frame(move |ctx, frame| {
            let answer = ctx.send(frame);
            ctx.send(b"bye");
            ctx.close();
            let late = ctx.send(b"too late");
            ctx.close();
            statuses.send((answer, late))?;
            Ok(())
        }))
    });
    let mut client = server.connect();
    client.write(&Wire::U32Le.encode_all(&[b"first", b"other", b"third"]));
    assert_eq!(client.rest_frames(), [&b"first"[..], b"bye"]);
    drop(client);
    assert_eq!(results.recv_timeout(PATIENCE), Ok((SendStatus::Queued, SendStatus::Closed)));
    let life = events.life_of(events.connected().id);
    assert_eq!(frames(&life), [b"first"], "nothing more is delivered");
    assert_eq!(life[life.len() - 2].reason(), "closed");
    assert_eq!(server.stats().bytes_lost, 0);
}

fn close_in_on_connected_lets_the_greeting_through(backend: Backend) {
    struct Bouncer;
    impl Session for Bouncer {
        fn on_connected(&mut self, ctx: &mut Context<'_>) -> Outcome {
            ctx.send(b"we are full");
            ctx.close();
            Ok(())
        }
        fn on_frame(&mut self, _: &mut Context<'_>, _: &[u8]) -> Outcome {
            unreachable!("the session is closed")
        }
    }
    let (log, events) = recording();
    let server = Setup::new(backend).start(move |_| log.of(Bouncer));
    let mut client = server.connect();
    client.send(b"let me in");
    assert_eq!(client.rest_frames(), [b"we are full"]);
    drop(client);
    let life = events.life_of(events.connected().id);
    assert!(frames(&life).is_empty());
    assert_eq!(life[life.len() - 2].reason(), "closed");
    assert_eq!(server.stats().panics, 0);
}

/// What a session answers to its first frame, and then closes.
fn last_answer() -> Vec<u8> {
    pattern(1, 1 << 20)
}

fn close_is_orderly_while_the_peer_keeps_sending(backend: Backend) {
    let (log, events) = recording();
    let setup = Setup::new(backend)
        .kernel_buffers(1 << 20, 64 << 10)
        .limits(|limits| limits.frame_bytes_max = 1 << 20);
    let server = setup.start(move |_| {
        log.of(on_frame(|ctx, _| {
            ctx.send(&last_answer());
            ctx.close();
            Ok(())
        }))
    });
    let mut client = server.connect();
    client.send(b"go");
    let mut writer = client.writer();
    let stop = Arc::new(AtomicBool::new(false));
    let stopped = Arc::clone(&stop);
    let writing = std::thread::spawn(move || {
        while !stopped.load(Ordering::Relaxed) && writer.try_write(&[7; 4096]) {}
    });
    let answer = Wire::U32Le.encode(&last_answer());
    let mut got = Vec::new();
    // Until everything has been handed to the kernel, which may not take it all at once.
    while server.stats().bytes_out < answer.len() as u64 && got.len() < answer.len() {
        let count = (16 << 10).min(answer.len() - got.len());
        got.extend(client.bytes(count));
    }
    // From here on to close the socket would reset it, and what the peer has not read were lost.
    server.wait_for_bytes_in(server.stats().bytes_in + (64 << 10));
    got.extend(client.rest());
    assert_same("the whole answer, then the end", &got, &answer);
    stop.store(true, Ordering::Relaxed);
    writing.join().unwrap();
    drop(client);
    assert_eq!(events.disconnected().reason(), "closed");
    assert_eq!(server.stats().bytes_lost, 0);
}

fn close_of_a_paused_session_is_orderly_while_the_peer_keeps_sending(backend: Backend) {
    let (log, events) = recording();
    let setup = Setup::new(backend).kernel_buffers(64 << 10, 64 << 10).limits(|limits| {
        limits.frame_bytes_max = 1 << 20;
        limits.send_bytes_max = 64 << 10;
        limits.slow_reader = SlowReader::Pause;
        limits.flush = Duration::from_secs(3);
    });
    let server = setup.start(move |_| {
        log.of(on_frame(|ctx, _| {
            // This fills the queue, so nothing more is received; but then the session is closed, and
            // what comes is of no interest any more.
            ctx.send(&last_answer());
            ctx.close();
            Ok(())
        }))
    });
    let mut client = server.connect();
    // A client that reads only when it has written everything.
    let frame = Wire::U32Le.encode(&[7; 60_000]);
    for _ in 0..300 {
        client.write(&frame);
    }
    let answer = Wire::U32Le.encode(&last_answer());
    assert_same("the whole answer, then the end", &client.rest(), &answer);
    drop(client);
    assert_eq!(events.disconnected().reason(), "closed");
}

fn close_waits_a_second_for_the_peers_end(backend: Backend) {
    let (log, events) = recording();
    let server = Setup::new(backend).start(move |_| {
        log.of(on_frame(|ctx, _| {
            ctx.close();
            Ok(())
        }))
    });
    let mut client = server.connect();
    client.send(b"close");
    client.expect_end();
    let (_, frame) = events.until(|event| !frames(std::slice::from_ref(event)).is_empty());
    // The client does not end its own stream.
    let end = events.disconnected();
    assert_eq!(end.reason(), "closed");
    let waited = end.at.since(frame.at);
    assert!((LINGER..LINGER + SLACK).contains(&waited), "waited {waited:?}");
}

fn nothing_is_heard_between_the_close_and_the_end(backend: Backend) {
    let (log, events) = recording();
    let (gate, post) = Gate::new();
    let setup = Setup::new(backend).limits(|limits| limits.send_bytes_max = 4096);
    let server = setup.start(move |_| {
        let post = post.clone();
        log.of(on_frame(move |ctx, frame| {
            match frame {
                b"fill" => {
                    ctx.send(&[1; 5000]);
                    post.wait();
                }
                b"close" => ctx.close(),
                _ => return Err("as it was told".into()),
            }
            Ok(())
        }))
    });
    for last in [&b"close"[..], b"fail"] {
        let mut client = server.connect();
        let id = events.connected().id;
        client.send(b"fill");
        gate.wait_for_arrival();
        // In the next turn the queue, which is full now, has drained; and this frame is there.
        client.send(last);
        gate.open();
        client.expect(&[1; 5000]);
        client.expect_end();
        drop(client);
        let life = whats(&events.life_of(id));
        let closed = life.iter().position(|what| *what == What::Frame(last.to_vec())).unwrap();
        let behind = &life[closed + 1..];
        let quiet = matches!(behind, [What::Disconnected { .. }, What::Dropped]);
        assert!(quiet, "{behind:?}");
    }
}

fn the_first_reason_stays(backend: Backend) {
    let (log, events) = recording();
    let server = Setup::new(backend).start(move |_| {
        log.of(Greets(
            b"hello",
            on_frame(|ctx, frame| {
                if frame == b"close" {
                    ctx.close();
                }
                Err("and failed".into())
            }),
        ))
    });
    // Closed, then failed; and the peer's end is none of its own.
    let mut client = server.connect();
    client.send(b"close");
    client.finish();
    client.expect(b"hello");
    client.expect_end();
    assert_eq!(events.disconnected().reason(), "closed");
    // Failed, then reset by a peer that has not read.
    let mut client = server.connect();
    client.send(b"fail");
    events.until(|event| !frames(std::slice::from_ref(event)).is_empty());
    client.reset();
    assert_eq!(events.disconnected().reason(), "failed");
    // Closed, then drained.
    let mut client = server.connect();
    client.send(b"close");
    events.until(|event| !frames(std::slice::from_ref(event)).is_empty());
    server.handle.drain();
    assert_eq!(events.disconnected().reason(), "closed");
}

fn a_session_closes_another(backend: Backend) {
    for workers in [1, 2] {
        let (log, events) = recording();
        let victim: Arc<Mutex<Option<SessionId>>> = Arc::default();
        let server = Setup::new(backend).workers(workers).start(move |_| {
            let victim = Arc::clone(&victim);
            log.of(on_frame(move |ctx, frame| {
                let mut victim = victim.lock().unwrap();
                match (frame, *victim) {
                    (b"me", _) => *victim = Some(ctx.id()),
                    (_, Some(victim)) => {
                        ctx.send_to(victim, b"out");
                        ctx.close_session(victim);
                        ctx.close_session(victim);
                    }
                    _ => {}
                }
                ctx.send(b"done");
                Ok(())
            }))
        });
        let (mut first, mut second) = (server.connect(), server.connect());
        first.send(b"me");
        first.expect(b"done");
        second.send(b"close it");
        second.expect(b"done");
        assert_eq!(first.rest_frames(), [b"out"], "flushed, then ended");
        drop(first);
        assert_eq!(events.disconnected().reason(), "closed");
        second.send(b"close it again");
        second.expect(b"done");
    }
}

fn a_session_that_has_ended_sends_to_others_only(backend: Backend) {
    struct Leaver {
        others: Arc<Mutex<Vec<SessionId>>>,
        statuses: Sender<SendStatus>,
    }
    impl Session for Leaver {
        fn on_connected(&mut self, ctx: &mut Context<'_>) -> Outcome {
            self.others.lock().unwrap().push(ctx.id());
            ctx.send(b"welcome");
            Ok(())
        }
        fn on_frame(&mut self, _: &mut Context<'_>, _: &[u8]) -> Outcome {
            Err("not expected".into())
        }
        fn on_disconnected(&mut self, ctx: &mut Context<'_>, _: &CloseReason) {
            self.statuses.send(ctx.send(b"to nobody")).unwrap();
            ctx.close();
            for &other in &*self.others.lock().unwrap() {
                self.statuses.send(ctx.send_to(other, b"one has left")).unwrap();
            }
            assert_eq!(ctx.queued_bytes(), 0);
        }
    }
    let others: Arc<Mutex<Vec<SessionId>>> = Arc::default();
    let (statuses, results) = channel();
    let server = Setup::new(backend)
        .start(move |_| Leaver { others: Arc::clone(&others), statuses: statuses.clone() });
    let (mut leaver, mut stayer) = (server.connect(), server.connect());
    leaver.expect(b"welcome");
    stayer.expect(b"welcome");
    drop(leaver);
    stayer.expect(b"one has left");
    let statuses: Vec<SendStatus> =
        (0..3).map(|_| results.recv_timeout(PATIENCE).unwrap()).collect();
    // To itself, to itself by its id, to the other one.
    assert_eq!(statuses, [SendStatus::Closed, SendStatus::Closed, SendStatus::Queued]);
    assert_eq!(server.stats().panics, 0);
}
