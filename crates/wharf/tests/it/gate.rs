//! Who is let in: the accept filter and the bans.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use wharf::{Arrival, Backend, IpNet, Verdict};

use crate::support::client::Client;
use crate::support::record::Echo;
use crate::support::server::{Setup, TestServer};
use crate::support::time::wait_until;
use crate::support::wire::Wire;

each_backend! {
    who_is_denied_is_reset_and_never_becomes_a_session,
    a_filter_that_panics_denies_and_ends_nothing_else,
    a_filter_is_asked_before_the_limits_and_knows_the_listener,
    a_banned_network_is_shut_out_until_the_ban_is_lifted,
    a_ban_ends_by_itself,
}

/// Whether this machine has IPv6; these tests tell peers apart by it.
fn has_ipv6() -> bool {
    TcpListener::bind((Ipv6Addr::LOCALHOST, 0)).is_ok()
}

/// Connects to a dual-stack server over IPv4 or IPv6.
fn try_connect(server: &TestServer, v4: bool) -> Option<Client> {
    let host = if v4 { Ipv4Addr::LOCALHOST.into() } else { Ipv6Addr::LOCALHOST.into() };
    Client::try_connect(SocketAddr::new(host, server.address().port()), Wire::U32Le)
}

#[track_caller]
fn is_served(server: &TestServer, v4: bool) {
    try_connect(server, v4).expect("a connection").ping(b"hello");
}

#[track_caller]
fn is_refused(server: &TestServer, v4: bool) {
    if let Some(mut client) = try_connect(server, v4) {
        assert_eq!(client.expect_reset(), b"");
    }
}

fn dual(backend: Backend) -> Setup {
    Setup::new(backend).host("[::]:0").workers(2).dual_stack()
}

fn who_is_denied_is_reset_and_never_becomes_a_session(backend: Backend) {
    if !has_ipv6() {
        return;
    }
    let made = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&made);
    let setup = dual(backend).accept_filter(|incoming| {
        match incoming.peer.ip().unwrap().to_canonical().is_ipv4() {
            true => Verdict::Deny,
            false => Verdict::Allow,
        }
    });
    let server = setup.start(move |_: &Arrival| {
        count.fetch_add(1, Ordering::Relaxed);
        Echo
    });
    for round in 1..=10 {
        is_refused(&server, true);
        is_served(&server, false);
        wait_until("the refusal is counted", || server.stats().refused_by_filter == round);
    }
    assert_eq!(made.load(Ordering::Relaxed), 10);
    wait_until("ten are counted", || server.stats().accepted == 10);
    server.drain();
}

fn a_filter_that_panics_denies_and_ends_nothing_else(backend: Backend) {
    let asked = AtomicUsize::new(0);
    let setup = Setup::new(backend).accept_filter(move |_| {
        assert_ne!(asked.fetch_add(1, Ordering::Relaxed), 1, "the second time");
        Verdict::Allow
    });
    let server = setup.start(|_: &Arrival| Echo);
    let mut first = server.connect();
    first.ping(b"hello");
    server.expect_refusal();
    first.ping(b"still here");
    server.connect().ping(b"hello");
    wait_until("the one is counted as refused", || {
        let stats = server.stats();
        (stats.refused_by_filter, stats.panics, stats.accepted) == (1, 1, 2)
    });
    server.drain();
}

fn a_filter_is_asked_before_the_limits_and_knows_the_listener(backend: Backend) {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let asked = Arc::clone(&seen);
    let setup = Setup::new(backend).workers(2).listeners(3).accept_filter(move |incoming| {
        asked.lock().unwrap().push((incoming.listener.clone(), incoming.peer.clone()));
        Verdict::Allow
    });
    let server = setup.limits(|limits| limits.sessions_max = Some(3)).start(|_: &Arrival| Echo);
    let addresses = server.handle.addresses().to_vec();
    let mut clients: Vec<Client> =
        addresses.iter().map(|it| Client::connect(it.tcp().unwrap(), Wire::U32Le)).collect();
    for (client, address) in clients.iter_mut().zip(&addresses) {
        client.ping(b"hello");
        assert!(seen.lock().unwrap().contains(&(address.clone(), client.address().into())));
    }
    server.expect_refusal();
    assert_eq!(seen.lock().unwrap().len(), 4, "it was asked about the one that found no seat");
    wait_until("the refusal is counted", || server.stats().refused_sessions_max == 1);
    server.drain();
}

fn a_banned_network_is_shut_out_until_the_ban_is_lifted(backend: Backend) {
    if !has_ipv6() {
        return;
    }
    let server = dual(backend).start(|_: &Arrival| Echo);
    let mut old = try_connect(&server, false).unwrap();
    old.ping(b"hello");
    let network = IpNet::new(Ipv6Addr::LOCALHOST.into(), 64).unwrap();
    server.handle.ban(network, None).unwrap();
    for _ in 0..5 {
        is_refused(&server, false);
        is_served(&server, true);
    }
    old.ping(b"a session that was there stays");
    // Who comes over IPv4 to an IPv6 listener is found as what it is.
    server.handle.ban(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).ip(), None).unwrap();
    is_refused(&server, true);
    wait_until("all are counted", || server.stats().refused_banned == 6);
    let bans: Vec<String> =
        server.handle.bans().into_iter().map(|ban| ban.network.to_string()).collect();
    assert_eq!(bans, ["127.0.0.1/32", "::/64"]);
    assert!(server.handle.unban(network) && !server.handle.unban(network));
    is_served(&server, false);
    is_refused(&server, true);
    server.drain();
}

fn a_ban_ends_by_itself(backend: Backend) {
    let server = Setup::new(backend).start(|_: &Arrival| Echo);
    let long = server.handle.now() + Duration::from_secs(3_600);
    let host = server.address().ip();
    server.handle.ban(host, Some(long)).unwrap();
    server.expect_refusal();
    assert_eq!(server.handle.bans()[0].until, Some(long));
    let soon = server.handle.now() + Duration::from_millis(50);
    server.handle.ban(host, Some(soon)).unwrap();
    wait_until("the ban has ended", || server.handle.bans().is_empty());
    assert!(server.handle.now() >= soon, "not before its time");
    server.connect().ping(b"hello");
    server.drain();
}
