//! Closing joins: whatever the packets of a closed socket say.

use std::time::Duration;

use super::super::rig::{ADDRESS, Rig, assert_clean, received};
use super::super::switches::{Cancel, Switches};
use crate::completion::{Completion, Received};
use crate::error::SendError;
use crate::socket_options::SocketOptions;

/// Closes a socket that has a receive and a send with the kernel.
fn close_busy(switches: Switches, resets: bool) {
    let what = format!("{switches:?}");
    let mut rig = Rig::new(Switches { window: 100, ..switches });
    rig.listen();
    let (client, socket) = rig.receiving();
    rig.send(socket, &[1; 500]);
    assert!(rig.settle().is_empty());
    rig.iocp.close(socket, resets).unwrap();
    let came = rig.until(|it| matches!(it, Completion::Closed { .. }));
    assert_eq!(rig.mock.operations(), 4, "the accepts, and no more");
    let [
        Completion::Received { what: Received::Cancelled, .. } | Completion::Sent { .. },
        Completion::Received { what: Received::Cancelled, .. } | Completion::Sent { .. },
        Completion::Closed { .. },
    ] = &*came
    else {
        panic!("{came:?} on {what}")
    };
    let sent = came.iter().find(|it| matches!(it, Completion::Sent { .. }));
    assert!(
        matches!(sent, Some(Completion::Sent { result: Err(SendError::Cancelled), .. })),
        "{came:?} on {what}"
    );
    assert!(received(&came, socket).1.is_some());
    assert_eq!((client.sees_reset(), client.sees_end()), (resets, !resets));
    assert_eq!(rig.iocp.sockets(), 0);
    assert_clean(&rig.finish());
}

#[test]
fn every_code_of_a_closed_socket_means_that_it_was_cancelled() {
    for code in Switches::default().closed {
        let closed = vec![code];
        close_busy(Switches { closed: closed.clone(), ..Switches::default() }, false);
        close_busy(Switches { closed, ..Switches::default() }, true);
    }
}

#[test]
fn a_close_waits_for_packets_that_come_late() {
    for resets in [false, true] {
        close_busy(Switches { delays: Some(3), ..Switches::default() }, resets);
        close_busy(
            Switches { cancel: Cancel::After(Duration::from_millis(3)), ..Switches::default() },
            resets,
        );
    }
}

#[test]
fn a_late_packet_does_not_reach_the_next_socket_with_that_number() {
    let mut rig = Rig::new(Switches { delays: Some(4), ..Switches::default() });
    rig.listen();
    for _ in 0..200 {
        let (client, socket) = rig.connection();
        rig.iocp.receive(socket).unwrap();
        rig.turn();
        rig.iocp.close(socket, false).unwrap();
        // The numbers of sockets are given out again at once, and the accepts of this turn take them.
        let other = rig.client();
        let mut came = rig.until(|it| matches!(it, Completion::Closed { .. }));
        came.extend(rig.run(Duration::from_millis(2)));
        let ends = came.iter().filter(|it| matches!(it, Completion::Received { .. })).count();
        assert_eq!(ends, 1, "{came:?}");
        drop((client, other));
    }
    assert_clean(&rig.finish());
}

#[test]
fn what_is_closed_in_the_turn_that_starts_it_is_not_left_with_the_kernel() {
    let mut rig = Rig::new(Switches { window: 10, ..Switches::default() });
    rig.listen();
    let (client, socket) = rig.connection();
    rig.send(socket, &[1; 100]);
    let came = rig.close(socket);
    let cancelled = Err(SendError::Cancelled);
    assert!(matches!(&came[0], Completion::Sent { result, .. } if *result == cancelled));
    assert_eq!(rig.mock.counts().overlapped_sends, 0);
    assert_eq!(client.take_all(), [1; 10], "what there was room for has gone");
    let socket = rig.iocp.connect(ADDRESS.into(), &SocketOptions::default()).unwrap();
    rig.close(socket);
    assert_eq!(rig.mock.counts().connects, 0);
    assert_clean(&rig.finish());
}
