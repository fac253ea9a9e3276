//! Connecting.

use std::time::Duration;

use super::super::client::Client;
use super::super::rig::{ADDRESS, Rig, assert_clean, received};
use super::super::switches::Switches;
use crate::completion::{Completion, Direction};
use crate::error::ConnectError;
use crate::iocp::Api;
use crate::socket_options::{ListenOptions, SocketOptions};

#[test]
fn a_connected_socket_is_updated_before_it_is_used() {
    for connects_at_once in [false, true] {
        for skips in [false, true] {
            let switches = Switches { connects_at_once, skips, ..Switches::default() };
            let mut rig = Rig::new(switches);
            let server = rig.mock.open_listener(ADDRESS, &ListenOptions::default()).unwrap();
            let socket = rig.iocp.connect(ADDRESS.into(), &SocketOptions::default()).unwrap();
            let came = rig.until(|it| matches!(it, Completion::Connected { .. }));
            assert!(matches!(&*came, [Completion::Connected { result: Ok(()), .. }]), "{came:?}");
            let peer = Client::accept(&rig.mock, ADDRESS).unwrap();
            assert_eq!(rig.iocp.peer_address(socket), Some(ADDRESS.into()));
            rig.iocp.receive(socket).unwrap();
            rig.send(socket, b"ping");
            peer.send(b"pong");
            let came = rig.settle();
            assert_eq!(received(&came, socket).0, b"pong");
            assert_eq!(peer.take_all(), b"ping");
            rig.iocp.shutdown(socket).unwrap();
            assert!(peer.sees_end());
            drop(came);
            drop(server);
            assert_clean(&rig.finish());
        }
    }
}

#[test]
fn a_refusal_is_a_refusal_and_the_socket_is_there_until_it_is_closed() {
    let mut rig = Rig::new(Switches::default());
    let socket = rig.iocp.connect(ADDRESS.into(), &SocketOptions::default()).unwrap();
    let came = rig.until(|it| matches!(it, Completion::Connected { .. }));
    let refused = Err(ConnectError::Refused);
    assert!(matches!(&*came, [Completion::Connected { result, .. }] if *result == refused));
    assert_eq!(rig.iocp.sockets(), 1);
    rig.close(socket);
    assert_clean(&rig.finish());
}

#[test]
fn a_connect_that_waits_can_be_cancelled_or_closed() {
    for closes in [false, true] {
        let mut rig = Rig::new(Switches::default());
        let full = ListenOptions { backlog: 0, ..ListenOptions::default() };
        let server = rig.mock.open_listener(ADDRESS, &full).unwrap();
        let socket = rig.iocp.connect(ADDRESS.into(), &SocketOptions::default()).unwrap();
        assert!(rig.run(Duration::from_secs(1)).is_empty());
        if closes {
            rig.iocp.close(socket, false).unwrap();
        } else {
            rig.iocp.cancel(socket, Direction::Send).unwrap();
        }
        let came = rig.settle();
        let cancelled = Err(ConnectError::Cancelled);
        assert!(
            matches!(&came[0], Completion::Connected { result, .. } if *result == cancelled),
            "{came:?}"
        );
        assert_eq!(came.len(), 1 + usize::from(closes), "{came:?}");
        drop(server);
        assert_clean(&rig.finish());
    }
}

#[test]
fn unix_sockets_are_refused_and_open_nothing() {
    let mut rig = Rig::new(Switches::default());
    let address: crate::Address = "unix:/a".parse().unwrap();
    let listened = rig.iocp.listen(&address, &ListenOptions::default()).unwrap_err();
    assert!(listened.to_string().contains("there are no Unix sockets here"), "{listened}");
    let connected = rig.iocp.connect(address, &SocketOptions::default()).unwrap_err();
    assert!(connected.to_string().contains("there are no Unix sockets here"), "{connected}");
    assert_clean(&rig.finish());
}
