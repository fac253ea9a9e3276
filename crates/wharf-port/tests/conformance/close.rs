//! Rule 6: close joins. Nothing names a socket after it has closed, and its name is never used again.

use std::sync::mpsc;
use std::thread;

use wharf_port::{Completion, Direction, SendError, SocketId, UnknownSocket};

use crate::harness::{CheckedPort, Ending, Final, Peer, Subject, assert_bytes, owned, pattern};

on_every_backend![
    rule_06_closed_comes_after_every_operation,
    rule_06_a_close_during_a_pause_ends_the_receive,
    rule_06_closing_twice_is_closing_once,
    rule_06_a_close_that_races_bytes_is_the_last_word,
    rule_06_what_the_kernel_has_is_sent_before_the_end,
    rule_06_names_are_never_used_again,
    rule_06_a_void_name_reaches_nothing,
    rule_06_a_name_of_another_port_reaches_nothing;
    over_tcp:
    rule_06_a_close_that_meets_room_for_a_send_is_no_reset,
    rule_06_an_abort_resets,
    rule_06_an_abort_throws_away_what_was_not_sent,
];

fn rule_06_closed_comes_after_every_operation(subject: &Subject) {
    let mut port = subject.open();
    let (socket, mut peer) = port.blocked_pair(&pattern(6, 1 << 20));
    port.receive(socket);
    port.fence();
    peer.write(b"hello");
    port.close(socket);
    // The model lets Closed pass only after the final completions of both.
    port.closed(socket);
    assert!(!port.holds(socket));
    port.finish();
}

fn rule_06_a_close_during_a_pause_ends_the_receive(subject: &Subject) {
    let mut port = subject.open();
    let (socket, mut peer) = port.pair();
    port.receive(socket);
    port.fence();
    port.pause(socket);
    peer.write(b"hello");
    port.nothing_comes();
    port.close(socket);
    assert_eq!(port.read_to_final(socket), (Vec::new(), Final::Cancelled));
    port.closed(socket);
    port.finish();
}

fn rule_06_closing_twice_is_closing_once(subject: &Subject) {
    let mut port = subject.open();
    let calls: [fn(&mut CheckedPort, SocketId); 2] = [CheckedPort::close, CheckedPort::abort];
    for first in calls {
        for second in calls {
            let (socket, _peer) = port.pair();
            port.receive(socket);
            port.fence();
            first(&mut port, socket);
            second(&mut port, socket);
            port.read_to_final(socket);
            port.closed(socket);
            port.nothing_comes();
        }
    }
    port.finish();
}

/// The peer sends at the moment of the close; the model knows whether anything comes after Closed.
fn rule_06_a_close_that_races_bytes_is_the_last_word(subject: &Subject) {
    let mut port = subject.open();
    let (to_writer, at_writer) = mpsc::channel::<Peer>();
    let writer = thread::spawn(move || {
        for mut peer in at_writer {
            // The connection may be reset by the time that this arrives.
            let _ = peer.try_write(&[7; 5_000]);
        }
    });
    for round in 0..150 {
        let (socket, peer) = port.pair();
        port.receive(socket);
        port.send(socket, vec![owned(b"hello")]);
        port.fence();
        to_writer.send(peer).unwrap();
        if round % 2 == 0 {
            port.close(socket);
        } else {
            port.abort(socket);
        }
        port.closed(socket);
    }
    drop(to_writer);
    writer.join().unwrap();
    port.finish();
}

/// There is room again for a send that waits, and the port has not heard of it when it closes.
fn rule_06_a_close_that_meets_room_for_a_send_is_no_reset(subject: &Subject) {
    let mut port = subject.open();
    for _ in 0..5 {
        let (socket, mut peer) = port.blocked_pair(&pattern(6, 1 << 20));
        peer.read(60_000);
        peer.has_arrived();
        port.close(socket);
        let (_, result) = port.sent(socket);
        assert!(matches!(result, Ok(()) | Err(SendError::Cancelled)), "{result:?}");
        port.closed(socket);
    }
    port.finish();
}

fn rule_06_what_the_kernel_has_is_sent_before_the_end(subject: &Subject) {
    let mut port = subject.open();
    let (socket, mut peer) = port.pair();
    let bytes = pattern(6, 64 << 10);
    port.send_all(socket, vec![owned(&bytes)]);
    port.close(socket);
    port.closed(socket);
    let (read, ending) = peer.read_to_ending();
    assert_bytes(&read, &bytes, "what had been sent");
    assert_eq!(ending, Ending::End);
    port.finish();
}

fn rule_06_an_abort_resets(subject: &Subject) {
    let mut port = subject.open();
    let (socket, mut peer) = port.pair();
    port.receive(socket);
    port.fence();
    port.abort(socket);
    assert_eq!(port.read_to_final(socket), (Vec::new(), Final::Cancelled));
    port.closed(socket);
    let (read, ending) = peer.read_to_ending();
    assert!(read.is_empty());
    ending.assert_reset();
    port.finish();
}

fn rule_06_an_abort_throws_away_what_was_not_sent(subject: &Subject) {
    let mut port = subject.open();
    let bytes = pattern(6, 1 << 20);
    let (socket, mut peer) = port.blocked_pair(&bytes);
    port.abort(socket);
    port.closed(socket);
    let (read, ending) = peer.read_to_ending();
    ending.assert_reset();
    assert!(read.len() < bytes.len(), "all of it has gone");
    port.finish();
}

/// Ten thousand sockets are opened and closed; the model knows each name that ever was.
fn rule_06_names_are_never_used_again(subject: &Subject) {
    const BATCH: usize = 100;
    let mut port = subject.open();
    let nobody = port.nobody();
    for _ in 0..10_000 / BATCH {
        let sockets = [(); BATCH].map(|()| port.connect(nobody));
        sockets.into_iter().for_each(|socket| port.close(socket));
        let mut open = BATCH;
        port.drive("a batch to close", |_, completion| {
            open -= usize::from(matches!(completion, Completion::Closed { .. }));
            (open == 0).then_some(())
        });
    }
    port.finish();
}

fn rule_06_a_void_name_reaches_nothing(subject: &Subject) {
    let mut port = subject.open();
    let (gone, _peer) = port.pair();
    port.close(gone);
    port.closed(gone);
    let (next, mut peer) = port.pair();
    assert_eq!(next.slot(), gone.slot(), "the slot is used again, which is what is dangerous");
    reaches_nothing(&mut port, gone);
    port.receive(next);
    peer.write(b"hello");
    assert_eq!(port.read(next, 5), b"hello");
    port.finish();
}

fn rule_06_a_name_of_another_port_reaches_nothing(subject: &Subject) {
    let mut port = subject.open();
    reaches_nothing(&mut port, SocketId::from_parts(0, 1));
    reaches_nothing(&mut port, SocketId::from_parts(SocketId::SLOTS_MAX - 1, u32::MAX));
    reaches_nothing(&mut port, SocketId::from_parts(u32::MAX, u32::MAX));
    port.finish();
}

fn reaches_nothing(port: &mut CheckedPort, name: SocketId) {
    let raw = port.raw();
    assert_eq!(raw.receive(name), Err(UnknownSocket));
    assert_eq!(raw.pause_receive(name), Err(UnknownSocket));
    assert_eq!(raw.resume_receive(name), Err(UnknownSocket));
    assert_eq!(raw.send(name, vec![owned(b"hello")]), Err(UnknownSocket));
    assert_eq!(raw.shutdown(name), Err(UnknownSocket));
    assert_eq!(raw.cancel(name, Direction::Receive), Err(UnknownSocket));
    assert_eq!(raw.cancel(name, Direction::Send), Err(UnknownSocket));
    assert_eq!(raw.close(name), Err(UnknownSocket));
    assert_eq!(raw.abort(name), Err(UnknownSocket));
    assert_eq!(raw.local_address(name), None);
    assert_eq!(raw.peer_address(name), None);
    assert_eq!(raw.no_delay(name), None);
    port.nothing_comes();
}
