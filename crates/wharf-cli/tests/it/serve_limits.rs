//! The limits of `wharf serve echo`: how many sessions, and how long one may be silent.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use crate::serving::{
    PATIENCE, Serving, backends, check_echo, check_receives, connect, is_over, timed,
};

/// A limit that is short, but not so short that a busy machine runs into it by itself.
const LIMIT: Duration = Duration::from_millis(300);
/// Long after the limit, and long before any other.
const LATE: Duration = Duration::from_secs(8);

/// Waits for the end of a session and checks that it came when the limit was over: not before, since
/// `before` began, and not long after.
#[track_caller]
fn check_over_in_time(before: Duration, mut session: &TcpStream) {
    let (waited, ended) = timed(|| session.read(&mut [0; 64]));
    assert!(is_over(ended), "the session goes on");
    let waited = before + waited;
    assert!(waited >= LIMIT && waited < LATE, "it ended after {waited:?}");
}

/// Reads for `time`: true if nothing has come, false if the session is over.
fn is_silent(mut session: &TcpStream, time: Duration) -> bool {
    session.set_read_timeout(Some(time)).unwrap();
    let read = session.read(&mut [0]);
    session.set_read_timeout(Some(PATIENCE)).unwrap();
    match read {
        Ok(count) => {
            assert_eq!(count, 0, "something came back");
            false
        }
        Err(error) => matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut),
    }
}

/// Sends `bytes` one by one, each after a pause, until the session ends; how long that took. The
/// session ends before the last byte.
#[track_caller]
fn drip(mut session: &TcpStream, bytes: &[u8], pause: Duration) -> Duration {
    let (took, over) = timed(|| {
        bytes.iter().any(|byte| {
            let sent = session.write_all(std::slice::from_ref(byte));
            sent.is_err() || !is_silent(session, pause)
        })
    });
    assert!(over, "all was taken, in {took:?}");
    took
}

#[test]
fn a_session_beyond_the_maximum_is_reset_at_once() {
    for backend in backends() {
        let mut serving =
            Serving::start(&format!("--backend {backend} --workers 2 --sessions-max 2"));
        let (first, second) = (serving.connect(), serving.connect());
        check_echo(&first, b"first");
        check_echo(&second, b"second");
        for _ in 0..3 {
            // The reset may be there before the connect returns.
            let third = || connect(serving.address())?.read(&mut [0]);
            let (took, read) = timed(third);
            assert_eq!(read.unwrap_err().kind(), ErrorKind::ConnectionReset);
            assert!(took < LATE, "{took:?}");
        }
        check_echo(&first, b"first again");
        serving.wait_for("connection refused");

        // One leaves, and there is room: not at once, since its end is news to the server too.
        drop(second);
        let (_, came_in) = timed(|| {
            (0..10_000).any(|_| {
                let Ok(mut next) = connect(serving.address()) else { return false };
                next.write_all(b"x").is_ok() && matches!(next.read(&mut [0]), Ok(1))
            })
        });
        assert!(came_in, "the room that one left is not given away");
        drop(first);
        let ended = serving.stop();
        let said = ended.stderr.matches("connection refused").count();
        assert_eq!(said, 1, "it is said once: {ended:?}");
    }
}

#[test]
fn a_silent_session_is_closed_and_one_that_says_something_is_not() {
    for backend in backends() {
        let serving = Serving::start(&format!("--backend {backend} --idle 0.3"));
        let (before, silent) = timed(|| serving.connect());
        check_over_in_time(before, &silent);

        let talker = serving.connect();
        for _ in 0..10 {
            check_echo(&talker, b"x");
            assert!(is_silent(&talker, LIMIT / 4), "a session that talks was closed");
        }
        let (before, ()) = timed(|| check_echo(&talker, b"the last"));
        check_over_in_time(before, &talker);
        drop((silent, talker));
        serving.stop();
    }
}

#[test]
fn a_first_frame_that_does_not_come_in_time_ends_the_session() {
    for backend in backends() {
        let serving =
            Serving::start(&format!("--backend {backend} --framing u16le --first-frame 0.3"));
        let (before, silent) = timed(|| serving.connect());
        check_over_in_time(before, &silent);

        // Bytes are no frame.
        let (before, dripping) = timed(|| serving.connect());
        let took = before + drip(&dripping, &[100; 100], LIMIT / 6);
        assert!(took >= LIMIT && took < LATE, "{took:?}");

        // After the first frame the limit is over.
        let greeted = serving.connect();
        check_echo(&greeted, b"\x02\0ok");
        assert!(is_silent(&greeted, LIMIT * 3), "a session that has said hello was closed");
        check_echo(&greeted, b"\x02\0ok");
        drop((silent, dripping, greeted));
        serving.stop();
    }
}

#[test]
fn a_frame_that_is_not_finished_in_time_ends_the_session_however_it_drips() {
    for backend in backends() {
        for framing in ["lines", "u16le", "u32be"] {
            let serving = Serving::start(&format!(
                "--backend {backend} --framing {framing} --frame-deadline 0.3"
            ));
            let silent = serving.connect();
            let mut half = serving.connect();
            let (before, ()) = timed(|| half.write_all(b"\0").unwrap());
            check_over_in_time(before, &half);

            // A length of more than comes, or a line without an end.
            let mut bytes = vec![1; 100];
            if framing == "u32be" {
                bytes[..2].fill(0);
            }
            let took = drip(&serving.connect(), &bytes, LIMIT / 6);
            assert!(took >= LIMIT && took < LATE, "{framing}: {took:?}");

            // Frames that are finished in time, for longer than the limit.
            let whole: &[u8] = match framing {
                "lines" => b"a\n",
                "u16le" => b"\x01\0a",
                _ => b"\0\0\0\x01a",
            };
            let steady = serving.connect();
            for _ in 0..10 {
                check_echo(&steady, whole);
                assert!(is_silent(&steady, LIMIT / 4), "a session between two frames was closed");
            }
            check_echo(&silent, whole);
            drop((silent, half, steady));
            serving.stop();
        }
    }
}

#[test]
fn a_limit_that_is_off_ends_nothing() {
    let serving =
        Serving::start("--framing u16le --idle off --first-frame off --frame-deadline off");
    let mut session = serving.connect();
    session.write_all(b"\x02").unwrap();
    assert!(is_silent(&session, LIMIT * 3));
    session.write_all(b"\0ok").unwrap();
    check_receives(&session, b"\x02\0ok");
    drop(session);
    serving.stop();
}

#[test]
fn loopback_is_exempt_from_the_maximum_per_address() {
    let serving = Serving::start("--per-address-max 1");
    let sessions: Vec<_> = (0..5).map(|_| serving.connect()).collect();
    for session in &sessions {
        check_echo(session, b"hello");
    }
    drop(sessions);
    serving.stop();
}
