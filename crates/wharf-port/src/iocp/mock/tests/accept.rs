//! Accepting: a listener never dies, whatever its clients and its system do.

use std::time::Duration;

use windows_sys::Win32::Foundation::{
    ERROR_CONNECTION_ABORTED, ERROR_NETNAME_DELETED, ERROR_UNEXP_NET_ERR,
};

use super::super::client::Client;
use super::super::rig::{ADDRESS, Rig, assert_clean, four_accepts, fresh, options};
use super::super::switches::{Gone, Switches};
use crate::completion::Completion;
use crate::error::AcceptError;
use crate::options::IocpOptions;
use crate::socket_options::ListenOptions;

/// How many of the completions are connections.
fn accepted(completions: &[Completion]) -> usize {
    completions.iter().filter(|it| matches!(it, Completion::Accepted { .. })).count()
}

/// The reasons for which a listener rests.
fn delays(completions: &[Completion]) -> Vec<AcceptError> {
    let cause = |it: &Completion| match it {
        Completion::AcceptDelayed { cause, .. } => Some(*cause),
        _ => None,
    };
    completions.iter().filter_map(cause).collect()
}

#[test]
fn an_accept_that_is_done_at_once_is_accepted_once() {
    let mut rig = Rig::new(Switches { accepts_at_once: true, ..Switches::default() });
    rig.listen();
    // More than there are accepts, so that the later ones are met by the call.
    let clients: Vec<Client> = (0..9).map(|_| rig.client()).collect();
    let came = rig.settle();
    assert_eq!(accepted(&came), clients.len());
    drop(came);
    assert_clean(&rig.finish());
}

#[test]
fn an_accepted_socket_is_updated_before_its_options_are_set() {
    let mut rig = Rig::new(Switches::default());
    rig.listen();
    let (client, socket) = rig.connection();
    assert_eq!(rig.iocp.no_delay(socket), Some(true));
    assert_eq!(rig.iocp.peer_address(socket), Some(client.address().into()));
    assert_eq!(rig.iocp.local_address(socket), Some(ADDRESS.into()));
    rig.iocp.shutdown(socket).unwrap();
    assert!(client.sees_end());
    assert_eq!(rig.iocp.sockets(), 1);
    assert_clean(&rig.finish());
}

#[test]
fn clients_that_are_gone_cost_a_listener_nothing() {
    let codes = [ERROR_UNEXP_NET_ERR, ERROR_NETNAME_DELETED, ERROR_CONNECTION_ABORTED];
    for gone in codes.into_iter().flat_map(|code| [Gone::Call(code), Gone::Packet(code)]) {
        let mut rig = Rig::new(Switches { gone, ..Switches::default() });
        rig.listen();
        for _ in 0..5 {
            let there: Vec<Client> = (0..4).map(|_| rig.client()).collect();
            let resets: Vec<Client> = (0..3).map(|_| rig.client()).collect();
            resets.iter().for_each(Client::reset);
            let came = rig.settle();
            assert_eq!(accepted(&came), there.len(), "{gone:?}");
            assert_eq!(delays(&came), [], "{gone:?}");
        }
        assert_eq!(rig.iocp.stats().accepts_gone, 15, "{gone:?}");
        assert_eq!(rig.mock.counts().failed_accepts, 15, "{gone:?}");
        assert_clean(&rig.finish());
    }
}

#[test]
fn clients_that_are_gone_by_the_hundred_make_a_listener_rest_and_not_spin() {
    let mut rig =
        Rig::new(Switches { gone: Gone::Call(ERROR_NETNAME_DELETED), ..Switches::default() });
    rig.listen();
    let resets: Vec<Client> = (0..100).map(|_| rig.client()).collect();
    resets.iter().for_each(Client::reset);
    // The first four had been accepted by the kernel before they were gone.
    assert_eq!(accepted(&rig.turn()), 4);
    let came = rig.run(Duration::from_secs(1));
    assert!(delays(&came).contains(&AcceptError::Aborted), "{came:?}");
    let _ = rig.accept();
    assert_clean(&rig.finish());
}

/// What a listener does that cannot make, or post, an accept: it rests, longer each time, and goes on
/// when it can.
fn rests(cause: AcceptError, begin: fn(&mut Switches), end: fn(&mut Switches)) {
    let mut rig = Rig::new(Switches::default());
    rig.listen();
    rig.mock.switch(begin);
    let clients: Vec<Client> = (0..6).map(|_| rig.client()).collect();
    let came = rig.run(Duration::from_millis(400));
    assert_eq!(accepted(&came), 4, "{cause:?}");
    // 10, 20, 40, 80, 160 ms after one another, each rounded up to a tick.
    let delays = delays(&came);
    assert!((4..=6).contains(&delays.len()), "{delays:?}");
    assert!(delays.iter().all(|it| *it == cause), "{delays:?}");
    assert!(rig.mock.counts().dequeues < 20, "it spins");
    rig.mock.switch(end);
    assert_eq!(accepted(&rig.run(Duration::from_secs(1))), clients.len() - 4);
    drop(came);
    assert_clean(&rig.finish());
}

#[test]
fn a_listener_without_sockets_rests_and_goes_on() {
    rests(
        AcceptError::ProcessDescriptors,
        |switches| switches.sockets_max = 5,
        |switches| switches.sockets_max = usize::MAX,
    );
}

#[test]
fn a_listener_without_memory_rests_and_goes_on() {
    rests(
        AcceptError::Memory,
        |switches| switches.locks_pages = false,
        |switches| switches.locks_pages = true,
    );
}

#[test]
fn stopping_with_64_accepts_outstanding_leaves_nothing() {
    let iocp = IocpOptions { accept_depth: 64, ..four_accepts() };
    let mut rig = Rig::with(Switches { delays: Some(2), ..Switches::default() }, iocp);
    let listener = rig.listen();
    assert_eq!((rig.mock.sockets(), rig.mock.operations()), (65, 64));
    rig.iocp.stop_listening(listener);
    rig.until(|it| matches!(it, Completion::ListenerClosed { .. }));
    assert_eq!((rig.mock.sockets(), rig.mock.operations()), (0, 0));
    assert_eq!(rig.iocp.operations(), 0);
    assert_clean(&rig.finish());
}

#[test]
fn stopping_delivers_what_waits_and_closes_the_address() {
    let mut rig = Rig::new(Switches::default());
    let listener = rig.listen();
    assert_eq!(rig.iocp.listener_address(listener), Some(ADDRESS.into()));
    let clients: Vec<Client> = (0..10).map(|_| rig.client()).collect();
    rig.iocp.stop_listening(listener);
    let came = rig.until(|it| matches!(it, Completion::ListenerClosed { .. }));
    assert_eq!(accepted(&came), clients.len());
    assert!(matches!(came.last(), Some(Completion::ListenerClosed { .. })), "{came:?}");
    assert!(Client::connect(&rig.mock, ADDRESS).is_none());
    drop(came);
    assert_clean(&rig.finish());
}

#[test]
fn a_second_listener_on_an_address_is_refused_and_leaves_nothing() {
    let mut rig = Rig::new(Switches::default());
    rig.listen();
    let sockets = rig.mock.sockets();
    assert!(rig.iocp.listen(&ADDRESS.into(), &ListenOptions::default()).is_err());
    assert_eq!(rig.mock.sockets(), sockets);
    assert_clean(&rig.finish());
}

#[test]
fn a_fresh_socket_may_go_to_another_port() {
    let mut rig = Rig::new(Switches::default());
    rig.listen();
    let mut other = Rig::on(&rig.mock, &options(four_accepts()));
    let client = rig.client();
    let socket = fresh(rig.settle());
    assert!(!socket.must_stay());
    let socket = other.iocp.adopt(socket).unwrap();
    other.iocp.receive(socket).unwrap();
    client.send(b"over there");
    let came = other.settle();
    assert_eq!(super::super::rig::received(&came, socket).0, b"over there");
    drop(came);
    drop(other.finish());
    assert_clean(&rig.finish());
}
