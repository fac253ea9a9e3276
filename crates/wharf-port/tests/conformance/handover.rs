//! Rule 1: only a fresh socket moves between ports.

use std::net::TcpStream;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use wharf_port::{Completion, FreshSocket, Waker};

use crate::harness::{
    CheckedPort, Echo, Ending, LIMIT, Peer, Subject, assert_bytes, connected, owned, pattern,
    to_port,
};

on_every_backend![
    rule_01_a_fresh_socket_works_on_another_threads_port,
    rule_01_a_fresh_socket_moves_between_backends,
    rule_01_a_fresh_socket_that_is_dropped_closes_its_connection;
    over_tcp:
    rule_01_a_fresh_socket_can_be_reset;
    // The standard library has no simulated streams.
    on_the_system:
    rule_01_a_stream_of_the_standard_library_can_be_adopted,
];

const fn crosses_threads<T: Send>() {}

fn rule_01_a_fresh_socket_works_on_another_threads_port(subject: &Subject) {
    crosses_threads::<FreshSocket>();
    crosses_threads::<Waker>();
    let mut front = subject.open();
    let (listener, address) = front.listen();
    let (hand_over, handed_over) = mpsc::channel();
    let (tell_waker, told_waker) = mpsc::channel();
    thread::scope(|scope| {
        scope.spawn(move || {
            let mut port = subject.open();
            tell_waker.send(port.waker()).unwrap();
            serve_what_is_handed_over(&mut port, &handed_over);
            port.finish();
        });
        let waker: Waker = told_waker.recv_timeout(LIMIT).unwrap();
        let mut peer = Peer::connect(address);
        peer.write(b"before ");
        hand_over.send(front.accepted(listener)).unwrap();
        waker.wake();
        peer.write(b"after");
        peer.end();
        assert_eq!(peer.read_to_ending(), (b"before after".to_vec(), Ending::End));
    });
    front.finish();
}

fn serve_what_is_handed_over(port: &mut CheckedPort, inbox: &mpsc::Receiver<FreshSocket>) {
    let mut echo = Echo::default();
    port.drive("the session that is handed over", |port, completion| {
        if matches!(completion, Completion::Wake) {
            for socket in inbox.try_iter() {
                let socket = port.adopt(socket);
                echo.start(port, socket);
            }
        } else {
            echo.step(port, completion);
        }
        (echo.ended() == 1).then_some(())
    });
}

/// Backends may need their sockets to block, or not to; to adopt adapts. A socket of the wrong kind
/// shows by a port that blocks or spins.
fn rule_01_a_fresh_socket_moves_between_backends(subject: &Subject) {
    let (mut here, mut there) = (subject.open(), subject.open_other());
    move_and_wait(&mut here, &mut there);
    move_and_wait(&mut there, &mut here);
    here.finish();
    there.finish();
}

/// Moves a connection, and has its receive find nothing behind a full buffer, and its send no room.
fn move_and_wait(from: &mut CheckedPort, to: &mut CheckedPort) {
    let (listener, address) = from.listen();
    let mut peer = Peer::connect(address);
    let socket = to.adopt(from.accepted(listener));
    to.receive(socket);
    let full = pattern(1, 16 << 10);
    peer.write(&full);
    assert_bytes(&to.read(socket, full.len()), &full, "a full buffer");
    let much = pattern(2, 16 << 20);
    to.send(socket, vec![owned(&much)]);
    to.nothing_comes();
    let waits = to.stats().waits;
    to.start_timer(to.now() + Duration::from_millis(20), 1);
    to.drive("a timer", |_, completion| match completion {
        Completion::Timer { .. } => Some(()),
        other => panic!("{other:?}"),
    });
    let waits = to.stats().waits - waits;
    assert!(waits < 10, "{waits} waits for nothing but a timer");
    let reader = thread::spawn(move || peer.read(much.len()) == much);
    assert_eq!(to.sent(socket).1, Ok(()));
    assert!(reader.join().unwrap(), "what was sent is not what was read");
}

fn echo_once(port: &mut CheckedPort, socket: FreshSocket, peer: &mut Peer) {
    let socket = port.adopt(socket);
    let mut echo = Echo::default();
    echo.start(port, socket);
    peer.write(b"hello");
    peer.end();
    port.drive("the session to end", |port, completion| {
        echo.step(port, completion);
        (echo.ended() == 1).then_some(())
    });
    assert_eq!(peer.read_to_ending(), (b"hello".to_vec(), Ending::End));
}

fn rule_01_a_stream_of_the_standard_library_can_be_adopted(subject: &Subject) {
    let mut port = subject.open();
    for nonblocking in [false, true] {
        let (listener, address) = port.outside();
        let stream = connected(address, LIMIT).unwrap();
        stream.set_nonblocking(nonblocking).unwrap();
        let mut peer = listener.accept();
        let socket = match to_port(address) {
            #[cfg(unix)]
            wharf_port::Address::Unix(_) => std::os::unix::net::UnixStream::from(stream).try_into(),
            _ => FreshSocket::try_from(TcpStream::from(stream)),
        };
        let socket = socket.unwrap();
        assert_eq!(*socket.peer(), to_port(address));
        assert_eq!(socket.credentials().is_some(), socket.peer().is_unix());
        echo_once(&mut port, socket, &mut peer);
    }
    port.finish();
}

fn rule_01_a_fresh_socket_that_is_dropped_closes_its_connection(subject: &Subject) {
    let mut port = subject.open();
    let (listener, address) = port.listen();
    let mut peer = Peer::connect(address);
    drop(port.accepted(listener));
    assert_eq!(peer.read_to_ending(), (Vec::new(), Ending::End));
    port.finish();
}

fn rule_01_a_fresh_socket_can_be_reset(subject: &Subject) {
    let mut port = subject.open();
    let (listener, address) = port.listen();
    let mut peer = Peer::connect(address);
    port.accepted(listener).reset();
    let (read, ending) = peer.read_to_ending();
    assert!(read.is_empty());
    ending.assert_reset();
    port.finish();
}
