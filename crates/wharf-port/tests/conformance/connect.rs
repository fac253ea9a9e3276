//! Connecting (rules 2 and 8), and what a connected socket knows of itself.

use std::net::SocketAddr;
use std::time::Duration;

use wharf_port::{ConnectError, Keepalive, SocketOptions};

use crate::harness::{Ending, Subject, of_port, owned, to_port};

on_every_backend![
    rule_08_a_connect_reaches_an_ipv4_listener,
    rule_08_a_refusal_is_told_alike,
    rule_08_a_socket_whose_connect_failed_is_there_until_closed;
    over_tcp:
    rule_08_a_connect_reaches_an_ipv6_listener,
    rule_08_a_connecting_socket_has_the_options_it_was_given,
    rule_08_a_connecting_socket_has_the_address_it_was_given,
];

fn rule_08_a_connect_reaches_an_ipv4_listener(subject: &Subject) {
    connect_and_talk(subject, subject.place().v4());
}

fn rule_08_a_connect_reaches_an_ipv6_listener(subject: &Subject) {
    if let Some(address) = subject.place().v6() {
        connect_and_talk(subject, address);
    }
}

fn connect_and_talk(subject: &Subject, address: SocketAddr) {
    let mut port = subject.open();
    let (listener, address) = subject.place().outside(address);
    let socket = port.connect(address);
    assert_eq!(port.connected(socket), Ok(()));
    let mut peer = listener.accept();
    assert_eq!(port.raw().peer_address(socket), Some(to_port(address)));
    let local = port.raw().local_address(socket).unwrap();
    assert_eq!(of_port(&local), peer.far_address());
    port.receive(socket);
    port.send_all(socket, vec![owned(b"hello")]);
    assert_eq!(peer.read(5), b"hello");
    peer.write(b"world");
    assert_eq!(port.read(socket, 5), b"world");
    port.close(socket);
    port.closed(socket);
    assert_eq!(peer.read_to_ending(), (Vec::new(), Ending::End));
    port.finish();
}

fn rule_08_a_refusal_is_told_alike(subject: &Subject) {
    let mut port = subject.open();
    let mut addresses = vec![port.nobody()];
    if let Some(host) = subject.place().v6() {
        addresses.push(SocketAddr::new(host.ip(), port.nobody().port()));
    }
    for address in addresses {
        let socket = port.connect(address);
        assert_eq!(port.connected(socket), Err(ConnectError::Refused), "by {address}");
    }
    port.finish();
}

fn rule_08_a_socket_whose_connect_failed_is_there_until_closed(subject: &Subject) {
    let mut port = subject.open();
    let socket = port.connect(port.nobody());
    assert!(port.connected(socket).is_err());
    port.nothing_comes();
    assert_eq!(port.raw().sockets(), 1);
    assert_eq!(port.raw().peer_address(socket), None);
    port.close(socket);
    port.closed(socket);
    assert_eq!(port.raw().sockets(), 0);
    port.finish();
}

fn rule_08_a_connecting_socket_has_the_options_it_was_given(subject: &Subject) {
    let mut port = subject.open();
    let (_listener, address) = port.outside();
    assert!(SocketOptions::default().no_delay, "small sends go out at once unless asked otherwise");
    let seconds = Duration::from_secs;
    let keepalive = Keepalive { idle: seconds(60), interval: seconds(10), probes: 3 };
    for (no_delay, keepalive) in [(true, Some(keepalive)), (false, None)] {
        let options = SocketOptions { no_delay, keepalive, ..SocketOptions::default() };
        let socket = port.try_connect(address, &options).unwrap();
        assert_eq!(port.connected(socket), Ok(()));
        assert_eq!(port.raw().no_delay(socket), Some(no_delay));
    }
    port.finish();
}

fn rule_08_a_connecting_socket_has_the_address_it_was_given(subject: &Subject) {
    let mut port = subject.open();
    let (listener, address) = port.outside();
    let bind = Some(subject.place().v4());
    let socket = port.try_connect(address, &SocketOptions { bind, ..Default::default() }).unwrap();
    assert_eq!(port.connected(socket), Ok(()));
    let peer = listener.accept();
    assert_eq!(port.raw().local_address(socket), Some(peer.far_address().into()));
    port.finish();
}
