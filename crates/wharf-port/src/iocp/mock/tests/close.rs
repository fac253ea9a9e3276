//! Closing joins: whatever the packets of a closed socket say.

use std::sync::Arc;
use std::time::Duration;

use super::super::rig::{ADDRESS, Rig, assert_clean, received};
use super::super::switches::{Cancel, Switches};
use crate::buffer::Segment;
use crate::completion::{Completion, Received};
use crate::error::SendError;
use crate::options::SocketOptions;

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

/// A driver with a receive, a send of shared bytes, and four accepts with the kernel.
fn with_everything_under_way() -> (Rig, Arc<[u8]>) {
    let mut rig = Rig::new(Switches { window: 100, ..Switches::default() });
    rig.listen();
    let (client, socket) = rig.receiving();
    client.send(b"busy, so that it gets a buffer");
    rig.settle();
    let bytes: Arc<[u8]> = [1; 500].into();
    rig.iocp.send(socket, vec![Segment::Shared(Arc::clone(&bytes).into())]).unwrap();
    rig.settle();
    assert_eq!(rig.mock.operations(), 6);
    (rig, bytes)
}

/// Drops a driver whose kernel has kept everything: nothing of that may be freed.
fn drop_and_write(rig: Rig, bytes: &Arc<[u8]>) {
    let Rig { mock, iocp, port, .. } = rig;
    drop(iocp);
    drop(port);
    assert_eq!(Arc::strong_count(bytes), 2, "what is being sent was freed");
    // It may write there for ever: a sanitizer says whether that is still ours.
    mock.write_everywhere();
    assert_eq!(mock.operations(), 6);
}

#[test]
fn what_the_kernel_does_not_give_back_is_leaked_and_said() {
    let (mut rig, bytes) = with_everything_under_way();
    rig.mock.switch(|switches| switches.keeps = true);
    let error = rig.iocp.shut_down(Duration::from_millis(10)).unwrap_err();
    assert_eq!(error.operations, 6);
    drop_and_write(rig, &bytes);
}

#[test]
fn a_panic_while_the_port_is_closed_frees_nothing() {
    let (mut rig, bytes) = with_everything_under_way();
    rig.mock.switch(|switches| {
        switches.keeps = true;
        switches.panics = true;
    });
    let shut_down = || rig.iocp.shut_down(Duration::from_millis(10));
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(shut_down)).unwrap_err();
    drop_and_write(rig, &bytes);
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
    let socket = rig.iocp.connect(ADDRESS, &SocketOptions::default()).unwrap();
    rig.close(socket);
    assert_eq!(rig.mock.counts().connects, 0);
    assert_clean(&rig.finish());
}

#[test]
fn a_port_that_is_broken_says_so_and_frees_nothing() {
    let mut rig = Rig::new(Switches::default());
    rig.listen();
    let (_client, _socket) = rig.receiving();
    rig.mock.abandon_ports();
    let error = rig.iocp.wait(Some(Duration::ZERO), rig.now).unwrap_err();
    assert_eq!(error.raw_os_error(), Some(735));
    assert!(rig.iocp.shut_down(Duration::from_secs(1)).is_err());
    let Rig { mock, iocp, .. } = rig;
    drop(iocp);
    mock.write_everywhere();
}

#[test]
#[cfg_attr(debug_assertions, should_panic = "a second packet")]
fn a_packet_that_comes_twice_is_nobodys() {
    let mut rig = Rig::new(Switches::default());
    rig.listen();
    let (client, socket) = rig.receiving();
    rig.mock.switch(|switches| switches.doubles = 1);
    client.send(b"once");
    let came = rig.settle();
    assert_eq!(received(&came, socket).0, b"once");
    drop(came);
    assert_clean(&rig.finish());
}
