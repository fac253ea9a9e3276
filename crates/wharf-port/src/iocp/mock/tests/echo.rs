//! A connection from its accept to its close, on every kind of Windows.

use super::super::rig::{Rig, assert_clean, received};
use super::super::switches::Switches;
use crate::completion::{Completion, Received};

fn echo_on(switches: Switches) {
    let mut rig = Rig::new(switches);
    rig.listen();
    let (client, socket) = rig.receiving();
    for message in [&b"hello"[..], b"again", &[7; 200]] {
        client.send(message);
        let mut bytes = Vec::new();
        while bytes.len() < message.len() {
            let came = rig.until(|it| matches!(it, Completion::Received { .. }));
            bytes.extend(received(&came, socket).0);
        }
        assert_eq!(bytes, message);
        rig.send(socket, &bytes);
        rig.until(|it| matches!(it, Completion::Sent { result: Ok(()), .. }));
        assert_eq!(client.take_all(), message);
    }
    client.finish();
    let came = rig.until(|it| matches!(it, Completion::Received { .. }));
    assert!(matches!(received(&came, socket), (none, Some(Received::End)) if none.is_empty()));
    rig.close(socket);
    assert!(client.sees_end() && !client.sees_reset());
    assert_clean(&rig.finish());
}

#[test]
fn an_echo_on_a_plain_windows() {
    echo_on(Switches::default());
}

#[test]
fn an_echo_without_real_handles_gets_a_packet_for_all_that_is_done_at_once() {
    echo_on(Switches { skips: false, ..Switches::default() });
}

#[test]
fn an_echo_whose_receives_pend_though_there_are_bytes() {
    echo_on(Switches { receives_pend: true, ..Switches::default() });
}

#[test]
fn an_echo_whose_packets_come_late() {
    echo_on(Switches { delays: Some(1), ..Switches::default() });
}

#[test]
fn operations_are_used_again() {
    for skips in [true, false] {
        let mut rig = Rig::new(Switches { window: 100, skips, ..Switches::default() });
        rig.listen();
        for _ in 0..50 {
            let (client, socket) = rig.receiving();
            client.send(b"hello");
            rig.send(socket, &[1; 150]);
            rig.settle();
            client.take_all();
            rig.settle();
            rig.close(socket);
        }
        // Four accepts, a receive, a send, and one that was done and not looked at.
        assert!(rig.mock.known_operations() <= 8, "{}", rig.mock.known_operations());
        assert_clean(&rig.finish());
    }
}
