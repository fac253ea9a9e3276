//! Connected, frames in the order sent, disconnected once with one reason: whatever the framing, and
//! however the network cuts the stream.

use std::collections::HashSet;

use wharf::Backend;

use crate::support::record::{Echo, Events, What, frames, recording, whats};
use crate::support::server::{Setup, TestServer};
use crate::support::wire::{Wire, assert_same, pattern};

each_backend! {
    a_session_hears_connected_then_its_frames_then_its_end,
    a_session_that_sends_nothing_hears_of_both_its_ends,
    callbacks_of_a_session_run_on_one_thread,
    frames_are_whole_wherever_the_stream_is_cut,
    frames_are_whole_when_they_come_byte_by_byte,
    frames_are_whole_when_receive_buffers_are_shorter,
    raw_bytes_come_in_order_in_pieces_of_any_size,
    a_frame_of_exactly_the_maximum_is_taken,
    a_frame_that_is_longer_ends_its_session_and_no_other,
    a_frame_too_long_is_refused_by_its_header_alone,
    one_cr_before_lf_is_left_out,
}

fn a_session_hears_connected_then_its_frames_then_its_end(backend: Backend) {
    for wire in Wire::FRAMED {
        let (log, events) = recording();
        let server = Setup::new(backend).wire(wire).start(move |_| log.of(Echo));
        // More frames than a session gets of one turn, in one write, with the end right behind them.
        let sent: Vec<Vec<u8>> = (0..200).map(|number| pattern(number, 50)).collect();
        let mut client = server.connect();
        client.write(&wire.encode_all(&sent));
        client.finish();
        assert_eq!(client.rest_frames(), sent, "{wire:?}");
        drop(client);

        let life = events.life_of(events.connected().id);
        let mut wanted: Vec<What> = sent.into_iter().map(What::Frame).collect();
        wanted.push(What::Disconnected {
            name: "peer_closed",
            text: "the peer closed the connection".to_owned(),
        });
        wanted.push(What::Dropped);
        assert_eq!(whats(&life), wanted, "{wire:?}");
        server.drain();
        assert_eq!(whats(&events.remaining()), [], "nothing comes behind the end");
    }
}

fn a_session_that_sends_nothing_hears_of_both_its_ends(backend: Backend) {
    let (log, events) = recording();
    let server = Setup::new(backend).start(move |_| log.of(Echo));
    drop(server.connect());
    let id = events.connected().id;
    let life = whats(&events.life_of(id));
    assert!(
        matches!(&life[..], [What::Disconnected { name: "peer_closed", .. }, What::Dropped]),
        "{life:?}"
    );
    server.drain();
    assert_eq!(whats(&events.remaining()), []);
}

fn callbacks_of_a_session_run_on_one_thread(backend: Backend) {
    let (log, events) = recording();
    let server = Setup::new(backend).workers(2).start(move |_| log.of(Echo));
    let mut clients: Vec<_> = (0..6).map(|_| server.connect()).collect();
    for round in 0..20_u8 {
        for client in &mut clients {
            client.ping(&[round]);
        }
    }
    drop(clients);
    server.wait_for_sessions(0);
    server.drain();
    let events = events.remaining();
    let homes: HashSet<_> = events.iter().map(|event| (event.id, event.thread)).collect();
    assert_eq!(homes.len(), 6, "a session stays on its worker's thread: {homes:?}");
    let threads: HashSet<_> = events.iter().map(|event| event.thread).collect();
    assert_eq!(threads.len(), 2, "both workers have sessions");
}

/// Payloads that are short, empty, in the middle and at the end.
fn assorted() -> Vec<Vec<u8>> {
    vec![b"hello".to_vec(), Vec::new(), b"a".to_vec(), pattern(1, 30), Vec::new(), b"end".to_vec()]
}

fn frames_are_whole_wherever_the_stream_is_cut(backend: Backend) {
    let sent = assorted();
    for wire in Wire::FRAMED {
        let (log, events) = recording();
        let server = Setup::new(backend).wire(wire).start(move |_| log.of(Echo));
        let mut client = server.connect();
        let stream = wire.encode_all(&sent);
        let mut received = 0;
        for cut in 0..stream.len() {
            let (first, second) = stream.split_at(cut);
            client.write(first);
            // The second part is not to be received together with the first.
            server.wait_for_bytes_in(received + cut as u64);
            client.write(second);
            received += stream.len() as u64;
            for payload in &sent {
                client.expect(payload);
            }
        }
        client.finish();
        client.expect_end();
        server.drain();
        let got = frames(&events.remaining());
        let wanted = sent.iter().cycle().take(sent.len() * stream.len());
        assert!(got.iter().eq(wanted), "{wire:?}");
    }
}

fn frames_are_whole_when_they_come_byte_by_byte(backend: Backend) {
    let sent = assorted();
    for wire in Wire::FRAMED {
        let (log, events) = recording();
        let server = Setup::new(backend).wire(wire).start(move |_| log.of(Echo));
        let mut client = server.connect();
        for (byte, count) in wire.encode_all(&sent).iter().zip(1..) {
            client.write(&[*byte]);
            server.wait_for_bytes_in(count);
        }
        client.finish();
        assert_eq!(client.rest_frames(), sent, "{wire:?}");
        server.drain();
        assert_eq!(frames(&events.remaining()), sent, "{wire:?}");
    }
}

fn frames_are_whole_when_receive_buffers_are_shorter(backend: Backend) {
    let sizes = [0, 1, 59, 60, 61, 62, 63, 64, 65, 127, 128, 129, 1000, 20_000_u16];
    for wire in Wire::FRAMED {
        let setup = Setup::new(backend).wire(wire).port(|port| {
            port.buffers = 8;
            port.buffer_bytes = 64;
        });
        let (log, events) = recording();
        let server = setup.start(move |_| log.of(Echo));
        let sent: Vec<Vec<u8>> =
            sizes.iter().map(|&size| pattern(size.into(), size.into())).collect();
        let mut client = server.connect();
        client.write(&wire.encode_all(&sent));
        client.finish();
        assert_eq!(client.rest_frames(), sent, "{wire:?}");
        server.drain();
        assert_eq!(frames(&events.remaining()), sent, "{wire:?}");
    }
}

fn raw_bytes_come_in_order_in_pieces_of_any_size(backend: Backend) {
    let (log, events) = recording();
    let server = Setup::new(backend).wire(Wire::Raw).start(move |_| log.of(Echo));
    let sent = pattern(7, 100_000);
    let mut client = server.connect();
    let mut writer = client.writer();
    let pieces = sent.clone();
    let writing = std::thread::spawn(move || {
        let mut rest = &pieces[..];
        for size in [1, 2, 63, 1000, 16_384, 40_000, 42_550] {
            let (piece, behind) = rest.split_at(size);
            writer.write(piece);
            rest = behind;
        }
        writer.finish();
    });
    assert_same("the echo", &client.rest(), &sent);
    writing.join().unwrap();
    server.drain();
    let pieces = frames(&events.remaining());
    assert!(pieces.iter().all(|piece| !piece.is_empty()), "no piece is empty");
    assert_same("what the session saw", &pieces.concat(), &sent);
}

/// A server whose frames may have 1,000 bytes, and what happens there.
fn narrow(backend: Backend, wire: Wire) -> (TestServer, Events) {
    let (log, events) = recording();
    let setup = Setup::new(backend).wire(wire).limits(|limits| limits.frame_bytes_max = 1000);
    (setup.start(move |_| log.of(Echo)), events)
}

fn a_frame_of_exactly_the_maximum_is_taken(backend: Backend) {
    for wire in Wire::FRAMED {
        let (server, _events) = narrow(backend, wire);
        let mut client = server.connect();
        client.ping(&pattern(1, 999));
        client.ping(&pattern(2, 1000));
        // Cut between any two bytes that could be counted wrongly.
        let longest = wire.encode(&pattern(3, 1000));
        for cut in [1, longest.len() - 2, longest.len() - 1] {
            let received = server.stats().bytes_in;
            client.write(&longest[..cut]);
            server.wait_for_bytes_in(received + cut as u64);
            client.write(&longest[cut..]);
            client.expect(&pattern(3, 1000));
        }
    }
    // What the framing can express at all.
    let widest = |limits: &mut wharf::Limits| limits.frame_bytes_max = usize::from(u16::MAX);
    for wire in [Wire::U16Le, Wire::U16Be] {
        let server = Setup::new(backend).wire(wire).limits(widest).start(|_| Echo);
        server.connect().ping(&pattern(4, usize::from(u16::MAX)));
    }
}

fn a_frame_that_is_longer_ends_its_session_and_no_other(backend: Backend) {
    for wire in Wire::FRAMED {
        let (server, events) = narrow(backend, wire);
        let mut neighbour = server.connect();
        neighbour.ping(b"before");
        events.so_far();

        let mut client = server.connect();
        let id = events.connected().id;
        let mut stream = wire.encode_all(&[pattern(1, 1000), b"last".to_vec()]);
        stream.extend(wire.encode(&pattern(2, 1001)));
        stream.extend(wire.encode(b"not heard"));
        client.write(&stream);
        assert_eq!(client.rest_frames(), [pattern(1, 1000), b"last".to_vec()], "{wire:?}");
        drop(client);
        let life = events.life_of(id);
        assert_eq!(frames(&life), [pattern(1, 1000), b"last".to_vec()], "{wire:?}");
        let end = &life[life.len() - 2];
        assert_eq!(end.reason(), "bad_frame", "{wire:?}");
        let text = end.reason_text();
        assert!(text.ends_with("a frame of 1001 bytes, and at most 1000 are allowed"), "{text}");

        neighbour.ping(b"after");
    }
}

fn a_frame_too_long_is_refused_by_its_header_alone(backend: Backend) {
    for wire in Wire::FRAMED {
        let (server, events) = narrow(backend, wire);
        let mut client = server.connect();
        let start = match wire {
            // Without its end a line is as long as what has come of it.
            Wire::Lines => pattern(1, 1001),
            Wire::U16Le | Wire::U16Be => vec![0xFF; 2],
            _ => vec![0xFF; 4],
        };
        client.write(&start);
        client.expect_end();
        drop(client);
        assert_eq!(events.disconnected().reason(), "bad_frame", "{wire:?}");
    }
}

fn one_cr_before_lf_is_left_out(backend: Backend) {
    let (log, events) = recording();
    let server = Setup::new(backend).wire(Wire::Lines).start(move |_| log.of(Echo));
    let mut client = server.connect();
    let stream = b"dos\r\nunix\nmac\rmac\ntwo\r\r\n\r\n\n";
    let wanted: [&[u8]; 6] = [b"dos", b"unix", b"mac\rmac", b"two\r", b"", b""];
    client.write(stream);
    for (byte, before) in stream.iter().zip(stream.len()..) {
        server.wait_for_bytes_in(before as u64);
        client.write(&[*byte]);
    }
    client.finish();
    let mut lines = Vec::new();
    for line in wanted.iter().cycle().take(12) {
        lines.extend_from_slice(line);
        lines.push(b'\n');
    }
    assert_same("lines are sent with LF alone", &client.rest(), &lines);
    server.drain();
    let got = frames(&events.remaining());
    assert!(got.iter().eq(wanted.iter().cycle().take(12)), "{got:?}");
}
