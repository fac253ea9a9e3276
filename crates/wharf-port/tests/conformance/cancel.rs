//! Rule 5: cancel only asks; what comes in spite of it counts.

use std::sync::mpsc;
use std::thread;

use wharf_port::{ConnectError, Direction, SendError, SocketId};

use crate::harness::{
    CANCELLED_SENDS_ARE_EXACT, CheckedPort, Dice, Final, Subject, assert_bytes, owned, pattern,
};

on_every_backend![
    rule_05_a_cancel_after_bytes_have_come_loses_none,
    rule_05_a_cancel_that_races_bytes_loses_none,
    rule_05_a_cancel_of_a_paused_receive_loses_no_byte,
    rule_05_a_cancel_that_races_the_end_hides_it_from_nobody,
    rule_05_a_cancel_in_a_pause_does_not_let_the_end_pass_the_bytes,
    rule_05_a_cancel_that_races_a_send_says_what_went,
    rule_05_a_cancel_that_races_a_connect_leaves_a_socket_to_close,
    rule_05_a_cancel_of_one_direction_leaves_the_other,
    rule_05_a_cancel_of_nothing_does_nothing,
];

const ROUNDS: u64 = 200;

/// The bytes are with the kernel, or on their way to the port, when the cancel is asked for.
fn rule_05_a_cancel_after_bytes_have_come_loses_none(subject: &Subject) {
    let mut port = subject.open();
    let (socket, mut peer) = port.pair();
    for round in 0..ROUNDS {
        let expected = pattern(round, 500);
        port.receive(socket);
        port.fence();
        peer.write(&expected);
        port.cancel(socket, Direction::Receive);
        let (mut bytes, last) = port.read_to_final(socket);
        assert_eq!(last, Final::Cancelled);
        bytes.extend(read_again(&mut port, socket, expected.len() - bytes.len()));
        assert_bytes(&bytes, &expected, &format!("round {round}"));
    }
    port.finish();
}

/// In each round the peer sends at the moment of the cancel. A receive that succeeds in spite of it
/// has its bytes; one that does not leaves them to the next.
fn rule_05_a_cancel_that_races_bytes_loses_none(subject: &Subject) {
    let mut port = subject.open();
    let (socket, mut peer) = port.pair();
    let (ask, asked) = mpsc::channel::<Vec<u8>>();
    let writer = thread::spawn(move || asked.iter().for_each(|bytes| peer.write(&bytes)));
    let mut dice = Dice::new(5);
    for round in 0..ROUNDS {
        let expected = pattern(round, 1 + dice.below(2_000));
        port.receive(socket);
        if dice.below(2) == 0 {
            port.fence();
        }
        ask.send(expected.clone()).unwrap();
        for _ in 0..dice.below(200) {
            std::hint::spin_loop();
        }
        port.cancel(socket, Direction::Receive);
        let (mut bytes, last) = port.read_to_final(socket);
        assert_eq!(last, Final::Cancelled);
        bytes.extend(read_again(&mut port, socket, expected.len() - bytes.len()));
        assert_bytes(&bytes, &expected, &format!("round {round}"));
    }
    drop(ask);
    writer.join().unwrap();
    port.finish();
}

/// Reads with a receive of its own, until all bytes have come.
fn read_again(port: &mut CheckedPort, socket: SocketId, count: usize) -> Vec<u8> {
    port.receive(socket);
    let bytes = port.read(socket, count);
    port.cancel(socket, Direction::Receive);
    assert_eq!(port.read_to_final(socket), (Vec::new(), Final::Cancelled));
    bytes
}

/// Bytes that came late into a pause are kept; the receive that kept them ends; the next has them.
fn rule_05_a_cancel_of_a_paused_receive_loses_no_byte(subject: &Subject) {
    let mut port = subject.open();
    let (socket, mut peer) = port.pair();
    let (other, mut late) = port.pair();
    for round in 0..ROUNDS {
        let expected = pattern(round, 500);
        port.receive(socket);
        port.receive(other);
        port.fence();
        late.write(b"!");
        peer.write(&expected);
        port.read(other, 1);
        port.pause(socket);
        port.fence();
        port.cancel(socket, Direction::Receive);
        port.cancel(other, Direction::Receive);
        let (mut bytes, last) = port.read_to_final(socket);
        assert_eq!(last, Final::Cancelled);
        port.read_to_final(other);
        port.resume(socket);
        bytes.extend(read_again(&mut port, socket, expected.len() - bytes.len()));
        assert_bytes(&bytes, &expected, &format!("round {round}"));
    }
    port.finish();
}

/// The end of a stream that a cancelled receive does not report is there for the next.
fn rule_05_a_cancel_that_races_the_end_hides_it_from_nobody(subject: &Subject) {
    let mut port = subject.open();
    for _ in 0..ROUNDS / 4 {
        let (socket, peer) = port.pair();
        port.receive(socket);
        port.fence();
        let ender = thread::spawn(move || {
            peer.end();
            peer
        });
        port.cancel(socket, Direction::Receive);
        let (_, mut last) = port.read_to_final(socket);
        if last == Final::Cancelled {
            port.receive(socket);
            (_, last) = port.read_to_final(socket);
        }
        assert_eq!(last, Final::End);
        port.close(socket);
        port.closed(socket);
        drop(ender.join().unwrap());
    }
    port.finish();
}

/// Bytes come into a pause, and the end meets the cancel: the next receive has the bytes first.
fn rule_05_a_cancel_in_a_pause_does_not_let_the_end_pass_the_bytes(subject: &Subject) {
    let mut port = subject.open();
    let expected = pattern(5, 500);
    let mut dice = Dice::new(8);
    for _ in 0..ROUNDS / 2 {
        let (socket, mut peer) = port.pair();
        port.receive(socket);
        port.fence();
        peer.write(&expected);
        port.pause(socket);
        (0..dice.below(3)).for_each(|_| port.wait(Some(port.now())));
        peer.end();
        (0..dice.below(3)).for_each(|_| port.wait(Some(port.now())));
        port.cancel(socket, Direction::Receive);
        assert_eq!(port.read_to_final(socket), (Vec::new(), Final::Cancelled));
        port.resume(socket);
        port.receive(socket);
        let (bytes, last) = port.read_to_final(socket);
        assert_bytes(&bytes, &expected, "before the end");
        assert_eq!(last, Final::End);
        port.close(socket);
        port.closed(socket);
    }
    port.finish();
}

/// A send is cancelled again and again while the peer reads, and goes on from what came back: the
/// peer sees one whole.
fn rule_05_a_cancel_that_races_a_send_says_what_went(subject: &Subject) {
    let mut port = subject.open();
    let (socket, peer) = port.narrow_pair();
    let bytes = pattern(5, 1 << 20);
    let count = bytes.len();
    let reader = thread::spawn(move || {
        let mut peer = peer;
        let read = peer.read(if CANCELLED_SENDS_ARE_EXACT { count } else { 1 });
        (peer, read)
    });
    let mut rest = vec![owned(&bytes)];
    let mut dice = Dice::new(6);
    loop {
        port.send(socket, rest);
        (0..dice.below(3)).for_each(|_| port.wait(Some(port.now())));
        port.cancel(socket, Direction::Send);
        let (segments, result) = port.sent(socket);
        rest = segments;
        match result {
            Ok(()) => break,
            Err(error) => assert_eq!(error, SendError::Cancelled),
        }
        if !CANCELLED_SENDS_ARE_EXACT {
            break;
        }
    }
    let (_peer, read) = reader.join().unwrap();
    assert_bytes(&read, &bytes[..read.len()], "what the peer read");
    port.finish();
}

fn rule_05_a_cancel_that_races_a_connect_leaves_a_socket_to_close(subject: &Subject) {
    let mut port = subject.open();
    let (_listener, address) = port.outside();
    let mut dice = Dice::new(7);
    for _ in 0..ROUNDS / 4 {
        let socket = port.connect(address);
        if dice.below(2) == 0 {
            port.wait(Some(port.now()));
        }
        port.cancel(socket, Direction::Send);
        let result = port.connected(socket);
        assert!(matches!(result, Ok(()) | Err(ConnectError::Cancelled)), "{result:?}");
        assert!(port.holds(socket), "the socket is there until it is closed");
        port.abort(socket);
        port.closed(socket);
    }
    port.finish();
}

fn rule_05_a_cancel_of_one_direction_leaves_the_other(subject: &Subject) {
    let mut port = subject.open();
    let (socket, mut peer) = port.blocked_pair(&pattern(8, 1 << 20));
    port.receive(socket);
    port.fence();
    port.cancel(socket, Direction::Send);
    assert_eq!(port.sent(socket).1, Err(SendError::Cancelled));
    peer.write(b"hello");
    assert_eq!(port.read(socket, 5), b"hello");
    port.send(socket, vec![owned(&pattern(9, 1 << 20))]);
    port.fence();
    port.cancel(socket, Direction::Receive);
    assert_eq!(port.read_to_final(socket), (Vec::new(), Final::Cancelled));
    port.nothing_comes();
    port.finish();
}

fn rule_05_a_cancel_of_nothing_does_nothing(subject: &Subject) {
    let mut port = subject.open();
    let (socket, mut peer) = port.pair();
    port.cancel(socket, Direction::Receive);
    port.cancel(socket, Direction::Send);
    port.nothing_comes();
    port.receive(socket);
    port.send_all(socket, vec![owned(b"hello")]);
    port.cancel(socket, Direction::Send);
    peer.write(b"world");
    assert_eq!(port.read(socket, 5), b"world");
    assert_eq!(peer.read(5), b"hello");
    port.finish();
}
