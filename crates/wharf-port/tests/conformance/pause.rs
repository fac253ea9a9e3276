//! Rule 8: after a pause no bytes are delivered until the resume, and none is lost.

use std::thread;

use wharf_port::{Completion, ReceiveError, Received, SocketId};

use crate::harness::{
    CheckedPort, Dice, Final, LIMIT, Peer, Subject, assert_bytes, owned, pattern,
};

on_every_backend![
    rule_08_a_pause_holds_bytes_back_and_a_resume_delivers_them,
    rule_08_a_pause_holds_back_what_is_on_its_way,
    rule_08_a_pause_between_two_takes_holds_back_the_rest,
    rule_08_a_pause_between_two_takes_holds_back_the_ends,
    rule_08_a_pause_before_the_receive_holds,
    rule_08_pausing_twice_is_pausing_once,
    rule_08_a_resume_in_the_same_batch_undoes_the_pause,
    rule_08_the_end_of_a_paused_stream_comes_after_its_bytes,
    rule_08_a_thousand_pauses_under_load_lose_nothing,
    rule_08_a_paused_stream_takes_no_more_than_the_pool,
    rule_08_a_paused_socket_sends;
    over_tcp:
    rule_08_the_reset_of_a_paused_stream_comes_after_its_bytes,
    rule_08_an_end_that_is_on_its_way_waits_for_the_resume,
];

/// A connection whose receive is with the kernel.
fn receiving_pair(port: &mut CheckedPort) -> (SocketId, Peer) {
    let (socket, peer) = port.pair();
    port.receive(socket);
    port.fence();
    (socket, peer)
}

fn rule_08_a_pause_holds_bytes_back_and_a_resume_delivers_them(subject: &Subject) {
    let mut port = subject.open();
    let (socket, mut peer) = receiving_pair(&mut port);
    let bytes = pattern(1, 50_000);
    for part in bytes.chunks(10_000) {
        port.pause(socket);
        port.fence();
        peer.write(part);
        port.nothing_comes();
        port.resume(socket);
        assert_bytes(&port.read(socket, part.len()), part, "after the resume");
    }
    port.finish();
}

/// The bytes are in the kernel, or with the port already, when the pause comes.
fn rule_08_a_pause_holds_back_what_is_on_its_way(subject: &Subject) {
    let mut port = subject.open();
    let (socket, mut peer) = receiving_pair(&mut port);
    for round in 0..100 {
        let bytes = pattern(round, 1_000);
        peer.write(&bytes[..500]);
        port.pause(socket);
        peer.write(&bytes[500..]);
        port.nothing_comes();
        port.resume(socket);
        assert_bytes(&port.read(socket, bytes.len()), &bytes, &format!("round {round}"));
    }
    port.finish();
}

/// Ten have bytes in one batch; whoever comes first pauses all others.
fn rule_08_a_pause_between_two_takes_holds_back_the_rest(subject: &Subject) {
    let mut port = subject.open();
    let mut pairs = [(); 10].map(|()| receiving_pair(&mut port));
    for round in 0..20 {
        for (_, peer) in &mut pairs {
            peer.write(&[round]);
        }
        let first = port.drive("the first bytes", |_, completion| match completion {
            Completion::Received { socket, what: Received::Data(_) } => Some(socket),
            other => panic!("{other:?}"),
        });
        let others = pairs.iter().map(|&(socket, _)| socket).filter(|&socket| socket != first);
        others.clone().for_each(|socket| port.pause(socket));
        port.nothing_comes();
        others.clone().for_each(|socket| port.resume(socket));
        others.for_each(|socket| assert_eq!(port.read(socket, 1), [round]));
    }
    port.finish();
}

/// The same with ends.
fn rule_08_a_pause_between_two_takes_holds_back_the_ends(subject: &Subject) {
    let mut port = subject.open();
    let pairs = [(); 10].map(|()| receiving_pair(&mut port));
    pairs.iter().for_each(|(_, peer)| peer.end());
    let first = port.drive("the first end", |_, completion| match completion {
        Completion::Received { socket, what: Received::End } => Some(socket),
        other => panic!("{other:?}"),
    });
    let others = pairs.iter().map(|&(socket, _)| socket).filter(|&socket| socket != first);
    others.clone().for_each(|socket| port.pause(socket));
    port.nothing_comes();
    others.clone().for_each(|socket| port.resume(socket));
    others.for_each(|socket| assert_eq!(port.read_to_final(socket), (Vec::new(), Final::End)));
    port.finish();
}

fn rule_08_a_pause_before_the_receive_holds(subject: &Subject) {
    let mut port = subject.open();
    let (socket, mut peer) = port.pair();
    port.pause(socket);
    port.receive(socket);
    peer.write(b"hello");
    port.nothing_comes();
    port.resume(socket);
    assert_eq!(port.read(socket, 5), b"hello");
    port.finish();
}

fn rule_08_pausing_twice_is_pausing_once(subject: &Subject) {
    let mut port = subject.open();
    let (socket, mut peer) = receiving_pair(&mut port);
    port.pause(socket);
    port.pause(socket);
    port.fence();
    port.pause(socket);
    peer.write(b"hello");
    port.nothing_comes();
    port.resume(socket);
    port.resume(socket);
    assert_eq!(port.read(socket, 5), b"hello");
    port.resume(socket);
    peer.write(b"world");
    assert_eq!(port.read(socket, 5), b"world");
    port.finish();
}

fn rule_08_a_resume_in_the_same_batch_undoes_the_pause(subject: &Subject) {
    let mut port = subject.open();
    let (socket, mut peer) = receiving_pair(&mut port);
    for round in 0..50 {
        port.pause(socket);
        port.resume(socket);
        if round % 2 == 0 {
            port.pause(socket);
            port.wait(Some(port.now()));
            port.resume(socket);
        }
        peer.write(&[round]);
        assert_eq!(port.read(socket, 1), [round]);
    }
    port.finish();
}

fn rule_08_the_end_of_a_paused_stream_comes_after_its_bytes(subject: &Subject) {
    let mut port = subject.open();
    for len in [0, 1, 50_000] {
        let (socket, mut peer) = receiving_pair(&mut port);
        let bytes = pattern(2, len);
        port.pause(socket);
        peer.write(&bytes);
        peer.end();
        comes_with_the_resume(&mut port, socket, &bytes, Final::End);
    }
    port.finish();
}

fn rule_08_the_reset_of_a_paused_stream_comes_after_its_bytes(subject: &Subject) {
    let mut port = subject.open();
    for len in [0, 1, 50_000] {
        let (socket, mut peer) = receiving_pair(&mut port);
        let bytes = pattern(3, len);
        port.pause(socket);
        peer.write(&bytes);
        peer.has_arrived();
        peer.reset();
        comes_with_the_resume(&mut port, socket, &bytes, Final::Failed(ReceiveError::Reset));
    }
    port.finish();
}

/// The end is in the kernel, or with the port already, when the pause comes.
fn rule_08_an_end_that_is_on_its_way_waits_for_the_resume(subject: &Subject) {
    let mut port = subject.open();
    for len in [0, 1, 50_000] {
        let (socket, mut peer) = receiving_pair(&mut port);
        let bytes = pattern(4, len);
        peer.write(&bytes);
        peer.end();
        port.pause(socket);
        comes_with_the_resume(&mut port, socket, &bytes, Final::End);
        let (socket, mut peer) = receiving_pair(&mut port);
        peer.write(&bytes);
        peer.has_arrived();
        peer.reset();
        port.pause(socket);
        comes_with_the_resume(&mut port, socket, &bytes, Final::Failed(ReceiveError::Reset));
    }
    port.finish();
}

/// Checks that nothing comes before the resume, and all of it after.
fn comes_with_the_resume(port: &mut CheckedPort, socket: SocketId, bytes: &[u8], end: Final) {
    port.nothing_comes();
    port.resume(socket);
    let (read, last) = port.read_to_final(socket);
    let all = end == Final::End || port.place().bytes_outlive_a_reset();
    let expected = if all { bytes.len() } else { read.len() };
    assert_bytes(&read, &bytes[..expected], "before the end");
    match end {
        Final::Failed(ReceiveError::Reset) => last.assert_reset(),
        end => assert_eq!(last, end),
    }
}

fn rule_08_a_thousand_pauses_under_load_lose_nothing(subject: &Subject) {
    let mut port = subject.open();
    let (socket, mut peer) = receiving_pair(&mut port);
    let bytes = pattern(4, 4 << 20);
    let sent = bytes.clone();
    let writer = thread::spawn(move || {
        peer.write_in_chunks(&sent, 1_021);
        peer.end();
        peer
    });
    let mut dice = Dice::new(4);
    let (mut read, mut pauses, mut ended) = (Vec::new(), 0, false);
    let deadline = port.now() + LIMIT;
    // Once all has come, what is missing of the thousand is without load.
    while !ended || pauses < 1_000 {
        port.pause(socket);
        pauses += 1;
        for _ in 0..dice.below(3) {
            port.wait(Some(port.now()));
            let leak = port.take();
            assert!(leak.is_none(), "{leak:?}");
        }
        port.resume(socket);
        port.wait(Some(port.now()));
        for _ in 0..dice.below(5) {
            match port.take() {
                Some(Completion::Received { what: Received::Data(lease), .. }) => {
                    read.extend_from_slice(&lease);
                }
                Some(Completion::Received { what: Received::End, .. }) => ended = true,
                Some(other) => panic!("{other:?}"),
                None => {}
            }
        }
        assert!(port.now() < deadline, "only {} of {} bytes came", read.len(), bytes.len());
    }
    assert_bytes(&read, &bytes, "what came");
    drop(writer.join().unwrap());
    port.finish();
}

/// The peer writes for as long as anybody takes its bytes; TCP holds it back, not memory.
fn rule_08_a_paused_stream_takes_no_more_than_the_pool(subject: &Subject) {
    let mut port = subject.open_with(|options| options.buffers = 4);
    let (socket, mut peer) = receiving_pair(&mut port);
    port.pause(socket);
    let bytes = pattern(5, 16 << 20);
    let sent = bytes.clone();
    let writer = thread::spawn(move || {
        peer.write(&sent);
        peer
    });
    port.nothing_comes();
    port.resume(socket);
    let mut read = Vec::new();
    while read.len() < bytes.len() {
        match port.received(socket) {
            Received::Data(lease) => read.extend_from_slice(&lease),
            other => panic!("after {} bytes: {other:?}", read.len()),
        }
    }
    assert_bytes(&read, &bytes, "what came");
    drop(writer.join().unwrap());
    port.finish();
}

fn rule_08_a_paused_socket_sends(subject: &Subject) {
    let mut port = subject.open();
    let (socket, mut peer) = receiving_pair(&mut port);
    port.pause(socket);
    port.send_all(socket, vec![owned(b"hello")]);
    assert_eq!(peer.read(5), b"hello");
    port.finish();
}
