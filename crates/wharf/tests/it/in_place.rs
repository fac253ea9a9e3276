//! What a session sends of a frame goes out from where the frame was received. Whatever it sends, and
//! to whom, exactly those bytes arrive.

use std::sync::{Arc, Mutex};

use wharf::{Backend, Context, SessionId};

use crate::support::record::{frames, on_frame, recording};
use crate::support::server::Setup;
use crate::support::wire::{Wire, assert_same, pattern};

each_backend! {
    frames_come_back_as_they_are,
    parts_of_frames_come_back,
    a_frame_comes_back_twice,
    a_frame_comes_back_in_pieces,
    a_frame_comes_back_with_other_bytes_in_between,
    a_frame_comes_back_changed,
    a_frame_comes_back_backwards,
    thousands_of_slices_go_out_in_one_turn,
    frames_that_look_like_frames_come_back,
    a_frame_goes_to_many_sessions,
    frames_of_many_sessions_go_to_one,
}

/// What a session does with a frame: it sends some frames.
type Answer = fn(&[u8], &mut dyn FnMut(&[u8]));

/// Sends frames of many lengths in each framing to sessions that answer each with `answer`, and checks
/// that what arrives is what was sent. What the session saw of a raw stream is taken from the record,
/// and must be the stream.
#[track_caller]
fn check(backend: Backend, answer: Answer) {
    for wire in Wire::ALL {
        for buffer_bytes in [256, 16 << 10] {
            check_with(backend, wire, buffer_bytes, answer);
        }
    }
}

#[track_caller]
fn check_with(backend: Backend, wire: Wire, buffer_bytes: u32, answer: Answer) {
    let setup = Setup::new(backend)
        .wire(wire)
        .port(|port| {
            port.buffers = 16;
            port.buffer_bytes = buffer_bytes;
        })
        .limits(|limits| limits.send_bytes_max = 64 << 20);
    let (log, events) = recording();
    let server = setup.start(move |_| {
        log.of(on_frame(move |ctx: &mut Context<'_>, frame| {
            answer(frame, &mut |part| {
                ctx.send(part);
            });
            Ok(())
        }))
    });
    // Around the lengths at which something is done differently: a header, what is worth a slice, a
    // buffer, a chunk of the send queue.
    let lengths =
        [0, 1, 2, 3, 4, 5, 100, 250, 251, 252, 253, 254, 255, 256, 257, 507, 508, 509, 510];
    let more =
        [511, 512, 513, 514, 1000, 4090, 4091, 4092, 4095, 4096, 4097, 16_379, 16_380, 20_000];
    let sent: Vec<Vec<u8>> =
        lengths.iter().chain(&more).zip(1..).map(|(&len, seed)| pattern(seed, len)).collect();
    let stream = wire.encode_all(&sent);
    let mut client = server.connect();
    let mut writer = client.writer();
    let pipelined = stream.clone();
    let payloads = sent.clone();
    let writing = std::thread::spawn(move || {
        // All in one go, and one by one.
        writer.write(&pipelined);
        for payload in &payloads {
            writer.send(payload);
        }
        writer.finish();
    });
    let got = client.rest();
    writing.join().unwrap();
    server.drain();
    let seen = frames(&events.remaining());
    if wire == Wire::Raw {
        assert_same("what was received", &seen.concat(), &stream.repeat(2));
    } else {
        assert!(seen.iter().eq(sent.iter().chain(&sent)), "{wire:?}: what was received");
    }
    let mut wanted = Vec::new();
    for frame in &seen {
        answer(frame, &mut |part| wanted.extend(wire.encode(part)));
    }
    assert_same(&format!("{wire:?}, buffers of {buffer_bytes} bytes"), &got, &wanted);
}

fn frames_come_back_as_they_are(backend: Backend) {
    check(backend, |frame, send| send(frame));
}

fn parts_of_frames_come_back(backend: Backend) {
    check(backend, |frame, send| {
        let middle = frame.len() / 2;
        send(&frame[..middle]);
        send(&frame[middle..]);
        send(&frame[middle / 2..middle]);
        send(&frame[frame.len()..]);
        send(&frame[..0]);
        if let [_, inner @ .., _] = frame {
            send(inner);
        }
    });
}

fn a_frame_comes_back_twice(backend: Backend) {
    check(backend, |frame, send| {
        send(frame);
        send(frame);
    });
}

fn a_frame_comes_back_in_pieces(backend: Backend) {
    check(backend, |frame, send| frame.chunks(700).for_each(send));
}

fn a_frame_comes_back_with_other_bytes_in_between(backend: Backend) {
    check(backend, |frame, send| {
        send(b"before");
        send(frame);
        send(b"between");
        send(&vec![b'x'; 5000]);
        send(frame);
        send(b"");
        send(b"behind");
    });
}

fn a_frame_comes_back_changed(backend: Backend) {
    check(backend, |frame, send| {
        let changed: Vec<u8> = frame.iter().map(|byte| byte ^ 0x20).collect();
        send(&changed);
        send(&changed.to_ascii_uppercase());
    });
}

fn a_frame_comes_back_backwards(backend: Backend) {
    check(backend, |frame, send| {
        // Pieces of the frame that do not follow each other where they lie.
        frame.rchunks(600).for_each(send);
    });
}

fn thousands_of_slices_go_out_in_one_turn(backend: Backend) {
    // Only where nothing goes around a payload is every part of one sent from where it lies.
    check_with(backend, Wire::Raw, 16 << 10, |frame, send| {
        for _ in 0..40 {
            frame.rchunks(600).for_each(&mut *send);
        }
    });
}

fn frames_that_look_like_frames_come_back(backend: Backend) {
    // A payload that holds headers and whole frames: what lies around a part of it may be what would
    // have to be sent around it, or nearly.
    for wire in Wire::FRAMED {
        let inner = pattern(1, 600);
        let mut payload = Vec::new();
        for len in [600, 599, 601, 0, 600] {
            payload.extend(wire.header(len));
            payload.extend(&inner);
            payload.push(if len == 601 { b'\r' } else { b'.' });
        }
        let at = wire.header_len();
        let (log, events) = recording();
        let setup = Setup::new(backend).wire(wire);
        let server = setup.start(move |_| {
            log.of(on_frame(move |ctx, frame| {
                let step = at + 601;
                for start in (0..frame.len()).step_by(step) {
                    ctx.send(&frame[start + at..start + at + 600]);
                    ctx.send(&frame[start + at..start + step]);
                    ctx.send(&frame[start..start + step]);
                }
                Ok(())
            }))
        });
        let mut client = server.connect();
        for _ in 0..3 {
            client.send(&payload);
        }
        client.finish();
        let got = client.rest();
        server.drain();
        let seen = frames(&events.remaining());
        assert_eq!(seen, [&payload[..]; 3]);
        let mut wanted = Vec::new();
        for step in payload.chunks(at + 601).cycle().take(15) {
            wanted.extend(wire.encode(&step[at..at + 600]));
            wanted.extend(wire.encode(&step[at..]));
            wanted.extend(wire.encode(step));
        }
        assert_same(&format!("{wire:?}"), &got, &wanted);
    }
}

/// Sessions in a room, in the order in which they came: the first byte of a frame says to whom it
/// goes.
type Room = Arc<Mutex<Vec<SessionId>>>;

fn a_frame_goes_to_many_sessions(backend: Backend) {
    for wire in Wire::FRAMED {
        for workers in [1, 2] {
            let room: Room = Arc::default();
            let setup = Setup::new(backend)
                .wire(wire)
                .workers(workers)
                .limits(|limits| limits.send_bytes_max = 4 << 20);
            let server = setup.start(move |_| {
                let room = Arc::clone(&room);
                on_frame(move |ctx, frame| {
                    let mut room = room.lock().unwrap();
                    if frame == b"join" {
                        room.push(ctx.id());
                        ctx.send(b"joined");
                        return Ok(());
                    }
                    for (number, &member) in room.iter().enumerate() {
                        ctx.send_to(member, &frame[number..]);
                        ctx.send_to(member, frame);
                    }
                    Ok(())
                })
            });
            let mut members: Vec<_> = (0..6).map(|_| server.connect()).collect();
            for member in &mut members {
                member.ping_for(b"join", b"joined");
            }
            let sent: Vec<Vec<u8>> =
                (0..60_u16).map(|seed| pattern(seed.into(), 10 + 97 * usize::from(seed))).collect();
            members[2].write(&wire.encode_all(&sent));
            for frame in &sent {
                for (number, member) in members.iter_mut().enumerate() {
                    member.expect(&frame[number..]);
                    member.expect(frame);
                }
            }
        }
    }
}

fn frames_of_many_sessions_go_to_one(backend: Backend) {
    const SENDERS: u8 = 8;
    const FRAMES: u16 = 100;
    let reader: Arc<Mutex<Option<SessionId>>> = Arc::default();
    // The reader is slow, so most of what it is sent has to wait; buffers are few, so they are used
    // again at once.
    let setup = Setup::new(backend)
        .kernel_buffers(16 << 10, 64 << 10)
        .port(|port| {
            port.buffers = 4;
            port.buffer_bytes = 4096;
        })
        .limits(|limits| limits.send_bytes_max = 16 << 20);
    let server = setup.start(move |_| {
        let reader = Arc::clone(&reader);
        on_frame(move |ctx, frame| {
            let mut reader = reader.lock().unwrap();
            match *reader {
                None => {
                    *reader = Some(ctx.id());
                    ctx.send(b"you read");
                }
                Some(reader) => {
                    ctx.send_to(reader, frame);
                    ctx.send(b"passed on");
                }
            }
            Ok(())
        })
    });
    let mut reader = server.connect();
    reader.ping_for(b"hello", b"you read");
    let frame = |sender: u8, number: u16| {
        let seed = u64::from(sender) << 32 | u64::from(number);
        [&[sender][..], &pattern(seed, 500 + 13 * usize::from(number))].concat()
    };
    std::thread::scope(|scope| {
        for sender in 0..SENDERS {
            let mut client = server.connect();
            scope.spawn(move || {
                for number in 0..FRAMES {
                    client.ping_for(&frame(sender, number), b"passed on");
                }
            });
        }
    });
    let mut next = vec![0; SENDERS.into()];
    for _ in 0..u16::from(SENDERS) * FRAMES {
        let got = reader.frame();
        let sender = got[0];
        let number = &mut next[usize::from(sender)];
        assert_same("a frame passed on", &got, &frame(sender, *number));
        *number += 1;
    }
    assert!(next.iter().all(|&number| number == FRAMES), "{next:?}");
}
