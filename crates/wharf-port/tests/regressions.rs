//! Bugs that were, each shown by what a user of the port sees.

#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::io::Write;
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use wharf_port::{
    Backend, Completion, CompletionPort, FreshSocket, OwnedBytes, PortOptions, Received, Segment,
    SocketId,
};

const BOTH: [Backend; 2] = [Backend::Uring, Backend::Readiness];

fn open(options: PortOptions) -> Option<CompletionPort> {
    // Where io_uring is denied there is nothing of it to test.
    CompletionPort::open(&options).ok()
}

/// The two ends of a connection: the port's, and a peer's.
fn pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let peer = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    (listener.accept().unwrap().0, peer)
}

fn adopt(port: &mut CompletionPort, stream: TcpStream) -> SocketId {
    port.adopt(FreshSocket::try_from(stream).unwrap()).unwrap()
}

fn turn(port: &mut CompletionPort) -> Vec<Completion> {
    let deadline = port.now() + Duration::from_millis(20);
    port.wait(Some(deadline)).unwrap();
    std::iter::from_fn(|| port.take()).collect()
}

/// Buffers of which every byte had gone stayed with a send that waited for the rest.
#[test]
fn a_send_that_waits_keeps_no_receive_buffer() {
    for backend in BOTH {
        let Some(mut port) = open(PortOptions { backend, ..PortOptions::default() }) else {
            continue;
        };
        let (stream, mut peer) = pair();
        let socket = adopt(&mut port, stream);
        port.receive(socket).unwrap();
        let mut segments = Vec::new();
        for _ in 0..100 {
            peer.write_all(&[7; 1000]).unwrap();
            for completion in turn(&mut port) {
                if let Completion::Received { what: Received::Data(lease), .. } = completion {
                    segments.push(Segment::Received(lease));
                }
            }
            if segments.len() >= 3 {
                break;
            }
        }
        assert!(port.ledger().leased >= 3, "{backend}: {:?}", port.ledger());
        segments.push(Segment::Owned(OwnedBytes::from(vec![1; 64 << 20])));
        port.send(socket, segments).unwrap();
        for _ in 0..5 {
            assert!(turn(&mut port).is_empty(), "{backend}: nobody reads, so the send waits");
        }
        assert_eq!(port.ledger().leased, 0, "{backend}: the buffers are back");
    }
}

/// A receive that was resumed was armed before what had come late was delivered, so each pause brought
/// in more than each resume let out.
#[test]
fn pauses_under_a_flood_pile_nothing_up() {
    const TAKEN: usize = 4 << 20;
    /// What the kernel may hold for both ends, with room to spare.
    const UNDERWAY_MAX: usize = 32 << 20;
    for backend in BOTH {
        let Some(mut port) = open(PortOptions { backend, ..PortOptions::default() }) else {
            continue;
        };
        let (stream, mut peer) = pair();
        let socket = adopt(&mut port, stream);
        port.receive(socket).unwrap();
        let written = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&written);
        let flood = std::thread::spawn(move || {
            let bytes = vec![1; 64 << 10];
            while let Ok(count) = peer.write(&bytes) {
                counter.fetch_add(count, Ordering::Relaxed);
            }
        });
        let mut taken = 0;
        for _ in 0..100_000 {
            for completion in turn(&mut port) {
                if let Completion::Received { what: Received::Data(lease), .. } = completion {
                    taken += lease.len();
                    port.pause_receive(socket).unwrap();
                }
            }
            port.resume_receive(socket).unwrap();
            if taken >= TAKEN {
                break;
            }
        }
        let underway = written.load(Ordering::Relaxed).saturating_sub(taken);
        assert!(taken >= TAKEN, "{backend}: only {taken} bytes came");
        assert!(
            underway < UNDERWAY_MAX,
            "{backend}: {underway} bytes are neither taken nor held up"
        );
        port.abort(socket).unwrap();
        for _ in 0..100 {
            if turn(&mut port).iter().any(|it| matches!(it, Completion::Closed { .. })) {
                break;
            }
        }
        flood.join().unwrap();
    }
}

/// When more completions came than one wait takes, tries that had failed were taken for sent.
#[test]
fn sends_that_nobody_took_are_not_reported_as_sent() {
    const SOCKETS: usize = 700;
    wharf_port::raise_descriptor_limit();
    let options =
        PortOptions { backend: Backend::Uring, completion_queue: 8, ..PortOptions::default() };
    let Some(mut port) = open(options) else { return };
    let mut peers = Vec::new();
    for _ in 0..SOCKETS {
        let (stream, peer) = pair();
        stream.set_nonblocking(true).unwrap();
        while (&stream).write(&[0; 1 << 16]).is_ok() {}
        let socket = adopt(&mut port, stream);
        port.send(socket, vec![Segment::Owned(OwnedBytes::from(vec![9; 60_000]))]).unwrap();
        peers.push(peer);
    }
    let mut sent = 0;
    for _ in 0..20 {
        let completions = turn(&mut port);
        sent += completions.iter().filter(|it| matches!(it, Completion::Sent { .. })).count();
    }
    assert_eq!(sent, 0, "no peer has read a byte");
}

/// Each buffer of a connection that had much more came in another turn, and went back by a send of its own.
#[test]
fn who_fills_buffers_fills_a_few_in_a_row_and_keeps_nobody_waiting() {
    const BUFFER: usize = 1024;
    /// What a connection may fill in a row, and that it has twice.
    const ROW: usize = 4;
    let options = PortOptions {
        backend: Backend::Readiness,
        buffer_bytes: BUFFER.try_into().unwrap(),
        ..PortOptions::default()
    };
    let mut port = open(options).unwrap();
    let mut streams: Vec<_> = (0..3).map(|_| pair()).collect();
    let sockets: Vec<_> =
        streams.iter().map(|(stream, _)| adopt(&mut port, stream.try_clone().unwrap())).collect();
    for (_, peer) in &mut streams {
        peer.write_all(&[7; 2 * ROW * BUFFER]).unwrap();
    }
    for socket in &sockets {
        port.receive(*socket).unwrap();
    }
    let mut in_order = Vec::new();
    for _ in 0..10 {
        for completion in turn(&mut port) {
            if let Completion::Received { socket, what: Received::Data(lease) } = completion {
                assert_eq!(lease.len(), BUFFER);
                in_order.push(socket);
            }
        }
        if in_order.len() == 2 * ROW * sockets.len() {
            break;
        }
    }
    let rows: Vec<_> = in_order.chunk_by(|one, next| one == next).map(<[_]>::len).collect();
    assert_eq!(rows, [ROW; 6], "each has its turn before anybody has another: {in_order:?}");
}
