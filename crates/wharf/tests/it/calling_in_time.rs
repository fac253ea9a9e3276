//! Clients on a simulated network, where each time is what it should be: a client and
//! the server that it calls, on one thread.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use wharf::sim::{Faults, Network, NetworkOptions};
use wharf::{
    Arrival, Backend, Client, Framing, Limits, PortOptions, Reconnect, Server, SteppedServer,
    Target,
};

use crate::support::caller::{Caller, Hears, Told, telling};
use crate::support::record::Echo;
use crate::support::server::Setup;

/// From host to host, always.
const LINK: Duration = Duration::from_micros(100);
/// What a connect takes at most that is answered.
const ANSWERED: Duration = Duration::from_millis(2);
/// Long enough for nothing, and short enough to cost no test its precision.
const MOMENT: Duration = Duration::from_micros(200);
const LONG: Duration = Duration::from_secs(24 * 3600);

type EchoServer = SteppedServer<Echo, fn(&Arrival) -> Echo>;

/// A client and a server, which may not be there.
struct Play<F> {
    network: Network,
    client: SteppedServer<Caller, F>,
    server: Option<EchoServer>,
    hears: Hears,
    /// What was told, and when.
    told: Vec<(Duration, Told)>,
}

fn network(seed: u64, faults: Faults) -> Network {
    Network::new(NetworkOptions {
        seed,
        faults,
        latency: (LINK, Duration::ZERO),
        ..Default::default()
    })
}

/// What a server or a client on the network is set up with.
fn port_options(network: &Network) -> PortOptions {
    let simulated = Some(network.clone());
    PortOptions { simulated, ..PortOptions::default() }
}

fn limits() -> Limits {
    Setup::new(Backend::Sim).limits
}

fn server(network: &Network, at: SocketAddr) -> EchoServer {
    server_with(network, at, |server| server)
}

fn server_with(
    network: &Network,
    at: SocketAddr,
    change: impl FnOnce(Server) -> Server,
) -> EchoServer {
    let server = Server::bind(at.to_string()).workers(1).framing(Framing::U32_LE).limits(limits());
    let server = change(server).port_options(port_options(network));
    server.start_stepped(echo as fn(&Arrival) -> Echo).expect("a server")
}

const fn echo(_: &Arrival) -> Echo {
    Echo
}

fn play(network: Network, client: Client) -> Play<impl Fn(&Arrival) -> Caller> {
    let (teller, hears) = telling();
    let hook = teller.clone();
    let client = client.workers(1).limits(limits()).port_options(port_options(&network));
    let client = client.on_connect_failed(move |failure| hook.failed(failure));
    let client = client.start_stepped(move |arrival| teller.caller(arrival)).expect("a client");
    Play { network, client, server: None, hears, told: Vec::new() }
}

impl<F: Fn(&Arrival) -> Caller> Play<F> {
    fn elapsed(&self) -> Duration {
        self.network.now().since(wharf::Time::ZERO)
    }

    fn turn(&mut self) {
        let now = Some(self.network.now());
        self.client.turn(0, now).expect("a port that works");
        if let Some(server) = &mut self.server {
            server.turn(0, now).expect("a port that works");
        }
        let at = self.elapsed();
        self.told.extend(self.hears.so_far().into_iter().map(|told| (at, told)));
    }

    /// Makes a turn, and lets time pass until something happens; a moment, if nothing will.
    fn step(&mut self) {
        self.turn();
        if !self.network.advance() {
            self.network.advance_by(MOMENT);
        }
    }

    fn run_until(&mut self, time: Duration) {
        while self.elapsed() < time {
            self.step();
        }
    }

    /// Runs until there is something that was told, and gives it.
    #[track_caller]
    fn next(&mut self) -> (Duration, Told) {
        let until = self.elapsed() + Duration::from_secs(60);
        while self.told.is_empty() {
            assert!(self.elapsed() < until, "nothing is told any more");
            self.step();
        }
        self.told.remove(0)
    }

    /// The next failure: when, why, and after how many attempts.
    #[track_caller]
    fn failure(&mut self) -> (Duration, String, Option<Duration>) {
        match self.next() {
            (at, Told::Failed { problem, retry_after, .. }) => (at, problem, retry_after),
            other => panic!("{other:?} instead of a failure"),
        }
    }

    /// Ends the server at once.
    fn kill_server(&mut self) {
        let Some(server) = &self.server else { return };
        server.handle().stop();
        while self.server.as_ref().is_some_and(|server| !server.is_done()) {
            self.step();
        }
        self.server = None;
    }

    /// Drains the client, and gives what was told and not been heard.
    #[track_caller]
    fn end(mut self) -> Vec<Told> {
        self.client.handle().drain();
        let until = self.elapsed() + Duration::from_secs(60);
        while !self.client.is_done() {
            assert!(self.elapsed() < until, "the client does not end");
            self.step();
        }
        self.turn();
        assert_eq!(self.client.leaked_operations(), 0);
        let handle = self.client.handle();
        assert_eq!((handle.sessions(), handle.targets()), (0, 0));
        self.told.into_iter().map(|(_, told)| told).collect()
    }
}

#[track_caller]
fn assert_about(what: &str, time: Duration, wanted: Duration) {
    assert!((wanted..wanted + ANSWERED).contains(&time), "{what} at {time:?}, not {wanted:?}");
}

fn address(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

/// Nobody on `host` answers a client that calls from its own address or from `10.0.9.9`.
fn silence(network: &Network, host: &str) {
    let host: IpAddr = host.parse().unwrap();
    network.partition(host, host, LONG);
    network.partition(address("10.0.9.9:1").ip(), host, LONG);
}

fn exactly(delay: Duration) -> Reconnect {
    Reconnect { delay_min: delay, delay_max: delay, jitter: 0.0, ..Reconnect::default() }
}

#[test]
fn an_address_that_does_not_answer_is_given_250_ms() {
    let network = network(1, Faults::none());
    silence(&network, "fd00::1");
    silence(&network, "10.0.0.2");
    let listens = address("[fd00::3]:7");
    let names = vec![address("[fd00::1]:7"), listens, address("10.0.0.2:7")];
    let client = Client::new().connect("three:7").resolver(move |_, _| Ok(names.clone()));
    let mut play = play(network, client);
    play.server = Some(server(&play.network, listens));
    let (at, told) = play.next();
    // IPv6 first, then the IPv4 address, then the other of IPv6.
    assert_about("the connection", at, Duration::from_millis(500));
    let Told::Connected { peer, attempts: 1, .. } = told else { panic!("{told:?}") };
    assert_eq!(peer, listens.to_string());
    play.run_until(Duration::from_millis(600));
    assert_eq!(play.network.open_ends(), 2, "those who were too slow are closed");
    assert_eq!(play.client.handle().sessions(), 1, "and have given up their seats");
    play.end();
}

#[test]
fn an_address_that_refuses_costs_no_time() {
    // Also while another one is silent.
    for (first, wanted_ms) in [("10.0.0.1:7", 0), ("10.0.0.4:7", 250)] {
        let network = network(2, Faults::none());
        silence(&network, "10.0.0.4");
        let listens = address("10.0.0.3:7");
        let names = vec![address(first), address("10.0.0.2:7"), listens];
        let client = Client::new().connect("three:7").resolver(move |_, _| Ok(names.clone()));
        let mut play = play(network, client);
        play.server = Some(server(&play.network, listens));
        let (at, told) = play.next();
        assert!(matches!(told, Told::Connected { attempts: 1, .. }), "{told:?}");
        assert_about("the connection", at, Duration::from_millis(wanted_ms));
        play.end();
    }
}

#[test]
fn an_attempt_ends_when_its_time_is_up_and_says_who_was_silent() {
    let network = network(3, Faults::none());
    silence(&network, "10.0.0.2");
    let names = vec![address("10.0.0.1:7"), address("10.0.0.2:7")];
    let delay = Duration::from_millis(700);
    let target = Target::new("two:7")
        .timeout(Duration::from_secs(2))
        .bind(address("10.0.9.9:0"))
        .reconnect(exactly(delay));
    let client = Client::new().connect(target).resolver(move |_, _| Ok(names.clone()));
    let mut play = play(network, client);
    for attempt in 1..=3 {
        let (at, problem, retry_after) = play.failure();
        assert_about("the end", at, attempt * Duration::from_secs(2) + (attempt - 1) * delay);
        assert_eq!(retry_after, Some(delay));
        let refused = "10.0.0.1:7: connection refused: nobody listens there";
        assert_eq!(problem, format!("{refused}, 10.0.0.2:7: no answer in time"));
    }
    assert_eq!(play.end(), []);
}

/// The delays that a client of this seed tells, which nobody answers.
fn delays(seed: u64, reconnect: Reconnect, count: usize) -> Vec<Duration> {
    let target = Target::new("10.0.0.1:7").reconnect(reconnect);
    let mut play = play(network(seed, Faults::none()), Client::new().connect(target));
    let mut expected = Duration::ZERO;
    let delays = (0..count).map(|_| {
        let (at, _, retry_after) = play.failure();
        assert_about("the attempt", at, expected);
        let delay = retry_after.expect("another attempt");
        expected = at + delay;
        delay
    });
    delays.collect()
}

#[test]
fn an_answer_that_came_in_time_counts_for_a_client_that_was_held_up() {
    let listens = address("10.0.0.1:7");
    let target = Target::from(listens).timeout(Duration::from_secs(1));
    let mut play = play(network(10, Faults::none()), Client::new().connect(target));
    play.server = Some(server(&play.network, listens));
    // The connect is started by one turn, and the next one comes three seconds later.
    play.client.turn(0, Some(play.network.now())).unwrap();
    play.client.turn(0, Some(play.network.now())).unwrap();
    play.network.advance_by(Duration::from_secs(3));
    let (_, told) = play.next();
    assert!(matches!(told, Told::Connected { attempts: 1, .. }), "{told:?}");
    play.end();
}

#[test]
fn an_attempt_comes_when_it_was_told_that_it_would() {
    let terms = Reconnect {
        delay_min: Duration::from_millis(100),
        delay_max: Duration::from_secs(3),
        factor: 3.0,
        jitter: 0.0,
        ..Reconnect::default()
    };
    let millis: Vec<u128> = delays(4, terms, 6).iter().map(Duration::as_millis).collect();
    assert_eq!(millis, [100, 300, 900, 2700, 3000, 3000]);
}

#[test]
fn jitter_is_the_seeds_and_no_more_than_its_share() {
    let delay = Duration::from_secs(1);
    let terms = Reconnect { delay_min: delay, delay_max: delay, jitter: 0.25, ..exactly(delay) };
    let first = delays(5, terms, 40);
    assert!(first.iter().all(|it| (delay * 3 / 4..=delay).contains(it)), "{first:?}");
    let (low, high) = (first.iter().min(), first.iter().max());
    assert!(low < Some(&(delay * 8 / 10)) && high > Some(&(delay * 95 / 100)), "{first:?}");
    assert_eq!(delays(5, terms, 40), first, "a run repeats");
    assert_ne!(delays(6, terms, 40), first);
}

#[test]
fn a_session_is_a_good_one_from_the_time_that_is_set() {
    for (stable_after_ms, wanted_ms) in [(1000, 100), (1100, 1000)] {
        let terms = Reconnect {
            delay_min: Duration::from_millis(100),
            delay_max: Duration::from_secs(1),
            factor: 10.0,
            jitter: 0.0,
            stable_after: Duration::from_millis(stable_after_ms),
            ..Reconnect::default()
        };
        let listens = address("10.0.0.1:7");
        let client = Client::new().connect(Target::from(listens).reconnect(terms));
        let mut play = play(network(7, Faults::none()), client);
        let (_, told) = play.next();
        assert!(matches!(told, Told::Failed { .. }), "{told:?}");
        play.server = Some(server(&play.network, listens));
        let (connected, told) = play.next();
        assert!(matches!(told, Told::Connected { attempts: 2, .. }), "{told:?}");
        // It lasts a second and the time of its end.
        play.run_until(connected + Duration::from_millis(1000));
        play.kill_server();
        let ended = loop {
            if let (at, Told::Ended { .. }) = play.next() {
                break at;
            }
        };
        let (at, ..) = play.failure();
        assert_about("the attempt", at, ended + Duration::from_millis(wanted_ms));
        play.end();
    }
}

#[test]
fn a_simulated_network_has_no_names_but_those_it_is_given() {
    let mut play = play(network(8, Faults::none()), Client::new().connect("localhost:7"));
    let none = "the name does not resolve: a simulated network has no names: give it a resolver";
    let (_, problem, retry_after) = play.failure();
    assert_eq!((problem.as_str(), retry_after), (none, None));
    let until = play.elapsed() + Duration::from_secs(1);
    while !play.client.is_done() {
        assert!(play.elapsed() < until, "a client whose last target is over ends");
        play.step();
    }
}

#[test]
fn a_heartbeat_comes_as_long_behind_the_last_frame_as_it_was_asked_for() {
    let every = Duration::from_secs(3);
    let listens = address("10.0.0.1:7");
    let target = Target::from(listens).heartbeat(every, b"beat").idle(Some(Duration::from_secs(4)));
    let mut play = play(network(9, Faults::none()), Client::new().connect(target));
    play.server = Some(server_with(&play.network, listens, |it| {
        it.heartbeat(Duration::from_secs(2), b"from the server")
    }));
    let (connected, told) = play.next();
    assert!(matches!(told, Told::Connected { .. }), "{told:?}");
    // What it says when it is connected comes back, and then each heartbeat.
    let (_, told) = play.next();
    assert!(matches!(&told, Told::Frame(_, frame) if frame == b"hello"), "{told:?}");
    // Those of the server come between: what is received is no reason to be silent.
    let mut beat = 0;
    for _ in 0..20 {
        let (at, told) = play.next();
        match told {
            Told::Frame(_, frame) if frame == b"beat" => {
                beat += 1;
                assert_about("the beat", at, connected + beat * every);
            }
            Told::Frame(_, frame) => assert_eq!(frame, b"from the server"),
            other => panic!("{other:?}"),
        }
    }
    assert!(beat >= 8, "{beat} of 20 frames");
    play.end();
}

/// What a client was told in a minute in which everything goes wrong and its server dies every second.
fn a_bad_minute(seed: u64) -> Vec<Told> {
    let listens = address("10.0.0.1:7");
    let names = vec![address("[fd00::1]:7"), address("10.0.0.2:7"), listens];
    let delay = Duration::from_millis(50);
    let terms = Reconnect { delay_max: 4 * delay, delay_min: delay, ..Reconnect::default() };
    let named = Target::new("three:7").timeout(Duration::from_secs(1)).reconnect(terms).tag(1);
    let plain = Target::from(listens).timeout(Duration::from_secs(1)).reconnect(terms);
    let client = Client::new().connect(plain).connect(named).resolver(move |_, _| {
        if names.len() == 3 { Ok(names.clone()) } else { Err(io::ErrorKind::NotFound.into()) }
    });
    let mut play = play(network(seed, Faults::all()), client);
    for second in 0..60 {
        play.server = Some(server(&play.network, listens));
        play.run_until(Duration::from_millis(1000 * second + 800));
        play.kill_server();
        play.run_until(Duration::from_millis(1000 * second + 1000));
    }
    let mut all: Vec<Told> = std::mem::take(&mut play.told).into_iter().map(|it| it.1).collect();
    all.extend(play.end());
    all
}

#[test]
fn whatever_goes_wrong_each_connection_is_told_once_and_ends_once() {
    for seed in 0..8 {
        let told = a_bad_minute(seed);
        for which in 0..2 {
            let of = |it: &&Told| matches!(it, Told::Connected { tag, .. } if *tag == which);
            let connections: Vec<&Told> = told.iter().filter(of).collect();
            assert!(connections.len() >= 10, "seed {seed}: only {}", connections.len());
            for (number, connection) in (0..).zip(connections) {
                let Told::Connected { id, reconnects, .. } = connection else { continue };
                assert_eq!(*reconnects, number, "seed {seed}");
                let ended = |it: &&Told| matches!(it, Told::Ended { id: of, .. } if of == id);
                assert_eq!(told.iter().filter(ended).count(), 1, "seed {seed}: {connection:?}");
            }
        }
    }
    assert_eq!(a_bad_minute(3), a_bad_minute(3), "a run repeats");
}

#[test]
fn a_hook_and_a_resolver_go_with_a_server_that_is_done_or_dropped() {
    for is_dropped in [false, true] {
        let known = Arc::new(());
        let (hooks, resolvers) = (Arc::clone(&known), Arc::clone(&known));
        let network = network(1, Faults::default());
        let client = Client::new()
            .keep_running()
            .workers(1)
            .port_options(port_options(&network))
            .on_connect_failed(move |_| assert!(Arc::strong_count(&hooks) > 0))
            .resolver(move |_, _| {
                assert!(Arc::strong_count(&resolvers) > 0);
                Ok(Vec::new())
            });
        let mut client = client.start_stepped(echo).expect("a client");
        // As those do that have a handle.
        let handle = client.handle();
        assert_eq!(Arc::strong_count(&known), 3);
        if is_dropped {
            drop(client);
            assert_eq!(Arc::strong_count(&known), 1, "dropped");
        } else {
            handle.stop();
            while !client.is_done() {
                client.turn(0, Some(network.now())).expect("a port that works");
                network.advance();
            }
            assert_eq!(Arc::strong_count(&known), 1, "done");
        }
    }
}
