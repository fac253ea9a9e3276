//! Cancelling only asks.

use std::time::Duration;

use super::super::rig::{Rig, assert_clean, received};
use super::super::switches::{Cancel, Switches};
use crate::completion::{Completion, Direction, Received};
use crate::error::SendError;

const LATER: Duration = Duration::from_millis(5);

#[test]
fn bytes_that_beat_the_cancel_count() {
    let mut rig = Rig::new(Switches { cancel: Cancel::After(LATER), ..Switches::default() });
    rig.listen();
    let (client, socket) = rig.receiving();
    // It has been busy, so that its receive has a buffer.
    client.send(b"one");
    assert_eq!(received(&rig.settle(), socket).0, b"one");
    rig.iocp.cancel(socket, Direction::Receive).unwrap();
    assert!(rig.turn().is_empty());
    client.send(b"two");
    let came = rig.run(4 * LATER);
    assert!(
        matches!(received(&came, socket), (bytes, Some(Received::Cancelled)) if bytes == b"two"),
        "{came:?}"
    );
    drop(came);
    assert_clean(&rig.finish());
}

#[test]
fn a_cancelled_receive_can_be_started_again_and_has_lost_nothing() {
    for cancel in [Cancel::AtOnce, Cancel::After(LATER)] {
        let mut rig = Rig::new(Switches { cancel, ..Switches::default() });
        rig.listen();
        let (client, socket) = rig.receiving();
        rig.iocp.cancel(socket, Direction::Receive).unwrap();
        rig.turn();
        client.send(b"meanwhile");
        let before = rig.run(4 * LATER);
        let (mut bytes, end) = received(&before, socket);
        assert!(matches!(end, Some(Received::Cancelled)), "{before:?}");
        rig.iocp.receive(socket).unwrap();
        let after = rig.run(4 * LATER);
        bytes.extend(received(&after, socket).0);
        assert_eq!(bytes, b"meanwhile", "{cancel:?}");
        drop((before, after));
        assert_clean(&rig.finish());
    }
}

#[test]
fn a_cancelled_send_says_what_has_gone_and_what_has_not() {
    let mut rig = Rig::new(Switches { window: 100, ..Switches::default() });
    rig.listen();
    let (client, socket) = rig.connection();
    let message: Vec<u8> = (0..=255).collect();
    rig.send(socket, &message);
    assert!(rig.settle().is_empty());
    // The kernel has it as one operation, and has sent some more of it.
    let mut arrived = client.take(50);
    assert!(rig.settle().is_empty());
    assert_eq!(rig.mock.operations(), 5, "four accepts and the send");
    rig.iocp.cancel(socket, Direction::Send).unwrap();
    let came = rig.settle();
    let [Completion::Sent { segments, result: Err(SendError::Cancelled), .. }] = &*came else {
        panic!("{came:?}")
    };
    arrived.extend(client.take_all());
    assert_eq!(arrived, message[..150]);
    let left: Vec<u8> = segments.iter().flat_map(|it| it.as_slice().to_vec()).collect();
    assert_eq!(left, message[150..]);
    assert_clean(&rig.finish());
}

#[test]
fn a_send_that_beats_its_cancel_has_succeeded() {
    let cancel = Cancel::After(LATER);
    let mut rig = Rig::new(Switches { window: 100, cancel, ..Switches::default() });
    rig.listen();
    let (client, socket) = rig.connection();
    rig.send(socket, &[1; 150]);
    rig.settle();
    rig.iocp.cancel(socket, Direction::Send).unwrap();
    assert!(rig.turn().is_empty());
    assert_eq!(client.take_all().len(), 150);
    let came = rig.run(4 * LATER);
    assert!(matches!(&*came, [Completion::Sent { result: Ok(()), .. }]), "{came:?}");
    assert_clean(&rig.finish());
}

#[test]
fn a_cancel_does_not_meet_the_operation_that_came_after_its_own() {
    let mut rig = Rig::new(Switches { window: 100, ..Switches::default() });
    rig.listen();
    let (client, socket) = rig.connection();
    // The accept is posted again, and takes no operation in what follows.
    rig.turn();
    client.send(b"x");
    rig.iocp.receive(socket).unwrap();
    // The receive is done at once, and nobody looks at it.
    rig.iocp.wait(Some(Duration::ZERO), rig.now).unwrap();
    rig.send(socket, &[1; 500]);
    rig.iocp.cancel(socket, Direction::Receive).unwrap();
    let came = rig.settle();
    assert!(matches!(received(&came, socket).1, Some(Received::Cancelled)), "{came:?}");
    assert_eq!(came.len(), 1, "{came:?}");
    let mut arrived = 0;
    while arrived < 500 {
        arrived += client.take_all().len();
        for completion in rig.turn() {
            assert!(matches!(completion, Completion::Sent { result: Ok(()), .. }));
        }
    }
    assert_clean(&rig.finish());
}
