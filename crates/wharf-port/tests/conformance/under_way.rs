//! A connect that takes its time: the listener's queue is full, and Linux leaves it unanswered.

use std::net::SocketAddr;
use std::time::Duration;

use wharf_port::{ConnectError, Direction, SocketId};

use crate::harness::{CheckedPort, LIMIT, Outside, Peer, Place, Subject, to_port};

on_every_backend![
    rule_05_a_connect_that_is_under_way_can_be_cancelled,
    rule_06_a_connect_that_is_under_way_can_be_closed,
    rule_08_a_connect_waits_for_room_in_the_queue,
    rule_09_a_port_closes_in_spite_of_a_connect_that_is_under_way,
];

/// A listener in whose queue there is no room.
pub(crate) struct FullListener {
    pub(crate) address: SocketAddr,
    listener: Outside,
    _queued: Vec<Peer>,
}

impl FullListener {
    pub(crate) fn new(place: &Place) -> Self {
        let (listener, address) = place.outside_with_short_queue();
        let connect = || Peer::try_connect_within(address, Duration::from_millis(20)).ok();
        Self { address, listener, _queued: std::iter::from_fn(connect).collect() }
    }
}

fn connect_that_stays_under_way(port: &mut CheckedPort) -> (SocketId, FullListener) {
    let full = FullListener::new(port.place());
    let socket = port.connect(full.address);
    port.nothing_comes();
    assert_eq!(port.raw().operation_counts().connects, 1);
    (socket, full)
}

fn rule_05_a_connect_that_is_under_way_can_be_cancelled(subject: &Subject) {
    let mut port = subject.open();
    let (socket, _full) = connect_that_stays_under_way(&mut port);
    port.cancel(socket, Direction::Send);
    assert_eq!(port.connected(socket), Err(ConnectError::Cancelled));
    port.nothing_comes();
    port.finish();
}

fn rule_06_a_connect_that_is_under_way_can_be_closed(subject: &Subject) {
    let mut port = subject.open();
    for close in [CheckedPort::close, CheckedPort::abort] {
        let (socket, _full) = connect_that_stays_under_way(&mut port);
        close(&mut port, socket);
        assert_eq!(port.connected(socket), Err(ConnectError::Cancelled));
        port.closed(socket);
    }
    port.finish();
}

/// The kernel asks again after a second, when there is room.
fn rule_08_a_connect_waits_for_room_in_the_queue(subject: &Subject) {
    let mut port = subject.open();
    let (socket, full) = connect_that_stays_under_way(&mut port);
    drop(full.listener.accept());
    assert_eq!(port.connected(socket), Ok(()));
    assert_eq!(port.raw().peer_address(socket), Some(to_port(full.address)));
    port.finish();
}

fn rule_09_a_port_closes_in_spite_of_a_connect_that_is_under_way(subject: &Subject) {
    let mut port = subject.open();
    let (_socket, _full) = connect_that_stays_under_way(&mut port);
    port.into_raw().shut_down(LIMIT).unwrap();
}
