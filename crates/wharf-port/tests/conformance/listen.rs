//! Rule 12: one listener per address; stopping it delivers its queue first.

use std::net::{Ipv6Addr, SocketAddr};
use std::thread;

use wharf_port::{Completion, ConnectError, ListenError, ListenOptions};

use crate::harness::{CheckedPort, Echo, Ending, Peer, Subject, of_port, owned, to_port};

on_every_backend![
    rule_12_a_second_listener_on_an_address_fails,
    rule_12_an_address_is_free_once_its_listener_has_closed,
    rule_12_port_0_gets_a_real_port,
    rule_12_stopping_delivers_what_waits_in_the_queue,
    rule_12_stopping_delivers_what_waits_behind_what_was_taken,
    rule_12_stopping_while_clients_connect_leaves_none_hanging,
    rule_12_two_listeners_are_told_apart,
    rule_12_options_that_cannot_be_are_refused;
    over_tcp:
    rule_12_an_address_of_another_machine_fails,
    rule_12_accepted_sockets_have_the_options_they_were_given,
    rule_12_an_ipv6_listener_takes_ipv4_only_when_asked,
];

fn rule_12_a_second_listener_on_an_address_fails(subject: &Subject) {
    let mut port = subject.open();
    let mut other = subject.open();
    let (_, address) = port.listen();
    let options = ListenOptions::default();
    for second in [
        port.raw().listen(to_port(address), &options),
        other.raw().listen(to_port(address), &options),
    ] {
        assert!(
            matches!(second, Err(ListenError::AddressInUse(ref of)) if *of == to_port(address)),
            "{second:?}"
        );
    }
    let (_foreign, address) = port.outside();
    let second = port.raw().listen(to_port(address), &options);
    assert!(
        matches!(second, Err(ListenError::AddressInUse(ref of)) if *of == to_port(address)),
        "{second:?}"
    );
    other.finish();
    port.finish();
}

fn rule_12_an_address_is_free_once_its_listener_has_closed(subject: &Subject) {
    let mut port = subject.open();
    let (first, address) = port.listen();
    let (_socket, _peer) = port.pair_through((first, address));
    port.stop_listening(first);
    port.listener_closed(first);
    assert_eq!(port.raw().listener_address(first), None);
    assert!(Peer::try_connect(address).is_err(), "nobody listens there any more");
    let (second, _) = port.listen_on(address, &ListenOptions::default());
    assert_ne!(second, first);
    port.pair_through((second, address));
    port.finish();
}

fn rule_12_an_address_of_another_machine_fails(subject: &Subject) {
    let mut port = subject.open();
    let address: SocketAddr = "192.0.2.1:7777".parse().unwrap();
    let listened = port.raw().listen(address, &ListenOptions::default());
    let expected = matches!(listened, Err(ListenError::AddressNotLocal(ref of)) if *of == address);
    assert!(expected, "{listened:?}");
    port.finish();
}

fn rule_12_port_0_gets_a_real_port(subject: &Subject) {
    let mut port = subject.open();
    let (first, address) = port.listen();
    let (_, other) = port.listen();
    assert_ne!(address.port(), 0);
    assert_ne!(address, other);
    assert_eq!(port.raw().listener_address(first), Some(to_port(address)));
    port.finish();
}

/// Fifty have connected before the port has ever waited.
fn rule_12_stopping_delivers_what_waits_in_the_queue(subject: &Subject) {
    let mut port = subject.open();
    let (listener, address) = port.listen();
    let mut peers: Vec<_> = (0..50).map(|_| Peer::connect(address)).collect();
    port.stop_listening(listener);
    all_are_served(&mut port, &mut peers);
    port.finish();
}

/// Some are taken as usual, and the others have connected behind them.
fn rule_12_stopping_delivers_what_waits_behind_what_was_taken(subject: &Subject) {
    let mut port = subject.open();
    let (listener, address) = port.listen();
    let (_socket, _peer) = port.pair_through((listener, address));
    let mut peers: Vec<_> = (0..50).map(|_| Peer::connect(address)).collect();
    port.stop_listening(listener);
    all_are_served(&mut port, &mut peers);
    port.finish();
}

/// Takes until the listener has closed, and greets every connection.
fn all_are_served(port: &mut CheckedPort, peers: &mut [Peer]) {
    let mut accepted = 0;
    port.drive("the listener to close", |port, completion| {
        if let Completion::Accepted { socket, .. } = completion {
            let socket = port.adopt(socket);
            port.send(socket, vec![owned(b"hello")]);
            accepted += 1;
            return None;
        }
        matches!(completion, Completion::ListenerClosed { .. }).then_some(())
    });
    assert_eq!(accepted, peers.len(), "connections before the listener closed");
    port.fence();
    for peer in peers {
        assert_eq!(peer.read(5), b"hello");
    }
}

/// Clients go on connecting while the listener stops: each is served, or refused, or sees its
/// connection end; none waits for ever.
fn rule_12_stopping_while_clients_connect_leaves_none_hanging(subject: &Subject) {
    let mut port = subject.open();
    for _ in 0..10 {
        let (listener, address) = port.listen();
        let clients = thread::spawn(move || {
            let connected = std::iter::from_fn(|| Peer::try_connect(address).ok());
            connected.filter_map(|mut peer| is_served(&mut peer)).count()
        });
        let mut echo = Echo::default();
        echo.drive(&mut port, "five sessions to end", |echo| echo.ended() == 5);
        port.stop_listening(listener);
        echo.drive(&mut port, "the listener and all sessions to end", Echo::has_stopped);
        assert_eq!(clients.join().unwrap(), echo.ended(), "clients served, and sessions");
    }
    port.finish();
}

/// Whether a connection that may end at any time was served.
fn is_served(peer: &mut Peer) -> Option<()> {
    peer.try_write(b"hello").ok()?;
    peer.try_end().ok()?;
    (peer.read_to_ending() == (b"hello".to_vec(), Ending::End)).then_some(())
}

fn rule_12_accepted_sockets_have_the_options_they_were_given(subject: &Subject) {
    let mut port = subject.open();
    assert!(ListenOptions::default().accepted.no_delay, "small sends go out at once by default");
    for no_delay in [true, false] {
        let mut options = ListenOptions::default();
        options.accepted.no_delay = no_delay;
        let home = port.listen_with(&options);
        let (socket, peer) = port.pair_through(home);
        assert_eq!(port.raw().no_delay(socket), Some(no_delay));
        assert_eq!(port.raw().peer_address(socket), Some(peer.address().into()));
        assert_eq!(port.raw().local_address(socket), Some(home.1.into()));
    }
    port.finish();
}

fn rule_12_an_ipv6_listener_takes_ipv4_only_when_asked(subject: &Subject) {
    let Some(host) = subject.place().v6() else { return };
    let mut port = subject.open();
    for dual_stack in [false, true] {
        let options = ListenOptions { dual_stack, ..ListenOptions::default() };
        let (listener, address) = port.listen_on((Ipv6Addr::UNSPECIFIED, 0).into(), &options);
        let v6 = SocketAddr::new(host.ip(), address.port());
        // No other test listens there, so that the port is not somebody else's on IPv4.
        let v4: SocketAddr = (subject.place().own_v4(), address.port()).into();
        port.pair_through((listener, v6));
        assert_eq!(Peer::try_connect(v4).is_ok(), dual_stack);
    }
    port.finish();
}

fn rule_12_two_listeners_are_told_apart(subject: &Subject) {
    let mut port = subject.open();
    let (first, second) = (port.listen(), port.listen());
    let peers = [second, first, first].map(|(_, address)| Peer::connect(address));
    assert_eq!(of_port(port.accepted(first.0).peer()), peers[1].address());
    assert_eq!(of_port(port.accepted(second.0).peer()), peers[0].address());
    port.stop_listening(second.0);
    port.listener_closed(second.0);
    assert_eq!(of_port(port.accepted(first.0).peer()), peers[2].address());
    port.finish();
}

fn rule_12_options_that_cannot_be_are_refused(subject: &Subject) {
    let mut port = subject.open();
    let mut options = ListenOptions::default();
    options.accepted.send_buffer_bytes = Some(0);
    let listened = port.raw().listen(subject.place().v4(), &options);
    let said = matches!(listened, Err(ListenError::Options(what)) if what.contains("send_buffer"));
    assert!(said, "{listened:?}");
    let (listener, address) = port.listen();
    let connected = port.try_connect(address, &options.accepted);
    let said =
        matches!(connected, Err(ConnectError::Options(what)) if what.contains("send_buffer"));
    assert!(said, "{connected:?}");
    port.pair_through((listener, address));
    port.finish();
}
