//! Rule 10: running out of descriptors is told, costs no processor time, and passes.

use std::net::SocketAddr;
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};
use wharf_port::{
    AcceptError, Completion, CompletionPort, ConnectError, ListenError, ListenOptions, ListenerId,
    OpenError, SocketOptions,
};

use crate::harness::{CheckedPort, Peer, Subject, owned};

on_every_backend![
    rule_10_a_listener_without_descriptors_rests_and_recovers,
    rule_10_sessions_go_on_while_a_listener_rests,
    rule_10_a_listener_that_has_accepted_again_rests_from_the_beginning,
    rule_10_a_listener_that_rests_can_be_stopped,
    rule_10_a_shortage_of_descriptors_is_told;
    // A simulated port takes no descriptor, and no other backend stands in for it.
    on_the_system:
    rule_10_a_shortage_is_no_reason_to_take_another_backend,
];

/// A listener in a process that may open few descriptors. The limit comes before the first wait, since
/// a kernel may look at it when an accept starts and not when it ends.
fn listen_within_limits(port: &mut CheckedPort) -> (ListenerId, SocketAddr) {
    port.place().limit_descriptors();
    port.listen()
}

/// The processor time that has been used: by this process, or where it has other tests, by this thread.
fn processor_time(subject: &Subject) -> Duration {
    let simulated = subject.place().is_simulated();
    let clock = if simulated { ClockId::ThreadCPUTime } else { ClockId::ProcessCPUTime };
    clock_gettime(clock).try_into().unwrap()
}

/// How long the listener says that it rests, `count` times in a row.
fn rests(port: &mut CheckedPort, of: ListenerId, count: usize) -> Vec<u128> {
    let mut rests = Vec::new();
    port.drive("the listener to rest", |_, completion| match completion {
        Completion::AcceptDelayed { listener, cause, retry_after } => {
            assert_eq!((listener, cause), (of, AcceptError::ProcessDescriptors));
            rests.push(retry_after.as_millis());
            (rests.len() == count).then_some(())
        }
        other => panic!("{other:?}"),
    });
    rests
}

/// In a process of its own, since the limit is the process's.
fn rule_10_a_listener_without_descriptors_rests_and_recovers(subject: &Subject) {
    subject.in_own_process(|| {
        let mut port = subject.open();
        let (listener, address) = listen_within_limits(&mut port);
        let peers: Vec<_> = (0..20).map(|_| Peer::connect(address)).collect();
        let taken = subject.place().take_all_descriptors();

        let (start, waits, used) = (port.now(), port.stats().waits, processor_time(subject));
        assert_eq!(rests(&mut port, listener, 6), [10, 20, 40, 80, 160, 320]);
        let (starved, used) = (port.now().since(start), processor_time(subject) - used);
        assert!(starved >= Duration::from_millis(310), "it rested for {starved:?} only");
        assert!(
            used < starved / 5,
            "it used {used:?} of {starved:?} while there was nothing to do"
        );
        let waits = port.stats().waits - waits;
        assert!(waits < 30, "{waits} waits for six attempts");

        drop(taken);
        let free = port.now();
        for _ in &peers {
            drop(port.accepted(listener));
        }
        let recovery = port.now().since(free);
        assert!(recovery < Duration::from_millis(1_100), "it recovered after {recovery:?}");
        assert!(port.stats().accept_delays >= 6, "{:?}", port.stats());
        port.finish();
    });
}

fn rule_10_sessions_go_on_while_a_listener_rests(subject: &Subject) {
    subject.in_own_process(|| {
        let mut port = subject.open();
        let (listener, address) = listen_within_limits(&mut port);
        let (socket, mut peer) = port.pair_through((listener, address));
        port.receive(socket);
        let _queued = Peer::connect(address);
        let taken = subject.place().take_all_descriptors();
        rests(&mut port, listener, 2);
        peer.write(b"hello");
        assert_eq!(port.read(socket, 5), b"hello");
        port.send_all(socket, vec![owned(b"world")]);
        assert_eq!(peer.read(5), b"world");
        drop(taken);
        port.finish();
    });
}

fn rule_10_a_listener_that_has_accepted_again_rests_from_the_beginning(subject: &Subject) {
    subject.in_own_process(|| {
        let mut port = subject.open();
        let (listener, address) = listen_within_limits(&mut port);
        let _queued = Peer::connect(address);
        let mut taken = subject.place().take_all_descriptors();
        assert_eq!(rests(&mut port, listener, 3), [10, 20, 40]);
        taken.give_back_one();
        let _accepted = port.accepted(listener);
        taken.give_back_one_for_a_peer();
        let _peer = Peer::connect(address);
        assert_eq!(rests(&mut port, listener, 2), [10, 20]);
        drop(taken);
        port.finish();
    });
}

fn rule_10_a_listener_that_rests_can_be_stopped(subject: &Subject) {
    subject.in_own_process(|| {
        let mut port = subject.open();
        let (listener, address) = listen_within_limits(&mut port);
        let mut queued = Peer::connect(address);
        let taken = subject.place().take_all_descriptors();
        rests(&mut port, listener, 2);
        port.stop_listening(listener);
        port.listener_closed(listener);
        queued.read_to_ending();
        drop(taken);
        port.finish();
    });
}

fn rule_10_a_shortage_of_descriptors_is_told(subject: &Subject) {
    subject.in_own_process(|| {
        let mut port = subject.open();
        let (_, address) = listen_within_limits(&mut port);
        let any = subject.place().v4();
        let taken = subject.place().take_all_descriptors();

        let connected = port.try_connect(address, &SocketOptions::default());
        assert!(matches!(connected, Err(ConnectError::Shortage(_))), "{connected:?}");
        let listened = port.raw().listen(any, &ListenOptions::default());
        assert!(matches!(listened, Err(ListenError::Shortage { .. })), "{listened:?}");
        // A simulated port needs none.
        if !subject.place().is_simulated() {
            let opened = CompletionPort::open(&subject.options());
            assert!(matches!(opened, Err(OpenError::Shortage { .. })), "{opened:?}");
        }

        drop(taken);
        subject.open().finish();
        let (_socket, _peer) = port.pair();
        port.finish();
    });
}

/// The very first port of a process, with one descriptor more at each try.
fn rule_10_a_shortage_is_no_reason_to_take_another_backend(subject: &Subject) {
    subject.in_own_process(|| {
        subject.place().limit_descriptors();
        let mut taken = subject.place().take_all_descriptors();
        let mut backends = Vec::new();
        for _ in 0..16 {
            match CompletionPort::open(&subject.options()) {
                Ok(port) => backends.push(port.backend()),
                Err(error) => assert!(matches!(error, OpenError::Shortage { .. }), "{error}"),
            }
            taken.give_back_one();
        }
        drop(taken);
        let mut port = subject.open();
        let expected = port.raw().backend();
        assert!(backends.iter().all(|&backend| backend == expected), "{backends:?}");
        assert!(!backends.is_empty() && backends.len() < 16, "{backends:?}");
        port.finish();
    });
}
