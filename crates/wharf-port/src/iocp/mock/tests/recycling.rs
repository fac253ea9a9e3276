//! Sockets that are used again.

use std::net::SocketAddr;
use std::time::Duration;

use windows_sys::Win32::Networking::WinSock::WSAENOTCONN;

use super::super::client::Client;
use super::super::rig::{ADDRESS, Rig, assert_clean, four_accepts, fresh, options, received};
use super::super::switches::{Disconnecting, Switches};
use crate::completion::{Completion, Received};
use crate::ids::SocketId;
use crate::iocp::Api;
use crate::options::{IocpOptions, Recycling};
use crate::socket_options::{ListenOptions, SocketOptions};

fn recycling(switches: Switches) -> Rig {
    let iocp = IocpOptions { recycling: Recycling::DisconnectEx, ..four_accepts() };
    let mut rig = Rig::with(switches, iocp);
    rig.listen();
    rig
}

/// A connection whose peer ends first.
fn ended(rig: &mut Rig) -> (Client, SocketId) {
    let (client, socket) = rig.receiving();
    client.finish();
    let came = rig.settle();
    assert!(matches!(received(&came, socket).1, Some(Received::End)), "{came:?}");
    (client, socket)
}

/// Accepts clients until sockets that were used before must have come round.
fn accept_some(rig: &mut Rig) -> usize {
    let mut stay = 0;
    for _ in 0..8 {
        let (client, socket) = rig.accept();
        stay += usize::from(socket.must_stay());
        let socket = rig.iocp.adopt(socket).unwrap();
        rig.iocp.receive(socket).unwrap();
        client.send(b"hello");
        let came = rig.until(|it| matches!(it, Completion::Received { .. }));
        assert_eq!(received(&came, socket).0, b"hello");
        drop(came);
        rig.close(socket);
    }
    stay
}

#[test]
fn a_socket_whose_peer_has_ended_is_used_again_and_stays_with_its_port() {
    for (disconnect, how) in [
        (Disconnecting::AtOnce, Recycling::DisconnectEx),
        (Disconnecting::After(Duration::from_millis(1)), Recycling::TransmitFile),
    ] {
        let iocp = IocpOptions { recycling: how, ..four_accepts() };
        let mut rig = Rig::with(Switches { disconnect, ..Switches::default() }, iocp);
        rig.listen();
        let (client, socket) = ended(&mut rig);
        rig.close(socket);
        assert!(client.sees_end() && !client.sees_reset());
        rig.run(Duration::from_millis(20));
        let associated = rig.mock.counts().associations;
        assert_eq!(accept_some(&mut rig), 1);
        let counts = rig.mock.counts();
        assert_eq!((counts.disconnects, counts.sockets_reused), (1, 1));
        assert_eq!(counts.associations - associated, 7, "the eighth was there already");
        assert_clean(&rig.finish());
    }
}

#[test]
fn another_port_refuses_a_socket_that_must_stay() {
    let mut rig = recycling(Switches::default());
    let mut other = Rig::on(&rig.mock, &options(four_accepts()));
    let (_client, socket) = ended(&mut rig);
    rig.close(socket);
    rig.run(Duration::from_millis(20));
    let clients: Vec<Client> = (0..6).map(|_| rig.client()).collect();
    let sockets = rig.settle().into_iter().filter_map(|it| match it {
        Completion::Accepted { socket, .. } => Some(socket),
        _ => None,
    });
    let (staying, free): (Vec<_>, Vec<_>) = sockets.partition(|it| it.must_stay());
    assert_eq!((staying.len(), free.len()), (1, 5));
    for socket in staying {
        assert!(other.iocp.adopt(socket).is_err());
    }
    for socket in free {
        other.iocp.adopt(socket).unwrap();
    }
    assert_eq!(clients.iter().filter(|it| it.sees_end()).count(), 1, "what is refused is closed");
    drop(other.finish());
    assert_clean(&rig.finish());
}

#[test]
fn a_socket_that_ends_first_is_closed_and_not_recycled() {
    let mut rig = recycling(Switches::default());
    // It closes while its peer has not ended.
    let (_client, socket) = rig.connection();
    rig.close(socket);
    // It ends its stream, and its peer answers with its own end: TIME_WAIT is on this side.
    let (client, socket) = rig.receiving();
    rig.iocp.shutdown(socket).unwrap();
    client.finish();
    let came = rig.settle();
    assert!(matches!(received(&came, socket).1, Some(Received::End)), "{came:?}");
    rig.close(socket);
    assert_eq!(rig.mock.counts().disconnects, 0);
    assert_eq!(accept_some(&mut rig), 0);
    assert_clean(&rig.finish());
}

#[test]
fn a_socket_that_has_connected_serves_no_accept() {
    let mut rig = recycling(Switches::default());
    let elsewhere = SocketAddr::new(ADDRESS.ip(), 81);
    let server = rig.mock.open_listener(elsewhere, &ListenOptions::default()).unwrap();
    let socket = rig.iocp.connect(elsewhere.into(), &SocketOptions::default()).unwrap();
    rig.until(|it| matches!(it, Completion::Connected { result: Ok(()), .. }));
    let peer = Client::accept(&rig.mock, elsewhere).unwrap();
    rig.iocp.receive(socket).unwrap();
    peer.finish();
    assert!(matches!(received(&rig.settle(), socket).1, Some(Received::End)));
    rig.close(socket);
    assert_eq!(rig.mock.counts().disconnects, 0);
    assert_eq!(accept_some(&mut rig), 0);
    drop(server);
    assert_clean(&rig.finish());
}

#[test]
fn a_socket_of_one_family_serves_no_listener_of_the_other() {
    let mut rig = recycling(Switches::default());
    let v6: SocketAddr = "[2001:db8::1]:80".parse().unwrap();
    rig.iocp.listen(&v6.into(), &ListenOptions::default()).unwrap();
    rig.settle();
    let (_client, socket) = ended(&mut rig);
    rig.close(socket);
    rig.run(Duration::from_millis(20));
    // Its places are filled again, and the socket that is ready is of no use there.
    for _ in 0..8 {
        let client = Client::connect(&rig.mock, v6).unwrap();
        let socket = fresh(rig.settle());
        assert_eq!(*socket.peer(), client.address());
        assert!(!socket.must_stay());
    }
    assert_eq!(accept_some(&mut rig), 1);
    assert_clean(&rig.finish());
}

#[test]
fn a_socket_with_something_pending_is_not_recycled() {
    let mut rig = recycling(Switches { window: 10, ..Switches::default() });
    let (_client, socket) = ended(&mut rig);
    rig.send(socket, &[1; 100]);
    rig.settle();
    rig.close(socket);
    assert_eq!(rig.mock.counts().disconnects, 0);
    assert_clean(&rig.finish());
}

#[test]
fn a_socket_that_takes_too_long_is_closed() {
    let after = Duration::from_secs(120);
    let mut rig =
        recycling(Switches { disconnect: Disconnecting::After(after), ..Switches::default() });
    let before = rig.mock.sockets();
    let (_client, socket) = ended(&mut rig);
    rig.close(socket);
    assert_eq!(rig.mock.counts().disconnects, 1);
    let waiting = rig.mock.sockets();
    rig.run(Duration::from_secs(2));
    assert_eq!((waiting - rig.mock.sockets(), rig.mock.sockets()), (1, before));
    assert_eq!(accept_some(&mut rig), 0);
    assert_clean(&rig.finish());
}

#[test]
fn a_socket_that_cannot_be_disconnected_is_closed() {
    let disconnect = Disconnecting::Fails(WSAENOTCONN.cast_unsigned());
    let mut rig = recycling(Switches { disconnect, ..Switches::default() });
    let (_client, socket) = ended(&mut rig);
    rig.close(socket);
    assert_eq!(accept_some(&mut rig), 0);
    assert_clean(&rig.finish());
}

#[test]
fn shutting_down_waits_for_no_time_wait() {
    let after = Duration::from_secs(120);
    let mut rig =
        recycling(Switches { disconnect: Disconnecting::After(after), ..Switches::default() });
    let (_client, socket) = ended(&mut rig);
    rig.close(socket);
    rig.iocp.stop_all_listeners();
    rig.until(|it| matches!(it, Completion::ListenerClosed { .. }));
    assert_eq!((rig.iocp.operations(), rig.mock.operations()), (0, 1));
    let begun = rig.mock.now();
    let mock = rig.finish();
    assert!(mock.now() - begun < after);
    assert_clean(&mock);
}

#[test]
fn nothing_is_recycled_under_wine_or_without_real_handles() {
    let wine = Switches { wine: true, ..Switches::default() };
    let unreal = Switches { skips: false, ..Switches::default() };
    for switches in [wine, unreal] {
        let mut rig = recycling(switches);
        let (_client, socket) = ended(&mut rig);
        rig.close(socket);
        assert_eq!(rig.mock.counts().disconnects, 0);
        assert_clean(&rig.finish());
    }
}

#[test]
fn a_socket_that_was_accepted_and_never_used_is_no_loss() {
    let mut rig = recycling(Switches::default());
    let client = rig.client();
    drop(fresh(rig.settle()));
    assert!(client.sees_end());
    assert_clean(&rig.finish());
}
