//! Addresses that do not answer, as far as Linux lets a test have some, and one that answers itself.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use wharf::{Backend, Target};

use crate::clients::free_address;
use crate::racing::{expect_peer, resolving};
use crate::support::caller::{TestClient, client};
use crate::support::record::Echo;
use crate::support::server::Setup;
use crate::support::time::{Stopwatch, wait_until};

each_backend! {
    an_address_that_does_not_answer_is_overtaken,
    an_address_that_does_not_answer_in_time_is_told,
    a_stop_does_not_wait_for_who_does_not_answer,
    a_connection_that_meets_itself_is_none,
}

/// A listener that does not answer: its queue is full, and Linux lets further knocks go unheard.
struct BlackHole {
    address: SocketAddr,
    _listener: TcpListener,
    _queue: Vec<TcpStream>,
}

impl BlackHole {
    fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        // A listener that listens again has another backlog.
        rustix::net::listen(&listener, 0).unwrap();
        let address = listener.local_addr().unwrap();
        let knock = || TcpStream::connect_timeout(&address, Duration::from_millis(200)).ok();
        let queue: Vec<_> = std::iter::from_fn(knock).take(10).collect();
        assert!(queue.len() < 10, "the queue has no end");
        Self { address, _listener: listener, _queue: queue }
    }
}

fn an_address_that_does_not_answer_is_overtaken(backend: Backend) {
    let hole = BlackHole::new();
    let server = Setup::new(backend).host("[::1]:0").start(|_| Echo);
    let both = vec![hole.address, server.address()];
    let watch = Stopwatch::start();
    let client = TestClient::start(resolving(backend, both).connect("both:1"));
    expect_peer(&client, &server);
    assert!(watch.elapsed() >= Duration::from_millis(250), "{:?}", watch.elapsed());
    wait_until("the other is given up", || client.handle.sessions() == 1);
}

fn an_address_that_does_not_answer_in_time_is_told(backend: Backend) {
    let hole = BlackHole::new();
    let address = hole.address;
    let timeout = Duration::from_millis(100);
    let watch = Stopwatch::start();
    let client = TestClient::of(backend, Target::from(address).timeout(timeout));
    let (problem, attempts, retry_after) = client.hears.failure();
    assert_eq!(problem, format!("{address}: no answer in time"));
    assert_eq!((attempts, retry_after), (1, None));
    assert!(watch.elapsed() >= timeout);
    assert_eq!(client.end().1, []);
}

fn a_stop_does_not_wait_for_who_does_not_answer(backend: Backend) {
    let hole = BlackHole::new();
    let target = || Target::from(hole.address).timeout(Duration::from_secs(3600));
    let client = TestClient::start((0..5).fold(client(backend), |it, _| it.connect(target())));
    wait_until("all knock", || client.handle.sessions() == 5);
    let (report, told) = client.drain();
    assert_eq!((report.forced, report.bytes_lost), (0, 0));
    assert_eq!(told, [], "it is this side that has given up");
}

/// TCP lets two ends open at once; so a connect from a port to itself succeeds on a host where nobody
/// listens there, which a client that tries often enough will hit.
fn a_connection_that_meets_itself_is_none(backend: Backend) {
    let address = free_address();
    let client = TestClient::of(backend, Target::from(address).bind(address));
    let refused = format!("{address}: connection refused: nobody listens there");
    assert_eq!(client.hears.failure(), (refused, 1, None));
    assert_eq!(client.end().1, []);
}
