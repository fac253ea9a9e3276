//! Rule 3: what an operation was given is its own until the final completion, and comes back then.

use wharf_port::{Direction, Received, Segment, UnknownSocket};

use crate::harness::{
    CANCELLED_SENDS_ARE_EXACT, CheckedPort, Ending, Subject, assert_bytes, owned, pattern, shared,
};

on_every_backend![
    rule_03_segments_come_back_when_sent,
    rule_03_a_send_that_is_cancelled_gives_its_rest_back,
    rule_03_a_send_that_fails_gives_its_segments_back,
    rule_03_a_send_to_a_void_name_gives_its_buffers_back,
    rule_03_a_lease_keeps_its_bytes_while_others_come,
    rule_03_received_buffers_come_home_after_an_echo;
    // They slice what one receive gives, which has to be of one piece.
    without_faults:
    rule_03_a_buffer_is_out_until_its_last_lease_is_dropped,
    rule_03_a_lease_outlives_its_port,
];

fn rule_03_segments_come_back_when_sent(subject: &Subject) {
    let mut port = subject.open();
    let (socket, mut peer) = port.pair();
    let first = b"owned ".to_vec();
    let allocation = first.as_ptr();
    port.send(socket, vec![Segment::Owned(first.into()), shared(b"shared "), owned(b"")]);
    let (mut segments, result) = port.sent(socket);
    assert_eq!(result, Ok(()));
    assert_eq!(peer.read(13), b"owned shared ");
    let Segment::Owned(first) = segments.remove(0) else { panic!("the first was an owned one") };
    let first = first.into_vec();
    assert_eq!(first.as_ptr(), allocation, "the allocation is for use again");
    assert!(matches!(segments[..], [Segment::Shared(_), Segment::Owned(_)]), "{segments:?}");
    port.finish();
}

/// What went and what came back are the whole.
fn rule_03_a_send_that_is_cancelled_gives_its_rest_back(subject: &Subject) {
    let mut port = subject.open();
    let bytes = pattern(3, 1 << 20);
    let (socket, mut peer) = port.narrow_pair();
    port.send(socket, bytes.chunks(10_000).map(owned).collect());
    port.nothing_comes();
    port.cancel(socket, Direction::Send);
    let rest = bytes_of(&port.sent(socket).0);
    port.close(socket);
    port.closed(socket);
    let (mut whole, _) = peer.read_to_ending();
    if CANCELLED_SENDS_ARE_EXACT {
        whole.extend(rest);
        assert_bytes(&whole, &bytes, "what went and what came back");
    }
    port.finish();
}

fn rule_03_a_send_that_fails_gives_its_segments_back(subject: &Subject) {
    let mut port = subject.open();
    let bytes = pattern(4, 1 << 20);
    let (socket, peer) = port.blocked_pair(&bytes);
    peer.reset();
    let rest = bytes_of(&port.sent(socket).0);
    assert!(!rest.is_empty(), "some of it cannot have gone");
    assert!(bytes.ends_with(&rest), "what comes back is the end of what was handed over");
    port.finish();
}

fn bytes_of(segments: &[Segment]) -> Vec<u8> {
    segments.iter().flat_map(Segment::as_slice).copied().collect()
}

fn rule_03_a_send_to_a_void_name_gives_its_buffers_back(subject: &Subject) {
    let mut port = subject.open();
    let (gone, _peer) = port.pair();
    port.close(gone);
    port.closed(gone);
    let (socket, mut peer) = port.pair();
    port.receive(socket);
    peer.write(b"hello");
    let Received::Data(lease) = port.received(socket) else { panic!("bytes were to come") };
    assert_eq!(port.ledger().leased, 1);
    assert_eq!(port.raw().send(gone, vec![Segment::Received(lease)]), Err(UnknownSocket));
    assert_eq!(port.ledger().leased, 0);
    port.finish();
}

fn rule_03_a_buffer_is_out_until_its_last_lease_is_dropped(subject: &Subject) {
    let mut port = subject.open();
    let (socket, mut peer) = port.pair();
    port.receive(socket);
    peer.write(b"hello world");
    let Received::Data(lease) = port.received(socket) else { panic!("bytes were to come") };
    let part = lease.slice(6..11);
    drop(lease);
    port.fence();
    assert_eq!(port.ledger().leased, 1, "a part keeps the whole buffer");
    assert_eq!(&*part, b"world");
    drop(part);
    assert_eq!(port.ledger().leased, 0);
    port.finish();
}

/// The pool goes round many times while one buffer stays out.
fn rule_03_a_lease_keeps_its_bytes_while_others_come(subject: &Subject) {
    let mut port = subject.open_with(|options| (options.buffers, options.buffer_bytes) = (4, 256));
    let (socket, mut peer) = port.pair();
    port.receive(socket);
    peer.write(&[0xAA; 256]);
    let mut held = Vec::new();
    while held.iter().map(|lease: &wharf_port::Lease| lease.len()).sum::<usize>() < 256 {
        let Received::Data(lease) = port.received(socket) else { panic!("bytes were to come") };
        held.push(lease);
    }
    for _ in 0..50 {
        peer.write(&[0x55; 256]);
        assert_bytes(&port.read(socket, 256), &[0x55; 256], "what comes meanwhile");
    }
    for lease in &held {
        assert!(lease.iter().all(|&byte| byte == 0xAA), "a buffer on loan was written to");
    }
    drop(held);
    port.finish();
}

fn rule_03_a_lease_outlives_its_port(subject: &Subject) {
    let mut port = subject.open();
    let (socket, mut peer) = port.pair();
    port.receive(socket);
    peer.write(b"hello");
    let Received::Data(lease) = port.received(socket) else { panic!("bytes were to come") };
    let (left, right) = (lease.slice(0..2), lease.slice(2..5));
    drop(port.into_raw());
    drop(lease);
    assert_eq!((&*left, &*right), (&b"he"[..], &b"llo"[..]));
}

fn rule_03_received_buffers_come_home_after_an_echo(subject: &Subject) {
    let mut port = subject.open();
    let (socket, mut peer) = port.pair();
    port.receive(socket);
    for round in 0..300 {
        let bytes = pattern(round, 1_000);
        peer.write(&bytes);
        echo_leases(&mut port, socket, bytes.len());
        assert_bytes(&peer.read(bytes.len()), &bytes, "the echo");
        assert_eq!(port.ledger().leased, 0, "in round {round}: {:?}", port.ledger());
    }
    peer.end();
    port.read_to_final(socket);
    port.close(socket);
    port.closed(socket);
    assert_eq!(peer.read_to_ending(), (Vec::new(), Ending::End));
    port.finish();
}

fn echo_leases(port: &mut CheckedPort, socket: wharf_port::SocketId, count: usize) {
    let mut echoed = 0;
    while echoed < count {
        let Received::Data(lease) = port.received(socket) else { panic!("bytes were to come") };
        echoed += lease.len();
        port.send_all(socket, vec![Segment::Received(lease)]);
    }
}
