//! The sessions of a worker share its receive buffers. None keeps one while it waits for something:
//! with very few of them, the others would starve.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use wharf::{Backend, SessionId, SlowReader};

use crate::support::gate::Gate;
use crate::support::record::{Echo, on_frame};
use crate::support::server::Setup;
use crate::support::time::wait_until_stable;
use crate::support::wire::{Wire, pattern};

each_backend! {
    half_frames_keep_no_buffer,
    empty_parts_of_frames_keep_no_buffer,
    parts_of_frames_that_wait_to_be_sent_keep_no_buffer,
    what_a_paused_session_holds_keeps_no_buffer,
    a_paused_session_leaves_all_buffers_to_the_others,
    sessions_that_are_gone_keep_no_buffer,
}

/// A worker with as few buffers as there may be.
fn poor(backend: Backend) -> Setup {
    Setup::new(backend).kernel_buffers(32 << 10, 32 << 10).port(|port| {
        port.buffers = 2;
        port.buffer_bytes = 4096;
    })
}

fn half_frames_keep_no_buffer(backend: Backend) {
    for wire in Wire::FRAMED {
        let server = poor(backend).wire(wire).start(|_| Echo);
        let mut clients: Vec<_> = (0..20).map(|_| server.connect()).collect();
        let frame = wire.encode(&pattern(1, 1000));
        for client in &mut clients {
            client.write(&frame[..500]);
        }
        server.connect().ping(b"is anybody served?");
        for client in &mut clients {
            client.write(&frame[500..]);
            client.expect(&pattern(1, 1000));
        }
    }
}

fn empty_parts_of_frames_keep_no_buffer(backend: Backend) {
    for wire in Wire::ALL {
        let server = poor(backend).wire(wire).start(|_| {
            on_frame(|ctx, frame| {
                if frame == b"answer" {
                    ctx.send(frame);
                } else {
                    ctx.send(&frame[..0]);
                    ctx.send(&frame[frame.len()..]);
                }
                Ok(())
            })
        });
        let mut clients: Vec<_> = (0..20).map(|_| server.connect()).collect();
        for client in &mut clients {
            client.send(b"nothing");
        }
        server.wait_for_bytes_in(20 * wire.frame_len(7) as u64);
        for client in &mut clients {
            if wire != Wire::Raw {
                client.expect(b"");
                client.expect(b"");
            }
            client.ping(b"answer");
        }
    }
}

fn parts_of_frames_that_wait_to_be_sent_keep_no_buffer(backend: Backend) {
    let reader: Arc<Mutex<Option<SessionId>>> = Arc::default();
    let setup = poor(backend).limits(|limits| limits.send_bytes_max = 16 << 20);
    let server = setup.start(move |_| {
        let reader = Arc::clone(&reader);
        on_frame(move |ctx, frame| {
            let mut reader = reader.lock().unwrap();
            let reader = *reader.get_or_insert(ctx.id());
            ctx.send_to(reader, frame);
            if reader != ctx.id() {
                ctx.send(frame);
            }
            Ok(())
        })
    });
    // The first session is sent everything and reads nothing.
    let mut late = server.connect();
    late.ping(b"I am the reader");
    let mut writer = server.connect();
    let frames: Vec<Vec<u8>> = (0..500).map(|seed| pattern(seed, 1500)).collect();
    for frame in &frames {
        writer.ping(frame);
    }
    for frame in &frames {
        late.expect(frame);
    }
}

fn what_a_paused_session_holds_keeps_no_buffer(backend: Backend) {
    for (buffers, len) in [(2, 100), (2, 3000), (8, 1000), (8, 20_000), (32, 2000)] {
        let setup = poor(backend).port(|port| port.buffers = buffers).limits(|limits| {
            limits.slow_reader = SlowReader::Pause;
            limits.send_bytes_max = 32 << 10;
        });
        let server = setup.start(|_| Echo);
        // They send and do not read.
        const BYTES: usize = 2 << 20;
        let frame = pattern(1, len);
        let stream = Wire::U32Le.encode(&frame).repeat(BYTES / len);
        let slow: Vec<_> = (0..8).map(|_| server.connect()).collect();
        std::thread::scope(|scope| {
            for client in &slow {
                let mut writer = client.writer();
                let stream = &stream;
                scope.spawn(move || writer.write(stream));
            }
            let quiet = Duration::from_millis(100);
            let received = wait_until_stable("the server", quiet, || server.stats().bytes_in);
            assert!(received < 8 * BYTES as u64, "nothing held the server up");
            let mut neighbour = server.connect();
            for _ in 0..10 {
                neighbour.ping(b"is anybody served?");
            }
            for mut client in slow {
                let (frame, stream) = (&frame, &stream);
                scope.spawn(move || {
                    for _ in 0..stream.len() / (4 + len) {
                        client.expect(frame);
                    }
                });
            }
        });
    }
}

fn a_paused_session_leaves_all_buffers_to_the_others(backend: Backend) {
    // A paused session that kept some would leave the others so few that serving them takes as many
    // turns as there are of them.
    const NEIGHBOURS: usize = 64;
    for len in [20, 50, 100] {
        let (gate, post) = Gate::new();
        let setup = poor(backend).port(|port| port.buffers = 8).limits(|limits| {
            limits.slow_reader = SlowReader::Pause;
            limits.send_bytes_max = 32 << 10;
        });
        let server = setup.start(move |_| post.echo());
        let mut neighbours: Vec<_> = (0..NEIGHBOURS).map(|_| server.connect()).collect();
        for client in &mut neighbours {
            client.ping(b"hello");
        }
        let mut last = server.connect();
        let mut turns_to_serve_all = || {
            last.send(b"wait");
            gate.wait_for_arrival();
            for client in &mut neighbours {
                client.send(b"hello");
            }
            let before = server.stats().turns;
            gate.open();
            for client in &mut neighbours {
                client.expect(b"hello");
            }
            last.expect(b"wait");
            server.stats().turns - before
        };
        // The fewest of some times: what else the worker has to do takes turns as well.
        let mut fewest_turns = || (0..3).map(|_| turns_to_serve_all()).min().unwrap();
        let alone = fewest_turns();

        let slow = server.connect();
        let mut writer = slow.writer();
        let writing = std::thread::spawn(move || {
            let stream = Wire::U32Le.encode(&pattern(1, len)).repeat((2 << 20) / len);
            writer.try_write(&stream);
        });
        let quiet = Duration::from_millis(100);
        wait_until_stable("the server", quiet, || server.stats().bytes_in);
        let beside = fewest_turns();
        slow.reset();
        writing.join().unwrap();
        assert!(beside <= 2 * alone + 4, "{len}: {alone} turns alone, {beside} beside it");
    }
}

fn sessions_that_are_gone_keep_no_buffer(backend: Backend) {
    let server = poor(backend).start(|_| {
        on_frame(|ctx, frame| {
            // It ends in the middle of what was received, with something of it still to be sent.
            ctx.send(frame);
            ctx.send(&frame[..frame.len() / 2]);
            match frame.first() {
                Some(b'c') => ctx.close(),
                Some(b'e') => return Err("as it was told".into()),
                Some(b'p') => crate::support::backend::panic_on_purpose(),
                _ => {}
            }
            Ok(())
        })
    });
    for round in 0..30 {
        let kind = [b"close", b"error", b"panic"][round % 3];
        let mut client = server.connect();
        let frame = [&kind[..], &pattern(1, 700)].concat();
        client.write(&Wire::U32Le.encode(&frame).repeat(5));
        client.bytes_until_gone(usize::MAX);
    }
    let mut client = server.connect();
    client.ping_for(b"xy", b"xy");
    client.expect(b"x");
}
