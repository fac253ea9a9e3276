//! Sending: in order, whole, and without keeping anybody's buffers.

use std::sync::Arc;

use super::super::rig::{Rig, assert_clean};
use super::super::switches::Switches;
use crate::buffer::Segment;
use crate::completion::{Completion, Received};
use crate::error::{ReceiveError, SendError};

/// The results of sends among completions.
fn sent(completions: &[Completion]) -> Vec<Result<(), SendError>> {
    let result = |it: &Completion| match it {
        Completion::Sent { result, .. } => Some(*result),
        _ => None,
    };
    completions.iter().filter_map(result).collect()
}

#[test]
fn a_slow_reader_gets_every_byte_in_order() {
    for skips in [true, false] {
        let mut rig = Rig::new(Switches { window: 100, skips, ..Switches::default() });
        rig.listen();
        let (client, socket) = rig.connection();
        let bytes: Vec<u8> = (0..10_000u32).map(|at| at.to_le_bytes()[0]).collect();
        let shared: Arc<[u8]> = bytes.clone().into();
        // Far more segments than one call takes, some of them empty.
        let parts = (0..1_000).map(|at| at * 10..at * 10 + if at % 7 == 0 { 0 } else { 10 });
        let segments: Vec<Segment> = parts
            .map(|part| Segment::Shared(crate::SharedBytes::new(Arc::clone(&shared), part)))
            .collect();
        let expected: Vec<u8> = segments.iter().flat_map(|it| it.as_slice().to_vec()).collect();
        rig.iocp.send(socket, segments).unwrap();
        let mut arrived = Vec::new();
        let mut came = Vec::new();
        while sent(&came).is_empty() {
            came = rig.turn();
            arrived.extend(client.take(37));
        }
        arrived.extend(client.take_all());
        assert_eq!(arrived, expected);
        assert_eq!(sent(&came), [Ok(())]);
        assert!(rig.mock.counts().overlapped_sends > 0);
        drop(came);
        assert_clean(&rig.finish());
    }
}

#[test]
fn a_large_send_that_is_done_at_once_is_sent_once() {
    for skips in [true, false] {
        let mut rig = Rig::new(Switches { window: 1 << 20, skips, ..Switches::default() });
        rig.listen();
        let (client, socket) = rig.connection();
        let bytes: Vec<u8> = (0..200_000u32).map(|at| at.to_le_bytes()[0]).collect();
        rig.send(socket, &bytes);
        assert_eq!(sent(&rig.settle()), [Ok(())]);
        assert_eq!(client.take_all(), bytes);
        assert_eq!(rig.mock.counts().overlapped_sends, 1);
        assert_clean(&rig.finish());
    }
}

#[test]
fn a_send_that_waits_keeps_no_receive_buffer() {
    let mut rig = Rig::new(Switches { window: 10, ..Switches::default() });
    rig.listen();
    let (client, socket) = rig.receiving();
    client.send(&[5; 60]);
    let mut came = rig.settle();
    let Some(Completion::Received { what: Received::Data(lease), .. }) = came.pop() else {
        panic!("{came:?}")
    };
    assert_eq!(rig.iocp.pool().ledger().leased, 1);
    rig.iocp.send(socket, vec![Segment::Received(lease)]).unwrap();
    rig.settle();
    assert_eq!(rig.iocp.pool().ledger().leased, 0);
    assert_eq!(client.take_all(), [5; 60]);
    assert_eq!(sent(&rig.settle()), [Ok(())]);
    assert_clean(&rig.finish());
}

#[test]
fn a_reset_ends_the_send_and_the_receive_as_a_reset() {
    let mut rig = Rig::new(Switches { window: 10, ..Switches::default() });
    rig.listen();
    let (client, socket) = rig.receiving();
    rig.send(socket, &[5; 60]);
    assert!(rig.settle().is_empty());
    client.reset();
    let came = rig.settle();
    assert_eq!(sent(&came), [Err(SendError::Reset)]);
    let (none, end) = super::super::rig::received(&came, socket);
    assert!(none.is_empty());
    assert!(matches!(end, Some(Received::Failed(ReceiveError::Reset))), "{end:?}");
    drop(came);
    assert_clean(&rig.finish());
}

#[test]
fn many_that_are_done_at_once_do_not_keep_a_turn() {
    // The peer takes each part at once, so that every call finds room.
    let mut rig = Rig::new(Switches { window: 8, ..Switches::default() });
    rig.listen();
    let (client, socket) = rig.connection();
    let segments = (0..64 * 40).map(|_| Segment::Owned(vec![1].into())).collect();
    rig.mock.switch(|switches| switches.window = usize::MAX);
    rig.iocp.send(socket, segments).unwrap();
    assert_eq!(sent(&rig.turn()), []);
    assert_eq!(client.take_all().len(), 16 * 64, "sixteen calls of 64 slices");
    assert_eq!(sent(&rig.settle()), [Ok(())]);
    assert_eq!(client.take_all().len(), 24 * 64);
    assert_clean(&rig.finish());
}
