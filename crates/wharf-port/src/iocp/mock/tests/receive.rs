//! Receiving: what waits costs no buffer, what is busy gets one in advance, and none is lost.

use std::time::Duration;

use super::super::client::Client;
use super::super::rig::{BUFFER, BUFFERS, Rig, assert_clean, received};
use super::super::switches::{Cancel, Switches};
use crate::completion::{Completion, Received};
use crate::error::ReceiveError;
use crate::ids::SocketId;

const HALF: usize = BUFFERS as usize / 2;

/// So many connections that have each received once.
fn busy(rig: &mut Rig, count: usize) -> Vec<(Client, SocketId)> {
    let all: Vec<_> = (0..count).map(|_| rig.receiving()).collect();
    for (client, socket) in &all {
        client.send(b"busy");
        assert_eq!(received(&rig.settle(), *socket).0, b"busy");
    }
    all
}

#[test]
fn idle_sockets_wait_without_a_buffer() {
    let mut rig = Rig::new(Switches::default());
    rig.listen();
    let all: Vec<_> = (0..20).map(|_| rig.receiving()).collect();
    assert_eq!(rig.mock.counts().empty_receives, all.len());
    assert_eq!(rig.mock.counts().full_receives, 0);
    assert_eq!(rig.iocp.pool().free(), usize::from(BUFFERS));
    assert_clean(&rig.finish());
}

#[test]
fn busy_sockets_get_buffers_in_advance_up_to_half_of_the_pool() {
    let mut rig = Rig::new(Switches::default());
    rig.listen();
    let all = busy(&mut rig, 20);
    assert_eq!(rig.iocp.pool().ledger().kernel, HALF);
    // Those with a buffer and those without are served alike.
    for (client, socket) in &all {
        client.send(b"again");
        assert_eq!(received(&rig.settle(), *socket).0, b"again");
        assert!(rig.iocp.pool().ledger().kernel <= HALF);
    }
    assert_clean(&rig.finish());
}

#[test]
fn buffers_that_wait_for_nothing_are_taken_back() {
    for cancel in [Cancel::AtOnce, Cancel::After(Duration::from_millis(3))] {
        let mut rig = Rig::new(Switches { cancel, ..Switches::default() });
        rig.listen();
        let all = busy(&mut rig, 4);
        assert_eq!(rig.iocp.pool().ledger().kernel, HALF);
        assert!(rig.run(Duration::from_secs(4)).is_empty());
        assert_eq!(rig.iocp.pool().ledger().kernel, 0);
        assert!(rig.iocp.next_deadline().is_none(), "it goes on looking");
        // They still receive.
        for (client, socket) in &all {
            client.send(b"awake");
            assert_eq!(received(&rig.settle(), *socket).0, b"awake");
        }
        assert_clean(&rig.finish());
    }
}

#[test]
fn buffers_are_taken_back_when_connections_find_none() {
    let mut rig = Rig::new(Switches::default());
    rig.listen();
    let idle: Vec<_> = (0..HALF + 1).map(|_| rig.receiving()).collect();
    let busy = busy(&mut rig, HALF);
    assert_eq!(rig.iocp.pool().ledger().kernel, HALF);
    idle.iter().for_each(|(client, _)| client.send(b"hungry"));
    // The leases are kept, so that there are no others than those in the kernel.
    let came = rig.settle();
    assert_eq!(came.len(), idle.len());
    assert!(rig.iocp.pool().ledger().leased > HALF);
    assert!(rig.iocp.stats().buffer_shortages > 0);
    drop(came);
    for (client, socket) in &busy {
        client.send(b"still here");
        assert_eq!(received(&rig.settle(), *socket).0, b"still here");
    }
    assert_clean(&rig.finish());
}

#[test]
fn one_that_finds_no_buffer_takes_one_and_not_all() {
    for cancel in [Cancel::AtOnce, Cancel::After(Duration::from_millis(50))] {
        let mut rig = Rig::new(Switches { cancel, ..Switches::default() });
        rig.listen();
        let idle: Vec<_> = (0..HALF + 1).map(|_| rig.receiving()).collect();
        let _busy = busy(&mut rig, HALF);
        idle[..HALF].iter().for_each(|(client, _)| client.send(b"kept"));
        let kept = rig.settle();
        assert_eq!(rig.iocp.pool().free(), 0);
        let (client, socket) = &idle[HALF];
        client.send(b"hungry");
        let came = rig.run(Duration::from_millis(200));
        assert_eq!(received(&came, *socket).0, b"hungry");
        assert_eq!(rig.iocp.pool().ledger().kernel, HALF - 1, "{cancel:?}");
        drop((kept, came));
        assert_clean(&rig.finish());
    }
}

#[test]
fn a_system_that_locks_no_pages_is_received_from_all_the_same() {
    let mut rig = Rig::new(Switches::default());
    rig.listen();
    let (client, socket) = rig.receiving();
    rig.mock.switch(|switches| switches.locks_pages = false);
    for _ in 0..5 {
        client.send(b"short of memory");
        assert_eq!(received(&rig.settle(), socket).0, b"short of memory");
    }
    assert_eq!(rig.mock.counts().full_receives, 0);
    assert_clean(&rig.finish());
}

#[test]
fn an_end_is_an_end_and_a_reset_is_a_reset() {
    for (busy, receives_pend, resets) in [false, true].into_iter().flat_map(|busy| {
        [(false, false), (false, true), (true, false), (true, true)].map(|(a, b)| (busy, a, b))
    }) {
        let mut rig = Rig::new(Switches { receives_pend, ..Switches::default() });
        rig.listen();
        let (client, socket) = rig.receiving();
        if busy {
            client.send(b"bytes");
            assert_eq!(received(&rig.settle(), socket).0, b"bytes");
        }
        if resets {
            client.reset();
        } else {
            client.send(b"last");
            client.finish();
        }
        let came = rig.settle();
        let (bytes, end) = received(&came, socket);
        if resets {
            assert!(matches!(end, Some(Received::Failed(ReceiveError::Reset))), "{came:?}");
        } else {
            assert_eq!(bytes, b"last");
            assert!(matches!(end, Some(Received::End)), "{came:?}");
        }
        drop(came);
        assert_clean(&rig.finish());
    }
}

#[test]
fn a_pause_holds_back_what_comes_and_loses_nothing_of_it() {
    let mut rig = Rig::new(Switches::default());
    rig.listen();
    let (client, socket) = rig.receiving();
    client.send(b"busy");
    rig.settle();
    rig.iocp.pause_receive(socket).unwrap();
    let message: Vec<u8> = (0..=255).collect();
    client.send(&message);
    client.finish();
    assert!(rig.run(Duration::from_secs(3)).is_empty());
    rig.iocp.resume_receive(socket).unwrap();
    let came = rig.settle();
    let (bytes, end) = received(&came, socket);
    assert_eq!(bytes, message);
    assert!(matches!(end, Some(Received::End)));
    drop(came);
    assert_clean(&rig.finish());
}

#[test]
fn a_sender_without_end_does_not_keep_the_others_from_their_turn() {
    let mut rig = Rig::new(Switches::default());
    rig.listen();
    let (loud, noise) = rig.receiving();
    let (quiet, voice) = rig.receiving();
    loud.send(&[0; 100 * BUFFER]);
    quiet.send(b"me too");
    let came = rig.turn();
    let noisy = came
        .iter()
        .filter(|it| matches!(it, Completion::Received { socket, .. } if *socket == noise));
    assert!(noisy.count() <= 2, "one connection has the turn");
    assert_eq!(received(&came, voice).0, b"me too");
    drop(came);
    let came = rig.settle_and_drop(noise);
    assert!(came >= 98 * BUFFER, "{came}");
    assert_clean(&rig.finish());
}
