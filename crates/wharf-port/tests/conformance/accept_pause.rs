//! Rule 12: a listener that is paused accepts nobody, and who waits in its queue is not lost.

use std::collections::HashSet;
use std::net::SocketAddr;

use wharf_port::{Backend, Completion, IocpOptions, ListenerId};

use crate::harness::{CheckedPort, Dice, Echo, Peer, Subject, of_port, owned};

on_every_backend![
    rule_12_a_pause_holds_connections_back_and_a_resume_delivers_them,
    rule_12_who_waits_during_a_pause_is_told_where_the_system_tells,
    rule_12_a_pause_before_anything_was_accepted_holds,
    rule_12_a_resume_in_the_same_batch_undoes_the_pause_of_a_listener,
    rule_12_pausing_a_listener_twice_is_pausing_it_once,
    rule_12_stopping_a_paused_listener_delivers_its_queue,
    rule_12_a_pause_of_one_listener_holds_no_other_back,
    rule_12_pauses_while_clients_connect_lose_none,
    rule_12_a_listener_that_is_closed_is_neither_paused_nor_resumed,
];

/// How many connections may come during a pause: those for which accepts had been posted.
fn late_max(port: &mut CheckedPort) -> usize {
    let depth = usize::from(IocpOptions::default().accept_depth);
    if port.raw().backend() == Backend::Iocp { depth } else { 0 }
}

/// Clients that connect to a paused listener, more than may be accepted; those that were, are greeted.
fn connect_in_vain(port: &mut CheckedPort, home: (ListenerId, SocketAddr)) -> Vec<Peer> {
    let late_max = late_max(port);
    let peers: Vec<Peer> = (0..late_max + 50).map(|_| Peer::connect(home.1)).collect();
    if late_max == 0 {
        port.nothing_comes();
        return peers;
    }
    port.fence();
    let late = port.accepted_so_far(home.0);
    assert!(late.len() <= late_max, "{} were accepted during a pause", late.len());
    for socket in late {
        let socket = port.adopt(socket);
        port.send(socket, vec![owned(b"hello")]);
    }
    peers
}

/// Takes and greets connections until each of these clients has been greeted.
fn all_are_served(port: &mut CheckedPort, peers: Vec<Peer>) {
    let addresses: HashSet<SocketAddr> = peers.iter().map(Peer::address).collect();
    assert_eq!(addresses.len(), peers.len());
    let mut left = peers.len() - port.raw().sockets();
    while left > 0 {
        let socket = port.drive("a connection that waited", |_, completion| match completion {
            Completion::Accepted { socket, .. } => Some(socket),
            _ => None,
        });
        assert!(addresses.contains(&of_port(socket.peer())));
        let socket = port.adopt(socket);
        port.send(socket, vec![owned(b"hello")]);
        left -= 1;
    }
    port.fence();
    for mut peer in peers {
        assert_eq!(peer.read(5), b"hello");
    }
}

fn rule_12_a_pause_holds_connections_back_and_a_resume_delivers_them(subject: &Subject) {
    let mut port = subject.open();
    let home = port.listen();
    let (socket, peer) = port.pair_through(home);
    port.close(socket);
    drop(peer);
    port.closed(socket);
    port.raw().pause_accept(home.0);
    port.fence();
    let peers = connect_in_vain(&mut port, home);
    port.raw().resume_accept(home.0);
    all_are_served(&mut port, peers);
    port.finish();
}

fn rule_12_who_waits_during_a_pause_is_told_where_the_system_tells(subject: &Subject) {
    let mut port = subject.open();
    let home = port.listen();
    let is_tcp = port.raw().listener_address(home.0).is_some_and(|it| !it.is_unix());
    let is_told = cfg!(target_os = "linux") && is_tcp && port.raw().backend() != Backend::Sim;
    let waiting = |port: &mut CheckedPort| port.raw().accept_backlog(home.0).map(|it| it.waiting);
    assert_eq!(waiting(&mut port), is_told.then_some(0));
    port.raw().pause_accept(home.0);
    port.fence();
    let peers = connect_in_vain(&mut port, home);
    assert_eq!(waiting(&mut port), is_told.then_some(50));
    port.raw().resume_accept(home.0);
    all_are_served(&mut port, peers);
    assert_eq!(waiting(&mut port), is_told.then_some(0));
    port.raw().stop_listening(home.0);
    port.finish();
}

fn rule_12_a_pause_before_anything_was_accepted_holds(subject: &Subject) {
    let mut port = subject.open();
    let home = port.listen();
    port.raw().pause_accept(home.0);
    port.fence();
    let peers = connect_in_vain(&mut port, home);
    port.raw().resume_accept(home.0);
    all_are_served(&mut port, peers);
    port.finish();
}

fn rule_12_a_resume_in_the_same_batch_undoes_the_pause_of_a_listener(subject: &Subject) {
    let mut port = subject.open();
    let home = port.listen();
    for _ in 0..20 {
        port.raw().pause_accept(home.0);
        port.raw().resume_accept(home.0);
        port.pair_through(home);
        port.raw().pause_accept(home.0);
        port.raw().resume_accept(home.0);
        port.raw().pause_accept(home.0);
        port.fence();
        port.raw().resume_accept(home.0);
    }
    port.finish();
}

fn rule_12_pausing_a_listener_twice_is_pausing_it_once(subject: &Subject) {
    let mut port = subject.open();
    let home = port.listen();
    for _ in 0..2 {
        port.raw().pause_accept(home.0);
        port.fence();
    }
    let peers = connect_in_vain(&mut port, home);
    for _ in 0..2 {
        port.raw().resume_accept(home.0);
    }
    all_are_served(&mut port, peers);
    port.raw().resume_accept(home.0);
    port.pair_through(home);
    port.finish();
}

fn rule_12_stopping_a_paused_listener_delivers_its_queue(subject: &Subject) {
    stop_paused(subject, |_, _| {});
    // It is stopped, whatever is said of it now.
    stop_paused(subject, |port, listener| port.raw().pause_accept(listener));
}

fn stop_paused(subject: &Subject, and_then: impl Fn(&mut CheckedPort, ListenerId)) {
    let mut port = subject.open();
    let home = port.listen();
    port.fence();
    port.raw().pause_accept(home.0);
    port.fence();
    let peers = connect_in_vain(&mut port, home);
    port.stop_listening(home.0);
    and_then(&mut port, home.0);
    let late = port.raw().sockets();
    let mut waited = Vec::new();
    port.drive("the listener to close", |_, completion| match completion {
        Completion::Accepted { socket, .. } => {
            waited.push(socket);
            None
        }
        Completion::ListenerClosed { .. } => Some(()),
        _ => None,
    });
    assert_eq!(late + waited.len(), peers.len(), "connections before the listener closed");
    for socket in waited {
        let socket = port.adopt(socket);
        port.send(socket, vec![owned(b"hello")]);
    }
    all_are_served(&mut port, peers);
    port.finish();
}

fn rule_12_a_pause_of_one_listener_holds_no_other_back(subject: &Subject) {
    let mut port = subject.open();
    let (paused, other) = (port.listen(), port.listen());
    port.raw().pause_accept(paused.0);
    port.fence();
    let (socket, peer) = port.pair_through(other);
    port.close(socket);
    drop(peer);
    port.closed(socket);
    let peers = connect_in_vain(&mut port, paused);
    port.raw().resume_accept(paused.0);
    all_are_served(&mut port, peers);
    port.finish();
}

/// Pauses and resumes come at any time between connections and waits.
fn rule_12_pauses_while_clients_connect_lose_none(subject: &Subject) {
    let mut port = subject.open();
    let home = port.listen();
    let mut dice = Dice::new(12);
    let mut echo = Echo::default();
    for round in 0..10 {
        let mut peers = Vec::new();
        for _ in 0..20 {
            match dice.below(4) {
                0 => port.raw().pause_accept(home.0),
                1 => port.raw().resume_accept(home.0),
                2 => peers.push(Peer::connect(home.1)),
                _ => port.fence(),
            }
        }
        port.raw().resume_accept(home.0);
        for peer in &mut peers {
            peer.write(b"hello");
            peer.end();
        }
        let ended = echo.ended() + peers.len();
        echo.drive(&mut port, "all to be served", |echo| echo.ended() == ended);
        for peer in &mut peers {
            assert_eq!(peer.read(5), b"hello", "round {round}");
        }
    }
    port.finish();
}

fn rule_12_a_listener_that_is_closed_is_neither_paused_nor_resumed(subject: &Subject) {
    let mut port = subject.open();
    let (closed, home) = (port.listen(), port.listen());
    port.stop_listening(closed.0);
    port.raw().pause_accept(closed.0);
    port.listener_closed(closed.0);
    port.raw().pause_accept(closed.0);
    port.raw().resume_accept(closed.0);
    port.pair_through(home);
    port.finish();
}
