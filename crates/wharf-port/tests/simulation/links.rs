//! What becomes of connections that die, and of hosts that are parted.

use std::io::ErrorKind;

use wharf_port::ListenOptions;
use wharf_port::sim::{Network, NetworkOptions, Personality};

use crate::place::{LATER, SOON, address, network_of, pair};

#[test]
fn who_vanished_with_bytes_on_their_way_is_given_up_no_sooner() {
    let network = Network::new(NetworkOptions::default());
    let (mut client, _server) = pair(&network);
    client.try_write(b"on its way").unwrap();
    client.vanish();
    network.advance_by(SOON);
    assert_eq!(client.try_read(&mut [0]).unwrap_err().kind(), ErrorKind::WouldBlock);
    network.advance_by(LATER);
    assert_eq!(client.try_read(&mut [0]).unwrap_err().kind(), ErrorKind::TimedOut);
}

#[test]
fn who_vanishes_while_connecting_never_connects() {
    for seed in 0..50 {
        let network = network_of(Personality::Uring, seed);
        let listener = network.listen(address("10.0.0.1:80")).unwrap();
        let client = network.connect(listener.address());
        for _ in 0..seed % 2 {
            network.advance();
        }
        assert!(client.is_connecting());
        client.vanish();
        network.advance_by(LATER);
        assert!(!client.is_connecting() && !client.is_connected(), "seed {seed}");
    }
}

#[test]
fn hosts_are_parted_in_both_directions_on_a_listener_for_both_families() {
    let network = Network::new(NetworkOptions::default());
    let both = ListenOptions { dual_stack: true, ..ListenOptions::default() };
    let listener = network.listen_with(address("[::]:80"), &both).unwrap();
    let mut client = network.connect(address("10.0.0.1:80"));
    client.wait_connected().unwrap();
    let mut server = listener.try_accept().unwrap();
    let host = address("10.0.0.1:80").ip();
    network.partition(host, host, LATER);
    server.try_write(b"there").unwrap();
    client.try_write(b"and back").unwrap();
    network.advance_by(SOON);
    assert_eq!((client.readable_bytes(), server.readable_bytes()), (0, 0));
    network.advance_by(LATER);
    assert_eq!((client.readable_bytes(), server.readable_bytes()), (5, 8));
}
