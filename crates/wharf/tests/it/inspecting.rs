//! What workers tell of themselves and of their sessions when they are asked.

use std::collections::HashSet;
use std::time::Duration;

use wharf::{
    Address, Backend, Context, Holdings, Outcome, SessionFilter, SessionId, SessionReport,
    SessionsWanted, SlowReader, WorkerReport,
};

use crate::support::gate::Gate;
use crate::support::record::{Echo, on_frame};
use crate::support::server::{Setup, TestServer};
use crate::support::time::{PATIENCE, let_pass, wait_until};

each_backend! {
    all_sessions_are_listed_page_by_page,
    one_session_is_told_of_with_all_that_is_known,
    the_fullest_the_oldest_and_the_most_silent_come_first,
    what_a_session_has_received_and_sent_is_counted,
    a_filter_takes_sessions_by_peer_and_by_group,
    a_worker_that_is_held_up_does_not_answer,
    queues_are_counted_while_they_are_full,
    every_buffer_is_with_somebody,
    every_operation_is_of_some_kind,
    completions_are_counted_beside_the_waits_that_bring_them,
    a_server_that_has_ended_answers_nothing,
}

#[track_caller]
fn ask(server: &TestServer, wanted: SessionsWanted) -> Vec<WorkerReport> {
    let reports = server.handle.ask_workers(wanted).wait(PATIENCE);
    let workers: Vec<_> = reports.iter().map(|report| report.worker).collect();
    assert_eq!(workers, (0..server.handle.workers()).collect::<Vec<_>>(), "not all have answered");
    reports
}

/// The sessions of a server with one worker.
#[track_caller]
fn sessions(server: &TestServer, wanted: SessionsWanted) -> Vec<SessionReport> {
    ask(server, wanted).remove(0).sessions
}

fn all_sessions_are_listed_page_by_page(backend: Backend) {
    let server = Setup::new(backend).workers(2).start(|_| Echo);
    let mut clients: Vec<_> = (0..31).map(|_| server.connect()).collect();
    for client in &mut clients {
        client.ping(b"hello");
    }
    let (mut seen, mut pages): (HashSet<SessionId>, _) = (HashSet::new(), 0);
    let mut after = None;
    loop {
        let reports = ask(&server, SessionsWanted::After(after, 4));
        let page: Vec<_> = reports.iter().flat_map(|report| &report.sessions).collect();
        assert!(page.iter().all(|it| Some(it.id) > after), "a page begins behind the last");
        assert!(page.is_sorted_by_key(|it| it.id));
        // What both workers tell is more than a page: the first four of it are.
        let Some(last) = page.iter().take(4).next_back() else { break };
        assert!(page.iter().take(4).all(|it| seen.insert(it.id)), "told of twice");
        (after, pages) = (Some(last.id), pages + 1);
    }
    assert_eq!((seen.len(), pages), (31, 8));
    let sum: u64 = ask(&server, SessionsWanted::None).iter().map(|it| it.stats.sessions).sum();
    assert_eq!(sum, 31);
}

fn one_session_is_told_of_with_all_that_is_known(backend: Backend) {
    let server = Setup::new(backend).start(|_| {
        on_frame(|ctx, frame| {
            match frame {
                b"pause" => ctx.pause_receiving(),
                name => ctx.join(&ctx.group(std::str::from_utf8(name)?))?,
            }
            ctx.send(frame);
            Ok(())
        })
    });
    let mut client = server.connect();
    client.ping(b"red");
    client.ping(b"blue");
    let listed = sessions(&server, SessionsWanted::After(None, usize::MAX)).remove(0);
    assert_eq!(listed.peer, client.address());
    let names: Vec<_> = listed.groups.iter().map(|name| &**name).collect();
    assert_eq!(names, ["red", "blue"]);
    assert!(!listed.is_held_back && !listed.is_closing, "{listed:?}");
    assert!(listed.opened <= listed.last_receive && listed.last_receive <= server.handle.now());
    let_pass(Duration::from_millis(2));
    client.ping(b"pause");
    let later = sessions(&server, SessionsWanted::One(listed.id)).remove(0);
    assert_eq!((later.id, later.opened), (listed.id, listed.opened));
    assert!(later.last_receive > listed.last_receive && later.is_held_back, "{later:?}");
    let made_up = [listed.id.as_u64() + 1, u64::MAX, listed.id.as_u64() | 1 << 54];
    for id in made_up.map(SessionId::from_u64) {
        assert_eq!(sessions(&server, SessionsWanted::One(id)), [], "{id}");
    }
    drop(client);
    server.handle.session(listed.id).reset();
    server.wait_for_sessions(0);
    assert_eq!(sessions(&server, SessionsWanted::One(listed.id)), []);
}

/// Sends as many long frames as the first byte says, and one behind them.
fn as_many_as_asked(ctx: &mut Context<'_>, frame: &[u8]) -> Outcome {
    for _ in 0..usize::from(frame[0]) {
        ctx.send(&[7; 60_000]);
    }
    ctx.send(b"done");
    Ok(())
}

fn the_fullest_the_oldest_and_the_most_silent_come_first(backend: Backend) {
    let setup = Setup::new(backend).kernel_buffers(32 << 10, 32 << 10).limits(|limits| {
        limits.slow_reader = SlowReader::Pause;
        limits.send_bytes_max = 64 << 20;
    });
    let server = setup.start(|_| on_frame(as_many_as_asked));
    let mut clients: Vec<_> = (0..5).map(|_| server.connect()).collect();
    for client in &mut clients {
        client.ping_for(&[0], b"done");
        // The clock goes on between two of them.
        let_pass(Duration::from_millis(2));
    }
    let peers = |wanted| {
        let sessions = sessions(&server, wanted);
        let place = |peer: Address| clients.iter().position(|it| peer == it.address()).unwrap();
        sessions.into_iter().map(|it| place(it.peer)).collect::<Vec<_>>()
    };
    assert_eq!(peers(SessionsWanted::Oldest(3)), [0, 1, 2]);
    assert_eq!(peers(SessionsWanted::LongestSilent(9)), [0, 1, 2, 3, 4]);
    assert_eq!(peers(SessionsWanted::Oldest(0)), []);
    clients[0].ping_for(&[0], b"done");
    clients[3].send(&[60]);
    clients[1].send(&[120]);
    wait_until("two do not read", || {
        let fullest = sessions(&server, SessionsWanted::FullestQueues(2));
        fullest.len() == 2 && fullest[1].queued_bytes > 1 << 20
    });
    let peers = |wanted| {
        let sessions = sessions(&server, wanted);
        let place = |peer: Address| clients.iter().position(|it| peer == it.address()).unwrap();
        sessions.into_iter().map(|it| place(it.peer)).collect::<Vec<_>>()
    };
    assert_eq!(peers(SessionsWanted::FullestQueues(2)), [1, 3]);
    assert_eq!(peers(SessionsWanted::LongestSilent(2)), [2, 4]);
    assert_eq!(peers(SessionsWanted::Oldest(1)), [0]);
}

fn what_a_session_has_received_and_sent_is_counted(backend: Backend) {
    let server = Setup::new(backend).start(|_| {
        on_frame(|ctx, frame| {
            for _ in 0..frame[0] {
                ctx.send(&[7; 96]);
            }
            ctx.send(b"done");
            Ok(())
        })
    });
    let mut clients: Vec<_> = (0..3).map(|_| server.connect()).collect();
    // The second sends the most, and the third is sent the most.
    (0..9).for_each(|_| clients[1].ping_for(&[0; 12], b"done"));
    for (client, frames) in [(0, 1), (2, 20)] {
        clients[client].send(&[frames]);
        (0..frames).for_each(|_| clients[client].expect(&[7; 96]));
        clients[client].expect(b"done");
    }
    // Half a frame: its bytes have come, and it has not.
    clients[2].write(&[4, 0, 0]);
    let told = |wanted| {
        let sessions = sessions(&server, wanted);
        let place = |peer: Address| clients.iter().position(|it| peer == it.address()).unwrap();
        let counted = |it: SessionReport| {
            (place(it.peer), it.received_frames, it.received_bytes, it.sent_bytes)
        };
        sessions.into_iter().map(counted).collect::<Vec<_>>()
    };
    let [first, second, third] = [(0, 1, 5, 108), (1, 9, 144, 72), (2, 1, 8, 2008)];
    let is_all =
        |told: &[_]| told.iter().map(|it: &(_, _, u64, u64)| it.2 + it.3).sum::<u64>() >= 2345;
    wait_until("all is there", || is_all(&told(SessionsWanted::Oldest(9))));
    assert_eq!(told(SessionsWanted::Oldest(9)), [first, second, third]);
    assert_eq!(told(SessionsWanted::MostReceived(9)), [second, third, first]);
    assert_eq!(told(SessionsWanted::MostReceived(1)), [second]);
    assert_eq!(told(SessionsWanted::MostSent(2)), [third, first]);
}

fn a_filter_takes_sessions_by_peer_and_by_group(backend: Backend) {
    let server = Setup::new(backend).start(|_| {
        on_frame(|ctx, frame| {
            ctx.join(&ctx.group(std::str::from_utf8(frame)?))?;
            ctx.send(frame);
            Ok(())
        })
    });
    let mut clients: Vec<_> = (0..4).map(|_| server.connect()).collect();
    for (client, group) in clients.iter_mut().zip([b"red".as_slice(), b"blue", b"red", b"reddish"])
    {
        client.ping(group);
    }
    clients[1].ping(b"red");
    let told = |wanted, peer: Option<String>, group: Option<&str>| {
        let mut filter = SessionFilter::default();
        (filter.peer_prefix, filter.group) = (peer, group.map(str::to_owned));
        let reports = server.handle.ask_workers_about(wanted, filter).wait(PATIENCE);
        let peers = reports.into_iter().flat_map(|report| report.sessions).map(|it| it.peer);
        let place = |peer| clients.iter().position(|it| peer == it.address()).unwrap();
        peers.map(place).collect::<Vec<_>>()
    };
    let peer = |place: usize| Some(clients[place].address().to_string());
    assert_eq!(told(SessionsWanted::Oldest(9), None, Some("red")), [0, 1, 2]);
    assert_eq!(told(SessionsWanted::LongestSilent(2), None, Some("red")), [0, 2]);
    assert_eq!(told(SessionsWanted::Oldest(9), None, Some("")), []);
    assert_eq!(told(SessionsWanted::Oldest(9), peer(2), None), [2]);
    assert_eq!(told(SessionsWanted::Oldest(9), peer(3), Some("red")), []);
    assert_eq!(told(SessionsWanted::Oldest(9), Some("127.0.0.1:".to_owned()), None).len(), 4);
    assert_eq!(told(SessionsWanted::Oldest(9), Some("27.0.0.1".to_owned()), None), []);
    // A page is full of those that are taken, wherever they stand.
    let all = SessionsWanted::After(None, 3);
    let mut page = told(all, None, Some("red"));
    page.sort_unstable();
    assert_eq!(page, [0, 1, 2]);
    let id = sessions(&server, SessionsWanted::Oldest(4))[3].id;
    assert_eq!(told(SessionsWanted::One(id), None, Some("reddish")), [3]);
    assert_eq!(told(SessionsWanted::One(id), None, Some("red")), []);
}

fn a_worker_that_is_held_up_does_not_answer(backend: Backend) {
    let (gate, post) = Gate::new();
    let server = Setup::new(backend).workers(2).start(move |_| post.echo());
    let mut client = server.connect();
    client.send(b"wait");
    gate.wait_for_arrival();
    let held_up = {
        let reports = server.handle.ask_workers(SessionsWanted::None).wait(Duration::from_secs(1));
        let [other] = &reports[..] else { panic!("{reports:?}") };
        1 - other.worker
    };
    let waits = server.handle.ask_workers(SessionsWanted::After(None, 1));
    gate.open();
    client.expect(b"wait");
    let reports = waits.wait(PATIENCE);
    assert_eq!(reports[held_up].sessions.len(), 1, "it answers when it goes on: {reports:?}");
}

fn queues_are_counted_while_they_are_full(backend: Backend) {
    let setup = Setup::new(backend).kernel_buffers(32 << 10, 32 << 10).limits(|limits| {
        limits.slow_reader = SlowReader::Pause;
        limits.send_bytes_max = 16 << 20;
    });
    let server = setup.start(|_| {
        on_frame(|ctx, _| {
            for _ in 0..128 {
                ctx.send(&[7; 60_000]);
            }
            Ok(())
        })
    });
    let queued = || ask(&server, SessionsWanted::None)[0].queued_bytes;
    let mut client = server.connect();
    client.send(b"fill");
    wait_until("something waits", || queued() > 1 << 20);
    for _ in 0..128 {
        client.expect(&[7; 60_000]);
    }
    wait_until("nothing waits", || queued() == 0);
}

fn every_buffer_is_with_somebody(backend: Backend) {
    let (gate, post) = Gate::new();
    let setup = Setup::new(backend).port(|port| {
        port.buffers = 4;
        port.buffer_bytes = 4096;
    });
    let server = setup.start(move |_| post.echo());
    let mut clients: Vec<_> = (0..20).map(|_| server.connect()).collect();
    clients[0].send(b"wait");
    gate.wait_for_arrival();
    for client in &mut clients[1..] {
        client.send(&[b'x'; 3000]);
    }
    gate.open();
    clients[0].expect(b"wait");
    for client in &mut clients[1..] {
        client.expect(&[b'x'; 3000]);
    }
    let report = || ask(&server, SessionsWanted::None).remove(0);
    wait_until("no buffer is kept at rest", || report().ledger.leased == 0);
    let report = report();
    assert_eq!(report.ledger.total, 4);
    // Readiness asks for bytes only when it has a buffer for them.
    if backend == Backend::Uring {
        assert!(report.ledger.kernel > 0, "nothing could be received: {report:?}");
        assert!(report.port.buffer_shortages > 0, "twenty senders and four buffers: {report:?}");
    }
    assert_eq!((report.sockets, report.listeners), (20, 1));
    assert!(report.operations >= 21, "twenty receives and an accept: {report:?}");
}

fn every_operation_is_of_some_kind(backend: Backend) {
    let setup = Setup::new(backend).kernel_buffers(32 << 10, 32 << 10).limits(|limits| {
        limits.slow_reader = SlowReader::Pause;
        limits.send_bytes_max = 16 << 20;
    });
    let server = setup.start(|_| on_frame(as_many_as_asked));
    let mut clients: Vec<_> = (0..5).map(|_| server.connect()).collect();
    for client in &mut clients {
        client.ping_for(&[0], b"done");
    }
    let counts = || {
        let report = server.handle.ask_workers_for_holdings().wait(PATIENCE).remove(0);
        let Some(Holdings { operations: it, sessions, .. }) = report.holdings else {
            panic!("{report:?}")
        };
        assert_eq!((it.total(), sessions.total()), (report.operations, report.sockets));
        ([it.accepts, it.connects, it.receives, it.sends, it.closes], sessions.open)
    };
    assert_eq!(counts(), ([1, 0, 5, 0, 0], 5));
    clients[0].send(&[120]);
    wait_until("one does not read", || counts() == ([1, 0, 5, 1, 0], 5));
    (0..120).for_each(|_| clients[0].expect(&[7; 60_000]));
    clients[0].expect(b"done");
    wait_until("all is read", || counts() == ([1, 0, 5, 0, 0], 5));
    drop(clients);
    wait_until("all are gone", || counts() == ([1, 0, 0, 0, 0], 0));
}

fn completions_are_counted_beside_the_waits_that_bring_them(backend: Backend) {
    let (gate, post) = Gate::new();
    let server = Setup::new(backend).start(move |_| post.echo());
    let mut clients: Vec<_> = (0..50).map(|_| server.connect()).collect();
    for client in &mut clients {
        client.ping(b"hello");
    }
    let before = ask(&server, SessionsWanted::None).remove(0);
    clients[0].send(b"wait");
    gate.wait_for_arrival();
    // All of these lie there when the worker waits next.
    for client in &mut clients[1..] {
        client.send(b"now");
    }
    gate.open();
    for client in &mut clients[1..] {
        client.expect(b"now");
    }
    let after = ask(&server, SessionsWanted::None).remove(0);
    let completions = after.port.completions - before.port.completions;
    let waits = after.port.waits - before.port.waits;
    assert!(completions >= 50, "{completions} completions for 50 frames");
    assert!(completions > waits, "{completions} completions in {waits} waits");
    assert_eq!(after.stats.frames_in - before.stats.frames_in, 50);
}

fn a_server_that_has_ended_answers_nothing(backend: Backend) {
    let server = Setup::new(backend).workers(2).start(|_| Echo);
    let handle = server.handle.clone();
    server.stop();
    assert_eq!(handle.ask_workers(SessionsWanted::None).wait(PATIENCE), []);
}
