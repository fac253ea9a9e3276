//! Accepts that wait for the client's first bytes.

use std::num::NonZeroU16;
use std::time::Duration;

use super::super::client::Client;
use super::super::rig::{Rig, assert_clean, four_accepts, fresh, options, received};
use super::super::switches::Switches;
use crate::completion::{Completion, Received};
use crate::options::{FirstReceive, IocpOptions};

const PATIENCE: Duration = Duration::from_secs(2);
const FIRST: u16 = 20;

fn accepting(switches: Switches) -> Rig {
    let bytes = NonZeroU16::new(FIRST).unwrap();
    let first_receive = Some(FirstReceive { bytes, patience: PATIENCE });
    let mut rig = Rig::with(switches, IocpOptions { first_receive, ..four_accepts() });
    rig.listen();
    rig
}

fn accepted(completions: &[Completion]) -> usize {
    completions.iter().filter(|it| matches!(it, Completion::Accepted { .. })).count()
}

#[test]
fn what_came_with_the_accept_is_delivered_first() {
    for accepts_at_once in [false, true] {
        for length in [1, 19, 20, 21, 300] {
            let mut rig = accepting(Switches { accepts_at_once, ..Switches::default() });
            let client = rig.client();
            assert!(rig.settle().is_empty(), "it has said nothing");
            let message: Vec<u8> = (0..=255).cycle().take(length).collect();
            client.send(&message);
            let socket = fresh(rig.settle());
            let socket = rig.iocp.adopt(socket).unwrap();
            rig.iocp.receive(socket).unwrap();
            client.send(b"and more");
            client.finish();
            let came = rig.settle();
            let (bytes, end) = received(&came, socket);
            assert_eq!(bytes, [&message[..], b"and more"].concat());
            assert!(matches!(end, Some(Received::End)), "{came:?}");
            drop(came);
            assert_clean(&rig.finish());
        }
    }
}

#[test]
fn clients_that_have_spoken_before_the_accept_is_posted_are_accepted_at_once() {
    let mut rig = accepting(Switches { accepts_at_once: true, ..Switches::default() });
    let clients: Vec<Client> = (0..10).map(|_| rig.client()).collect();
    clients.iter().for_each(|client| client.send(b"hello"));
    let came = rig.settle();
    assert_eq!(accepted(&came), clients.len());
    drop(came);
    assert_clean(&rig.finish());
}

#[test]
fn an_accept_without_bytes_is_no_close() {
    let mut rig = accepting(Switches::default());
    let client = rig.client();
    // It ends its stream before it has said anything, and still listens.
    client.finish();
    let socket = fresh(rig.settle());
    let socket = rig.iocp.adopt(socket).unwrap();
    rig.send(socket, b"you are welcome");
    rig.iocp.receive(socket).unwrap();
    let came = rig.settle();
    assert_eq!(client.take_all(), b"you are welcome");
    assert!(matches!(received(&came, socket), (none, Some(Received::End)) if none.is_empty()));
    assert_clean(&rig.finish());
}

#[test]
fn a_reset_before_the_first_byte_frees_the_place() {
    let mut rig = accepting(Switches::default());
    for _ in 0..10 {
        rig.client().reset();
        assert!(rig.settle().is_empty());
    }
    assert_eq!(rig.iocp.stats().accepts_gone, 10);
    let client = rig.client();
    client.send(b"hello");
    assert_eq!(accepted(&rig.settle()), 1);
    assert_clean(&rig.finish());
}

#[test]
fn silent_clients_are_reset_after_patience_and_their_places_posted_again() {
    let mut rig = accepting(Switches::default());
    let silent: Vec<Client> = (0..4).map(|_| rig.client()).collect();
    let spoken = rig.client();
    spoken.send(b"let me in");
    assert!(rig.run(PATIENCE - Duration::from_millis(300)).is_empty());
    assert!(!silent.iter().any(Client::sees_reset), "too early");
    let came = rig.run(Duration::from_secs(1));
    assert!(silent.iter().all(Client::sees_reset), "too late");
    assert!(!spoken.sees_reset());
    assert_eq!(accepted(&came), 1);
    drop(came);
    // Sockets whose clients are gone are not kept: the listener's and those of its four places.
    rig.settle();
    assert_eq!(rig.mock.sockets(), 5);
    assert_clean(&rig.finish());
}

#[test]
fn a_client_that_speaks_as_its_patience_ends_is_accepted_or_reset_and_never_half() {
    let mut rig = accepting(Switches { delays: Some(5), ..Switches::default() });
    for round in 0..50 {
        let client = rig.client();
        rig.run(PATIENCE - Duration::from_millis(100) + Duration::from_millis(10) * round);
        client.send(b"at last");
        let came = rig.run(Duration::from_millis(20));
        assert_eq!(accepted(&came), usize::from(!client.sees_reset()), "round {round}");
    }
    assert_clean(&rig.finish());
}

#[test]
fn a_client_whose_first_bytes_are_in_the_port_is_not_silent() {
    let mut rig = accepting(Switches::default());
    let client = rig.client();
    rig.turn();
    // The program was busy for long, and meanwhile the client has spoken.
    rig.mock.pass(2 * PATIENCE);
    client.send(b"hello");
    assert_eq!(accepted(&rig.turn()), 1);
    assert_eq!(rig.iocp.stats().accepts_gone, 0);
    assert_clean(&rig.finish());
}

#[test]
fn stopping_loses_the_silent_and_delivers_those_who_have_spoken() {
    let mut rig = accepting(Switches::default());
    let silent: Vec<Client> = (0..3).map(|_| rig.client()).collect();
    let spoken = rig.client();
    let waiting = rig.client();
    spoken.send(b"hello");
    rig.iocp.stop_all_listeners();
    let came = rig.until(|it| matches!(it, Completion::ListenerClosed { .. }));
    assert_eq!(accepted(&came), 2, "who has spoken, and who was in the queue");
    assert!(silent.iter().all(Client::sees_reset));
    assert!(!waiting.sees_reset());
    drop(came);
    assert_clean(&rig.finish());
}

#[test]
fn first_bytes_go_with_the_socket_to_another_port() {
    let mut rig = accepting(Switches::default());
    let mut other = Rig::on(&rig.mock, &options(four_accepts()));
    let client = rig.client();
    client.send(b"hello");
    let socket = other.iocp.adopt(fresh(rig.settle())).unwrap();
    other.iocp.receive(socket).unwrap();
    client.send(b" over there");
    let came = other.settle();
    assert_eq!(received(&came, socket).0, b"hello over there");
    drop(came);
    drop(other.finish());
    assert_clean(&rig.finish());
}
