//! Rule 2: every operation gets exactly one final completion.
//!
//! That it is one, and the right one to come next, is the model's to check; that it comes is what a
//! test waits for. `finish` at the end would meet a second.

use wharf_port::{ConnectError, Direction, ReceiveError, SendError};

use crate::harness::{CheckedPort, Final, LIMIT, Subject, kinds, owned, pattern};

on_every_backend![
    rule_02_a_receive_ends_once_when_the_peer_ends,
    rule_02_a_receive_ends_once_when_cancelled,
    rule_02_a_receive_ends_once_when_closed,
    rule_02_a_receive_ends_once_when_aborted,
    rule_02_a_send_ends_once_when_all_has_gone,
    rule_02_a_send_ends_once_when_cancelled,
    rule_02_a_send_ends_once_when_closed,
    rule_02_a_send_ends_once_when_aborted,
    rule_02_a_send_ends_once_when_the_peer_resets,
    rule_02_a_connect_ends_once_when_connected,
    rule_02_a_connect_ends_once_when_refused,
    rule_02_a_connect_ends_once_when_cancelled,
    rule_02_a_connect_ends_once_when_closed,
    rule_02_a_connect_ends_once_when_aborted,
    rule_02_accepting_ends_once_when_stopped,
    rule_02_an_operation_that_ends_before_the_first_wait_ends_once,
    rule_02_what_is_under_way_is_counted,
    rule_02_what_is_under_way_is_counted_by_kind;
    over_tcp:
    rule_02_a_receive_ends_once_when_the_peer_resets,
];

fn rule_02_a_receive_ends_once_when_the_peer_ends(subject: &Subject) {
    let mut port = subject.open();
    let (socket, peer) = port.pair();
    port.receive(socket);
    peer.end();
    assert_eq!(port.read_to_final(socket), (Vec::new(), Final::End));
    port.nothing_comes();
    port.finish();
}

fn rule_02_a_receive_ends_once_when_the_peer_resets(subject: &Subject) {
    let mut port = subject.open();
    for armed in [false, true] {
        let (socket, peer) = port.pair();
        port.receive(socket);
        if armed {
            port.fence();
        }
        peer.reset();
        let (read, last) = port.read_to_final(socket);
        assert!(read.is_empty());
        match armed {
            false => last.assert_reset(),
            true => assert_eq!(last, Final::Failed(ReceiveError::Reset)),
        }
        port.nothing_comes();
    }
    port.finish();
}

fn rule_02_a_receive_ends_once_when_cancelled(subject: &Subject) {
    let mut port = subject.open();
    let (socket, _peer) = port.pair();
    port.receive(socket);
    port.fence();
    port.cancel(socket, Direction::Receive);
    port.cancel(socket, Direction::Receive);
    assert_eq!(port.read_to_final(socket), (Vec::new(), Final::Cancelled));
    port.nothing_comes();
    port.finish();
}

fn rule_02_a_receive_ends_once_when_closed(subject: &Subject) {
    let mut port = subject.open();
    let (socket, _peer) = port.pair();
    port.receive(socket);
    port.fence();
    port.close(socket);
    assert_eq!(port.read_to_final(socket), (Vec::new(), Final::Cancelled));
    port.closed(socket);
    port.finish();
}

fn rule_02_a_receive_ends_once_when_aborted(subject: &Subject) {
    let mut port = subject.open();
    let (socket, _peer) = port.pair();
    port.receive(socket);
    port.fence();
    port.abort(socket);
    assert_eq!(port.read_to_final(socket), (Vec::new(), Final::Cancelled));
    port.closed(socket);
    port.finish();
}

fn rule_02_a_send_ends_once_when_all_has_gone(subject: &Subject) {
    let mut port = subject.open();
    let (socket, mut peer) = port.pair();
    port.send(socket, vec![owned(b"hello")]);
    assert_eq!(port.sent(socket).1, Ok(()));
    port.nothing_comes();
    assert_eq!(peer.read(5), b"hello");
    port.finish();
}

fn rule_02_a_send_ends_once_when_cancelled(subject: &Subject) {
    let mut port = subject.open();
    let (socket, _peer) = port.blocked_pair(&pattern(1, 1 << 20));
    port.cancel(socket, Direction::Send);
    port.cancel(socket, Direction::Send);
    assert_eq!(port.sent(socket).1, Err(SendError::Cancelled));
    port.nothing_comes();
    port.finish();
}

fn rule_02_a_send_ends_once_when_closed(subject: &Subject) {
    let mut port = subject.open();
    let (socket, _peer) = port.blocked_pair(&pattern(1, 1 << 20));
    port.close(socket);
    assert_eq!(port.sent(socket).1, Err(SendError::Cancelled));
    port.closed(socket);
    port.finish();
}

fn rule_02_a_send_ends_once_when_aborted(subject: &Subject) {
    let mut port = subject.open();
    let (socket, _peer) = port.blocked_pair(&pattern(1, 1 << 20));
    port.abort(socket);
    assert_eq!(port.sent(socket).1, Err(SendError::Cancelled));
    port.closed(socket);
    port.finish();
}

fn rule_02_a_send_ends_once_when_the_peer_resets(subject: &Subject) {
    let mut port = subject.open();
    let (socket, peer) = port.blocked_pair(&pattern(1, 1 << 20));
    peer.reset();
    assert_eq!(port.sent(socket).1, Err(SendError::Reset));
    port.nothing_comes();
    port.finish();
}

fn rule_02_a_connect_ends_once_when_connected(subject: &Subject) {
    let mut port = subject.open();
    let (_listener, address) = port.outside();
    let socket = port.connect(address);
    assert_eq!(port.connected(socket), Ok(()));
    port.nothing_comes();
    port.finish();
}

fn rule_02_a_connect_ends_once_when_refused(subject: &Subject) {
    let mut port = subject.open();
    let socket = port.connect(port.nobody());
    assert_eq!(port.connected(socket), Err(ConnectError::Refused));
    port.nothing_comes();
    port.finish();
}

/// Here and in the two that follow, a connect that is faster than what stops it may have succeeded.
fn rule_02_a_connect_ends_once_when_cancelled(subject: &Subject) {
    let mut port = subject.open();
    let (_listener, address) = port.outside();
    let socket = port.connect(address);
    port.cancel(socket, Direction::Send);
    let result = port.connected(socket);
    assert!(matches!(result, Ok(()) | Err(ConnectError::Cancelled)), "{result:?}");
    port.nothing_comes();
    port.finish();
}

fn rule_02_a_connect_ends_once_when_closed(subject: &Subject) {
    let mut port = subject.open();
    let (_listener, address) = port.outside();
    let socket = port.connect(address);
    port.close(socket);
    let result = port.connected(socket);
    assert!(matches!(result, Ok(()) | Err(ConnectError::Cancelled)), "{result:?}");
    port.closed(socket);
    port.finish();
}

fn rule_02_a_connect_ends_once_when_aborted(subject: &Subject) {
    let mut port = subject.open();
    let (_listener, address) = port.outside();
    let socket = port.connect(address);
    port.abort(socket);
    let result = port.connected(socket);
    assert!(matches!(result, Ok(()) | Err(ConnectError::Cancelled)), "{result:?}");
    port.closed(socket);
    port.finish();
}

fn rule_02_accepting_ends_once_when_stopped(subject: &Subject) {
    let mut port = subject.open();
    let (listener, _) = port.listen();
    port.fence();
    port.stop_listening(listener);
    port.stop_listening(listener);
    port.listener_closed(listener);
    port.stop_listening(listener);
    port.nothing_comes();
    port.finish();
}

/// Started and ended in one batch: the kernel may not even have heard of them.
fn rule_02_an_operation_that_ends_before_the_first_wait_ends_once(subject: &Subject) {
    let mut port = subject.open();
    let (socket, _peer) = port.pair();
    port.receive(socket);
    port.send(socket, vec![owned(b"hello")]);
    port.cancel(socket, Direction::Receive);
    port.close(socket);
    assert_eq!(port.read_to_final(socket), (Vec::new(), Final::Cancelled));
    let (_, result) = port.sent(socket);
    assert!(matches!(result, Ok(()) | Err(SendError::Cancelled)), "{result:?}");
    port.closed(socket);
    let (listener, _) = port.listen();
    port.stop_listening(listener);
    port.listener_closed(listener);
    port.finish();
}

fn rule_02_what_is_under_way_is_counted(subject: &Subject) {
    let mut port = subject.open();
    assert_eq!((port.raw().operations(), port.raw().sockets()), (0, 0));
    let (socket, _peer) = port.blocked_pair(&pattern(2, 1 << 20));
    port.receive(socket);
    port.start_timer(port.now() + LIMIT, 0);
    port.fence();
    assert_eq!(port.raw().sockets(), 1);
    assert_eq!(port.raw().operations(), 4, "a listener, a send, a receive and a timer");
    port.finish();
}

fn rule_02_what_is_under_way_is_counted_by_kind(subject: &Subject) {
    let mut port = subject.open();
    let counted = |port: &mut CheckedPort| kinds(&port.raw().operation_counts());
    assert_eq!(counted(&mut port), [0; 6]);
    port.listen();
    port.fence();
    assert_eq!(counted(&mut port), [1, 0, 0, 0, 0, 0], "a listener that is idle");
    let (_listener, address) = port.outside();
    let connects = port.connect(address);
    assert_eq!(counted(&mut port), [1, 1, 0, 0, 0, 0], "a connect that no wait has started");
    assert_eq!(port.connected(connects), Ok(()));
    port.receive(connects);
    port.fence();
    assert_eq!(counted(&mut port), [1, 0, 1, 0, 0, 0], "a receive of which nothing comes");
    port.pause(connects);
    port.fence();
    assert_eq!(counted(&mut port), [1, 0, 1, 0, 0, 0], "a pause is no end");
    port.resume(connects);
    let (sends, _peer) = port.blocked_pair(&pattern(2, 1 << 20));
    assert_eq!(counted(&mut port), [2, 0, 1, 1, 0, 0], "a send that nobody reads");
    port.start_timer(port.now() + LIMIT, 0);
    assert_eq!(counted(&mut port), [2, 0, 1, 1, 0, 1]);
    port.close(connects);
    port.abort(sends);
    assert_eq!(counted(&mut port), [2, 0, 1, 1, 2, 1], "closes, and what they wait for");
    port.closed(connects);
    port.closed(sends);
    assert_eq!(counted(&mut port), [2, 0, 0, 0, 0, 1], "two closes have ended");
    port.close_everything();
    assert_eq!(counted(&mut port), [0; 6]);
    port.finish();
}
