//! The three ways to accept: the worker's own, and those of other threads.

use std::net::SocketAddr;
use std::time::Duration;

use windows_sys::Win32::Networking::WinSock::WSAEINVAL;

use super::super::client::Client;
use super::super::rig::{Rig, assert_clean, four_accepts, received};
use super::super::switches::Switches;
use crate::completion::Completion;
use crate::error::AcceptError;
use crate::ids::ListenerId;
use crate::options::{AcceptRefill, IocpOptions};

const ALL: [AcceptRefill; 3] =
    [AcceptRefill::Inline, AcceptRefill::Thread, AcceptRefill::AcceptThread];

fn accepting(refill: AcceptRefill, switches: Switches) -> Rig {
    listening(refill, switches).0
}

fn listening(refill: AcceptRefill, switches: Switches) -> (Rig, ListenerId) {
    let iocp = IocpOptions { refill, ..four_accepts() };
    let mut rig = Rig::with(Switches { threads: true, ..switches }, iocp);
    let listener = rig.listen();
    (rig, listener)
}

/// Turns until so many have been accepted.
fn accept(rig: &mut Rig, count: usize) -> Vec<Completion> {
    let mut all = Vec::new();
    for _ in 0..500 {
        let came = rig.turn_for(Duration::from_millis(10));
        all.extend(came.into_iter().filter(|it| matches!(it, Completion::Accepted { .. })));
        if all.len() >= count {
            return all;
        }
    }
    panic!("{} of {count} were accepted", all.len());
}

#[test]
fn every_way_accepts_everybody_and_leaves_nothing() {
    for refill in ALL {
        for accepts_at_once in [false, true] {
            let mut rig = accepting(refill, Switches { accepts_at_once, ..Switches::default() });
            let clients: Vec<Client> = (0..30).map(|_| rig.client()).collect();
            let came = accept(&mut rig, clients.len());
            for (client, completion) in clients.iter().zip(came) {
                let Completion::Accepted { socket, .. } = completion else { unreachable!() };
                // Those who come first are accepted first.
                assert_eq!(*socket.peer(), client.address(), "{refill:?}");
                let socket = rig.iocp.adopt(socket).unwrap();
                rig.iocp.receive(socket).unwrap();
                client.send(b"hello");
                let came = rig.until(|it| matches!(it, Completion::Received { .. }));
                assert_eq!(received(&came, socket).0, b"hello");
            }
            assert_clean(&rig.finish());
        }
    }
}

#[test]
fn a_packet_may_be_faster_than_the_call_that_asked_for_it() {
    // The call of the refilling thread returns only when the worker has dequeued its packet.
    let switches = Switches { accepts_late: true, ..Switches::default() };
    let mut rig = accepting(AcceptRefill::Thread, switches);
    let clients: Vec<Client> = (0..100).map(|_| rig.client()).collect();
    drop(accept(&mut rig, clients.len()));
    assert_clean(&rig.finish());
}

#[test]
fn every_way_rests_without_sockets_and_goes_on() {
    for refill in ALL {
        let mut rig = accepting(refill, Switches::default());
        // Places that are filled take connections without another socket.
        rig.run(Duration::from_millis(50));
        let open = rig.mock.sockets();
        rig.mock.switch(|switches| switches.sockets_max = open);
        let clients: Vec<Client> = (0..10).map(|_| rig.client()).collect();
        let mut came = rig.until(|it| matches!(it, Completion::AcceptDelayed { .. }));
        came.extend(rig.run(Duration::from_millis(500)));
        let delays = came.iter().filter(|it| {
            let cause = AcceptError::ProcessDescriptors;
            matches!(it, Completion::AcceptDelayed { cause: its, .. } if *its == cause)
        });
        let (delays, accepted) = (delays.count(), came.len());
        // They double from 10 ms.
        assert!((1..=7).contains(&delays), "{refill:?}: {delays} delays");
        let left = clients.len() - (accepted - delays);
        rig.mock.switch(|switches| switches.sockets_max = usize::MAX);
        drop(accept(&mut rig, left));
        drop(came);
        assert_clean(&rig.finish());
    }
}

#[test]
fn every_way_outlives_clients_that_are_gone() {
    for refill in ALL {
        let mut rig = accepting(refill, Switches::default());
        for _ in 0..5 {
            let there: Vec<Client> = (0..4).map(|_| rig.client()).collect();
            (0..3).for_each(|_| rig.client().reset());
            // One that has been accepted by the kernel before it was gone is handed out as well.
            let mut peers = Vec::new();
            while there.iter().any(|client| !peers.contains(&client.address())) {
                peers.extend(accept(&mut rig, 1).iter().map(|it| match it {
                    Completion::Accepted { socket, .. } => socket.peer().tcp().unwrap(),
                    _ => unreachable!(),
                }));
            }
        }
        assert_clean(&rig.finish());
    }
}

#[test]
fn every_way_stops_with_clients_on_their_way_and_delivers_them() {
    for refill in ALL {
        for _ in 0..20 {
            let mut rig = accepting(refill, Switches::default());
            let clients: Vec<Client> = (0..10).map(|_| rig.client()).collect();
            rig.iocp.stop_all_listeners();
            let came = rig.until(|it| matches!(it, Completion::ListenerClosed { .. }));
            assert_eq!(came.len(), clients.len() + 1, "{refill:?}: {came:?}");
            drop(came);
            assert_clean(&rig.finish());
        }
    }
}

#[test]
fn shutting_down_right_after_listening_leaves_nothing() {
    for refill in ALL {
        for _ in 0..20 {
            assert_clean(&accepting(refill, Switches::default()).finish());
        }
    }
}

#[test]
fn a_plain_accept_that_always_fails_is_rested_from_and_tried_again() {
    let mut rig = accepting(AcceptRefill::AcceptThread, Switches::default());
    let invalid = Some(WSAEINVAL.cast_unsigned());
    rig.mock.switch(|switches| switches.plain_accepts_fail = invalid);
    let _client = rig.client();
    let came = rig.until(|it| matches!(it, Completion::AcceptDelayed { .. }));
    let cause = AcceptError::Os(WSAEINVAL);
    assert!(matches!(came[0], Completion::AcceptDelayed { cause: its, .. } if its == cause));
    rig.run(Duration::from_millis(200));
    assert!(rig.mock.counts().plain_accepts < 200, "it spins");
    rig.mock.switch(|switches| switches.plain_accepts_fail = None);
    drop(accept(&mut rig, 1));
    assert_clean(&rig.finish());
}

#[test]
fn a_poll_that_is_wrong_makes_no_thread_spin() {
    let switches = Switches { polls_wrong: true, ..Switches::default() };
    let mut rig = accepting(AcceptRefill::AcceptThread, switches);
    for _ in 0..10 {
        rig.turn_for(Duration::from_millis(10));
    }
    let tries = rig.mock.counts().plain_accepts;
    assert!(tries < 200, "{tries} tries");
    let _client = rig.client();
    drop(accept(&mut rig, 1));
    assert_clean(&rig.finish());
}

#[test]
fn a_queue_that_cannot_be_emptied_keeps_no_listener_from_closing() {
    for refill in ALL {
        let mut rig = accepting(refill, Switches::default());
        let invalid = Some(WSAEINVAL.cast_unsigned());
        rig.mock.switch(|switches| switches.plain_accepts_fail = invalid);
        let _clients: Vec<Client> = (0..10).map(|_| rig.client()).collect();
        let before = rig.mock.counts().plain_accepts;
        rig.iocp.stop_all_listeners();
        rig.until(|it| matches!(it, Completion::ListenerClosed { .. }));
        assert!(rig.mock.counts().plain_accepts - before < 20, "{refill:?}");
        assert_clean(&rig.finish());
    }
}

#[test]
fn a_pause_posts_no_accept_and_a_resume_posts_them_all() {
    for refill in ALL {
        let (mut rig, listener) = listening(refill, Switches::default());
        let first = rig.client();
        accept(&mut rig, 1);
        rig.iocp.pause_accept(listener);
        // Those that are posted take four clients, and a thread may be about to take one more.
        let clients: Vec<Client> = (0..30).map(|_| rig.client()).collect();
        let late = late(&mut rig);
        assert!(late.len() <= 5, "{refill:?}: {} were accepted during a pause", late.len());
        rig.iocp.resume_accept(listener);
        let came = accept(&mut rig, clients.len() - late.len());
        let peers: Vec<SocketAddr> = late.iter().chain(&came).filter_map(peer).collect();
        let expected: Vec<SocketAddr> = clients.iter().map(Client::address).collect();
        assert_eq!(peers, expected, "{refill:?}");
        drop((first, late, came));
        assert_clean(&rig.finish());
    }
}

#[test]
fn stopping_a_paused_listener_takes_who_waits() {
    for refill in ALL {
        let (mut rig, listener) = listening(refill, Switches::default());
        rig.iocp.pause_accept(listener);
        let clients: Vec<Client> = (0..30).map(|_| rig.client()).collect();
        let late = late(&mut rig);
        assert!(late.len() <= 5, "{refill:?}: {} were accepted during a pause", late.len());
        rig.iocp.stop_listening(listener);
        let came = rig.until(|it| matches!(it, Completion::ListenerClosed { .. }));
        let peers = late.iter().chain(&came).filter_map(peer).count();
        assert_eq!(peers, clients.len(), "{refill:?}");
        drop((late, came));
        assert_clean(&rig.finish());
    }
}

/// What is accepted until nothing comes for some turns.
fn late(rig: &mut Rig) -> Vec<Completion> {
    let mut all = Vec::new();
    for _ in 0..20 {
        all.extend(rig.turn_for(Duration::from_millis(5)));
    }
    all
}

/// Who has connected.
fn peer(completion: &Completion) -> Option<SocketAddr> {
    match completion {
        Completion::Accepted { socket, .. } => socket.peer().tcp(),
        _ => None,
    }
}
