//! `wharf serve echo`: what goes in comes back, in every framing, however the stream is split.

use std::io::{Read, Write};
use std::net::Shutdown;

use crate::serving::{
    Serving, backends, check_echo, check_last, check_receives, numbers, read_to_end,
};

/// A frame as it stands on the wire.
fn framed(framing: &str, payload: &[u8]) -> Vec<u8> {
    let len = u32::try_from(payload.len()).unwrap();
    let short = || u16::try_from(len).unwrap();
    let mut frame = match framing {
        "u16le" => short().to_le_bytes().to_vec(),
        "u16be" => short().to_be_bytes().to_vec(),
        "u32le" => len.to_le_bytes().to_vec(),
        "u32be" => len.to_be_bytes().to_vec(),
        _ => Vec::new(),
    };
    frame.extend_from_slice(payload);
    if framing == "lines" {
        frame.push(b'\n');
    }
    frame
}

const FRAMINGS: [&str; 6] = ["raw", "lines", "u16le", "u16be", "u32le", "u32be"];

#[test]
fn a_stream_comes_back_however_it_is_split() {
    for backend in backends() {
        for framing in FRAMINGS {
            let serving =
                Serving::start(&format!("--workers 1 --backend {backend} --framing {framing}"));
            let probe = serving.connect();
            let payloads: [&[u8]; 4] = [b"hello", b"", b"x", b"the last"];
            let stream: Vec<u8> =
                payloads.iter().flat_map(|payload| framed(framing, payload)).collect();
            for at in 0..=stream.len() {
                let mut session = serving.connect();
                session.write_all(&stream[..at]).unwrap();
                // The one worker has seen the first part once it answers another session.
                check_echo(&probe, &framed(framing, b"probe"));
                check_last(&session, &stream[at..], &stream);
            }
            let mut session = serving.connect();
            for byte in &stream {
                session.write_all(std::slice::from_ref(byte)).unwrap();
            }
            check_receives(&session, &stream);
            drop((session, probe));
            serving.stop();
        }
    }
}

#[test]
fn many_frames_at_once_come_back_in_order() {
    for backend in backends() {
        for framing in FRAMINGS {
            let serving = Serving::start(&format!("--backend {backend} --framing {framing}"));
            let stream: Vec<u8> = (0..5_000_u32)
                .flat_map(|number| framed(framing, format!("frame {number}").as_bytes()))
                .collect();
            let session = serving.connect();
            std::thread::scope(|scope| {
                scope.spawn(|| (&session).write_all(&stream).unwrap());
                check_receives(&session, &stream);
            });
            drop(session);
            serving.stop();
        }
    }
}

#[test]
fn one_cr_before_lf_is_dropped_and_the_last_line_needs_no_lf() {
    for backend in backends() {
        let serving = Serving::start(&format!("--backend {backend} --framing lines"));
        check_echo(&serving.connect(), b"a\nb\n");
        for (sent, expected) in [
            (&b"a\r\nb\r\r\n\r\n\n"[..], &b"a\nb\r\n\n\n"[..]),
            (b"last", b"last\n"),
            (b"one\nlast\r", b"one\nlast\n"),
            (b"a\rb\n", b"a\rb\n"),
            (b"", b""),
        ] {
            check_last(&serving.connect(), sent, expected);
        }
        // CR and LF in two pieces: the answer to what is before them shows that the CR has come.
        let mut session = serving.connect();
        session.write_all(b"first\nsecond\r").unwrap();
        check_receives(&session, b"first\n");
        session.write_all(b"\n").unwrap();
        check_receives(&session, b"second\n");
        drop(session);
        serving.stop();
    }
}

#[test]
fn a_frame_of_the_maximum_comes_back_and_a_longer_one_ends_its_session() {
    for backend in backends() {
        for framing in &FRAMINGS[1..] {
            for max in [1, 1000, 65_535] {
                let serving = Serving::start(&format!(
                    "--backend {backend} --framing {framing} --frame-max {max}"
                ));
                let (fits, too_long) = (vec![b'x'; max], vec![b'x'; max + 1]);
                let neighbour = serving.connect();
                check_echo(&serving.connect(), &framed(framing, &fits));

                let session = serving.connect();
                let mut stream = framed(framing, b"1");
                let answer = stream.clone();
                if framing.starts_with("u16") && max == 65_535 {
                    // It cannot even be said.
                    check_last(&session, &stream, &answer);
                    continue;
                }
                stream.extend(framed(framing, &too_long));
                stream.extend(framed(framing, b"2"));
                // It may be refused while it is being sent.
                let _ = (&session).write_all(&stream);
                let mut received = Vec::new();
                let ended = (&session).read_to_end(&mut received);
                assert!(received == answer || ended.is_err(), "{framing} {max}: {received:?}");
                check_echo(&neighbour, &framed(framing, b"3"));
                drop((session, neighbour));
                serving.stop();
            }
        }
    }
}

#[test]
fn sixteen_mebibytes_come_back_in_one_frame() {
    for backend in backends() {
        for framing in ["lines", "u32le"] {
            let serving = Serving::start(&format!(
                "--backend {backend} --framing {framing} --frame-max 16MiB --send-max 4KiB"
            ));
            let frame = framed(framing, &vec![b'y'; 16 << 20]);
            let session = serving.connect();
            std::thread::scope(|scope| {
                scope.spawn(|| (&session).write_all(&frame).unwrap());
                check_receives(&session, &frame);
            });
            drop(session);
            serving.stop();
        }
    }
}

#[test]
fn raw_bytes_of_any_number_come_back_and_then_the_end() {
    for backend in backends() {
        let serving = Serving::start(&format!("--backend {backend} --frame-max 1"));
        for len in [0, 1, 16 << 10, (16 << 10) + 1, 3 << 20] {
            let bytes = numbers(0, len);
            let session = serving.connect();
            std::thread::scope(|scope| {
                scope.spawn(|| {
                    (&session).write_all(&bytes).unwrap();
                    session.shutdown(Shutdown::Write).unwrap();
                });
                assert!(read_to_end(&session) == bytes, "{len} bytes");
            });
        }
        serving.stop();
    }
}

#[test]
fn sessions_do_not_mix() {
    for backend in backends() {
        let serving = Serving::start(&format!("--backend {backend} --workers 2 --framing u16le"));
        let sessions: Vec<_> = (0..200).map(|_| serving.connect()).collect();
        for round in 0..5 {
            let message =
                |number: usize| framed("u16le", format!("{number} in {round}").as_bytes());
            for (number, mut session) in sessions.iter().enumerate() {
                session.write_all(&message(number)).unwrap();
            }
            for (number, session) in sessions.iter().enumerate() {
                check_receives(session, &message(number));
            }
        }
        drop(sessions);
        serving.stop();
    }
}
