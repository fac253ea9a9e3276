//! Rule 8: ends, resets and refusals are told alike.

use wharf_port::{Completion, Direction, ReceiveError, SendError};

use crate::harness::{Ending, Final, Subject, assert_bytes, owned, pattern};

on_every_backend![
    rule_08_the_end_comes_after_the_bytes,
    rule_08_the_end_is_told_again_to_the_next_receive,
    rule_08_a_peer_that_is_gone_is_told_to_both_directions,
    rule_08_a_reset_that_a_send_has_met_is_told_to_the_receive,
    rule_08_a_send_to_a_peer_that_is_gone_fails,
    rule_08_a_peer_that_has_ended_can_still_be_sent_to,
    rule_08_a_stream_that_was_ended_can_still_be_received_from,
    rule_08_a_shutdown_comes_after_what_was_sent,
    rule_08_a_send_after_a_shutdown_fails,
    rule_08_a_send_after_a_shutdown_is_no_failure_of_the_receive,
    rule_08_a_shutdown_of_what_is_gone_is_no_error,
    rule_08_both_ends_may_end_at_once;
    over_tcp:
    rule_08_a_reset_comes_after_the_bytes,
    rule_08_a_reset_that_comes_with_the_bytes_is_told,
];

fn rule_08_the_end_comes_after_the_bytes(subject: &Subject) {
    let mut port = subject.open();
    for len in [1, 16 << 10, 100_000] {
        let (socket, mut peer) = port.pair();
        let bytes = pattern(1, len);
        peer.write(&bytes);
        peer.end();
        port.receive(socket);
        let (read, last) = port.read_to_final(socket);
        assert_bytes(&read, &bytes, "before the end");
        assert_eq!(last, Final::End);
    }
    port.finish();
}

fn rule_08_a_reset_comes_after_the_bytes(subject: &Subject) {
    let mut port = subject.open();
    for len in [1, 16 << 10, 50_000] {
        let (socket, mut peer) = port.pair();
        let bytes = pattern(2, len);
        peer.write(&bytes);
        peer.has_arrived();
        peer.reset();
        port.receive(socket);
        let (read, last) = port.read_to_final(socket);
        let expected = if subject.place().bytes_outlive_a_reset() { len } else { read.len() };
        assert_bytes(&read, &bytes[..expected], "before the reset");
        last.assert_reset();
    }
    port.finish();
}

/// Both wake a receive that waits already, before it can run.
fn rule_08_a_reset_that_comes_with_the_bytes_is_told(subject: &Subject) {
    let mut port = subject.open();
    let mut pairs: Vec<_> = (0..20).map(|_| port.pair()).collect();
    pairs.iter().for_each(|&(socket, _)| port.receive(socket));
    port.fence();
    let bytes = pattern(2, 100);
    for (socket, mut peer) in pairs.drain(..) {
        peer.write(&bytes);
        peer.has_arrived();
        peer.reset();
        let (read, last) = port.read_to_final(socket);
        let expected = if subject.place().bytes_outlive_a_reset() { 100 } else { read.len() };
        assert_bytes(&read, &bytes[..expected], "before the reset");
        last.assert_reset();
    }
    port.finish();
}

fn rule_08_the_end_is_told_again_to_the_next_receive(subject: &Subject) {
    let mut port = subject.open();
    let (socket, peer) = port.pair();
    peer.end();
    for _ in 0..3 {
        port.receive(socket);
        assert_eq!(port.read_to_final(socket), (Vec::new(), Final::End));
    }
    port.finish();
}

/// The kernel tells a reset only once, to whichever direction asks first; the other must not take
/// it for an end.
fn rule_08_a_peer_that_is_gone_is_told_to_both_directions(subject: &Subject) {
    let mut port = subject.open();
    let bytes = pattern(3, 1 << 20);
    for round in 0..20 {
        let (socket, peer) = port.narrow_pair();
        if round % 2 == 0 {
            port.receive(socket);
            port.fence();
        }
        port.send(socket, vec![owned(&bytes)]);
        port.nothing_comes();
        if round % 2 == 1 {
            port.receive(socket);
            port.fence();
        }
        peer.reset();
        assert_eq!(port.sent(socket).1, Err(SendError::Reset));
        let expected = Final::Failed(ReceiveError::Reset);
        assert_eq!(port.read_to_final(socket), (Vec::new(), expected), "in round {round}");
        port.close(socket);
        port.closed(socket);
    }
    port.finish();
}

/// The receive starts only after the send has met the reset.
fn rule_08_a_reset_that_a_send_has_met_is_told_to_the_receive(subject: &Subject) {
    let mut port = subject.open();
    let (socket, peer) = port.blocked_pair(&pattern(3, 1 << 20));
    peer.reset();
    assert_eq!(port.sent(socket).1, Err(SendError::Reset));
    port.receive(socket);
    let expected = Final::Failed(ReceiveError::Reset);
    assert_eq!(port.read_to_final(socket), (Vec::new(), expected));
    port.finish();
}

fn rule_08_a_send_to_a_peer_that_is_gone_fails(subject: &Subject) {
    let mut port = subject.open();
    let (socket, peer) = port.pair();
    port.receive(socket);
    peer.reset();
    port.read_to_final(socket);
    for _ in 0..3 {
        port.send(socket, vec![owned(b"hello")]);
        let (segments, result) = port.sent(socket);
        assert_eq!(result, Err(SendError::Reset));
        assert_eq!(segments[0].as_slice(), b"hello", "nothing of it can have gone");
    }
    port.finish();
}

fn rule_08_a_peer_that_has_ended_can_still_be_sent_to(subject: &Subject) {
    let mut port = subject.open();
    let (socket, mut peer) = port.pair();
    peer.write(b"last words");
    peer.end();
    port.receive(socket);
    assert_eq!(port.read_to_final(socket), (b"last words".to_vec(), Final::End));
    port.send_all(socket, vec![owned(b"the answer")]);
    port.shutdown(socket);
    assert_eq!(peer.read_to_ending(), (b"the answer".to_vec(), Ending::End));
    port.finish();
}

fn rule_08_a_stream_that_was_ended_can_still_be_received_from(subject: &Subject) {
    let mut port = subject.open();
    let (socket, mut peer) = port.pair();
    port.receive(socket);
    port.shutdown(socket);
    assert_eq!(peer.read_to_ending(), (Vec::new(), Ending::End));
    peer.write(b"last words");
    assert_eq!(port.read(socket, 10), b"last words");
    peer.end();
    assert_eq!(port.read_to_final(socket), (Vec::new(), Final::End));
    port.finish();
}

fn rule_08_a_shutdown_comes_after_what_was_sent(subject: &Subject) {
    let mut port = subject.open();
    let (socket, mut peer) = port.pair();
    let bytes = pattern(4, 50_000);
    port.send_all(socket, vec![owned(&bytes)]);
    port.shutdown(socket);
    let (read, ending) = peer.read_to_ending();
    assert_bytes(&read, &bytes, "before the end");
    assert_eq!(ending, Ending::End);
    port.finish();
}

fn rule_08_a_send_after_a_shutdown_fails(subject: &Subject) {
    let mut port = subject.open();
    let (socket, mut peer) = port.pair();
    port.shutdown(socket);
    port.shutdown(socket);
    port.send(socket, vec![owned(b"too late")]);
    assert_eq!(port.sent(socket).1, Err(SendError::Reset));
    assert_eq!(peer.read_to_ending(), (Vec::new(), Ending::End));
    port.finish();
}

/// Not even if a send was cut short before.
fn rule_08_a_send_after_a_shutdown_is_no_failure_of_the_receive(subject: &Subject) {
    let mut port = subject.open();
    let (socket, mut peer) = port.blocked_pair(&pattern(5, 1 << 20));
    port.cancel(socket, Direction::Send);
    assert_eq!(port.sent(socket).1, Err(SendError::Cancelled));
    port.shutdown(socket);
    port.send(socket, vec![owned(b"too late")]);
    assert_eq!(port.sent(socket).1, Err(SendError::Reset));
    assert_eq!(peer.read_to_ending().1, Ending::End);
    peer.end();
    port.receive(socket);
    assert_eq!(port.read_to_final(socket), (Vec::new(), Final::End));
    port.finish();
}

fn rule_08_a_shutdown_of_what_is_gone_is_no_error(subject: &Subject) {
    let mut port = subject.open();
    let (socket, peer) = port.pair();
    port.receive(socket);
    peer.reset();
    port.read_to_final(socket);
    port.shutdown(socket);
    port.finish();
}

fn rule_08_both_ends_may_end_at_once(subject: &Subject) {
    let mut port = subject.open();
    let (socket, mut peer) = port.pair();
    port.receive(socket);
    peer.end();
    port.shutdown(socket);
    assert_eq!(peer.read_to_ending(), (Vec::new(), Ending::End));
    port.drive("the end, and no more", |_, completion| {
        matches!(completion, Completion::Received { .. }).then_some(())
    });
    port.nothing_comes();
    port.finish();
}
