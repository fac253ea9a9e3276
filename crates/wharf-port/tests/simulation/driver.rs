//! The backend on top of the simulated kernel, where faults meet what its user does.

use std::io::ErrorKind;

use wharf_port::sim::{FaultKind, Faults, Network, NetworkOptions, Personality};
use wharf_port::{Completion, ListenOptions, PortOptions, Received, Segment, SendError};

use crate::place::{SOON, accepted, address, network_of, port_on, port_with, turn};

fn always(kind: FaultKind) -> Faults {
    Faults::none().with(kind, 1_000_000)
}

fn bytes(count: usize) -> Vec<Segment> {
    vec![Segment::Owned(vec![7; count].into())]
}

const fn kind_of(completion: &Completion) -> &'static str {
    match completion {
        Completion::Received { .. } => "received",
        Completion::Closed { .. } => "closed",
        _ => "other",
    }
}

/// Two listeners are told of, the first of a connection that is gone by then: that makes no completion,
/// and the other does not fit in the same wait.
#[test]
fn a_wait_does_not_sleep_on_what_did_not_fit() {
    let network = Network::new(NetworkOptions::default());
    let mut port = port_on(&network);
    let mut listen = |host: &str| {
        let listener = port.listen(address(host), &ListenOptions::default()).unwrap();
        (listener, port.listener_address(listener).unwrap())
    };
    let (_, first) = listen("10.0.0.1:80");
    let (second, second_address) = listen("10.0.0.2:80");
    turn(&mut port);
    let gone = network.connect(first);
    network.advance_by(SOON);
    gone.reset();
    let _there = network.connect(second_address);
    network.advance_by(SOON);
    network.set_faults(always(FaultKind::QueueOverflow));
    port.wait(None).unwrap();
    let accepted = loop {
        match port.take() {
            Some(completion) => break completion,
            None => port.wait(None).unwrap(),
        }
    };
    assert!(matches!(accepted, Completion::Accepted { listener, .. } if listener == second));
}

#[test]
fn a_pause_takes_back_no_final_completion_of_a_socket_that_closes() {
    for seed in 0..20 {
        for personality in Personality::ALL {
            let network = network_of(personality, seed);
            let mut port = port_on(&network);
            let (socket, peer) = accepted(&network, &mut port);
            port.receive(socket).unwrap();
            turn(&mut port);
            drop(peer);
            network.advance_by(SOON);
            port.close(socket).unwrap();
            port.wait(Some(port.now() + SOON)).unwrap();
            port.pause_receive(socket).unwrap();
            let made = std::iter::from_fn(|| port.take()).collect::<Vec<_>>();
            let last = (0..4).flat_map(|_| turn(&mut port));
            let kinds: Vec<_> = made.into_iter().chain(last).map(|it| kind_of(&it)).collect();
            assert_eq!(kinds, ["received", "closed"], "seed {seed}, {personality:?}");
            assert_eq!(port.operations(), 0, "seed {seed}, {personality:?}");
        }
    }
}

#[test]
fn who_waits_for_a_buffer_again_and_again_stands_in_the_line_once() {
    let network = Network::new(NetworkOptions::default());
    let options = PortOptions { buffers: 2, buffer_bytes: 64, ..PortOptions::default() };
    let mut port = port_with(&network, options);
    let [(one, mut first), (other, mut second), (holder, mut third)] =
        [(); 3].map(|()| accepted(&network, &mut port));
    third.try_write(&[0; 128]).unwrap();
    port.receive(holder).unwrap();
    let mut held = Vec::new();
    while held.len() < 2 {
        port.wait(None).unwrap();
        held.extend(std::iter::from_fn(|| port.take()));
    }
    first.try_write(b"waits").unwrap();
    second.try_write(b"waits as well").unwrap();
    network.advance_by(SOON);
    let parks = |port: &mut wharf_port::CompletionPort, socket| {
        port.receive(socket).unwrap();
        let before = port.stats().buffer_shortages;
        while port.stats().buffer_shortages == before {
            turn(port);
            network.advance();
        }
    };
    for _ in 0..50 {
        parks(&mut port, one);
        port.cancel(one, wharf_port::Direction::Receive).unwrap();
        turn(&mut port);
    }
    parks(&mut port, one);
    parks(&mut port, other);
    drop(held);
    let waits = port.stats().waits;
    let mut served = 0;
    while served < 2 {
        port.wait(None).unwrap();
        served += std::iter::from_fn(|| port.take())
            .filter(|completion| matches!(completion, Completion::Received { .. }))
            .count();
    }
    let waits = port.stats().waits - waits;
    assert!(waits < 20, "{waits} waits for two receives");
}

#[test]
fn a_send_that_is_taken_in_part_goes_on_later() {
    for personality in Personality::ALL {
        let network = network_of(personality, 1);
        let mut port = port_on(&network);
        let (socket, mut peer) = accepted(&network, &mut port);
        network.set_faults(always(FaultKind::PartialSend));
        port.send(socket, bytes(10_000)).unwrap();
        port.wait(Some(port.now())).unwrap();
        assert!(port.take().is_none(), "{personality:?}: all of it went at once");
        while !matches!(port.take(), Some(Completion::Sent { result: Ok(()), .. })) {
            port.wait(None).unwrap();
        }
        network.advance_by(SOON);
        let mut got = [0; 10_000];
        std::io::Read::read_exact(&mut peer, &mut got).unwrap();
    }
}

/// As `closesocket` behind `WSASend`: what the kernel has taken is sent, whatever is done with the
/// socket since.
#[test]
fn a_send_of_iocp_may_succeed_after_its_socket_was_closed() {
    let network = network_of(Personality::Iocp, 3);
    let mut port = port_on(&network);
    let (socket, mut peer) = accepted(&network, &mut port);
    network.set_faults(always(FaultKind::LateSuccess));
    port.send(socket, bytes(1_000)).unwrap();
    port.close(socket).unwrap();
    let done = loop {
        port.wait(None).unwrap();
        if let Some(Completion::Sent { result, .. }) = port.take() {
            break result;
        }
    };
    assert_eq!(done, Ok(()));
    std::io::Read::read_exact(&mut peer, &mut [0; 1_000]).unwrap();
}

#[test]
fn a_listener_that_stops_without_a_descriptor_resets_who_waits() {
    let network = Network::new(NetworkOptions::default());
    let mut port = port_on(&network);
    let listener = port.listen(address("10.0.0.1:80"), &ListenOptions::default()).unwrap();
    turn(&mut port);
    let mut peers = [(); 2].map(|()| network.connect(address("10.0.0.1:80")));
    network.advance_by(SOON);
    network.set_descriptors_max(network.descriptors());
    port.stop_listening(listener);
    let ended = turn(&mut port);
    assert!(matches!(ended.last(), Some(Completion::ListenerClosed { .. })), "{ended:?}");
    assert_eq!((port.operations(), network.descriptors()), (0, 0));
    network.advance_by(SOON);
    for peer in &mut peers {
        assert_eq!(peer.try_read(&mut [0]).unwrap_err().kind(), ErrorKind::ConnectionReset);
    }
}

/// A failure that a send has met is what the receive reports, though the kernel tells it once.
#[test]
fn a_receive_reports_the_failure_that_a_send_has_met() {
    for personality in Personality::ALL {
        let network = network_of(personality, 5);
        let mut port = port_on(&network);
        let (socket, peer) = accepted(&network, &mut port);
        peer.reset();
        network.advance_by(SOON);
        port.send(socket, bytes(10)).unwrap();
        while !matches!(port.take(), Some(Completion::Sent { result: Err(SendError::Reset), .. })) {
            port.wait(None).unwrap();
        }
        port.receive(socket).unwrap();
        port.wait(None).unwrap();
        let what = port.take();
        let failed = matches!(what, Some(Completion::Received { what: Received::Failed(_), .. }));
        assert!(failed, "{personality:?}: {what:?}");
    }
}
