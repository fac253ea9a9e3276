//! Rule 4: at most one receive and one send on a socket; a second is a bug of the caller.

use std::panic::{AssertUnwindSafe, catch_unwind};

use wharf_port::{CompletionPort, Direction};

use crate::harness::{CheckedPort, Subject, owned, pattern};

on_every_backend![
    rule_04_a_second_receive_panics,
    rule_04_a_second_send_panics,
    rule_04_a_send_during_a_connect_panics,
    rule_04_a_shutdown_during_a_send_panics,
    rule_04_a_receive_on_a_closing_socket_panics,
    rule_04_a_send_on_a_closing_socket_panics,
    rule_04_a_receive_and_a_send_go_together,
    rule_04_after_its_final_completion_the_next_may_start,
];

/// Checks that a call panics, and that the port is none the worse for it.
#[track_caller]
fn panics<T>(mut port: CheckedPort, call: impl FnOnce(&mut CompletionPort) -> T) {
    let called = catch_unwind(AssertUnwindSafe(|| call(port.raw())));
    assert!(called.is_err(), "a bug of the caller went unnoticed");
    port.finish();
}

fn rule_04_a_second_receive_panics(subject: &Subject) {
    let mut port = subject.open();
    let (socket, _peer) = port.pair();
    port.receive(socket);
    panics(port, |port| port.receive(socket));
}

fn rule_04_a_second_send_panics(subject: &Subject) {
    let mut port = subject.open();
    let (socket, _peer) = port.blocked_pair(&pattern(1, 1 << 20));
    panics(port, |port| port.send(socket, vec![owned(b"hello")]));
}

fn rule_04_a_send_during_a_connect_panics(subject: &Subject) {
    let mut port = subject.open();
    let (_listener, address) = port.outside();
    let socket = port.connect(address);
    panics(port, |port| port.send(socket, vec![owned(b"hello")]));
}

fn rule_04_a_shutdown_during_a_send_panics(subject: &Subject) {
    let mut port = subject.open();
    let (socket, _peer) = port.blocked_pair(&pattern(1, 1 << 20));
    panics(port, |port| port.shutdown(socket));
}

fn rule_04_a_receive_on_a_closing_socket_panics(subject: &Subject) {
    let mut port = subject.open();
    let (socket, _peer) = port.pair();
    port.close(socket);
    panics(port, |port| port.receive(socket));
}

fn rule_04_a_send_on_a_closing_socket_panics(subject: &Subject) {
    let mut port = subject.open();
    let (socket, _peer) = port.pair();
    port.close(socket);
    panics(port, |port| port.send(socket, vec![owned(b"hello")]));
}

fn rule_04_a_receive_and_a_send_go_together(subject: &Subject) {
    let mut port = subject.open();
    let bytes = pattern(1, 1 << 20);
    let (socket, mut peer) = port.blocked_pair(&bytes);
    port.receive(socket);
    peer.write(b"hello");
    assert_eq!(port.read(socket, 5), b"hello");
    port.finish();
}

fn rule_04_after_its_final_completion_the_next_may_start(subject: &Subject) {
    let mut port = subject.open();
    let (socket, mut peer) = port.pair();
    for _ in 0..3 {
        port.send_all(socket, vec![owned(b"hello")]);
        port.receive(socket);
        port.cancel(socket, Direction::Receive);
        port.read_to_final(socket);
    }
    assert_eq!(peer.read(15), b"hellohellohello");
    port.finish();
}
