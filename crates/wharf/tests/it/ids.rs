//! A session's id is never used again, and a stale one reaches nobody.

use std::collections::HashSet;
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};

use wharf::{Backend, SendStatus, SessionId};

use crate::support::gate::Gate;
use crate::support::record::{Echo, Greets, on_frame, recording};
use crate::support::server::Setup;
use crate::support::time::PATIENCE;

each_backend! {
    no_id_comes_back_over_20000_sessions,
    the_id_of_a_session_is_the_same_wherever_it_is_asked_for,
    a_stale_ref_reaches_nobody,
    a_stale_id_reaches_nobody_from_a_callback,
    an_id_that_was_made_up_reaches_nobody,
    what_is_due_to_a_session_that_has_ended_reaches_no_other,
}

/// Where a session lies: worker and slot, which are used again.
fn place(id: SessionId) -> String {
    let text = id.to_string();
    let (place, generation) = text.rsplit_once('-').unwrap();
    assert!(generation.parse::<u32>().unwrap() > 0);
    place.to_owned()
}

fn no_id_comes_back_over_20000_sessions(backend: Backend) {
    const SESSIONS: usize = 20_000;
    const CLIENTS: usize = 8;
    let (sender, ids) = channel();
    let server = Setup::new(backend).workers(2).start(move |arrival| {
        sender.send(arrival.id()).unwrap();
        Greets(b"!", Echo)
    });
    std::thread::scope(|scope| {
        for _ in 0..CLIENTS {
            scope.spawn(|| {
                for _ in 0..SESSIONS / CLIENTS {
                    // Connections that end in order stay in the kernel for a minute, and a client has
                    // no addresses for as many as these.
                    server.connect().reset();
                }
            });
        }
    });
    server.wait_for_sessions(0);
    server.drain();
    let ids: Vec<SessionId> = ids.iter().collect();
    assert_eq!(ids.len(), SESSIONS);
    let unique: HashSet<SessionId> = ids.iter().copied().collect();
    assert_eq!(unique.len(), SESSIONS, "an id was used twice");
    let numbers: HashSet<u64> = ids.iter().map(|id| id.as_u64()).collect();
    assert_eq!(numbers.len(), SESSIONS, "a number was used twice");
    let places: HashSet<String> = ids.iter().map(|&id| place(id)).collect();
    assert!(places.len() < SESSIONS / 20, "slots are used again: {}", places.len());
}

fn the_id_of_a_session_is_the_same_wherever_it_is_asked_for(backend: Backend) {
    let (sender, ids) = channel();
    let (arrived, arrivals) = channel();
    let server = Setup::new(backend).workers(2).start(move |arrival| {
        arrived.send((arrival.id(), arrival.session_ref(), arrival.peer().clone())).unwrap();
        let sender = sender.clone();
        on_frame(move |ctx, frame| {
            sender.send((ctx.id(), ctx.peer().clone()))?;
            ctx.send(frame);
            Ok(())
        })
    });
    for _ in 0..4 {
        let mut client = server.connect();
        client.ping(b"who am I?");
        let (id, session, peer) = arrivals.recv_timeout(PATIENCE).unwrap();
        assert_eq!(peer, client.address());
        assert_eq!(ids.recv_timeout(PATIENCE), Ok((id, peer)));
        assert_eq!(session.id(), id);
        assert_eq!(server.handle.session(id).id(), id);
        assert_eq!(SessionId::from_u64(id.as_u64()), id);
        assert_eq!(format!("{id}").split('-').next(), Some(&*id.worker().to_string()));
        server.handle.session(id).send(b"you are you");
        client.expect(b"you are you");
    }
}

fn a_stale_ref_reaches_nobody(backend: Backend) {
    let (log, events) = recording();
    let server = Setup::new(backend).start(move |_| log.of(Echo));
    let mut stale = Vec::new();
    for round in 0..50 {
        let first = server.connect();
        let id = events.connected().id;
        stale.push(server.handle.session(id));
        drop(first);
        events.disconnected_of(id);
        server.wait_for_sessions(0);

        let mut second = server.connect();
        let heir = events.connected().id;
        assert_eq!(place(heir), place(id), "the test wants the same slot");
        assert_ne!(heir, id);
        for stale in &stale {
            stale.send(b"for somebody else");
            stale.close();
        }
        // The worker takes what other threads send in order: this comes behind all of that.
        server.handle.session(heir).send(b"for you");
        second.expect(b"for you");
        second.ping(b"and I am still here");
        stale.push(server.handle.session(heir));
        drop(second);
        assert_eq!(events.disconnected_of(heir).reason(), "peer_closed", "{round}");
        server.wait_for_sessions(0);
    }
}

fn a_stale_id_reaches_nobody_from_a_callback(backend: Backend) {
    for workers in [1, 2] {
        let (log, events) = recording();
        let stale: Arc<Mutex<Vec<SessionId>>> = Arc::default();
        let known = Arc::clone(&stale);
        let (sender, statuses) = channel();
        let server = Setup::new(backend).workers(workers).start(move |_| {
            let (stale, sender) = (Arc::clone(&known), sender.clone());
            log.of(on_frame(move |ctx, frame| {
                for &stale in &*stale.lock().unwrap() {
                    let near = stale.worker() == ctx.id().worker();
                    sender.send((near, ctx.send_to(stale, b"for somebody else")))?;
                    ctx.close_session(stale);
                }
                ctx.send(frame);
                Ok(())
            }))
        });
        for _ in 0..10 {
            let clients: Vec<_> = (0..2 * workers).map(|_| server.connect()).collect();
            for _ in &clients {
                stale.lock().unwrap().push(events.connected().id);
            }
            drop(clients);
            server.wait_for_sessions(0);
        }
        let mut clients: Vec<_> = (0..2 * workers).map(|_| server.connect()).collect();
        for round in 0..3_u8 {
            for client in &mut clients {
                client.ping(&[round]);
            }
        }
        drop(clients);
        server.wait_for_sessions(0);
        server.drain();
        let statuses: Vec<(bool, SendStatus)> = statuses.try_iter().collect();
        assert_eq!(statuses.len(), 3 * 2 * workers * 10 * 2 * workers);
        let of_near = statuses.iter().filter(|(near, _)| *near);
        assert!(of_near.clone().count() > 0);
        assert!(of_near.clone().all(|(_, status)| *status == SendStatus::Closed));
    }
}

fn an_id_that_was_made_up_reaches_nobody(backend: Backend) {
    // No generation is 0, none here is high, and there are no slots beyond the first few.
    let made_up = [0, 77, 9 << 32 | 1, u64::from(u32::MAX), 1 << 54, 1 << 63, u64::MAX];
    let server = Setup::new(backend).workers(2).start(move |_| {
        on_frame(move |ctx, frame| {
            for number in made_up {
                let nobody = SessionId::from_u64(number);
                // Another worker is asked later; it is not asked if there is none.
                let status = ctx.send_to(nobody, b"hello?");
                let asked = nobody.worker() < 2 && nobody.worker() != ctx.id().worker();
                assert_eq!(status == SendStatus::Closed, !asked, "{nobody}: {status:?}");
                ctx.close_session(nobody);
            }
            ctx.send(frame);
            Ok(())
        })
    });
    let mut clients = [server.connect(), server.connect()];
    for client in &mut clients {
        client.ping(b"anybody?");
        for number in made_up {
            let nobody = server.handle.session(SessionId::from_u64(number));
            let status = nobody.send(b"hello?");
            assert_eq!(status == SendStatus::Closed, nobody.id().worker() >= 2, "{nobody:?}");
            nobody.close();
        }
        client.ping(b"nobody.");
    }
    assert_eq!(server.stats().panics, 0);
}

fn what_is_due_to_a_session_that_has_ended_reaches_no_other(backend: Backend) {
    let (log, events) = recording();
    let (gate, post) = Gate::new();
    let setup = Setup::new(backend).limits(|limits| limits.send_bytes_max = 4096);
    let server = setup.start(move |_| {
        let post = post.clone();
        log.of(on_frame(move |ctx, frame| {
            if frame == b"fill" {
                ctx.send(&[1; 5000]);
                post.wait();
            } else {
                ctx.send(frame);
            }
            Ok(())
        }))
    });
    for _ in 0..20 {
        let mut first = server.connect();
        let id = events.connected().id;
        first.send(b"fill");
        gate.wait_for_arrival();
        first.finish();
        let mut second = server.connect();
        gate.open();
        // In one turn the queue of the first session drains, which it is to be told, it ends, and where
        // the backend has it so the second one takes its slot.
        second.ping(b"hello");
        let heir = events.connected().id;
        second.ping(b"hello");
        first.expect(&[1; 5000]);
        first.expect_end();
        drop(second);
        events.disconnected_of(heir);
        assert_ne!(heir, id);
        server.wait_for_sessions(0);
    }
}
