//! `wharf serve` with every framing of the command line, against frames that were written by hand.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;

use crate::program::{load_echo, run};
use crate::serving::{Serving, backends, check_last, is_over, serve};
use crate::wire::{WIRES, Wire};

/// A server with one worker: what it was sent first it has seen when it answers what was sent later.
fn start(mode: &str, backend: &str, wire: &Wire) -> Serving {
    let framing = wire.framing;
    let flags = format!("--backend {backend} --workers 1 --framing {framing}");
    // What is fixed has its maximum.
    let max = if framing.starts_with("fixed") { "" } else { "--frame-max 40" };
    Serving::spawn(serve(mode, &format!("{flags} {max}")))
}

/// Expects exactly these bytes next.
#[track_caller]
fn expect(mut session: &TcpStream, bytes: &[u8], wire: &Wire) {
    let mut answer = vec![0; bytes.len()];
    let read = session.read_exact(&mut answer);
    let same = read.is_ok() && answer == bytes;
    assert!(same, "{}: {bytes:?} came as {answer:?}, {read:?}", wire.framing);
}

/// Sends a frame, and expects the same back.
#[track_caller]
fn check_echo(mut session: &TcpStream, wire: &Wire) {
    session.write_all(wire.frames[0]).unwrap();
    expect(session, wire.frames[0], wire);
}

/// Checks that a session was sent nothing, once the server has answered another.
#[track_caller]
fn check_nothing(session: &TcpStream, probe: &TcpStream, wire: &Wire) {
    check_echo(probe, wire);
    session.set_nonblocking(true).unwrap();
    let peeked = session.peek(&mut [0]);
    session.set_nonblocking(false).unwrap();
    let nothing = matches!(&peeked, Err(error) if error.kind() == ErrorKind::WouldBlock);
    assert!(nothing, "{}: {peeked:?}, and nothing was due", wire.framing);
}

/// Ends a server, which must tell why its sessions ended.
#[track_caller]
fn check_ends(serving: Serving, sessions: Vec<TcpStream>, wire: &Wire, reasons: &str) {
    for mut session in sessions {
        session.shutdown(std::net::Shutdown::Write).unwrap();
        let read = session.read(&mut [0]);
        assert!(matches!(read, Ok(0)), "{}: {read:?}, and the end was due", wire.framing);
    }
    let ended = serving.stop();
    assert_eq!(ended.reasons(), Some(reasons), "{}: {ended:?}", wire.framing);
}

#[test]
fn a_frame_is_answered_when_it_is_whole_wherever_it_is_split() {
    for backend in backends() {
        for wire in &WIRES {
            let serving = start("echo", backend, wire);
            let (mut session, probe) = (serving.connect(), serving.connect());
            for frame in wire.frames {
                for at in 0..frame.len() {
                    session.write_all(&frame[..at]).unwrap();
                    check_nothing(&session, &probe, wire);
                    session.write_all(&frame[at..]).unwrap();
                    expect(&session, frame, wire);
                }
            }
            check_ends(serving, vec![session, probe], wire, "peer_closed 2");
        }
    }
}

#[test]
fn frames_come_back_from_one_write_from_many_and_across_the_borders_of_writes() {
    for backend in backends() {
        for wire in &WIRES {
            let serving = start("echo", backend, wire);
            let stream = [wire.frames.concat(), wire.longest.bytes()].concat();
            let mut session = serving.connect();
            let many = stream.repeat(100);
            session.write_all(&many).unwrap();
            expect(&session, &many, wire);
            for byte in &stream {
                session.write_all(std::slice::from_ref(byte)).unwrap();
            }
            expect(&session, &stream, wire);
            // A step that has no common measure with any frame here.
            for piece in many.chunks(13) {
                session.write_all(piece).unwrap();
            }
            expect(&session, &many, wire);
            check_ends(serving, vec![session], wire, "peer_closed 1");
        }
    }
}

#[test]
fn what_is_no_frame_or_too_long_ends_its_session_and_no_other() {
    for backend in backends() {
        for wire in WIRES.iter().filter(|wire| !wire.refused.is_empty()) {
            let serving = start("echo", backend, wire);
            let neighbour = serving.connect();
            for refused in wire.refused {
                let mut session = serving.connect();
                check_echo(&session, wire);
                // It may be refused while it is being sent.
                let _ = session.write_all(&refused.bytes());
                let mut rest = [0; 64];
                let read = session.read(&mut rest);
                assert!(is_over(read), "{}: {:?} is answered", wire.framing, refused.bytes());
                check_echo(&neighbour, wire);
            }
            let reasons = format!("peer_closed 1, bad_frame {}", wire.refused.len());
            check_ends(serving, vec![neighbour], wire, &reasons);
        }
    }
}

#[test]
fn half_a_frame_at_the_end_of_the_stream_is_not_answered() {
    for backend in backends() {
        // A line is one without its end too, and one byte has no half.
        for wire in WIRES.iter().filter(|wire| !["lines", "fixed:1"].contains(&wire.framing)) {
            let serving = start("echo", backend, wire);
            let frame = wire.longest.bytes();
            for len in 1..frame.len() {
                let sent = [wire.frames[0], &frame[..len]].concat();
                check_last(&serving.connect(), &sent, wire.frames[0]);
            }
            check_ends(serving, Vec::new(), wire, &format!("truncated {}", frame.len() - 1));
        }
    }
}

#[test]
fn a_chat_keeps_the_frames_of_every_framing() {
    for backend in backends() {
        for wire in &WIRES {
            let serving = start("chat", backend, wire);
            let mut one = serving.connect();
            check_echo(&one, wire);
            let two = serving.connect();
            check_echo(&two, wire);
            expect(&one, wire.frames[0], wire);
            let stream = [wire.frames.concat(), wire.longest.bytes()].concat();
            for byte in &stream {
                one.write_all(std::slice::from_ref(byte)).unwrap();
            }
            expect(&one, &stream, wire);
            expect(&two, &stream, wire);
            check_ends(serving, vec![one, two], wire, "peer_closed 2");
        }
    }
}

#[test]
fn load_and_serve_agree_about_every_framing() {
    for backend in backends() {
        for wire in &WIRES {
            let serving = start("echo", backend, wire);
            let framing = wire.framing;
            let size = framing.strip_prefix("fixed:").unwrap_or("20");
            let flags = format!(
                "--sessions 3 --messages 50 --depth 7 --size {size} --framing {framing} \
                 --backend {backend}"
            );
            let ended = run(load_echo(serving.address(), &flags));
            assert_eq!(ended.code, Some(0), "{framing}: {ended:?}");
            assert!(ended.stdout.contains("150 sent, 150 received, 0 wrong"), "{ended:?}");
            check_ends(serving, Vec::new(), wire, "peer_closed 3");
        }
    }
}
