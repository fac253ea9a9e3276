//! `wharf load echo` against servers that do not do what they should.

use std::net::Shutdown;
#[cfg(unix)]
use std::net::TcpListener;

use serde_json::Value;

use crate::program::{BACKEND, Ended, count, load_echo, run, run_json};
use crate::server;

/// Runs against a server that loses or spoils something: the line that says what.
#[track_caller]
fn check_fails(server: std::net::SocketAddr, flags: &str) -> (String, Value) {
    let (ended, json): (Ended, Value) = run_json(load_echo(server, flags));
    let line = ended.failure(1).to_owned();
    assert_eq!(count(&json, "sent"), count(&json, "received") + count(&json, "missing"), "{json}");
    (line, json)
}

/// How many sessions a line says were reset. Under Wine a reset that no receive waits for reads as
/// the end of the stream, and on a busy machine one can get lost.
fn reset_sessions(line: &str) -> u64 {
    let told = |part: &str| {
        let (count, what) = part.trim().split_once(' ')?;
        let reset = what.contains("reset by the server");
        let untold = ["ended by the server", "not answered within"];
        let untold = cfg!(windows) && untold.iter().any(|how| what.contains(how));
        count.parse::<u64>().ok().filter(|_| reset || untold)
    };
    line.split([':', ';']).filter_map(told).sum()
}

#[test]
fn one_wrong_byte_is_one_wrong_message_and_its_place_is_named() {
    for (flags, position) in [
        ("--framing raw --depth 1", 700),
        ("--framing raw --depth 8", 64 * 9),
        ("--framing lines --depth 3", 65 * 5 + 64),
        ("--framing u32le --depth 2", 68 * 4 + 3),
        ("--framing u32be --depth 2", 68 * 4 + 67),
        ("--framing u16le --size 40KiB --depth 1", (40 * 1024 + 2) * 3 + 1),
        ("--framing u16le --size 40KiB --depth 1", (40 * 1024 + 2) * 3 + 100),
        ("--framing u16le --size 40KiB --depth 4", (40 * 1024 + 2) * 3 + 20_000),
    ] {
        let server = server::echo_spoiled(move |number, start, bytes| {
            if number == 1 && (start..start + bytes.len()).contains(&position) {
                bytes[position - start] ^= 0x40;
            }
        });
        let (line, json) = check_fails(server, &format!("--sessions 3 --messages 20 {flags}"));
        assert_eq!(count(&json, "wrong"), 1, "{flags}: {line}");
        assert_eq!(count(&json, "missing"), 0, "{flags}: {line}");
        assert_eq!(count(&json, "received"), 60, "{flags}: {line}");
        assert!(line.contains("1 message came back wrong"), "{flags}: {line}");
        assert!(line.contains(&format!("byte {position} is ")), "{flags}: {line}");
    }
}

#[test]
fn a_message_that_is_wrong_in_two_pieces_counts_once() {
    // The first and the last byte of the third message, which is far longer than a receive.
    let size = 1 << 20;
    let server = server::echo_spoiled(move |_, start, bytes| {
        for position in [2 * size, 3 * size - 1] {
            if (start..start + bytes.len()).contains(&position) {
                bytes[position - start] ^= 1;
            }
        }
    });
    let (line, json) = check_fails(server, "--sessions 1 --messages 5 --size 1MiB --depth 2");
    assert_eq!(count(&json, "wrong"), 1, "{line}");
}

#[test]
fn lost_bytes_are_missing() {
    for lost in [1, 64, 640] {
        let server = server::echo_spoiled(move |number, start, bytes| {
            if number == 0 && (start..start + bytes.len()).contains(&6_400) {
                let at = 6_400 - start;
                bytes.drain(at..bytes.len().min(at + lost));
            }
        });
        let (line, json) =
            check_fails(server, "--sessions 2 --duration 0.2 --warmup off --depth 16");
        assert!(count(&json, "missing") > 0, "{lost}: {line}");
        assert!(count(&json, "wrong") > 0, "{lost}: {line}");
        assert!(line.contains("did not come back"), "{lost}: {line}");
        assert!(line.contains("1 session not answered within 5 s"), "{lost}: {line}");
    }
}

#[test]
fn doubled_bytes_are_wrong() {
    let server = server::echo_spoiled(|number, start, bytes| {
        if number == 0 && start == 0 {
            bytes.extend_from_within(..);
        }
    });
    let (line, json) = check_fails(server, "--sessions 2 --messages 20");
    assert!(count(&json, "wrong") > 0, "{line}");
    assert!(line.contains("1 session got more bytes than it sent"), "{line}");
}

#[test]
fn swapped_sessions_are_noticed() {
    for framing in ["raw", "lines", "u32le"] {
        let flags = format!("--sessions 2 --messages 20 --framing {framing}");
        let (line, json) = check_fails(server::echo_swapped(), &flags);
        assert!(count(&json, "wrong") > 0, "{line}");
    }
}

#[test]
fn reordered_frames_are_noticed() {
    let server = server::serve(|_, stream| {
        let mut frames = [0; 2 * 68];
        std::io::Read::read_exact(&mut &stream, &mut frames).unwrap();
        frames.rotate_left(68);
        std::io::Write::write_all(&mut &stream, &frames).unwrap();
        server::pump(&stream, &stream, |_| {});
    });
    let flags = "--sessions 1 --messages 20 --depth 2 --framing u32le";
    let (line, json) = check_fails(server, flags);
    assert_eq!(count(&json, "wrong"), 2, "{line}");
}

#[test]
fn a_reset_session_is_a_failure_and_the_others_go_on() {
    for backend in ["auto", BACKEND] {
        let server = server::serve(|number, stream| {
            if number == 0 {
                server::echo_exactly(&stream, 10 * 64);
                server::wait_for_more(&stream);
            } else {
                server::pump(&stream, &stream, |_| {});
            }
        });
        let flags = format!("--sessions 3 --messages 50 --backend {backend}");
        let (line, json) = check_fails(server, &flags);
        assert_eq!(reset_sessions(&line), 1, "{line}");
        assert_eq!(count(&json, "missing"), 1, "{line}");
        // A reset may overtake answers that were sent before it.
        assert!((100..=110).contains(&count(&json, "received")), "{json}");
    }
}

#[test]
fn a_run_ends_when_all_sessions_are_lost() {
    let server = server::serve(|_, stream| {
        server::echo_exactly(&stream, 10 * 64);
        server::wait_for_more(&stream);
    });
    let (line, _) = check_fails(server, "--sessions 4 --duration 600 --warmup 300");
    assert_eq!(reset_sessions(&line), 4, "{line}");
}

#[test]
fn an_end_of_stream_in_mid_run_is_a_failure() {
    let server = server::serve(|_, stream| {
        server::echo_exactly(&stream, 10 * 64);
        stream.shutdown(Shutdown::Write).unwrap();
        server::swallow(&stream);
    });
    let (line, json) = check_fails(server, "--sessions 2 --messages 50");
    assert!(line.contains("2 sessions ended by the server before the run was over"), "{line}");
    assert_eq!(count(&json, "received"), 20, "{line}");
}

#[test]
fn a_server_that_never_answers_does_not_hold_the_run_up() {
    for flags in ["--messages 3", "--messages 3 --rate 100", "--duration 0.1 --warmup off"] {
        let server = server::serve(|_, stream| server::swallow(&stream));
        let (line, json) = check_fails(server, &format!("--sessions 3 {flags}"));
        assert!(line.contains("3 sessions not answered within 5 s"), "{flags}: {line}");
        assert_eq!(count(&json, "received"), 0, "{flags}: {line}");
        assert!(count(&json, "missing") >= 3, "{flags}: {line}");
        assert_eq!(json["latency_us"]["p50"], Value::Null, "{flags}: {line}");
    }
}

#[test]
fn a_server_that_never_reads_does_not_hold_the_run_up() {
    // More than the kernel's buffers hold, so that the send itself does not finish.
    let server = server::serve(|_, stream| {
        let (_sender, receiver) = std::sync::mpsc::channel::<()>();
        let _ = receiver.recv_timeout(std::time::Duration::from_secs(30));
        drop(stream);
    });
    let (line, json) = check_fails(server, "--sessions 1 --messages 2 --size 16MiB");
    assert!(line.contains("not answered within 5 s"), "{line}");
    assert_eq!(count(&json, "missing"), 1, "{line}");
}

#[test]
fn a_server_that_never_ends_its_stream_is_a_failure() {
    let server = server::serve(|_, stream| {
        server::echo_exactly(&stream, 5 * 64);
        let (_sender, receiver) = std::sync::mpsc::channel::<()>();
        let _ = receiver.recv_timeout(std::time::Duration::from_secs(30));
        drop(stream);
    });
    let (line, json) = check_fails(server, "--sessions 2 --messages 5");
    assert!(line.contains("2 sessions not ended by the server within 5 s of our end"), "{line}");
    assert_eq!(count(&json, "received"), 10, "{line}");
}

#[test]
fn bytes_that_nobody_asked_for_are_a_failure() {
    let server = server::serve(|_, stream| {
        std::io::Write::write_all(&mut &stream, b"220 welcome\r\n").unwrap();
        server::pump(&stream, &stream, |_| {});
    });
    // Whether they come before the first message or behind it.
    let (line, json) = check_fails(server, "--sessions 1 --messages 5");
    assert!(count(&json, "wrong") > 0, "{line}");
    assert!(line.contains("does the server say something first?"), "{line}");
}

#[test]
fn a_server_that_answers_nothing_is_given_up_early_and_the_framing_asked_about() {
    // Neither a warm-up nor a duration is sat out, and the warm-up is part of the wait.
    for flags in ["--duration 600 --warmup off", "--duration 1 --warmup 600"] {
        let server = server::serve(|_, stream| server::swallow(&stream));
        let flags = format!("--sessions 3 --framing u32le {flags}");
        let (line, json) = check_fails(server, &flags);
        assert_eq!((count(&json, "sent"), count(&json, "missing")), (3, 3), "{json}");
        assert!(line.contains("3 sessions not answered within 5 s"), "{line}");
        assert!(line.contains("does it have --framing u32le?"), "{line}");
    }
}

#[test]
fn a_refused_connect_says_how_many_and_why() {
    // The backend is named: where io_uring is denied, `auto` says so in a line of its own.
    let flags = format!("--sessions 1000 --messages 1 --backend {BACKEND}");
    let ended = run(load_echo(server::nobody(), &flags));
    let line = ended.failure_alone(4);
    assert!(line.contains("refused"), "{line}");
    assert!(line.contains("0 of 1,000 sessions connected"), "{line}");
}

/// Windows refuses what finds the queue full.
#[cfg(unix)]
#[test]
fn connects_without_an_answer_say_how_many_and_why() {
    // Nobody accepts: the kernel takes as many connections as its queue holds, and lets the rest
    // wait.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let server = listener.local_addr().unwrap();
    let sessions = 8_000;
    let ended =
        run(load_echo(server, &format!("--sessions {sessions} --messages 1 --backend {BACKEND}")));
    let line = ended.failure_alone(4);
    assert!(line.contains("no answer in time"), "{line}");
    assert!(line.contains("of 8,000 sessions connected") && !line.contains("(0 of"), "{line}");
}

/// Windows has no limit but memory.
#[cfg(unix)]
#[test]
fn more_sessions_than_descriptors_fail_before_the_start() {
    let ended = run(load_echo(server::nobody(), "--sessions 4000000"));
    let line = ended.failure_alone(1);
    assert!(line.contains("4,000,000 sessions need 4,000,032 descriptors"), "{line}");
    assert!(line.contains("ulimit"), "{line}");
}

#[test]
fn a_name_that_does_not_resolve_is_no_connection() {
    let mut command = crate::program::wharf(["load", "echo", "--messages", "1"]);
    command.args(["--connect", "no-such-host.invalid:7777"]);
    let ended = run(command);
    assert!(ended.failure_alone(4).contains("cannot resolve 'no-such-host.invalid'"), "{ended:?}");
}

/// A close with a linger time of none is a reset.
#[cfg(unix)]
#[test]
fn behind_the_last_answer_a_server_may_reset() {
    let server = server::serve(|_, stream| {
        server::echo_exactly(&stream, 5 * 64);
        // Until this side has ended its stream: a reset must not overtake answers.
        server::swallow(&stream);
        let none = Some(std::time::Duration::ZERO);
        rustix::net::sockopt::set_socket_linger(&stream, none).unwrap();
    });
    let (ended, json) = run_json(load_echo(server, "--sessions 4 --messages 5"));
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert_eq!((count(&json, "received"), count(&json, "missing")), (20, 0), "{json}");
}
