//! A server whose turns the test makes: several workers on this thread, over real sockets.

use std::cell::Cell;
use std::rc::Rc;

use wharf::{
    Arrival, Backend, Context, ListenError, Outcome, Server, ServerError, Session, SlowReader,
    SteppedServer, Time, Turn,
};

use crate::support::child::{Holdings, in_a_child};
use crate::support::client::Client;
use crate::support::server::Setup;
use crate::support::time::wait_until;
use crate::support::wire::{Wire, pattern};

each_backend! {
    workers_on_one_thread_serve_and_drain,
    a_worker_does_nothing_until_it_is_turned,
    a_message_waits_in_the_inbox_until_its_worker_is_turned,
    what_is_queued_for_a_slow_reader_is_seen,
    a_stop_ends_each_worker_in_its_own_turn,
    nothing_is_left_of_a_server_that_is_dropped_between_turns,
    a_start_that_fails_leaves_nothing,
}

/// Sends everything back. What the factory counts in is no thread's but this one's.
struct Echo(Rc<Cell<usize>>);

impl Session for Echo {
    fn on_frame(&mut self, ctx: &mut Context<'_>, frame: &[u8]) -> Outcome {
        ctx.send(frame);
        Ok(())
    }
}

impl Drop for Echo {
    fn drop(&mut self) {
        self.0.set(self.0.get() - 1);
    }
}

/// A server of which no worker turns by itself.
struct Stepped<F> {
    server: SteppedServer<Echo, F>,
    /// Sessions that live, as their handlers count them.
    alive: Rc<Cell<usize>>,
}

#[track_caller]
fn start(setup: &Setup) -> Stepped<impl Fn(&Arrival) -> Echo + use<>> {
    let alive = Rc::new(Cell::new(0));
    let counted = Rc::clone(&alive);
    let factory = move |_: &Arrival| {
        counted.set(counted.get() + 1);
        Echo(Rc::clone(&counted))
    };
    let server = setup.server().start_stepped(factory).expect("the server starts");
    Stepped { server, alive }
}

impl<F: Fn(&Arrival) -> Echo> Stepped<F> {
    fn connect(&self) -> Client {
        Client::connect(self.server.handle().addresses()[0].tcp().unwrap(), Wire::U32Le)
    }

    /// Makes one turn, which does not sleep.
    #[track_caller]
    fn turn(&mut self, worker: usize) -> Turn {
        self.server.turn(worker, Some(Time::ZERO)).expect("a port that works")
    }

    /// Turns some workers until a condition holds.
    #[track_caller]
    fn turn_until(&mut self, workers: &[usize], what: &str, holds: impl Fn(&Self) -> bool) {
        wait_until(what, || {
            for &worker in workers {
                self.turn(worker);
            }
            holds(self)
        });
    }

    /// The sessions of each worker; none of a worker that is done.
    fn sessions(&self) -> Vec<usize> {
        let workers = 0..self.server.workers();
        workers.map(|worker| self.server.worker(worker).map_or(0, |view| view.sessions)).collect()
    }
}

fn workers_on_one_thread_serve_and_drain(backend: Backend) {
    let mut it = start(&Setup::new(backend).workers(2));
    let mut clients: Vec<Client> = (0..6).map(|_| it.connect()).collect();
    it.turn_until(&[0, 1], "all have a session", |it| it.sessions() == [3, 3]);
    for worker in 0..2 {
        let view = it.server.worker(worker).unwrap();
        assert_eq!(view.sockets, 3, "{view:?}");
        assert!(view.operations >= 3, "each session receives: {view:?}");
    }
    for (number, client) in (1..).zip(&mut clients) {
        client.send(&pattern(number, 1000));
    }
    let echoes = 6 * Wire::U32Le.frame_len(1000) as u64;
    it.turn_until(&[1, 0], "all is sent", |it| it.server.handle().stats().bytes_out == echoes);
    for (number, client) in (1..).zip(&mut clients) {
        client.expect(&pattern(number, 1000));
    }
    it.server.handle().drain();
    let ends = std::thread::spawn(move || clients.iter_mut().for_each(Client::expect_end));
    it.turn_until(&[0, 1], "the server has drained", |it| it.server.is_done());
    ends.join().unwrap();
    let report = it.server.report();
    assert_eq!((report.drained, report.forced, report.bytes_lost), (6, 0, 0));
    assert_eq!((it.alive.get(), it.server.handle().sessions()), (0, 0));
    assert_eq!(it.server.worker(0), None);
    assert_eq!(it.turn(0), Turn::Done, "a worker that is done stays so");
}

fn a_worker_does_nothing_until_it_is_turned(backend: Backend) {
    let mut it = start(&Setup::new(backend).workers(2));
    let _clients: Vec<Client> = (0..2).map(|_| it.connect()).collect();
    let handle = it.server.handle();
    assert_eq!(handle.sessions(), 0, "nobody has accepted");
    // The first worker listens, and hands every second connection over.
    it.turn_until(&[0], "both are accepted", |_| handle.sessions() == 2);
    (0..20).for_each(|_| assert_eq!(it.turn(0), Turn::GoOn));
    assert_eq!((it.sessions(), it.alive.get()), (vec![1, 0], 1));
    it.turn_until(&[1], "the other has a session", |it| it.sessions() == [1, 1]);
    assert_eq!(it.alive.get(), 2);
}

fn a_message_waits_in_the_inbox_until_its_worker_is_turned(backend: Backend) {
    let arrived = Rc::new(Cell::new(None));
    let seen = Rc::clone(&arrived);
    let alive = Rc::new(Cell::new(1));
    let factory = move |arrival: &Arrival| {
        seen.set(Some(arrival.session_ref()));
        Echo(Rc::clone(&alive))
    };
    let mut server = Setup::new(backend).server().start_stepped(factory).unwrap();
    let mut client = Client::connect(server.handle().addresses()[0].tcp().unwrap(), Wire::U32Le);
    let mut session = None;
    wait_until("there is a session", || {
        server.turn(0, Some(Time::ZERO)).unwrap();
        session = arrived.take();
        session.is_some()
    });
    let inbox = |server: &SteppedServer<_, _>| server.worker(0).unwrap().inbox_bytes;
    assert_eq!(inbox(&server), 0);
    session.unwrap().send(&pattern(1, 100));
    let waiting = inbox(&server);
    assert!((100..500).contains(&waiting), "{waiting} bytes wait");
    wait_until("the message is taken", || {
        server.turn(0, Some(Time::ZERO)).unwrap();
        inbox(&server) == 0
    });
    server.turn(0, Some(Time::ZERO)).unwrap();
    client.expect(&pattern(1, 100));
}

fn what_is_queued_for_a_slow_reader_is_seen(backend: Backend) {
    let setup = Setup::new(backend).kernel_buffers(8 << 10, 8 << 10);
    let setup = setup.limits(|limits| {
        limits.slow_reader = SlowReader::Pause;
        limits.send_bytes_max = 64 << 10;
    });
    let mut it = start(&setup);
    let mut client = it.connect();
    let mut writer = client.writer();
    let frames = 600;
    let writing = std::thread::spawn(move || (0..frames).for_each(|_| writer.send(&[7; 10_000])));
    let queued = |it: &Stepped<_>| it.server.worker(0).unwrap().queued_bytes_max;
    it.turn_until(&[0], "the queue is full", |it| queued(it) >= 64 << 10);
    let view = it.server.worker(0).unwrap();
    let accounted = view.ledger.free + view.ledger.leased + view.ledger.kernel;
    assert_eq!(accounted, view.ledger.total, "{view:?}");
    assert!(view.ledger.total > 0, "{view:?}");
    let reading = std::thread::spawn(move || (0..frames).for_each(|_| client.expect(&[7; 10_000])));
    it.turn_until(&[0], "all is sent", |it| reading.is_finished() && queued(it) == 0);
    reading.join().unwrap();
    writing.join().unwrap();
    it.turn_until(&[0], "the session has ended", |it| it.sessions() == [0]);
    let view = it.server.worker(0).unwrap();
    assert_eq!((view.sockets, view.ledger.leased), (0, 0), "{view:?}");
}

fn a_stop_ends_each_worker_in_its_own_turn(backend: Backend) {
    let mut it = start(&Setup::new(backend).workers(2));
    let _clients: Vec<Client> = (0..4).map(|_| it.connect()).collect();
    it.turn_until(&[0, 1], "all have a session", |it| it.sessions() == [2, 2]);
    it.server.handle().stop();
    it.turn_until(&[1], "the second worker's sessions are gone", |it| it.sessions() == [2, 0]);
    assert_eq!(it.alive.get(), 2);
    it.turn_until(&[0, 1], "the server has stopped", |it| it.server.is_done());
    assert_eq!((it.alive.get(), it.server.report().forced), (0, 4));
}

fn nothing_is_left_of_a_server_that_is_dropped_between_turns(backend: Backend) {
    let test = "nothing_is_left_of_a_server_that_is_dropped_between_turns";
    in_a_child("stepping", test, backend, || {
        let before = Holdings::now();
        let mut it = start(&Setup::new(backend).workers(3).listeners(2));
        let mut clients: Vec<Client> = (0..9).map(|_| it.connect()).collect();
        it.turn_until(&[0, 1, 2], "all have a session", |it| it.sessions() == [3, 3, 3]);
        for client in &mut clients {
            // Half of a frame, which the server holds.
            client.write(&Wire::U32Le.encode(&pattern(1, 1000))[..500]);
        }
        let received = |it: &Stepped<_>| it.server.handle().stats().bytes_in == 9 * 500;
        it.turn_until(&[0, 1, 2], "all half frames are there", received);
        assert_eq!(Holdings::now().threads, before.threads);
        let alive = Rc::clone(&it.alive);
        drop(it);
        assert_eq!(alive.get(), 0);
        drop(clients);
        before.assert_now("dropped");
    });
}

fn a_start_that_fails_leaves_nothing(backend: Backend) {
    in_a_child("stepping", "a_start_that_fails_leaves_nothing", backend, || {
        let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let before = Holdings::now();
        let address = taken.local_addr().unwrap();
        let server = Server::bind("127.0.0.1:0").and_bind(address.to_string()).workers(2);
        let alive = Rc::new(Cell::new(0));
        let started = server.backend(backend).start_stepped(|_| Echo(Rc::clone(&alive)));
        match started {
            Err(ServerError::Listen(ListenError::AddressInUse(named))) => {
                assert_eq!(named, address)
            }
            Err(error) => panic!("{error}"),
            Ok(server) => panic!("{server:?} on an address that is taken"),
        }
        before.assert_now("it did not start");
    });
}
