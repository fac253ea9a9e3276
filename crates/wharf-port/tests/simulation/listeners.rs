//! Listeners of a simulated network, and the addresses that it gives.

use std::collections::BTreeSet;
use std::net::SocketAddr;

use wharf_port::sim::{Network, NetworkOptions, Peer, PeerListener};
use wharf_port::{ListenError, ListenOptions};

use crate::place::{SOON, address};

#[test]
fn a_peer_that_accepts_passes_over_who_is_gone() {
    let network = Network::new(NetworkOptions::default());
    let listener = network.listen(address("10.0.0.1:80")).unwrap();
    let gone = network.connect(listener.address());
    network.advance_by(SOON);
    gone.reset();
    let there = network.connect(listener.address());
    network.advance_by(SOON);
    let accepted = listener.try_accept().unwrap();
    assert_eq!(accepted.peer_address(), there.local_address());
    assert!(listener.try_accept().is_none());
}

#[test]
fn all_of_ipv4_and_both_families_are_not_listened_on_at_once() {
    let network = Network::new(NetworkOptions::default());
    let both = ListenOptions { dual_stack: true, ..ListenOptions::default() };
    let refused = |problem: ListenError| matches!(problem, ListenError::AddressInUse(_));
    for (port, first) in [(80, "0.0.0.0"), (81, "10.0.0.1")] {
        let _first = network.listen(address(&format!("{first}:{port}"))).unwrap();
        let second = network.listen_with(address(&format!("[::]:{port}")), &both);
        assert!(second.is_err_and(refused), "[::] beside {first}");
    }
    let _both = network.listen_with(address("[::]:82"), &both).unwrap();
    assert!(network.listen(address("0.0.0.0:82")).is_err_and(refused));
    let _one = network.listen(address("[::]:83")).unwrap();
    let _other = network.listen(address("0.0.0.0:83")).unwrap();
}

#[test]
fn any_port_is_one_that_can_be_listened_on() {
    let network = Network::new(NetworkOptions::default());
    let _all = network.listen(address("0.0.0.0:49152")).unwrap();
    let any = network.listen(address("10.0.0.1:0")).unwrap();
    assert_eq!(any.address(), address("10.0.0.1:49153"));
}

#[test]
fn any_port_of_a_host_that_has_none_left_is_refused() {
    let network = Network::new(NetworkOptions::default());
    let at = |port| network.listen(SocketAddr::new([10, 0, 0, 1].into(), port));
    let _all: Vec<PeerListener> = (49_152..=65_535).map(|port| at(port).unwrap()).collect();
    let problem = at(0).unwrap_err();
    assert!(matches!(problem, ListenError::AddressInUse(_)), "{problem}");
}

#[test]
fn no_two_connections_have_the_same_addresses() {
    let network = Network::new(NetworkOptions::default());
    let mut peers: Vec<Peer> =
        (0..16_384).map(|_| network.connect(address("10.0.0.1:80"))).collect();
    let names: BTreeSet<_> = peers.iter().map(|peer| peer.local_address().unwrap()).collect();
    assert_eq!(names.len(), peers.len());
    let mut one_too_many = network.connect(address("10.0.0.1:80"));
    let problem = one_too_many.try_write(b"from nowhere").unwrap_err();
    assert_eq!(problem.kind(), std::io::ErrorKind::OutOfMemory);
    assert!(network.connect(address("10.0.0.1:81")).local_address().is_some());
    let freed = peers.swap_remove(7_000).local_address();
    assert_eq!(network.connect(address("10.0.0.1:80")).local_address(), freed);
}
