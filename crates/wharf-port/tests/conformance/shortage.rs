//! Rule 10: running out of something is told, costs no processor time, and passes.

use std::net::SocketAddr;
use std::thread;
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};
use wharf_port::{
    AcceptError, Completion, CompletionPort, ConnectError, Lease, ListenError, ListenOptions,
    ListenerId, OpenError, Received, SocketId, SocketOptions,
};

use crate::harness::{CheckedPort, Echo, Ending, Peer, Subject, echo_at_once, owned, pattern};

on_every_backend![
    rule_10_a_listener_without_descriptors_rests_and_recovers,
    rule_10_sessions_go_on_while_a_listener_rests,
    rule_10_a_listener_that_has_accepted_again_rests_from_the_beginning,
    rule_10_a_listener_that_rests_can_be_stopped,
    rule_10_a_shortage_of_descriptors_is_told,
    rule_10_clients_that_reset_at_once_stop_no_listener,
    rule_10_two_buffers_serve_hundreds_of_senders,
    rule_10_a_receive_waits_for_buffers_that_the_caller_holds,
    rule_10_a_receive_that_waits_for_a_buffer_can_be_ended,
    rule_10_a_short_completion_queue_loses_nothing,
    rule_10_a_short_completion_queue_hides_no_failure;
    // What a sender has left after a part would take the buffer that the last one is to get.
    without_faults:
    rule_10_receives_that_need_no_buffer_keep_none_from_the_others;
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

fn rule_10_clients_that_reset_at_once_stop_no_listener(subject: &Subject) {
    let mut port = subject.open();
    let (_, address) = port.listen();
    let waker = port.waker();
    let clients = thread::spawn(move || {
        for _ in 0..1_000 {
            Peer::connect(address).reset();
        }
        let mut honest = Peer::connect(address);
        honest.write(b"hello");
        honest.end();
        assert_eq!(honest.read_to_ending(), (b"hello".to_vec(), Ending::End));
        waker.wake();
    });
    let mut echo = Echo::default();
    port.drive("the honest client to be served", |port, completion| {
        let served = matches!(completion, Completion::Wake);
        echo.step(port, completion);
        served.then_some(())
    });
    clients.join().unwrap();
    port.finish();
}

/// All of them have sent before the first is answered; each buffer goes round hundreds of times.
fn rule_10_two_buffers_serve_hundreds_of_senders(subject: &Subject) {
    subject.may_have_small_windows();
    let port = subject.open_with(|options| (options.buffers, options.buffer_bytes) = (2, 1_024));
    let stats = echo_at_once(port, 300, 3_000);
    assert!(stats.buffer_shortages > 0, "the buffers were to run out: {stats:?}");
    assert!(stats.waits < 10_000, "it spins: {stats:?}");
}

/// A port with two buffers of 64 bytes, and connections that have sent as much each.
fn senders(subject: &Subject, count: usize) -> (CheckedPort, Vec<(SocketId, Peer)>) {
    let mut port = subject.open_with(|options| (options.buffers, options.buffer_bytes) = (2, 64));
    let mut pairs: Vec<_> = (0..count).map(|_| port.pair()).collect();
    for (socket, peer) in &mut pairs {
        port.receive(*socket);
        peer.write(&pattern(10, 64));
    }
    (port, pairs)
}

/// Takes until no buffer is left to receive into.
fn hold_all_buffers(port: &mut CheckedPort) -> Vec<Lease> {
    let mut held = Vec::new();
    port.drive("all buffers to be out", |port, completion| match completion {
        Completion::Received { what: Received::Data(lease), .. } => {
            held.push(lease);
            (port.ledger().leased == port.ledger().total).then_some(())
        }
        other => panic!("{other:?}"),
    });
    held
}

fn rule_10_a_receive_waits_for_buffers_that_the_caller_holds(subject: &Subject) {
    let (mut port, pairs) = senders(subject, 20);
    let held = hold_all_buffers(&mut port);
    let waits = port.stats().waits;
    port.start_timer(port.now() + Duration::from_millis(50), 0);
    port.drive("a timer", |_, completion| match completion {
        Completion::Timer { .. } => Some(()),
        other => panic!("there is no buffer, but {other:?}"),
    });
    let waits = port.stats().waits - waits;
    assert!(waits <= 10, "{waits} waits for nothing but a timer");

    let mut count: usize = held.iter().map(|lease| lease.len()).sum();
    drop(held);
    port.drive("what had to wait", |_, completion| {
        if let Completion::Received { what: Received::Data(lease), .. } = completion {
            count += lease.len();
        }
        (count == pairs.len() * 64).then_some(())
    });
    port.finish();
}

/// Many receives start while there is no buffer, and only the last one has bytes: it gets the buffer
/// that comes back, although the others stand before it.
fn rule_10_receives_that_need_no_buffer_keep_none_from_the_others(subject: &Subject) {
    let (mut port, _pairs) = senders(subject, 2);
    let held = hold_all_buffers(&mut port);
    let mut idle = [(); 20].map(|()| port.pair());
    idle.iter().for_each(|&(socket, _)| port.receive(socket));
    let (last, peer) = &mut idle[19];
    peer.write(b"hello");
    port.nothing_comes();
    drop(held);
    assert_eq!(port.read(*last, 5), b"hello");
    port.finish();
}

fn rule_10_a_receive_that_waits_for_a_buffer_can_be_ended(subject: &Subject) {
    let (mut port, pairs) = senders(subject, 6);
    let held = hold_all_buffers(&mut port);
    port.nothing_comes();
    pairs.iter().for_each(|&(socket, _)| port.close(socket));
    pairs.iter().for_each(|&(socket, _)| port.closed(socket));
    drop(held);
    port.finish();
}

fn rule_10_a_short_completion_queue_loses_nothing(subject: &Subject) {
    subject.may_have_small_windows();
    let port = subject.open_with(|options| options.completion_queue = 8);
    echo_at_once(port, 1_000, 100);
}

/// More sends find no room, in one batch, than the queue has entries to say so: none of them may pass
/// for sent.
fn rule_10_a_short_completion_queue_hides_no_failure(subject: &Subject) {
    let mut port = subject.open_with(|options| options.completion_queue = 8);
    let bytes = pattern(12, 1 << 20);
    let mut pairs: Vec<_> = (0..30).map(|_| port.narrow_pair()).collect();
    pairs.iter().for_each(|&(socket, _)| port.send(socket, vec![owned(&bytes)]));
    port.nothing_comes();
    let (socket, mut peer) = pairs.pop().unwrap();
    let reader = thread::spawn(move || peer.read(bytes.len()) == bytes);
    assert_eq!(port.sent(socket).1, Ok(()));
    assert!(reader.join().unwrap(), "what was sent is not what was read");
    port.nothing_comes();
    port.finish();
}
