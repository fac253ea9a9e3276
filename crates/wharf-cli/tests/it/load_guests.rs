//! `wharf load storm`, `slow-reader` and `slowloris`: sessions that do no good beside honest ones.

use std::net::TcpListener;
use std::process::Command;

use serde_json::Value;

use crate::program::{count, load, run, run_json};
use crate::server;
use crate::serving::Serving;

/// Runs to a good end, in which the honest ones have got all that they sent.
#[track_caller]
fn all_well(command: Command) -> Value {
    let (ended, json) = run_json(command);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(count(&json, "sent") > 0, "{json}");
    assert_eq!(json["sent"], json["received"], "{json}");
    assert_eq!((count(&json, "wrong"), count(&json, "missing")), (0, 0), "{json}");
    assert!(json["latency_us"]["p50"].as_f64().unwrap() > 0.0, "{json}");
    json
}

#[test]
fn who_reads_nothing_is_closed_and_the_honest_are_served() {
    let serving = Serving::start("--slow disconnect --send-max 64KiB --send-buffer 64KiB");
    let flags = "--sessions 5 --honest 2 --send-rate 4MiB --rate 100 --duration 3";
    let json = all_well(load("slow-reader", serving.addresses()[0], flags));
    let closed = &json["closed_by_server"];
    assert_eq!((count(&json, "opened"), count(closed, "count")), (5, 5), "{json}");
    assert_eq!((count(&json, "sessions"), count(&json, "honest")), (5, 2), "{json}");
    assert_eq!(count(closed, "reset"), 5, "{json}");
    assert!(closed["first_s"].as_f64() <= closed["last_s"].as_f64(), "{json}");
}

#[test]
fn who_reads_as_much_as_it_sends_is_kept() {
    let serving = Serving::start("--slow disconnect --send-max 64KiB --send-buffer 64KiB");
    let flags = "--sessions 5 --honest 2 --send-rate 64KiB --read-rate 1MiB --rate 50 --duration 1";
    let (ended, json) = run_json(load("slow-reader", serving.addresses()[0], flags));
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(ended.stderr.contains(": 5 bad sessions beside 2 honest, "), "{ended:?}");
    assert_eq!(count(&json["closed_by_server"], "count"), 0, "{json}");
    assert_eq!((count(&json, "opened"), count(&json, "sessions")), (5, 5), "{json}");
}

#[test]
fn a_slow_reader_reads_no_more_than_its_rate() {
    // They send much: what the server gets rid of is what they read, and what buffers hold.
    let (sender, receiver) = std::sync::mpsc::channel();
    let server = server::serve(move |number, stream| {
        let mut sent = 0;
        server::pump(&stream, &stream, |bytes| sent += bytes.len());
        if number > 0 {
            let _ = sender.send(sent);
        }
    });
    let flags = "--sessions 1 --honest 1 --send-rate 512MiB --read-rate 4KiB --rate 20 \
                 --duration 1 --warmup off";
    all_well(load("slow-reader", server, flags));
    let sent = receiver.recv_timeout(std::time::Duration::from_secs(30)).unwrap();
    // On the loopback the buffers of both sides hold some 3 MiB; who reads at once takes hundreds.
    assert!(sent < 16 << 20, "{sent}");
}

#[test]
fn what_comes_back_to_slow_sessions_is_compared() {
    // The honest session is the first one; to the others byte 5 comes back wrong.
    let server = || {
        server::echo_spoiled(|number, position, bytes| {
            if number > 0 && (position..position + bytes.len()).contains(&5) {
                bytes[5 - position] ^= 1;
            }
        })
    };
    for (mode, flags) in [
        ("slow-reader", "--send-rate 1KiB --read-rate 1MiB --framing u32le"),
        ("slowloris", "--drip 0.01"),
    ] {
        let flags = format!("--sessions 2 --honest 1 --rate 50 --duration 1 {flags}");
        let (ended, json) = run_json(load(mode, server(), &flags));
        let line = ended.failure(1);
        assert!(line.contains("of the slow sessions: 2 messages came back wrong"), "{line}");
        assert!(line.contains("byte 5 is"), "{line}");
        assert_eq!((count(&json, "wrong"), count(&json, "missing")), (2, 0), "{json}");
        assert_eq!(json["sent"], json["received"], "{json}");
    }
}

/// Of the addresses that they come from, the first two are the machine's: those of the honest sessions.
#[cfg(target_os = "linux")]
#[test]
fn sessions_that_cannot_be_opened_are_no_success() {
    let Ok(listener) = TcpListener::bind("[::1]:0") else {
        return eprintln!("there is no IPv6 here");
    };
    let server = listener.local_addr().unwrap();
    server::serve_at(listener, |_, stream| server::pump(&stream, &stream, |_| {}));
    for (mode, field, says) in [
        ("slow-reader", "opened", "3 of 3 slow sessions could not be opened"),
        ("slowloris", "opened", "3 of 3 slow sessions could not be opened"),
        ("storm", "connections", "connects of the storm failed"),
    ] {
        let flags = "--sessions 3 --honest 2 --source ::/112 --rate 50 --duration 0.2";
        let (ended, json) = run_json(load(mode, server, flags));
        let line = ended.failure(4);
        assert!(line.contains(says), "{mode}: {line}");
        assert_eq!(count(&json, field), 0, "{json}");
        assert!(count(&json, "connect_failed") >= 3, "{json}");
    }
}

#[test]
fn who_drips_its_frame_is_closed_at_the_deadline_and_the_honest_are_served() {
    let serving = Serving::start("--framing u32le --frame-deadline 0.5");
    let flags = "--sessions 5 --honest 2 --drip 0.1 --framing u32le --rate 100 --duration 3";
    let json = all_well(load("slowloris", serving.addresses()[0], flags));
    let closed = &json["closed_by_server"];
    assert_eq!((count(&json, "opened"), count(closed, "count")), (5, 5), "{json}");
    let first = closed["first_s"].as_f64().unwrap();
    assert!((0.4..3.0).contains(&first), "{json}");

    // A server without a deadline keeps them.
    let flags = "--sessions 3 --honest 1 --drip 0.1 --rate 50 --duration 0.5";
    let json = all_well(load("slowloris", server::echo(), flags));
    assert_eq!(count(&json["closed_by_server"], "count"), 0, "{json}");
}

#[test]
fn a_storm_has_all_its_endings_and_the_server_answers_afterwards() {
    for (framing, has_illegal) in
        [("raw", false), ("u16be", false), ("u32le", true), ("game", true)]
    {
        let serving = Serving::start(&format!("--framing {framing}"));
        let flags = format!("--sessions 20 --seed 7 --framing {framing} --rate 50 --duration 1");
        let json = all_well(load("storm", serving.addresses()[0], &flags));
        assert_eq!((count(&json, "seed"), count(&json, "sessions")), (7, 20));
        assert_eq!(
            (&json["answers_after"], count(&json, "connect_failed")),
            (&Value::Bool(true), 0)
        );
        let endings = json["endings"].as_object().unwrap();
        assert_eq!(endings.len(), 8, "{json}");
        for (ending, count) in endings {
            let is_had = match ending.as_str() {
                "refused" => has_illegal,
                "tolerated" => false,
                _ => true,
            };
            assert_eq!(count.as_u64().unwrap() > 0, is_had, "{framing}, {ending}: {json}");
        }
    }
}

#[test]
fn a_server_that_tolerates_illegal_frames_is_told_and_does_not_hold_up_the_storm() {
    // It knows of no frames.
    let flags = "--sessions 4 --seed 7 --framing u32le --rate 50 --patience 3 --duration 4";
    let json = all_well(load("storm", server::echo(), flags));
    let endings = &json["endings"];
    assert_eq!((count(endings, "refused"), count(endings, "tolerated")), (0, 1), "{json}");
    assert!(count(endings, "verified") > 20, "{json}");
}

#[test]
fn wrong_bytes_of_the_storm_are_told_with_its_seed() {
    // The honest session is the first, and what comes at the end sends one message of 64 bytes: both are
    // echoed as they should be.
    let server = server::echo_spoiled(|number, position, bytes| {
        if number > 0 && (position > 0 || bytes.len() != 64) {
            bytes[0] ^= 1;
        }
    });
    let ended = run(load("storm", server, "--sessions 2 --seed 9 --rate 50 --duration 0.5"));
    let line = ended.failure(1);
    assert!(line.contains("in the storm (--seed 9)") && line.contains("came back wrong"), "{line}");
}

#[test]
fn what_does_not_come_back_to_the_storm_is_missing() {
    // All but the first connection, and those of one message, are ended after their first bytes.
    let server = server::serve(|number, stream| {
        let mut first = [0; 4096];
        let read = std::io::Read::read(&mut &stream, &mut first).unwrap_or(0);
        if number == 0 || read == 64 {
            let _ = std::io::Write::write_all(&mut &stream, &first[..read]);
            server::pump(&stream, &stream, |_| {});
        }
    });
    let ended = run(load("storm", server, "--sessions 2 --seed 9 --rate 50 --duration 0.5"));
    let line = ended.failure(1);
    assert!(line.contains("in the storm (--seed 9)"), "{line}");
    assert!(line.contains("did not come back"), "{line}");
}

#[test]
fn a_server_that_is_gone_after_the_storm_is_told() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let server = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for _ in 0..30 {
            let stream = listener.accept().unwrap().0;
            std::thread::spawn(move || server::pump(&stream, &stream, |_| {}));
        }
    });
    let ended = run(load("storm", server, "--sessions 3 --rate 50 --duration 1"));
    let line = ended.failure(1);
    assert!(line.contains("after the storm the server answers no honest session"), "{line}");
    assert!(line.contains("nobody listens there"), "{line}");
}
