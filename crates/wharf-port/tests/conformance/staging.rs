//! Rule 7: operations are staged and start with the next wait; completions are taken one at a time.

use std::thread;

use wharf_port::{Completion, Received, Segment};

use crate::harness::{Subject, assert_bytes, owned, pattern};

on_every_backend![
    rule_07_what_is_staged_starts_with_the_wait,
    rule_07_a_wait_with_something_to_take_does_not_sleep,
    rule_07_an_empty_send_is_sent,
    rule_07_the_caller_may_stage_between_two_takes;
    // The first counts on one wait, the second on a receive of one piece.
    without_faults:
    rule_07_a_batch_goes_out_with_one_wait,
    rule_07_a_buffer_that_waits_to_be_sent_is_back_after_the_batch,
];

fn rule_07_what_is_staged_starts_with_the_wait(subject: &Subject) {
    let mut port = subject.open();
    let (socket, mut peer) = port.pair();
    port.send(socket, vec![owned(b"hello")]);
    assert!(peer.has_nothing(), "a send that is only staged has gone");
    assert_eq!(port.sent(socket).1, Ok(()));
    assert_eq!(peer.read(5), b"hello");
    port.finish();
}

fn rule_07_a_wait_with_something_to_take_does_not_sleep(subject: &Subject) {
    let mut port = subject.open();
    let pairs = [(); 2].map(|()| port.pair());
    for (socket, _) in &pairs {
        port.send(*socket, vec![owned(b"hello")]);
    }
    let mut sent = 0;
    while sent < 2 {
        port.wait(None);
        sent += usize::from(matches!(port.take(), Some(Completion::Sent { .. })));
    }
    port.finish();
}

/// A batch that is larger than any queue to the kernel.
fn rule_07_a_batch_goes_out_with_one_wait(subject: &Subject) {
    for completion_queue in [8, 4_096] {
        let mut port = subject.open_with(|options| options.completion_queue = completion_queue);
        let mut pairs: Vec<_> = (0..300).map(|_| port.pair()).collect();
        for (socket, _) in &pairs {
            port.receive(*socket);
            port.send(*socket, vec![owned(b"hello")]);
        }
        let before = port.stats().waits;
        port.wait(Some(port.now()));
        assert_eq!(port.stats().waits, before + 1);
        for (socket, peer) in &mut pairs {
            assert_eq!(peer.read(5), b"hello");
            peer.write(b"world");
            assert_eq!(port.read(*socket, 5), b"world");
        }
        port.finish();
    }
}

fn rule_07_an_empty_send_is_sent(subject: &Subject) {
    let mut port = subject.open();
    let (socket, peer) = port.pair();
    for segments in [Vec::new(), vec![owned(b"")], vec![owned(b""), owned(b"")]] {
        port.send_all(socket, segments);
    }
    assert!(peer.has_nothing());
    port.finish();
}

/// Whoever comes first in a batch closes all others in it, whose completions are there already.
fn rule_07_the_caller_may_stage_between_two_takes(subject: &Subject) {
    let mut port = subject.open();
    let mut pairs: Vec<_> = (0..20).map(|_| port.pair()).collect();
    for (socket, peer) in &mut pairs {
        port.receive(*socket);
        peer.write(b"hello");
    }
    let mut closed = 0;
    port.drive("one to close all others", |port, completion| {
        match completion {
            Completion::Received { socket, what: Received::Data(lease) } if closed == 0 => {
                for &(other, _) in pairs.iter().filter(|(other, _)| *other != socket) {
                    port.abort(other);
                }
                port.send(socket, vec![Segment::Received(lease)]);
                closed = 1;
            }
            Completion::Closed { .. } => closed += 1,
            _ => {}
        }
        (closed == pairs.len()).then_some(())
    });
    port.finish();
}

/// What cannot go at once is copied, so that a slow reader does not keep the buffers of the others.
fn rule_07_a_buffer_that_waits_to_be_sent_is_back_after_the_batch(subject: &Subject) {
    let mut port = subject.open();
    let (source, mut writer) = port.pair();
    let (socket, mut slow) = port.narrow_pair();
    port.receive(source);
    writer.write(b"hello");
    let Received::Data(lease) = port.received(source) else { panic!("bytes were to come") };
    let mut bytes = pattern(7, 1 << 20);
    port.send(socket, vec![owned(&bytes), Segment::Received(lease)]);
    port.nothing_comes();
    assert_eq!(port.ledger().leased, 0, "{:?}", port.ledger());
    bytes.extend(b"hello");
    let count = bytes.len();
    let reader = thread::spawn(move || slow.read(count));
    assert_eq!(port.sent(socket).1, Ok(()));
    assert_bytes(&reader.join().unwrap(), &bytes, "what was sent in the end");
    port.finish();
}
