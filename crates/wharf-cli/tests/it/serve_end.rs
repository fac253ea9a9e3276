//! How `wharf serve echo` ends: signals, drain, report, exit code.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::process::Command;
use std::time::Duration;

use crate::serving::{
    PATIENCE, Process, Serving, Signal, backends, check_echo, connect, numbers, read_to_end,
    serve_echo, timed, write_until_stuck,
};

/// More than the kernel's buffers of both sides hold.
const FLOOD: usize = 96 << 20;
/// Longer than what is to be over at once.
const SOON: Duration = Duration::from_secs(8);

/// A session that sends and does not read.
pub(crate) fn stuck(serving: &Serving) -> (TcpStream, usize) {
    let session = serving.connect();
    // A busy machine may leave it in the listener's queue until all is written: then the server has no
    // session when its end begins.
    check_echo(&session, b"hello");
    let written = write_until_stuck(&session, FLOOD);
    assert!(written < FLOOD);
    (session, written)
}

#[test]
fn each_signal_ends_it_in_order_and_its_peers_are_told() {
    for backend in backends() {
        for signal in [Signal::TERM, Signal::INT, Signal::HUP] {
            let mut serving = Serving::start(&format!("--backend {backend} --workers 2"));
            let address = serving.address();
            let sessions: Vec<_> = (0..10).map(|_| serving.connect()).collect();
            for session in &sessions {
                check_echo(session, b"hello");
            }
            serving.signal(signal);
            for session in sessions {
                assert_eq!(read_to_end(&session), b"");
            }
            let ended = serving.end();
            assert_eq!(ended.code, Some(0), "{ended:?}");
            let lines: Vec<&str> = ended.stderr.lines().collect();
            let [draining, reasons, report] = lines[..] else { panic!("{ended:?}") };
            assert!(draining.contains("draining, 10 sessions left, for at most 10s"), "{draining}");
            assert_eq!(reasons, "wharf: sessions ended: drain 10");
            assert_eq!(report, "wharf: 10 sessions drained, 0 forced, 0 bytes lost");
            TcpListener::bind(address).unwrap();
        }
    }
}

#[test]
fn what_is_queued_is_delivered_before_the_end() {
    for backend in backends() {
        for send_max in ["4KiB", "256KiB", "4MiB"] {
            let mut serving = Serving::start(&format!("--backend {backend} --send-max {send_max}"));
            let (slow, written) = stuck(&serving);
            serving.signal(Signal::TERM);
            serving.wait_for("draining");
            let mut received = Vec::new();
            // What the server has not read makes its close a reset, behind all that it has sent.
            let (_, ended) = timed(|| {
                let _ = slow.shutdown(Shutdown::Write);
                (&slow).read_to_end(&mut received)
            });
            assert!(ended.is_ok(), "{:?} after {} of {written}", ended, received.len());
            assert!(received == numbers(0, received.len()), "the stream is another");
            assert!(received.len() <= written);
            let ended = serving.end();
            assert_eq!(ended.code, Some(0), "{ended:?}");
            let report = "wharf: 1 sessions drained, 0 forced, 0 bytes lost";
            assert_eq!(ended.stderr.lines().last(), Some(report));
        }
    }
}

#[test]
fn a_peer_that_never_reads_is_cut_off_at_the_deadline() {
    for backend in backends() {
        let mut serving = Serving::start(&format!("--backend {backend} --drain 1"));
        let (slow, _) = stuck(&serving);
        let orderly = serving.connect();
        check_echo(&orderly, b"hello");
        let (took, ended) = timed(|| {
            serving.signal(Signal::TERM);
            assert_eq!(read_to_end(&orderly), b"", "others are told at once");
            drop(orderly);
            serving.end()
        });
        assert!(took >= Duration::from_secs(1) && took < SOON, "{took:?}");
        check_lost(&ended, "1 sessions drained, 1 forced");
        assert!(ended.stderr.contains("--drain 1"), "{ended:?}");
        drop(slow);
    }
}

/// Checks that the report, and a line that explains it, tell of lost bytes.
#[track_caller]
fn check_lost(ended: &crate::program::Ended, report: &str) {
    let line = ended.failure(3);
    assert!(line.contains("lost"), "{line}");
    let reported = ended.stderr.lines().find(|line| line.contains("forced")).unwrap();
    assert!(reported.contains(report), "{ended:?}");
    assert!(!reported.contains(", 0 bytes lost"), "{ended:?}");
}

#[test]
fn a_second_signal_ends_it_at_once() {
    for backend in backends() {
        for (first, second) in [
            (Signal::INT, Signal::INT),
            (Signal::TERM, Signal::INT),
            (Signal::INT, Signal::TERM),
            (Signal::HUP, Signal::TERM),
        ] {
            let mut serving = Serving::start(&format!("--backend {backend} --drain 600"));
            let (slow, _) = stuck(&serving);
            serving.signal(first);
            serving.wait_for("draining");
            let (took, ended) = timed(|| {
                serving.signal(second);
                serving.end()
            });
            assert!(took < SOON, "{took:?}");
            let line = ended.failure(3);
            assert!(line.contains("second signal"), "{line}");
            assert!(ended.stderr.contains("0 sessions drained, 1 forced"), "{ended:?}");
            drop(slow);
        }
    }
}

#[test]
fn a_terminal_that_closes_is_no_second_signal() {
    let mut serving = Serving::start("--drain 1");
    let (slow, _) = stuck(&serving);
    let (took, ended) = timed(|| {
        serving.signal(Signal::TERM);
        serving.wait_for("draining");
        serving.signal(Signal::HUP);
        serving.end()
    });
    assert!(took >= Duration::from_secs(1), "{took:?}");
    check_lost(&ended, "0 sessions drained, 1 forced");
    drop(slow);
}

#[test]
fn signals_that_come_together_are_one() {
    // As `timeout` sends them, to the process and to its group. It wakes up to both at once.
    let mut serving = Serving::start("--drain 1");
    let (slow, _) = stuck(&serving);
    let (took, ended) = timed(|| {
        serving.signal(Signal::STOP);
        serving.signal(Signal::TERM);
        serving.signal(Signal::INT);
        serving.signal(Signal::CONT);
        serving.end()
    });
    assert!(took >= Duration::from_secs(1), "{took:?}");
    check_lost(&ended, "0 sessions drained, 1 forced");
    drop(slow);
}

#[test]
fn who_was_started_to_outlive_its_terminal_does() {
    let mut command = Command::new("/bin/sh");
    let program = env!("CARGO_BIN_EXE_wharf");
    command
        .env_clear()
        .arg("-c")
        .arg(format!("trap '' HUP; exec '{program}' serve echo --listen 127.0.0.1:0"));
    let serving = Serving::spawn(command);
    serving.signal(Signal::HUP);
    check_echo(&serving.connect(), b"still here");
    serving.stop();
}

#[test]
fn no_connection_is_taken_while_it_drains() {
    for backend in backends() {
        let mut serving = Serving::start(&format!("--backend {backend} --drain 600"));
        let (slow, _) = stuck(&serving);
        serving.signal(Signal::TERM);
        serving.wait_for("draining");
        // One that slips in before the listener is closed is told like the others.
        let refused = (0..10_000).find_map(|_| match connect(serving.address()) {
            Ok(mut session) => {
                let _ = session.read(&mut [0]);
                None
            }
            // The kernel resets what is in its queue when the listener goes.
            Err(error) if error.kind() == ErrorKind::ConnectionReset => None,
            Err(error) => Some(error.kind()),
        });
        assert_eq!(refused, Some(ErrorKind::ConnectionRefused));
        drop(slow);
        serving.end();
    }
}

#[test]
fn a_session_that_was_ending_already_is_drained_too() {
    for backend in backends() {
        let mut serving = Serving::start(&format!("--backend {backend} --framing u16le"));
        // A frame that is too long: the server has ended its side and waits for ours.
        let mut ending = serving.connect();
        ending.write_all(&[0xFF; 2]).unwrap();
        let mut half = serving.connect();
        half.write_all(b"\x05\0ab").unwrap();
        serving.signal(Signal::INT);
        assert_eq!(read_to_end(&half), b"");
        let (took, ended) = timed(|| serving.end());
        assert!(took < SOON, "{took:?}");
        assert_eq!(ended.code, Some(0), "{ended:?}");
    }
}

#[test]
fn a_stream_that_nobody_reads_does_not_end_it() {
    // Standard output and error are closed at their other end.
    let mut command = serve_echo("--log trace");
    command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
    let mut process = Process(command.spawn().unwrap());
    drop(process.0.stderr.take());
    let mut line = String::new();
    std::io::BufRead::read_line(
        &mut std::io::BufReader::new(process.0.stdout.take().unwrap()),
        &mut line,
    )
    .unwrap();
    let address = line.split(' ').nth(2).unwrap().parse().unwrap();
    for _ in 0..10 {
        check_echo(&connect(address).unwrap(), b"hello");
    }
    process.signal(Signal::TERM);
    assert_eq!(process.exit_code(), Some(0));
}

#[test]
fn many_sessions_are_drained_well_within_the_deadline() {
    for backend in backends() {
        let mut serving = Serving::start(&format!("--backend {backend} --workers 2"));
        let sessions: Vec<_> = (0..1000).map(|_| serving.connect()).collect();
        for session in &sessions {
            session.set_read_timeout(Some(PATIENCE)).unwrap();
            check_echo(session, b"x");
        }
        let (took, ended) = timed(|| {
            serving.signal(Signal::TERM);
            for session in sessions {
                assert_eq!(read_to_end(&session), b"");
            }
            serving.end()
        });
        assert!(took < SOON, "{took:?}");
        assert_eq!(ended.code, Some(0), "{ended:?}");
        let report = "wharf: 1000 sessions drained, 0 forced, 0 bytes lost";
        assert_eq!(ended.stderr.lines().last(), Some(report));
    }
}

#[test]
fn a_farewell_is_what_every_session_is_sent_last() {
    for backend in backends() {
        let flags = format!("--backend {backend} --workers 2 --framing lines --farewell good-bye");
        let mut serving = Serving::start(&flags);
        let sessions: Vec<_> = (0..4).map(|_| serving.connect()).collect();
        for session in &sessions {
            check_echo(session, b"hello\n");
        }
        serving.signal(Signal::TERM);
        for session in sessions {
            assert_eq!(read_to_end(&session), b"good-bye\n");
        }
        let ended = serving.end();
        assert_eq!(ended.code, Some(0), "{ended:?}");
    }
}
