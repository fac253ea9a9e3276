//! Why sessions end, as `wharf serve` counts it: each limit has its reason.

use std::io::{Error, ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};

use crate::serving::{PATIENCE, Serving, backends, check_echo, read_to_end};

/// Ends a server that had one session, which has ended for this reason.
#[track_caller]
fn check_reason(serving: Serving, flags: &str, reason: &str) {
    let ended = serving.stop();
    assert_eq!(ended.reasons(), Some(format!("{reason} 1").as_str()), "{flags}: {ended:?}");
}

/// Reads until the server has ended the session, in order or not.
#[track_caller]
fn check_over(mut session: &TcpStream, flags: &str) {
    let mut bytes = vec![0; 64 << 10];
    loop {
        let read = session.read(&mut bytes);
        if !matches!(read, Ok(1..)) {
            let waits =
                |error: &Error| matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut);
            assert!(!read.is_err_and(|error| waits(&error)), "{flags}: it goes on");
            return;
        }
    }
}

#[test]
fn each_limit_on_what_comes_ends_a_session_with_its_reason() {
    let limits: [(&str, &[u8], &str); 8] = [
        ("--idle 0.2", b"", "idle"),
        ("--idle 0.2", b"and no more", "idle"),
        ("--first-frame 0.2 --framing lines", b"", "first_frame_late"),
        ("--first-frame 0.2 --framing lines", b"half a line", "first_frame_late"),
        ("--frame-deadline 0.2 --framing lines", b"a line\nand a half", "frame_late"),
        ("--frame-max 3 --framing lines", b"one\nfour\n", "bad_frame"),
        ("--frame-rate 1:2 --over-rate disconnect --framing lines", b"1\n2\n3\n", "rate_limited"),
        ("--byte-rate 1:2 --over-rate disconnect --framing lines", b"1\n2\n3\n", "rate_limited"),
    ];
    for backend in backends() {
        for (flags, sent, reason) in limits {
            let serving = Serving::start(&format!("--backend {backend} --workers 1 {flags}"));
            let mut session = serving.connect();
            session.write_all(sent).unwrap();
            check_over(&session, flags);
            drop(session);
            check_reason(serving, flags, reason);
        }
    }
}

#[test]
fn each_limit_on_what_is_sent_ends_who_does_not_read() {
    for backend in backends() {
        for flags in [
            "--send-max 4KiB --slow disconnect",
            "--send-max 4KiB --slow pause --send-deadline 0.3",
            "--framing lines --send-frames 1 --send-max 64MiB --slow disconnect",
            "--send-max 64MiB --send-total 1MiB --send-deadline off",
        ] {
            let serving = Serving::start(&format!("--backend {backend} --workers 1 {flags}"));
            let session = serving.connect();
            let line = [&[b'x'; 1023][..], b"\n"].concat().repeat(64);
            session.set_write_timeout(Some(PATIENCE)).unwrap();
            // Where it is paused, this waits for the end: the server receives nothing meanwhile.
            assert!((0..512).any(|_| (&session).write_all(&line).is_err()), "{flags}");
            check_over(&session, flags);
            drop(session);
            check_reason(serving, flags, "slow_reader");
        }
    }
}

#[test]
fn what_a_peer_does_is_told_apart() {
    for backend in backends() {
        let start = || Serving::start(&format!("--backend {backend} --workers 1 --framing u16be"));
        let serving = start();
        let session = serving.connect();
        check_echo(&session, b"\0\x03one");
        session.shutdown(Shutdown::Write).unwrap();
        assert_eq!(read_to_end(&session), b"");
        check_reason(serving, "an end", "peer_closed");

        let serving = start();
        let mut session = serving.connect();
        session.write_all(b"\0\x03on").unwrap();
        session.shutdown(Shutdown::Write).unwrap();
        assert_eq!(read_to_end(&session), b"");
        check_reason(serving, "half a frame", "truncated");

        let serving = start();
        let mut session = serving.connect();
        session.write_all(b"\0\x03one").unwrap();
        // To close with something that was not read is a reset.
        assert_eq!(session.peek(&mut [0]).unwrap(), 1);
        drop(session);
        let probe = serving.connect();
        check_echo(&probe, b"\0\0");
        let ended = serving.stop();
        assert_eq!(ended.reasons(), Some("peer_reset 1, drain 1"), "{ended:?}");
    }
}
