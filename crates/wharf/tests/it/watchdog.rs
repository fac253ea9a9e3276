//! The watchdog: it names who holds up a worker while it does, and nobody else.

use std::collections::HashMap;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use wharf::{Arrival, Backend, Blocked, Callback, Context, Outcome, Server, ServerError, Session};

use crate::support::gate::{Gate, GatePost};
use crate::support::server::{Setup, TestServer};
use crate::support::time::{PATIENCE, wait_until};

each_backend! {
    a_callback_that_blocks_is_named_while_it_does_and_when_it_is_over,
    each_kind_of_callback_has_its_name,
    many_short_callbacks_are_no_long_one,
    a_hook_that_panics_ends_nothing,
    a_worker_that_is_held_up_is_the_one_that_stalls,
}

const THRESHOLD: Duration = Duration::from_millis(20);

fn start<H: Session>(
    backend: Backend,
    threshold: Duration,
    factory: impl Fn(&Arrival) -> H + Send + Sync + 'static,
) -> (TestServer, Receiver<Blocked>) {
    let (told, hears) = channel();
    let change = move |server: Server| {
        server.watchdog(Some(threshold)).on_blocked(move |blocked| told.send(*blocked).unwrap())
    };
    (Setup::new(backend).workers(2).start_with(change, factory), hears)
}

fn a_callback_that_blocks_is_named_while_it_does_and_when_it_is_over(backend: Backend) {
    let (gate, post) = Gate::new();
    let (arrived, arrivals) = channel();
    let (server, hears) = start(backend, THRESHOLD, move |arrival| {
        arrived.send((arrival.peer().clone(), arrival.id())).unwrap();
        post.echo()
    });
    let mut clients = [server.connect(), server.connect(), server.connect()];
    let ids: HashMap<_, _> = (0..3).map(|_| arrivals.recv_timeout(PATIENCE).unwrap()).collect();
    for client in &mut clients {
        let id = ids[&client.address().into()];
        client.send(b"wait");
        gate.wait_for_arrival();
        let blocked = hears.recv_timeout(PATIENCE).unwrap();
        assert_eq!((blocked.session, blocked.callback), (Some(id), Callback::Frame));
        assert_eq!(blocked.worker, id.worker());
        assert!(!blocked.is_over && blocked.duration >= THRESHOLD, "{blocked:?}");
        let said = format!("on_frame of session {id} holds up worker {} for ", id.worker());
        assert!(blocked.to_string().starts_with(&said), "{blocked}");
        gate.open();
        let over = hears.recv_timeout(PATIENCE).unwrap();
        assert!(over.is_over && over.duration >= blocked.duration, "{over:?}");
        assert_eq!((over.session, over.callback), (Some(id), Callback::Frame));
        client.expect(b"wait");
    }
    wait_until("they are counted", || server.handle.stats().callbacks_blocked == 3);
}

/// What a service manager wants to know; without a callback that would tell it.
fn a_worker_that_is_held_up_is_the_one_that_stalls(backend: Backend) {
    let (gate, post) = Gate::new();
    let (arrived, arrivals) = channel();
    let setup = Setup::new(backend).workers(2);
    let server = setup.start(move |arrival| {
        arrived.send(arrival.id().worker()).unwrap();
        post.echo()
    });
    let stalled = || server.handle.stalled_workers();
    assert!(stalled().is_empty(), "nobody was asked before");
    wait_until("workers with nothing to do turn", || stalled().is_empty());
    let mut client = server.connect();
    let worker = arrivals.recv_timeout(PATIENCE).unwrap();
    client.send(b"wait");
    gate.wait_for_arrival();
    wait_until("one of them stalls", || stalled() == [worker]);
    wait_until("it does so for long", || stalled() == [worker]);
    gate.open();
    client.expect(b"wait");
    wait_until("both turn again", || stalled().is_empty());
}

/// Blocks in the callbacks that need no frame.
struct Blocker(GatePost);

impl Session for Blocker {
    fn on_connected(&mut self, ctx: &mut Context<'_>) -> Outcome {
        self.0.wait();
        ctx.start_timer(Duration::from_nanos(1), 1);
        Ok(())
    }

    fn on_timer(&mut self, _: &mut Context<'_>, _: u64) -> Outcome {
        self.0.wait();
        Ok(())
    }

    fn on_frame(&mut self, _: &mut Context<'_>, _: &[u8]) -> Outcome {
        Ok(())
    }

    fn on_drain(&mut self, _: &mut Context<'_>) -> Outcome {
        self.0.wait();
        Ok(())
    }

    fn on_disconnected(&mut self, _: &mut Context<'_>, _: &wharf::CloseReason) {
        self.0.wait();
    }
}

fn each_kind_of_callback_has_its_name(backend: Backend) {
    let (gate, post) = Gate::new();
    let (server, hears) = start(backend, THRESHOLD, move |_| Blocker(post.clone()));
    let client = server.connect();
    let expect = |callback: Callback| {
        gate.wait_for_arrival();
        let blocked = hears.recv_timeout(PATIENCE).unwrap();
        assert_eq!(blocked.callback, callback);
        gate.open();
        assert!(hears.recv_timeout(PATIENCE).unwrap().is_over);
    };
    expect(Callback::Connected);
    expect(Callback::Timer);
    server.handle.drain();
    expect(Callback::Drain);
    drop(client);
    expect(Callback::Disconnected);
}

fn many_short_callbacks_are_no_long_one(backend: Backend) {
    /// Takes a tenth of the threshold for each frame.
    struct Busy(GatePost);
    const LONG: Duration = Duration::from_millis(500);
    impl Session for Busy {
        fn on_frame(&mut self, ctx: &mut Context<'_>, frame: &[u8]) -> Outcome {
            if frame == b"wait" {
                self.0.wait();
            }
            let (_sends, receives) = channel::<()>();
            let _ = receives.recv_timeout(LONG / 10);
            ctx.send(frame);
            Ok(())
        }
    }
    let (gate, post) = Gate::new();
    let (server, hears) = start(backend, LONG, move |_| Busy(post.clone()));
    let mut client = server.connect();
    // They are worked on in one turn, which takes three times as long as one callback may.
    client.send(b"wait");
    gate.wait_for_arrival();
    let writer = &mut client;
    (0..30).for_each(|_| writer.send(b"frame"));
    gate.open();
    client.expect(b"wait");
    (0..30).for_each(|_| client.expect(b"frame"));
    let told: Vec<_> = hears.try_iter().filter(|blocked| blocked.duration >= LONG * 2).collect();
    assert!(told.is_empty(), "{told:?}");
}

fn a_hook_that_panics_ends_nothing(backend: Backend) {
    let (gate, post) = Gate::new();
    let (told, hears) = channel();
    let change = |server: Server| {
        server.watchdog(Some(THRESHOLD)).on_blocked(move |_| {
            told.send(()).unwrap();
            panic!("as the test wants it")
        })
    };
    let setup = Setup::new(backend);
    let server = setup.start_with(change, move |_| post.echo());
    let mut client = server.connect();
    for _ in 0..2 {
        client.send(b"wait");
        gate.wait_for_arrival();
        hears.recv_timeout(PATIENCE).unwrap();
        gate.open();
        hears.recv_timeout(PATIENCE).unwrap();
        client.expect(b"wait");
    }
    let error = setup.server().watchdog(Some(Duration::ZERO)).start(|_| Nobody).unwrap_err();
    assert!(matches!(error, ServerError::Options(_)), "{error}");
}

struct Nobody;

impl Session for Nobody {
    fn on_frame(&mut self, _: &mut Context<'_>, _: &[u8]) -> Outcome {
        Ok(())
    }
}
