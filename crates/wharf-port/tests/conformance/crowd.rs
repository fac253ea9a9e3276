//! Rule 10: a crowd finds few buffers, a short queue, a listener that others have abused.

use std::collections::HashSet;
use std::thread;
use std::time::Duration;

use wharf_port::{Backend, Completion, Lease, PortOptions, Received, SocketId};

use crate::harness::{
    CheckedPort, Echo, Ending, Peer, Subject, echo_at_once, of_port, owned, pattern,
};

on_every_backend![
    rule_10_clients_that_reset_at_once_stop_no_listener,
    rule_10_two_buffers_serve_a_thousand_senders,
    rule_10_a_receive_waits_for_buffers_that_the_caller_holds,
    rule_10_a_receive_that_waits_for_a_buffer_can_be_ended,
    rule_10_a_short_completion_queue_loses_nothing,
    rule_10_a_short_completion_queue_loses_no_connection,
    rule_10_a_short_completion_queue_hides_no_failure;
    // What a sender has left after a part would take the buffer that the last one is to get.
    without_faults:
    rule_10_receives_that_need_no_buffer_keep_none_from_the_others,
];

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

/// All of them have sent before the first is answered; each buffer goes round thousands of times. In a
/// process of its own, as all that need some thousand descriptors.
fn rule_10_two_buffers_serve_a_thousand_senders(subject: &Subject) {
    subject.may_have_small_windows();
    subject.in_own_process(|| {
        let few = |options: &mut PortOptions| (options.buffers, options.buffer_bytes) = (2, 1_024);
        let stats = echo_at_once(subject.open_with(few), 1_000, 3_000);
        assert!(stats.buffer_shortages > 0, "the buffers were to run out: {stats:?}");
        assert!(stats.waits < 30_000, "it spins: {stats:?}");
    });
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
    subject.in_own_process(|| {
        let port = subject.open_with(|options| options.completion_queue = 8);
        echo_at_once(port, 1_000, 100);
    });
}

/// All of them wait in the listener's queue before the port looks.
fn rule_10_a_short_completion_queue_loses_no_connection(subject: &Subject) {
    // Windows lets some two hundred wait.
    let count = if cfg!(windows) { 100 } else { 1_000 };
    subject.in_own_process(|| {
        let mut port = subject.open_with(|options| options.completion_queue = 8);
        let (listener, address) = port.listen();
        let peers: Vec<_> = (0..count).map(|_| Peer::connect(address)).collect();
        let mut missing: HashSet<_> = peers.iter().map(Peer::address).collect();
        for _ in &peers {
            let socket = port.accepted(listener);
            assert!(missing.remove(&of_port(socket.peer())), "{} was not to come", socket.peer());
        }
        let stats = port.stats();
        // Otherwise accepts come one by one, or have no queue.
        let at_once = subject.options().uring.multishot_accept;
        if at_once && port.raw().backend() == Backend::Uring {
            assert!(stats.queue_overflows > 0, "the queue was to run over: {stats:?}");
        }
        port.finish();
    });
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
