//! Sessions that are sent to and closed from other threads and from other workers.

use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};

use wharf::{Backend, SendStatus, SessionId, SessionRef};

use crate::support::gate::Gate;
use crate::support::record::{Echo, Greets, on_frame, recording};
use crate::support::server::{Setup, TestServer};
use crate::support::time::PATIENCE;
use crate::support::wire::{assert_same, pattern};

each_backend! {
    frames_of_eight_threads_to_four_sessions_all_arrive_in_order,
    a_session_is_closed_from_another_thread_behind_what_was_sent,
    sessions_send_to_each_other_across_workers,
    a_session_sends_to_itself_through_its_ref,
    a_session_is_sent_to_and_closed_before_it_exists,
    a_frame_too_long_from_another_thread_ends_its_receiver,
    an_inbox_is_bounded,
    an_inbox_is_bounded_for_empty_frames_too,
    nobody_is_reached_once_the_server_has_ended,
}

/// A server, and a way to its sessions as they arrive.
fn server_with_refs(setup: &Setup) -> (TestServer, impl Fn() -> SessionRef + use<>) {
    let (arrived, arrivals) = channel();
    let server = setup.start(move |arrival| {
        arrived.send(arrival.session_ref()).unwrap();
        Echo
    });
    (server, move || arrivals.recv_timeout(PATIENCE).expect("a session"))
}

fn frames_of_eight_threads_to_four_sessions_all_arrive_in_order(backend: Backend) {
    const THREADS: u32 = 8;
    const FRAMES: u32 = 1000;
    let setup = Setup::new(backend).workers(2).limits(|limits| limits.send_bytes_max = 16 << 20);
    let (server, next_ref) = server_with_refs(&setup);
    let (clients, refs): (Vec<_>, Vec<_>) = (0..4).map(|_| (server.connect(), next_ref())).unzip();
    assert!((0..2).all(|worker| refs.iter().filter(|it| it.id().worker() == worker).count() == 2));
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            let refs = &refs;
            scope.spawn(move || {
                for number in 0..FRAMES {
                    for session in refs {
                        let mut frame = [thread.to_le_bytes(), number.to_le_bytes()].concat();
                        frame.extend(pattern(number.into(), (number % 97) as usize));
                        assert_eq!(session.send(&frame), SendStatus::Queued);
                    }
                }
            });
        }
        for mut client in clients {
            scope.spawn(move || {
                let mut next = [0; THREADS as usize];
                for _ in 0..THREADS * FRAMES {
                    let frame = client.frame();
                    let word = |at: usize| u32::from_le_bytes(*frame[at..].first_chunk().unwrap());
                    let (thread, number) = (word(0), word(4));
                    let expected = &mut next[thread as usize];
                    assert_eq!(number, *expected, "thread {thread}");
                    assert_eq!(frame[8..], pattern(number.into(), (number % 97) as usize));
                    *expected += 1;
                }
                assert_eq!(next, [FRAMES; THREADS as usize]);
                client.ping(b"that was all");
            });
        }
    });
}

fn a_session_is_closed_from_another_thread_behind_what_was_sent(backend: Backend) {
    let (log, events) = recording();
    let server = Setup::new(backend).workers(2).start(move |_| log.of(Echo));
    for _ in 0..4 {
        let mut client = server.connect();
        let session = server.handle.session(events.connected().id);
        let sent: Vec<Vec<u8>> = (0..100).map(|seed| pattern(seed, 300)).collect();
        let (mine, frames) = (session.clone(), sent.clone());
        let sending = std::thread::spawn(move || {
            for frame in &frames {
                mine.send(frame);
            }
            mine.close();
            mine.close();
            mine.send(b"too late");
        });
        assert_eq!(client.rest_frames(), sent);
        sending.join().unwrap();
        drop(client);
        assert_eq!(events.disconnected_of(session.id()).reason(), "closed");
        session.close();
    }
}

fn sessions_send_to_each_other_across_workers(backend: Backend) {
    // The first frame of a session says that it is there; each further one goes to all.
    let room: Arc<Mutex<Vec<SessionId>>> = Arc::default();
    let setup = Setup::new(backend).workers(2).limits(|limits| limits.send_bytes_max = 16 << 20);
    let server = setup.start(move |_| {
        let room = Arc::clone(&room);
        on_frame(move |ctx, frame| {
            let mut room = room.lock().unwrap();
            if !room.contains(&ctx.id()) {
                room.push(ctx.id());
                ctx.send(b"you are in");
                return Ok(());
            }
            for &member in &*room {
                if ctx.send_to(member, frame) != SendStatus::Queued {
                    return Err("a member is not there".into());
                }
            }
            Ok(())
        })
    });
    let mut clients: Vec<_> = (0..4).map(|_| server.connect()).collect();
    for client in &mut clients {
        client.ping_for(b"let me in", b"you are in");
    }
    const FRAMES: u16 = 500;
    let frame = |from: u8, number: u16| {
        let seed = u64::from(from) << 32 | u64::from(number);
        [&[from][..], &pattern(seed, usize::from(number) * 7 % 700)].concat()
    };
    std::thread::scope(|scope| {
        for (from, client) in (0..).zip(&clients) {
            let mut writer = client.writer();
            scope.spawn(move || {
                for number in 0..FRAMES {
                    writer.send(&frame(from, number));
                }
            });
        }
        for client in &mut clients {
            scope.spawn(move || {
                let mut next = [0; 4];
                for _ in 0..4 * FRAMES {
                    let got = client.frame();
                    let number = &mut next[usize::from(got[0])];
                    assert_same("in the order it was sent", &got, &frame(got[0], *number));
                    *number += 1;
                }
            });
        }
    });
    let accepted: Vec<u64> = server.handle.worker_stats().iter().map(|it| it.accepted).collect();
    assert_eq!(accepted, [2, 2]);
}

fn a_session_sends_to_itself_through_its_ref(backend: Backend) {
    let server = Setup::new(backend).start(|_| {
        on_frame(|ctx, frame| {
            let own = ctx.session_ref(ctx.id());
            own.send(frame);
            own.send(b"and bye");
            own.close();
            Ok(())
        })
    });
    let mut client = server.connect();
    client.ping(b"hello");
    client.expect(b"and bye");
    client.expect_end();
}

fn a_session_is_sent_to_and_closed_before_it_exists(backend: Backend) {
    let server = Setup::new(backend).workers(2).start(|arrival| {
        let session = arrival.session_ref();
        assert_eq!(session.send(b"from the factory"), SendStatus::Queued);
        session.close();
        Greets(b"hello", Echo)
    });
    for _ in 0..4 {
        let mut client = server.connect();
        assert_eq!(client.rest_frames(), [&b"hello"[..], b"from the factory"]);
    }
}

fn a_frame_too_long_from_another_thread_ends_its_receiver(backend: Backend) {
    let (log, events) = recording();
    let setup = Setup::new(backend).limits(|limits| limits.frame_bytes_max = 1000);
    let server = setup.start(move |_| log.of(Echo));
    let mut client = server.connect();
    let session = server.handle.session(events.connected().id);
    session.send(&[1; 1000]);
    session.send(&[2; 1001]);
    session.send(&[3; 10]);
    assert_eq!(client.rest_frames(), [[1; 1000]]);
    drop(client);
    assert_eq!(events.disconnected().reason(), "send_too_long");
}

/// A server with one worker that a frame holds up.
fn server_with_gate(backend: Backend) -> (TestServer, Gate) {
    let (gate, post) = Gate::new();
    (Setup::new(backend).start(move |_| post.echo()), gate)
}

fn an_inbox_is_bounded(backend: Backend) {
    let (server, gate) = server_with_gate(backend);
    let mut client = server.connect();
    client.ping(b"hello");
    // For nobody, so that no queue of a session's fills up behind.
    let nobody = server.handle.session(SessionId::from_u64(u64::from(u32::MAX)));
    for _ in 0..2 {
        client.send(b"wait");
        gate.wait_for_arrival();
        let frame = vec![0; 1 << 20];
        let taken = (0..100).take_while(|_| nobody.send(&frame) == SendStatus::Queued).count();
        assert_eq!(
            taken, 63,
            "MiB that wait for a worker, which has 64 for them and what they cost besides"
        );
        assert_eq!(nobody.send(&frame), SendStatus::Overloaded);
        // There is room yet for what is small.
        assert_eq!(nobody.close(), SendStatus::Queued);
        gate.open();
        client.expect(b"wait");
        client.ping(b"and now there is room again");
    }
}

fn an_inbox_is_bounded_for_empty_frames_too(backend: Backend) {
    let (server, gate) = server_with_gate(backend);
    let mut client = server.connect();
    client.send(b"wait");
    gate.wait_for_arrival();
    let nobody = server.handle.session(SessionId::from_u64(u64::from(u32::MAX)));
    let taken = (0..4_000_000).take_while(|_| nobody.send(b"") == SendStatus::Queued).count();
    assert!(taken < 4_000_000, "an empty frame takes memory as well");
    gate.open();
    client.expect(b"wait");
    client.ping(b"and now there is room again");
}

fn nobody_is_reached_once_the_server_has_ended(backend: Backend) {
    let (server, next_ref) = server_with_refs(&Setup::new(backend).workers(2));
    let clients = [server.connect(), server.connect()];
    let refs = [next_ref(), next_ref()];
    let handle = server.handle.clone();
    server.stop();
    for session in refs {
        assert_eq!(session.send(b"hello?"), SendStatus::Closed);
        session.close();
        assert_eq!(handle.session(session.id()).send(b"hello?"), SendStatus::Closed);
    }
    handle.drain();
    handle.stop();
    assert_eq!(handle.sessions(), 0);
    drop(clients);
}
