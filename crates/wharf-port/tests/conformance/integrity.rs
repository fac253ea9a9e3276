//! Rule 8: every byte arrives, once and in order, however it is cut.

use std::sync::Arc;
use std::thread;

use wharf_port::{OwnedBytes, Received, Segment, SharedBytes};

use crate::harness::{
    CheckedPort, Dice, Echo, Ending, Peer, Subject, assert_bytes, echo_at_once, owned, pattern,
};

on_every_backend![
    rule_08_bytes_split_at_every_boundary_arrive,
    rule_08_bytes_of_any_number_arrive,
    rule_08_bytes_in_buffers_of_any_size_arrive,
    rule_08_more_segments_than_one_call_takes_go_out_in_order,
    rule_08_a_slow_reader_gets_every_byte,
    rule_08_two_hundred_sessions_at_once_keep_apart,
    rule_08_a_thousand_connections_are_served_at_once;
    // It slices what one receive gives, which has to be of one piece.
    without_faults:
    rule_08_segments_of_every_kind_go_out_in_order,
];

/// Sends bytes to an echo server on `port` and checks that they come back.
fn echo(mut port: CheckedPort, write: impl FnOnce(&mut Peer) -> Vec<u8> + Send + 'static) {
    let (_, address) = port.listen();
    let client = thread::spawn(move || {
        let mut peer = Peer::connect(address);
        let expected = write(&mut peer);
        peer.end();
        let (read, ending) = peer.read_to_ending();
        assert_bytes(&read, &expected, "the echo");
        assert_eq!(ending, Ending::End);
    });
    Echo::serve(&mut port, 1);
    client.join().unwrap();
    port.finish();
}

/// Each part is answered before the next is sent, so that the split is one that the port sees.
fn rule_08_bytes_split_at_every_boundary_arrive(subject: &Subject) {
    subject.may_have_small_windows();
    echo(subject.open(), |peer| {
        let bytes = pattern(8, 32);
        for len in 2..=bytes.len() {
            for split in 1..len {
                for part in [&bytes[..split], &bytes[split..len]] {
                    peer.write(part);
                    assert_bytes(&peer.read(part.len()), part, &format!("{split} of {len}"));
                }
            }
        }
        Vec::new()
    });
}

fn rule_08_bytes_of_any_number_arrive(subject: &Subject) {
    for len in [1, 2, 63, 64, 65, 4_095, 16_383, 16_384, 16_385, 65_537, 1 << 20, 4 << 20] {
        echo(subject.open(), move |peer| {
            let bytes = pattern(len as u64, len);
            peer.write_in_chunks(&bytes, 7_919);
            bytes
        });
    }
}

fn rule_08_bytes_in_buffers_of_any_size_arrive(subject: &Subject) {
    subject.may_have_small_windows();
    // A window may be of a byte or two, and each of them a wait for the other thread.
    let len = if subject.has_faults() { 30_000 } else { 300_000 };
    for buffer_bytes in [64, 100, 4_096, 1 << 20] {
        let port = subject.open_with(|options| {
            (options.buffers, options.buffer_bytes) = (8, buffer_bytes);
        });
        echo(port, move |peer| {
            let bytes = pattern(9, len);
            peer.write_in_chunks(&bytes, 6_007);
            bytes
        });
    }
}

/// Owned, shared, received and empty ones, the same allocation in several places.
fn rule_08_segments_of_every_kind_go_out_in_order(subject: &Subject) {
    let mut port = subject.open();
    let (source, mut writer) = port.pair();
    let (socket, mut reader) = port.pair();
    port.receive(source);
    let mut dice = Dice::new(10);
    for round in 0..20 {
        let received = pattern(round, 300);
        writer.write(&received);
        let Received::Data(lease) = port.received(source) else { panic!("bytes were to come") };
        let one = SharedBytes::from(Arc::<[u8]>::from(&b"shared by several"[..]));
        let mut segments = Vec::new();
        for _ in 0..200 {
            segments.push(match dice.below(4) {
                0 => Segment::Received(lease.slice(dice.below(100)..100 + dice.below(200))),
                1 => owned(&pattern(dice.next(), dice.below(80))),
                2 => Segment::Owned(OwnedBytes::default()),
                _ => Segment::Shared(one.clone()),
            });
        }
        drop(lease);
        let expected: Vec<u8> = segments.iter().flat_map(Segment::as_slice).copied().collect();
        port.send_all(socket, segments);
        assert_bytes(&reader.read(expected.len()), &expected, &format!("round {round}"));
    }
    port.finish();
}

fn rule_08_more_segments_than_one_call_takes_go_out_in_order(subject: &Subject) {
    let mut port = subject.open();
    let (socket, mut peer) = port.pair();
    for count in [64, 65, 1_000, 1_024, 1_025, 3_000] {
        let bytes = pattern(count as u64, count * 7);
        let reader = thread::spawn(move || (peer.read(count * 7), peer));
        port.send_all(socket, bytes.chunks(7).map(owned).collect());
        let (read, same) = reader.join().unwrap();
        peer = same;
        assert_bytes(&read, &bytes, &format!("{count} segments"));
    }
    port.finish();
}

/// The kernel takes a little at a time; the port goes on from where it stopped.
fn rule_08_a_slow_reader_gets_every_byte(subject: &Subject) {
    let mut port = subject.open();
    let bytes = pattern(11, 1 << 20);
    let (socket, mut peer) = port.narrow_pair();
    port.send(socket, bytes.chunks(3_001).map(owned).collect());
    port.nothing_comes();
    let reader = thread::spawn(move || {
        let chunks: Vec<_> = (0..1 << 8).map(|_| peer.read(1 << 12)).collect();
        (chunks.concat(), peer)
    });
    assert_eq!(port.sent(socket).1, Ok(()));
    assert_bytes(&reader.join().unwrap().0, &bytes, "what the slow reader read");
    assert!(port.stats().short_sends > 0, "{:?}", port.stats());
    port.finish();
}

fn rule_08_two_hundred_sessions_at_once_keep_apart(subject: &Subject) {
    echo_at_once(subject.open(), 200, 64 << 10);
}

fn rule_08_a_thousand_connections_are_served_at_once(subject: &Subject) {
    subject.may_have_small_windows();
    echo_at_once(subject.open(), 1_000, 100);
}
