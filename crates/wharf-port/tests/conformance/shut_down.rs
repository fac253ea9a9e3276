//! Rule 9: closing the port cancels and joins everything, and leaves nothing.

use std::thread;

use wharf_port::ListenOptions;

use crate::harness::{CheckedPort, Ending, LIMIT, Outside, Peer, Subject, owned, pattern};

on_every_backend![
    rule_09_a_port_that_has_done_nothing_shuts_down,
    rule_09_shutting_down_joins_what_is_under_way,
    rule_09_dropping_joins_what_is_under_way,
    rule_05_what_a_cancel_could_not_stop_is_not_leaked,
    rule_09_shutting_down_leaves_no_descriptor,
    rule_09_operations_that_no_wait_has_started_are_no_hindrance,
    rule_09_completions_that_nobody_took_leave_nothing,
];

fn rule_09_a_port_that_has_done_nothing_shuts_down(subject: &Subject) {
    subject.open().into_raw().shut_down(LIMIT).unwrap();
    drop(subject.open().into_raw());
}

/// The other ends of everything that a port can have under way at once.
struct OtherEnds {
    peers: Vec<Peer>,
    _listener: Outside,
}

/// Starts everything at once: a listener with a connection in its queue and one not taken, receives,
/// one with bytes that wait in a pause, a send that blocks, a connect, a timer.
fn everything_under_way(port: &mut CheckedPort) -> OtherEnds {
    let (listener, address) = port.listen();
    let (receiving, first) = port.pair_through((listener, address));
    let (paused, mut second) = port.pair_through((listener, address));
    let (sending, third) = port.blocked_pair(&pattern(9, 1 << 20));
    port.receive(receiving);
    port.receive(paused);
    port.receive(sending);
    port.fence();
    second.write(b"hello");
    port.pause(paused);
    port.fence();
    port.start_timer(port.now() + LIMIT, 9);
    let queued = [(); 3].map(|()| Peer::connect(address));
    port.wait(Some(port.now()));
    let (outside, to) = port.outside();
    let connecting = port.connect(to);
    port.fence();
    port.receive(connecting);
    let last = Peer::connect(address);
    let peers = [first, second, third, last].into_iter().chain(queued).collect();
    OtherEnds { peers, _listener: outside }
}

impl OtherEnds {
    /// Every connection has ended, one way or the other.
    fn have_seen_the_end(self) {
        for mut peer in self.peers {
            let (_, ending) = peer.read_to_ending();
            assert!(matches!(ending, Ending::End | Ending::Reset));
        }
    }
}

fn rule_09_shutting_down_joins_what_is_under_way(subject: &Subject) {
    let mut port = subject.open();
    let others = everything_under_way(&mut port);
    port.into_raw().shut_down(LIMIT).unwrap();
    others.have_seen_the_end();
}

fn rule_09_dropping_joins_what_is_under_way(subject: &Subject) {
    let mut port = subject.open();
    let others = everything_under_way(&mut port);
    drop(port.into_raw());
    others.have_seen_the_end();
}

/// Descriptors are counted in a process in which nobody else opens any.
fn rule_09_shutting_down_leaves_no_descriptor(subject: &Subject) {
    subject.in_own_process(|| {
        subject.open().finish();
        let before = descriptors(subject);
        for _ in 0..3 {
            let mut port = subject.open();
            let others = everything_under_way(&mut port);
            port.into_raw().shut_down(LIMIT).unwrap();
            drop(others);
            assert_eq!(descriptors(subject), before, "after shut_down");
            let mut port = subject.open();
            let others = everything_under_way(&mut port);
            drop(port.into_raw());
            drop(others);
            assert_eq!(descriptors(subject), before, "after drop");
        }
    });
}

/// Clients that connect one after the other while a listener stops, at most.
const CLIENTS_MAX: usize = 1_000;

/// Listeners stop while clients connect, and connects are cancelled while they succeed.
fn rule_05_what_a_cancel_could_not_stop_is_not_leaked(subject: &Subject) {
    subject.in_own_process(|| {
        subject.open().finish();
        let before = descriptors(subject);
        let mut port = subject.open();
        let (outside, to) = port.outside();
        for _ in 0..50 {
            let (listener, address) = port.listen();
            port.wait(Some(port.now()));
            let clients = thread::spawn(move || {
                // Until the listener is gone; or, if the port does not get to run, before all
                // descriptors are.
                (0..CLIENTS_MAX).take_while(|_| Peer::try_connect(address).is_ok()).count()
            });
            drop(port.accepted(listener));
            port.stop_listening(listener);
            port.listener_closed(listener);
            drop(port.accepted_so_far(listener));
            clients.join().unwrap();
            let connecting = port.connect(to);
            port.wait(Some(port.now()));
            port.close(connecting);
            port.closed(connecting);
        }
        port.finish();
        drop(outside);
        assert_eq!(descriptors(subject), before);
    });
}

/// Descriptors that are open; elsewhere the tests show only that all goes well.
#[cfg(target_os = "linux")]
fn descriptors(subject: &Subject) -> usize {
    subject.place().descriptors()
}

#[cfg(not(target_os = "linux"))]
const fn descriptors(_: &Subject) -> usize {
    0
}

fn rule_09_operations_that_no_wait_has_started_are_no_hindrance(subject: &Subject) {
    let mut port = subject.open();
    let (socket, mut peer) = port.pair();
    let (_listener, _) = port.listen_with(&ListenOptions::default());
    let (_outside, address) = port.outside();
    port.connect(address);
    port.receive(socket);
    port.send(socket, vec![owned(b"hello")]);
    port.into_raw().shut_down(LIMIT).unwrap();
    peer.read_to_ending();
}

/// Bytes that the port has received, a connection it has accepted, a send it has finished.
fn rule_09_completions_that_nobody_took_leave_nothing(subject: &Subject) {
    let mut port = subject.open();
    let (listener, address) = port.listen();
    let (socket, mut peer) = port.pair_through((listener, address));
    port.receive(socket);
    port.send(socket, vec![owned(b"hello")]);
    port.wait(Some(port.now()));
    peer.write(b"hello");
    let mut queued = Peer::connect(address);
    port.wait(None);
    port.into_raw().shut_down(LIMIT).unwrap();
    peer.read_to_ending();
    queued.read_to_ending();
}
