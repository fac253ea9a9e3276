//! Clients: connections that this side makes, and their sessions.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::sync::mpsc::channel;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use wharf::{
    Arrival, Backend, Client, CloseReason, ConnectFailure, Context, Limits, OnMessage, Outcome,
    Outgoing, Reconnect, ServerError, ServerHandle, Session, SessionId, Target, TargetError,
    TargetRef,
};

use crate::support::backend::panic_on_purpose;
use crate::support::caller::{TestClient, Told, client, client_with};
use crate::support::child::{Holdings, in_a_child};
use crate::support::client::Client as PlainClient;
use crate::support::record::{Echo, Greets, on_frame};
use crate::support::server::Setup;
use crate::support::time::{PATIENCE, let_pass, wait_until};
use crate::support::wire::Wire;

each_backend! {
    a_client_connects_talks_and_ends_with_its_last_target,
    it_is_told_the_address_by_which_its_server_knows_it,
    many_targets_share_few_workers,
    each_target_is_tried_though_the_first_is_over_at_once,
    a_target_that_is_stopped_is_not_connected_again,
    a_target_that_is_stopped_in_its_wait_is_over,
    a_drain_ends_reconnecting,
    a_server_has_targets_of_its_own,
    a_session_connects_a_target_on_its_own_worker,
    a_stop_does_not_overtake_what_it_stops,
    a_failure_is_told_to_the_session_that_asked,
    a_called_peer_may_be_silent,
    targets_beyond_what_is_allowed_are_refused,
    a_connection_takes_a_seat_from_its_first_attempt_on,
    a_panic_in_the_hook_or_the_resolver_harms_nobody,
    a_client_that_cannot_be_is_refused,
    nothing_is_left_of_a_client_that_is_stopped,
    a_hook_and_a_resolver_that_know_their_server_go_with_it,
}

/// Tries again soon, and at the same times in every run.
pub(crate) fn soon() -> Reconnect {
    let delay = Duration::from_millis(5);
    Reconnect { delay_min: delay, delay_max: delay, ..Reconnect::default() }
}

/// An address that nobody listens on, and nobody else comes to listen on: the other tests take any port of
/// 127.0.0.1 that is free, this one as well. Of a host of its own where all of 127.0.0.0/8 is this machine.
pub(crate) fn free_address() -> SocketAddr {
    static TAKEN: AtomicU32 = AtomicU32::new(1);
    let host = if cfg!(any(target_os = "linux", windows)) {
        let [_, _, high, low] = TAKEN.fetch_add(1, Ordering::Relaxed).to_be_bytes();
        Ipv4Addr::new(127, 99, high, low)
    } else {
        Ipv4Addr::LOCALHOST
    };
    TcpListener::bind((host, 0)).unwrap().local_addr().unwrap()
}

fn a_client_connects_talks_and_ends_with_its_last_target(backend: Backend) {
    let server = Setup::new(backend).start(|_| {
        on_frame(|ctx, frame| {
            ctx.send(frame);
            ctx.send(b"hang up");
            Ok(())
        })
    });
    let to = server.address();
    let client = TestClient::of(backend, Target::from(to).tag(7));
    let Told::Connected { tag: 7, peer, reconnects: 0, attempts: 1, id } = client.hears.next()
    else {
        panic!("it is not told of its connection first");
    };
    assert_eq!(peer, to.to_string());
    assert_eq!(client.hears.next(), Told::Frame(id, b"hello".to_vec()));
    assert_eq!(client.hears.next(), Told::Frame(id, b"hang up".to_vec()));
    assert_eq!(client.hears.next(), Told::Ended { id, reason: "closed" });
    let handle = client.handle.clone();
    let (report, rest) = client.end();
    assert_eq!((report.forced, report.bytes_lost), (0, 0));
    assert_eq!(rest, []);
    let stats = handle.stats();
    assert_eq!((stats.connected, stats.accepted, stats.connect_failures), (1, 0, 0));
    assert_eq!((handle.sessions(), handle.targets()), (0, 0));
}

fn it_is_told_the_address_by_which_its_server_knows_it(backend: Backend) {
    let (peers, seen) = channel();
    let server = Setup::new(backend).start(move |arrival| {
        peers.send(arrival.peer().clone()).unwrap();
        Echo
    });
    let (locals, told) = channel();
    let running = client(backend).connect(server.address()).start(move |arrival: &Arrival| {
        locals.send(arrival.outgoing().and_then(Outgoing::local).cloned()).unwrap();
        Echo
    });
    let running = running.unwrap();
    let peer = seen.recv_timeout(PATIENCE).unwrap();
    assert_eq!(told.recv_timeout(PATIENCE).unwrap(), Some(peer));
    running.handle().stop();
    running.join().unwrap();
}

fn many_targets_share_few_workers(backend: Backend) {
    const TARGETS: u64 = 200;
    let server = Setup::new(backend).workers(2).start(|_| Echo);
    let to = server.address();
    let targets = (0..TARGETS).map(|tag| Target::from(to).tag(tag));
    let client = TestClient::start(targets.fold(client(backend).workers(2), Client::connect));
    let (mut tags, mut workers, mut frames) = (Vec::new(), [0, 0], 0);
    while frames < TARGETS {
        match client.hears.next() {
            Told::Connected { tag, id, .. } => {
                tags.push(tag);
                workers[id.worker()] += 1;
            }
            Told::Frame(_, frame) => {
                assert_eq!(frame, b"hello");
                frames += 1;
            }
            other => panic!("{other:?}"),
        }
    }
    tags.sort_unstable();
    assert_eq!(tags, (0..TARGETS).collect::<Vec<_>>(), "each is told once");
    assert_eq!(workers, [100, 100]);
    assert_eq!(client.handle.targets(), 200);
    let (report, rest) = client.drain();
    assert_eq!((report.drained, report.forced), (200, 0));
    assert!(rest.iter().all(|told| matches!(told, Told::Ended { reason: "drain", .. })));
}

fn each_target_is_tried_though_the_first_is_over_at_once(backend: Backend) {
    // The families differ: that fails before anything is sent.
    let hopeless = || Target::new("[::1]:9").bind("127.0.0.1:0".parse().unwrap());
    // Which of two threads comes first is left to chance.
    for _ in 0..500 {
        let told = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&told);
        let all = (0..8).fold(client(backend), |client, _| client.connect(hopeless()));
        let all = all.on_connect_failed(move |_| {
            counted.fetch_add(1, Ordering::SeqCst);
        });
        all.run(|_| Echo).unwrap();
        assert_eq!(told.load(Ordering::SeqCst), 8);
    }
}

fn a_target_that_is_stopped_is_not_connected_again(backend: Backend) {
    let server = Setup::new(backend).start(|_| Echo);
    let to = Target::from(server.address());
    let client = TestClient::start(client(backend).keep_running());
    let target = client.handle.connect(to.reconnect(soon())).unwrap();
    let id = client.hears.connected(0);
    assert_eq!(client.hears.next(), Told::Frame(id, b"hello".to_vec()));
    target.stop();
    assert_eq!(client.hears.next(), Told::Ended { id, reason: "closed" });
    wait_until("the target is over", || client.handle.targets() == 0);
    target.stop();
    // Whoever comes next shows that the first one did not come again.
    client.handle.connect(Target::from(server.address()).tag(2)).unwrap();
    let told = client.hears.next();
    assert!(matches!(told, Told::Connected { tag: 2, .. }), "{told:?}");
}

fn a_target_that_is_stopped_in_its_wait_is_over(backend: Backend) {
    let patient = Reconnect {
        delay_min: Duration::from_secs(3600),
        delay_max: Duration::from_secs(3600),
        ..Reconnect::default()
    };
    let client = TestClient::start(client(backend).keep_running());
    let target = Target::from(free_address()).reconnect(patient);
    let target = client.handle.connect(target).unwrap();
    let (problem, attempts, retry_after) = client.hears.failure();
    assert!(problem.contains("refused"), "{problem}");
    assert_eq!(attempts, 1);
    assert!(retry_after.is_some_and(|delay| delay >= Duration::from_secs(1800)));
    assert_eq!(client.handle.targets(), 1);
    target.stop();
    wait_until("the target is over", || client.handle.targets() == 0);
}

fn a_drain_ends_reconnecting(backend: Backend) {
    let server = Setup::new(backend).start(|_| Echo);
    let up = Target::from(server.address()).reconnect(soon());
    let down = Target::from(free_address()).reconnect(soon());
    // One that does not end its stream: the drain lasts while the others could come again.
    let stubborn = TcpListener::bind("127.0.0.1:0").unwrap();
    let slow = Target::from(stubborn.local_addr().unwrap());
    let client = TestClient::start(client(backend).connect(up).connect(down).connect(slow));
    let mut ids = [client.hears.next_connected(), client.hears.next_connected()];
    client.hears.until_failure();
    client.handle.drain();
    let handle = client.handle.clone();
    let (report, rest) = client.end();
    assert_eq!((report.drained, report.forced), (2, 0));
    let mut ended: Vec<SessionId> = Vec::new();
    for told in rest {
        match told {
            Told::Ended { id, reason: "drain" } => ended.push(id),
            Told::Frame(..) | Told::Failed { .. } => {}
            other => panic!("{other:?} in a drain"),
        }
    }
    ids.sort_unstable();
    ended.sort_unstable();
    assert_eq!(ended, ids);
    assert_eq!(handle.targets(), 0);
    let refused = handle.connect(Target::from(server.address()));
    assert!(matches!(refused, Err(TargetError::Ended)), "{refused:?}");
}

/// Both ends of a server that calls itself: one echoes, the other tells what comes back.
struct Both {
    called: bool,
    told: std::sync::mpsc::Sender<Vec<u8>>,
}

impl Session for Both {
    fn on_connected(&mut self, ctx: &mut Context<'_>) -> Outcome {
        if self.called {
            ctx.send(b"who is there?");
        }
        Ok(())
    }

    fn on_frame(&mut self, ctx: &mut Context<'_>, frame: &[u8]) -> Outcome {
        if self.called {
            self.told.send(frame.to_vec())?;
        } else {
            ctx.send(frame);
        }
        Ok(())
    }
}

fn a_server_has_targets_of_its_own(backend: Backend) {
    let (told, heard) = channel();
    let server = Setup::new(backend)
        .workers(2)
        .start(move |arrival| Both { called: arrival.outgoing().is_some(), told: told.clone() });
    for _ in 0..4 {
        server.handle.connect(server.address()).unwrap();
        assert_eq!(heard.recv_timeout(PATIENCE).unwrap(), b"who is there?");
    }
    let stats = || server.stats();
    wait_until("all are counted", || (stats().accepted, stats().connected) == (4, 4));
    server.wait_for_sessions(8);
    // Who hears of the drain from the other end has ended before it.
    assert_eq!(server.drain().forced, 0);
}

/// A gateway: each client that comes has a connection of its own to the server behind.
enum Gateway {
    Front { behind: SocketAddr, target: Option<TargetRef> },
    Behind { front: SessionId },
}

impl Gateway {
    fn new(arrival: &Arrival, behind: SocketAddr) -> Self {
        match arrival.outgoing().and_then(Outgoing::opener) {
            None => Self::Front { behind, target: None },
            Some(front) => Self::Behind { front },
        }
    }
}

impl Session for Gateway {
    fn on_connected(&mut self, ctx: &mut Context<'_>) -> Outcome {
        if let Self::Front { behind, target } = self {
            *target = Some(ctx.connect(*behind)?);
        }
        Ok(())
    }

    fn on_frame(&mut self, ctx: &mut Context<'_>, frame: &[u8]) -> Outcome {
        if let Self::Behind { front } = self {
            assert_eq!(front.worker(), ctx.id().worker());
            ctx.send_to(*front, frame);
        }
        Ok(())
    }

    fn on_connect_failed(&mut self, ctx: &mut Context<'_>, failure: &ConnectFailure) -> Outcome {
        let Self::Front { target, .. } = self else { panic!("it has asked for nothing") };
        assert_eq!(target.as_ref().map(TargetRef::id), Some(failure.target().id()));
        assert_eq!((failure.opener(), failure.retry_after()), (Some(ctx.id()), None));
        ctx.send(failure.to_string().as_bytes());
        ctx.close();
        Ok(())
    }

    fn on_disconnected(&mut self, _: &mut Context<'_>, _: &CloseReason) {
        if let Self::Front { target: Some(target), .. } = self {
            target.stop();
        }
    }
}

fn a_session_connects_a_target_on_its_own_worker(backend: Backend) {
    let behind = Setup::new(backend).start(|_| Greets(b"welcome", Echo));
    let to = behind.address();
    let gateway = Setup::new(backend).workers(2).start(move |it| Gateway::new(it, to));
    let mut clients: Vec<PlainClient> = (0..6).map(|_| gateway.connect()).collect();
    for client in &mut clients {
        client.expect(b"welcome");
    }
    assert_eq!(gateway.stats().panics, 0);
    behind.wait_for_sessions(6);
    assert_eq!(gateway.handle.targets(), 6);
    for client in &mut clients {
        client.finish();
        client.expect_end();
    }
    // Each has taken its own upstream with it.
    behind.wait_for_sessions(0);
    gateway.wait_for_sessions(0);
    wait_until("no target is left", || gateway.handle.targets() == 0);
}

/// Has more to do than fits into a turn when it connects a target, which it then does not want.
struct Fickle {
    to: SocketAddr,
    is_called: bool,
}

struct Nothing;

impl Session for Fickle {
    fn on_frame(&mut self, ctx: &mut Context<'_>, frame: &[u8]) -> Outcome {
        if !self.is_called {
            let own = ctx.session_ref(ctx.id()).typed::<Self>()?;
            for _ in 0..5000 {
                ctx.post(&own, Nothing);
            }
            ctx.connect(self.to)?.stop();
            ctx.send(frame);
        }
        Ok(())
    }
}

impl OnMessage<Nothing> for Fickle {
    fn on_message(&mut self, _: &mut Context<'_>, Nothing: Nothing) -> Outcome {
        Ok(())
    }
}

fn a_stop_does_not_overtake_what_it_stops(backend: Backend) {
    let behind = Setup::new(backend).start(|_| Echo);
    let to = behind.address();
    let server = Setup::new(backend)
        .start(move |arrival| Fickle { to, is_called: arrival.outgoing().is_some() });
    let mut client = server.connect();
    client.ping(b"go");
    wait_until("no target is left", || server.handle.targets() == 0);
}

fn a_failure_is_told_to_the_session_that_asked(backend: Backend) {
    let nobody = free_address();
    let gateway = Setup::new(backend).start(move |it| Gateway::new(it, nobody));
    let mut client = gateway.connect();
    let told = String::from_utf8(client.frame()).unwrap();
    let start = format!("cannot connect to {nobody}: {nobody}: connection refused");
    assert!(told.starts_with(&start) && told.ends_with("; given up"), "{told}");
    client.expect_end();
}

fn a_called_peer_may_be_silent(backend: Backend) {
    let silent = Setup::new(backend).start(|_| on_frame(|_, _| Ok(())));
    let brief = Duration::from_millis(50);
    let client = client_with(backend, |limits| {
        limits.first_frame = Some(brief);
        limits.idle = Some(10 * brief);
    });
    let client = TestClient::start(client.connect(silent.address()));
    let id = client.hears.connected(0);
    assert_eq!(client.hears.next(), Told::Ended { id, reason: "idle" }, "and not for silence");
}

fn targets_beyond_what_is_allowed_are_refused(backend: Backend) {
    let server = Setup::new(backend).start(|_| Echo);
    let to = server.address();
    let two = |limits: &mut Limits| limits.sessions_max = Some(2);
    let client = TestClient::start(client_with(backend, two).keep_running());
    let first = client.handle.connect(to).unwrap();
    client.handle.connect(to).unwrap();
    let refused = client.handle.connect(to);
    assert!(matches!(refused, Err(TargetError::TooMany)), "{refused:?}");
    first.stop();
    wait_until("one is over", || client.handle.targets() == 1);
    client.handle.connect(to).unwrap();
    for (address, problem) in [("here", "no address"), ("1.2.3.4:0", "port is 0")] {
        let refused = client.handle.connect(address).unwrap_err().to_string();
        assert!(refused.contains(address) && refused.contains(problem), "{refused}");
    }
}

fn a_connection_takes_a_seat_from_its_first_attempt_on(backend: Backend) {
    let server = Setup::new(backend).limits(|limits| limits.sessions_max = Some(1)).start(|_| Echo);
    let mut visitor = server.connect();
    visitor.ping(b"the only one");
    let (told, heard) = channel();
    let full = Setup::new(backend).limits(|limits| limits.sessions_max = Some(1));
    let caller = full.server().on_connect_failed(move |failure| {
        let _ = told.send(failure.problem().to_string());
    });
    let caller = caller.start(|_| Echo).unwrap();
    let mut first =
        PlainClient::connect(caller.handle().addresses()[0].tcp().unwrap(), Wire::U32Le);
    first.ping(b"it has the only seat");
    caller.handle().connect(server.address()).unwrap();
    let problem = heard.recv_timeout(PATIENCE).unwrap();
    assert_eq!(problem, "all sessions are taken");
    assert_eq!(caller.handle().sessions(), 1);
    visitor.ping(b"nobody has come");
}

fn a_panic_in_the_hook_or_the_resolver_harms_nobody(backend: Backend) {
    let server = Setup::new(backend).start(|_| Echo);
    let to = server.address();
    let (told, heard) = channel();
    let client = client(backend)
        .connect(Target::new("somewhere:1").reconnect(soon()))
        .connect(Target::from(free_address()).reconnect(soon()))
        .connect(to)
        .resolver(|_, _| panic_on_purpose())
        .on_connect_failed(move |failure| {
            let _ = told.send(failure.problem().to_string());
            panic_on_purpose();
        });
    let running = client.start(|_| Greets(b"hello", Echo)).unwrap();
    let mut problems = String::new();
    while !problems.contains("resolver panicked") || !problems.contains("refused") {
        problems += &heard.recv_timeout(PATIENCE).unwrap();
    }
    let handle = running.handle();
    wait_until("the panics are counted", || handle.stats().panics >= 2);
    let echoed = || handle.stats().frames_in > 0;
    wait_until("the third target has its session", echoed);
    drop(running);
}

fn a_client_that_cannot_be_is_refused(backend: Backend) {
    let (far, near) = (Duration::from_secs(2), Duration::from_secs(1));
    let wrong = Reconnect { delay_min: far, delay_max: near, ..Reconnect::default() };
    let two = |limits: &mut Limits| limits.sessions_max = Some(2);
    let many = ["1.2.3.4:5"; 3].into_iter().fold(client_with(backend, two), Client::connect);
    let target = || Target::new("1.2.3.4:5");
    let clients = [
        (client(backend), "a client without a target"),
        (client(backend).connect("nowhere"), "'nowhere' is no address"),
        (client(backend).connect(target().timeout(Duration::ZERO)), "1.2.3.4:5: timeout is 0"),
        (client(backend).connect(target().reconnect(wrong)), "1.2.3.4:5: delay_max is 1s"),
        (many, "as many targets as sessions"),
    ];
    for (client, wanted) in clients {
        match client.start(|_| Echo) {
            Err(error @ (ServerError::Options(_) | ServerError::Target(_))) => {
                assert!(error.to_string().contains(wanted), "{error}");
            }
            other => panic!("{other:?} instead of {wanted}"),
        }
    }
}

fn nothing_is_left_of_a_client_that_is_stopped(backend: Backend) {
    in_a_child("clients", "nothing_is_left_of_a_client_that_is_stopped", backend, || {
        let server = Setup::new(backend).start(|_| Echo);
        let before = Holdings::now();
        let looking_up = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&looking_up);
        let mut all = client(backend).workers(2).resolver(move |_, _| {
            counted.fetch_add(1, Ordering::SeqCst);
            let_pass(Duration::from_millis(200));
            counted.fetch_sub(1, Ordering::SeqCst);
            Ok(vec![free_address()])
        });
        for number in 0..20 {
            all = all
                .connect(server.address())
                .connect(Target::from(free_address()).reconnect(soon()))
                .connect(Target::new(format!("slowly{number}:1")).reconnect(soon()));
        }
        let client = TestClient::start(all);
        while !matches!(client.hears.next(), Told::Connected { .. }) {}
        wait_until("names are looked up", || looking_up.load(Ordering::SeqCst) == 4);
        client.handle.stop();
        let handle = client.handle.clone();
        let (_, _) = client.end();
        assert_eq!(looking_up.load(Ordering::SeqCst), 0, "a lookup outlives its client");
        assert_eq!((handle.sessions(), handle.targets()), (0, 0));
        drop(handle);
        server.wait_for_sessions(0);
        before.assert_now("stopped");
    });
}

fn a_hook_and_a_resolver_that_know_their_server_go_with_it(backend: Backend) {
    let known = Arc::new(OnceLock::<ServerHandle>::new());
    let (hooks, resolvers) = (Arc::clone(&known), Arc::clone(&known));
    let client = client(backend)
        .connect("somewhere:1")
        .resolver(move |_, _| {
            resolvers.wait();
            Ok(vec![free_address()])
        })
        .on_connect_failed(move |_| hooks.wait().drain());
    let running = client.start(|_| Echo).unwrap();
    known.set(running.handle()).unwrap();
    running.join().unwrap();
    assert_eq!(Arc::strong_count(&known), 1, "the server keeps itself alive");
}
