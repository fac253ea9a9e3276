//! Names with several addresses, and addresses that do not answer.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use wharf::{Backend, Client, Target, TargetError};

use crate::clients::free_address;
use crate::support::caller::{TestClient, Told, client};
use crate::support::gate::Gate;
use crate::support::record::Echo;
use crate::support::server::{Setup, TestServer};
use crate::support::time::let_pass;

each_backend! {
    a_name_of_both_families_is_reached_on_the_one_that_listens,
    an_address_that_refuses_is_followed_by_the_next,
    a_name_that_does_not_resolve_is_told,
    a_name_without_addresses_is_told,
    a_lookup_that_takes_too_long_is_told,
    targets_that_wait_for_the_same_name_share_its_lookup,
    names_that_nobody_answers_for_do_not_pile_up_without_end,
    a_local_address_leaves_the_other_family_out,
}

/// A client that is told these addresses for every name.
pub(crate) fn resolving(backend: Backend, addresses: Vec<SocketAddr>) -> Client {
    client(backend).resolver(move |_, _| Ok(addresses.clone()))
}

#[track_caller]
pub(crate) fn expect_peer(client: &TestClient, server: &TestServer) {
    match client.hears.next() {
        Told::Connected { peer, attempts: 1, .. } => assert_eq!(peer, server.address().to_string()),
        other => panic!("{other:?}"),
    }
}

fn a_name_of_both_families_is_reached_on_the_one_that_listens(backend: Backend) {
    for host in ["127.0.0.1:0", "[::1]:0"] {
        let server = Setup::new(backend).host(host).start(|_| Echo);
        let port = server.address().port();
        // The other family refuses, whichever of them the system puts first.
        let both = ["[::1]", "127.0.0.1"].map(|it| format!("{it}:{port}").parse().unwrap());
        let client = TestClient::start(resolving(backend, both.to_vec()).connect("both:1"));
        expect_peer(&client, &server);
    }
    let server = Setup::new(backend).start(|_| Echo);
    let localhost = format!("localhost:{}", server.address().port());
    let client = TestClient::start(client(backend).connect(localhost));
    expect_peer(&client, &server);
}

fn an_address_that_refuses_is_followed_by_the_next(backend: Backend) {
    let server = Setup::new(backend).start(|_| Echo);
    let mut addresses: Vec<SocketAddr> = (0..5).map(|_| free_address()).collect();
    addresses.push(server.address());
    let client = TestClient::start(resolving(backend, addresses.clone()).connect("six:1"));
    expect_peer(&client, &server);
    addresses.pop();
    let client = TestClient::start(resolving(backend, addresses.clone()).connect("five:1"));
    let (problem, attempts, retry_after) = client.hears.failure();
    assert_eq!((attempts, retry_after), (1, None), "one attempt, told once");
    let each = |address| format!("{address}: connection refused: nobody listens there");
    let all: Vec<String> = addresses.iter().map(each).collect();
    assert_eq!(problem, all.join(", "));
}

fn a_name_that_does_not_resolve_is_told(backend: Backend) {
    let client = client(backend)
        .connect(Target::new("nowhere.example:7777"))
        .resolver(|host, port| Err(io::Error::other(format!("no {host} at {port}"))));
    let client = TestClient::start(client);
    let (problem, ..) = client.hears.failure();
    assert_eq!(problem, "the name does not resolve: no nowhere.example at 7777");
    assert_eq!(client.end().1, []);
}

fn a_name_without_addresses_is_told(backend: Backend) {
    let client = TestClient::start(resolving(backend, Vec::new()).connect("empty:1"));
    assert_eq!(client.hears.failure().0, "it has no address that can be connected from here");
}

fn a_lookup_that_takes_too_long_is_told(backend: Backend) {
    let (answer, answers) = std::sync::mpsc::channel::<SocketAddr>();
    let answers = std::sync::Mutex::new(answers);
    let server = Setup::new(backend).start(|_| Echo);
    let brief = Duration::from_millis(30);
    let target = Target::new("slow:1").timeout(brief).reconnect(crate::clients::soon());
    let client = client(backend).connect(target).resolver(move |_, _| {
        answers.lock().unwrap().recv().map(|it| vec![it]).map_err(io::Error::other)
    });
    let client = TestClient::start(client);
    for attempt in 1..=3 {
        let (problem, attempts, _) = client.hears.failure();
        assert_eq!(problem, "the name does not resolve: no answer in time");
        assert_eq!(attempts, attempt);
    }
    // One lookup has served all of these attempts, and is not lost when it ends between two.
    answer.send(server.address()).unwrap();
    let (_, told) = client.hears.next_but_failures();
    assert!(matches!(told, Told::Connected { reconnects: 0, .. }), "{told:?}");
    drop(answer);
}

fn targets_that_wait_for_the_same_name_share_its_lookup(backend: Backend) {
    const TARGETS: usize = 60;
    let server = Setup::new(backend).start(|_| Echo);
    let to = server.address();
    let lookups = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&lookups);
    let all = client(backend).workers(2).resolver(move |host, _| {
        counted.fetch_add(1, Ordering::SeqCst);
        let_pass(Duration::from_millis(300));
        if host == "there" { Ok(vec![to]) } else { Err(io::Error::other(host.to_owned())) }
    });
    let names = ["there:1", "nowhere:1"].into_iter().cycle().take(TARGETS);
    let all = TestClient::start(names.fold(all, Client::connect));
    let (mut connected, mut failed) = (0, 0);
    while connected + failed < TARGETS {
        match all.hears.next() {
            Told::Connected { .. } => connected += 1,
            Told::Failed { problem, .. } => {
                assert_eq!(problem, "the name does not resolve: nowhere");
                failed += 1;
            }
            other => assert!(matches!(other, Told::Frame(..)), "{other:?}"),
        }
    }
    assert_eq!((connected, failed), (TARGETS / 2, TARGETS / 2));
    // Two names, and whoever came when the first answers were there.
    let lookups = lookups.load(Ordering::SeqCst);
    assert!((2..10).contains(&lookups), "{lookups} lookups");
}

fn names_that_nobody_answers_for_do_not_pile_up_without_end(backend: Backend) {
    let (gate, post) = Gate::new();
    let client = client(backend).keep_running().resolver(move |_, _| {
        post.wait();
        Ok(Vec::new())
    });
    let client = TestClient::start(client);
    let connect = |number: u32| {
        let name = format!("name{}:1", number % 1000);
        let mut target = client.handle.connect(name.as_str());
        while matches!(target, Err(TargetError::TooMany | TargetError::Overloaded)) {
            let_pass(Duration::from_millis(1));
            target = client.handle.connect(name.as_str());
        }
        // Nobody waits for it any more, but the resolver does not know.
        target.unwrap().stop();
    };
    let told = (0..80_000).find_map(|number| {
        connect(number);
        client.hears.so_far().pop()
    });
    // The worker may be behind.
    let told = told.unwrap_or_else(|| client.hears.next());
    let Told::Failed { problem, .. } = told else { panic!("{told:?} instead of a failure") };
    assert_eq!(problem, "the name does not resolve: too many names wait to be looked up");
    (0..4).for_each(|_| gate.open());
}

fn a_local_address_leaves_the_other_family_out(backend: Backend) {
    let server = Setup::new(backend).start(|_| Echo);
    let addresses = vec!["[::1]:1".parse().unwrap(), server.address()];
    let local = "127.0.0.1:0".parse().unwrap();
    let target = Target::new("both:1").bind(local);
    let client = TestClient::start(resolving(backend, addresses).connect(target));
    expect_peer(&client, &server);
    let only_v6 = vec!["[::1]:1".parse().unwrap()];
    let target = Target::new("v6:1").bind(local);
    let client = TestClient::start(resolving(backend, only_v6).connect(target));
    assert_eq!(client.hears.failure().0, "it has no address that can be connected from here");
}
