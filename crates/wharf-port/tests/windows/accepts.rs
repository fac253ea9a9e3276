//! Accepts, in each of the ways to refill them.

use std::io::Write;
use std::net::SocketAddr;
use std::num::NonZeroU16;
use std::thread;
use std::time::Duration;

use wharf_port::{
    AcceptRefill, Completion, CompletionPort, FirstReceive, ListenOptions, PortOptions, Received,
};

use crate::server::{LIMIT, Server, assert_echo, connect, end, options, reset};

const WAYS: [AcceptRefill; 3] =
    [AcceptRefill::Inline, AcceptRefill::Thread, AcceptRefill::AcceptThread];

fn refilled_by(refill: AcceptRefill) -> PortOptions {
    let mut options = options();
    options.iocp.refill = refill;
    options
}

#[test]
fn a_thousand_clients_that_reset_in_the_backlog_do_not_hurt_the_next_one() {
    for refill in WAYS {
        let server = Server::start(refilled_by(refill));
        for _ in 0..1_000 {
            reset(connect(server.address));
        }
        let mut honest = connect(server.address);
        assert_echo(&mut honest, b"hello");
        end(honest);
        let report = server.stop();
        assert!(report.accepted + report.stats.accepts_gone >= 1_001, "{refill:?}: {report:?}");
    }
}

#[test]
fn every_way_accepts_more_than_it_has_posted() {
    for refill in WAYS {
        let mut options = refilled_by(refill);
        options.iocp.accept_depth = 4;
        let server = Server::start(options);
        let mut clients: Vec<_> = (0..200).map(|_| connect(server.address)).collect();
        for (number, client) in (0u32..).zip(&mut clients) {
            assert_echo(client, &number.to_le_bytes());
        }
        clients.into_iter().for_each(end);
        assert_eq!(server.stop().accepted, 200, "{refill:?}");
    }
}

/// Rule 12, in each way: what waits in the queue is delivered before the listener is closed.
#[test]
fn a_listener_that_stops_delivers_its_queue() {
    for refill in WAYS {
        let mut options = refilled_by(refill);
        options.iocp.accept_depth = 2;
        let mut port = CompletionPort::open(&options).unwrap();
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        let listener = port.listen(any, &ListenOptions::default()).unwrap();
        let address = port.listener_address(listener).and_then(|it| it.tcp()).unwrap();
        port.wait(Some(port.now())).unwrap();
        let clients: Vec<_> = (0..20).map(|_| connect(address)).collect();
        port.stop_listening(listener);
        let deadline = port.now() + LIMIT;
        let (mut accepted, mut closed) = (0, false);
        while !closed {
            port.wait(Some(deadline)).unwrap();
            assert!(port.now() < deadline, "{refill:?}: {accepted} accepted, not closed");
            while let Some(completion) = port.take() {
                accepted += u32::from(matches!(completion, Completion::Accepted { .. }));
                closed |= matches!(completion, Completion::ListenerClosed { .. });
            }
        }
        assert_eq!(accepted, 20, "{refill:?}");
        drop(clients);
        port.shut_down(LIMIT).unwrap();
    }
}

/// The first bytes come with the accept. One that ends without a byte is a connection like any other.
#[test]
fn the_first_bytes_come_with_the_accept() {
    let mut options = options();
    let bytes = NonZeroU16::new(64).unwrap();
    options.iocp.first_receive = Some(FirstReceive { bytes, patience: LIMIT });
    let server = Server::start(options);
    for len in [1, 63, 64, 65, 5_000] {
        let mut client = connect(server.address);
        let bytes: Vec<u8> = (0..=255u8).cycle().take(len).collect();
        assert_echo(&mut client, &bytes);
        end(client);
    }
    end(connect(server.address));
    let report = server.stop();
    assert_eq!(report.accepted, 6);
}

/// They are delivered before anything else, and to a session that starts paused as well.
#[test]
fn the_first_bytes_wait_for_the_first_receive() {
    let mut options = options();
    let bytes = NonZeroU16::new(8).unwrap();
    options.iocp.first_receive = Some(FirstReceive { bytes, patience: LIMIT });
    let mut port = CompletionPort::open(&options).unwrap();
    let listener =
        port.listen(SocketAddr::from(([127, 0, 0, 1], 0)), &ListenOptions::default()).unwrap();
    let address = port.listener_address(listener).and_then(|it| it.tcp()).unwrap();
    let client = thread::spawn(move || {
        let mut client = connect(address);
        client.write_all(b"0123456789").unwrap();
        end(client);
    });
    let deadline = port.now() + LIMIT;
    let (mut read, mut over) = (Vec::new(), false);
    while !over {
        port.wait(Some(deadline)).unwrap();
        assert!(port.now() < deadline, "{read:?} and no end");
        while let Some(completion) = port.take() {
            match completion {
                Completion::Accepted { socket, .. } => {
                    let socket = port.adopt(socket).unwrap();
                    port.pause_receive(socket).unwrap();
                    port.receive(socket).unwrap();
                    port.start_timer(port.now() + Duration::from_millis(20), 0).unwrap();
                    port.wait(Some(port.now())).unwrap();
                    assert!(port.take().is_none(), "it is paused");
                    port.resume_receive(socket).unwrap();
                }
                Completion::Received { what: Received::Data(lease), .. } => {
                    read.extend_from_slice(&lease);
                }
                Completion::Received { socket, .. } => port.close(socket).unwrap(),
                Completion::Closed { .. } => over = true,
                _ => {}
            }
        }
    }
    assert_eq!(read, b"0123456789");
    client.join().unwrap();
    port.shut_down(LIMIT).unwrap();
}
