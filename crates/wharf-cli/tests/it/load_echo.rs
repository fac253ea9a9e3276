//! `wharf load echo` against servers that do what they should.

use std::net::SocketAddr;
use std::process::Command;
use std::sync::mpsc;
use std::time::Duration;

use serde_json::Value;

use crate::program::{BACKEND, count, load_echo, run, run_json, wharf};
use crate::server;

const BACKENDS: [&str; 3] = ["uring", "readiness", "iocp"];

/// Whether this system has a backend; a container may deny `io_uring`.
fn has(backend: &str) -> bool {
    let mut command = load_echo(server::echo(), "--sessions 1 --messages 1");
    command.args(["--backend", backend]);
    let ended = run(command);
    ended.code == Some(0) || !ended.failure_alone(1).contains("not available")
}

/// Checks that a run has ended well, with so many messages.
#[track_caller]
fn check_all_well(command: Command, messages: u64) -> Value {
    let (ended, json) = run_json(command);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert_eq!(count(&json, "sent"), messages, "{json}");
    assert_eq!(count(&json, "received"), messages, "{json}");
    assert_eq!(count(&json, "wrong"), 0);
    assert_eq!(count(&json, "missing"), 0);
    json
}

#[test]
fn every_framing_and_size_is_verified_on_every_backend() {
    let server = server::echo();
    for backend in BACKENDS.into_iter().filter(|backend| has(backend)) {
        for framing in ["raw", "lines", "u16le", "u16be", "u32le", "u32be"] {
            for (size, depth) in [("1", 1), ("64", 16), ("2044", 2), ("50000", 3)] {
                let command = load_echo(
                    server,
                    &format!(
                        "--sessions 7 --messages 20 --size {size} --depth {depth} --framing {framing} \
                         --backend {backend}"
                    ),
                );
                check_all_well(command, 140);
            }
        }
    }
}

/// What a server must see of a framed stream, byte for byte: the test does not trust the program's
/// own idea of a frame.
#[test]
fn frames_on_the_wire_are_what_the_framing_says() {
    type Split = fn(&[u8]) -> Option<usize>;
    let cases: [(&str, Split); 5] = [
        ("lines", |bytes| bytes.iter().position(|&byte| byte == b'\n')),
        ("u16le", |bytes| Some(u16::from_le_bytes(*bytes.first_chunk()?).into())),
        ("u16be", |bytes| Some(u16::from_be_bytes(*bytes.first_chunk()?).into())),
        ("u32le", |bytes| usize::try_from(u32::from_le_bytes(*bytes.first_chunk()?)).ok()),
        ("u32be", |bytes| usize::try_from(u32::from_be_bytes(*bytes.first_chunk()?)).ok()),
    ];
    for (framing, payload_len) in cases {
        for size in [1, 64, 2045, 5000] {
            let (sender, receiver) = mpsc::channel();
            let server = server::serve(move |_, stream| {
                let mut seen = Vec::new();
                server::pump(&stream, &stream, |bytes| seen.extend_from_slice(bytes));
                sender.send(seen).unwrap();
            });
            let flags = format!("--sessions 1 --messages 5 --size {size} --framing {framing}");
            check_all_well(load_echo(server, &flags), 5);
            let seen = receiver.recv_timeout(Duration::from_secs(30)).unwrap();
            let affix = match framing {
                "lines" => 1,
                "u16le" | "u16be" => 2,
                _ => 4,
            };
            let mut rest = &seen[..];
            for _ in 0..5 {
                assert_eq!(payload_len(rest), Some(size), "{framing} {size}");
                rest = &rest[size + affix..];
            }
            assert!(rest.is_empty(), "{framing} {size}: {} bytes too many", rest.len());
        }
    }
}

#[test]
fn large_messages_go_both_ways_at_once() {
    // Each direction holds more than the kernel's buffers do: who sends all before it reads hangs.
    let server = server::echo();
    for backend in BACKENDS.into_iter().filter(|backend| has(backend)) {
        let flags = format!("--sessions 2 --messages 8 --size 4MiB --depth 8 --backend {backend}");
        check_all_well(load_echo(server, &flags), 16);
        let flags = format!(
            "--sessions 2 --messages 4 --size 16MiB --depth 2 --framing u32be --backend {backend}"
        );
        check_all_well(load_echo(server, &flags), 8);
    }
}

#[test]
fn the_json_has_the_fields_that_scripts_rely_on() {
    let (ended, json) =
        run_json(load_echo(server::echo(), "--sessions 3 --duration 0.3 --warmup 0.1 --size 100"));
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let names = |value: &Value| -> Vec<String> {
        let mut names: Vec<String> = value.as_object().unwrap().keys().cloned().collect();
        names.sort_unstable();
        names
    };
    assert_eq!(
        names(&json),
        [
            "address",
            "backend",
            "bytes_per_second",
            "depth",
            "drained_s",
            "duration_s",
            "ended_early",
            "framing",
            "latency_us",
            "missing",
            "mode",
            "own_cpu_ns_per_message",
            "per_second",
            "rate",
            "received",
            "sent",
            "server_cpu_ns_per_message",
            "sessions",
            "size",
            "unsent",
            "version",
            "warmup_s",
            "wrong"
        ]
    );
    assert_eq!(names(&json["latency_us"]), ["max", "p50", "p90", "p99", "p999"]);
    assert_eq!(json["mode"], "echo");
    assert_eq!(count(&json, "sessions"), 3);
    assert!(count(&json, "sent") > 0);
    assert_eq!(json["sent"], json["received"]);
    let latency = ["p50", "p90", "p99", "p999", "max"].map(|name| &json["latency_us"][name]);
    let latency = latency.map(|value| value.as_f64().unwrap());
    assert!(latency[0] > 0.0 && latency.is_sorted(), "{latency:?}");
    let [messages, bytes] =
        ["per_second", "bytes_per_second"].map(|name| json[name].as_f64().unwrap());
    assert!(messages > 0.0 && (bytes / messages - 100.0).abs() < 0.01, "{json}");
    assert_eq!(json["server_cpu_ns_per_message"], Value::Null);
    // The summary goes to people, out of the JSON's way.
    assert!(ended.stderr.contains("p99.9"), "{ended:?}");
}

#[test]
fn the_result_goes_to_people_and_the_json_to_its_file() {
    let path = std::env::temp_dir().join(format!("wharf-load-{}.json", std::process::id()));
    std::fs::write(&path, "an old result, longer than the new one".repeat(100)).unwrap();
    let mut command = load_echo(
        server::echo(),
        &format!("--sessions 2 --messages 10 --framing lines --backend {BACKEND}"),
    );
    command.arg("--json").arg(&path);
    let ended = run(command);
    let json: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    std::fs::remove_file(&path).unwrap();
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert_eq!(count(&json, "received"), 20);
    assert!(ended.stdout.contains("20 sent, 20 received, 0 wrong, 0 missing"), "{ended:?}");
    assert_eq!(ended.stderr, "");
}

/// The bounds leave room for a machine that is busy with other tests.
#[test]
fn a_run_measures_for_its_duration_and_not_the_warm_up() {
    let server = server::echo();
    let flags = "--sessions 1 --duration 0.5 --rate 1000";
    let (ended, json) = run_json(load_echo(server, &format!("{flags} --warmup 1")));
    assert_eq!(ended.code, Some(0), "{ended:?}");
    // The timetable has 1,500 messages for 1.5 s, and 1,000 a second in the window.
    assert!((1_100..=2_500).contains(&count(&json, "sent")), "{json}");
    let per_second = json["per_second"].as_f64().unwrap();
    assert!((400.0..2_500.0).contains(&per_second), "{json}");
    let (_, json) = run_json(load_echo(server, &format!("{flags} --warmup off")));
    assert!((300..=900).contains(&count(&json, "sent")), "{json}");
}

#[test]
fn what_the_warm_up_meets_is_not_measured() {
    // 300 of 800 messages are late, all of them in the warm-up.
    let flags = "--sessions 1 --duration 0.2 --warmup 0.6 --rate 1000";
    let (ended, json) = run_json(load_echo(stalling_at(0), flags));
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(!is_late(&json, "p90"), "{json}");
}

#[test]
fn a_rate_is_kept_over_all_sessions_and_ends_with_the_messages() {
    let command = load_echo(server::echo(), "--sessions 5 --messages 30 --rate 600");
    let json = check_all_well(command, 150);
    // The last message is due 149/600 s after the first.
    let per_second = json["per_second"].as_f64().unwrap();
    assert!((300.0..=605.0).contains(&per_second), "{json}");
}

#[test]
fn latency_counts_from_when_a_message_was_due() {
    // A closed loop has one message in flight during the stall: one late answer. A timetable has 300
    // messages due meanwhile, of the 500 in all: most are late.
    let flags = "--sessions 1 --messages 500 --depth 1";
    let server = stalling_at(64 * 100);
    let json = check_all_well(load_echo(server, &format!("{flags} --rate 1000")), 500);
    assert!(is_late(&json, "p50") && is_late(&json, "max"), "{json}");
    let json = check_all_well(load_echo(server, flags), 500);
    assert!(!is_late(&json, "p99") && is_late(&json, "max"), "{json}");
}

/// An echo server that stalls once on each connection, for 300 ms.
fn stalling_at(place: usize) -> SocketAddr {
    server::echo_spoiled(move |_, position, bytes| {
        if (position..position + bytes.len()).contains(&place) {
            let (_sender, receiver) = mpsc::channel::<()>();
            let _ = receiver.recv_timeout(Duration::from_millis(300));
        }
    })
}

/// Whether a quantile of the latency shows the stall.
fn is_late(json: &Value, quantile: &str) -> bool {
    json["latency_us"][quantile].as_f64().unwrap() > 50_000.0
}

#[test]
fn the_json_says_what_it_is_a_result_of() {
    let server = server::echo();
    let flags = "--sessions 1 --duration 0.3 --warmup 0.1 --size 100 --rate 500 --framing u16be";
    let (_, json) = run_json(load_echo(server, &format!("{flags} --backend {BACKEND}")));
    for (field, asked) in [
        ("version", Value::from(env!("CARGO_PKG_VERSION"))),
        ("address", server.to_string().into()),
        ("backend", BACKEND.into()),
        ("framing", "u16be".into()),
        ("size", 100.into()),
        ("rate", 500.into()),
        ("depth", Value::Null),
        ("duration_s", 0.3.into()),
        ("warmup_s", 0.1.into()),
    ] {
        assert_eq!(json[field], asked, "{field} in {json}");
    }
    let (_, json) = run_json(load_echo(server, "--sessions 1 --messages 5 --depth 2"));
    for field in ["rate", "duration_s", "warmup_s"] {
        assert_eq!(json[field], Value::Null, "{field} in {json}");
    }
    assert_eq!(count(&json, "depth"), 2);
}

#[test]
fn what_the_last_answers_took_is_told() {
    let flags = "--sessions 1 --rate 100 --duration 0.1 --warmup off";
    // The first answer takes 300 ms, and the others come with it.
    let (_, json) = run_json(load_echo(stalling_at(0), flags));
    let drained = json["drained_s"].as_f64().unwrap();
    assert!((0.1..10.0).contains(&drained), "{json}");
}

#[test]
fn what_was_due_and_could_not_be_sent_is_told() {
    // One message at a time, and the first answer takes 300 ms: of a thousand a second, most wait in vain.
    let flags = "--sessions 1 --rate 1000 --depth 1 --duration 0.2 --warmup off";
    let (ended, json) = run_json(load_echo(stalling_at(0), flags));
    assert_eq!(ended.code, Some(0), "a result, and no failure: {ended:?}");
    assert_eq!((count(&json, "sent"), count(&json, "received")), (1, 1), "{json}");
    let unsent = count(&json, "unsent");
    assert!(unsent >= 100, "{json}");
    let line =
        format!("of 1,000 messages/s asked for, {} were sent; {unsent} that", 1000 / (1 + unsent));
    assert!(ended.stderr.contains(&line), "{line} in {ended:?}");

    let (ended, json) = run_json(load_echo(server::echo(), "--sessions 2 --messages 5"));
    assert_eq!(count(&json, "unsent"), 0, "{json}");
    assert!(!ended.stderr.contains("behind"), "{ended:?}");
}

#[test]
fn a_server_has_the_patience_that_is_asked_for() {
    // It is silent for 300 ms: in the midst of a number of messages, and when the time of a run is over.
    for (place, length) in [(64 * 100, "--messages 200"), (0, "--duration 0.1 --warmup off")] {
        let server = stalling_at(place);
        let flags = format!("--sessions 1 --rate 2000 {length}");
        let ended = run(load_echo(server, &format!("{flags} --patience 0.1")));
        let line = ended.failure(1);
        assert!(line.contains("not answered within 0.1 s (--patience)"), "{line}");
        let ended = run(load_echo(server, &format!("{flags} --patience 20")));
        assert_eq!(ended.code, Some(0), "{ended:?}");
    }
}

#[test]
fn a_depth_limits_what_is_in_flight() {
    // The server answers only when as many messages have come as there may be, and no more.
    let server = server::serve(|_, stream| {
        for _ in 0..10 {
            let mut all = [0; 4 * 64 + 1];
            let mut held = 0;
            while held < 4 * 64 {
                held += std::io::Read::read(&mut &stream, &mut all[held..]).unwrap();
            }
            assert_eq!(held, 4 * 64, "more than four messages in flight");
            std::io::Write::write_all(&mut &stream, &all[..held]).unwrap();
        }
        server::swallow(&stream);
    });
    check_all_well(load_echo(server, "--sessions 3 --messages 40 --depth 4"), 120);
    check_all_well(load_echo(server, "--sessions 3 --messages 40 --depth 4 --rate 1000000"), 120);
}

#[test]
#[cfg(target_os = "linux")]
fn the_cpu_time_of_the_server_and_of_the_load_is_measured() {
    // The server is this process.
    let flags =
        format!("--sessions 4 --duration 0.5 --warmup off --server-pid {}", std::process::id());
    let (ended, json) = run_json(load_echo(server::echo(), &flags));
    assert_eq!(ended.code, Some(0), "{ended:?}");
    for whose in ["server", "own"] {
        let nanos = json[format!("{whose}_cpu_ns_per_message")].as_f64().unwrap();
        assert!((100.0..10_000_000.0).contains(&nanos), "{json}");
    }
}

#[test]
fn a_thousand_sessions_connect_to_a_short_queue() {
    // The standard library's listener queues few connections; all of them in flight at once would
    // overflow it.
    check_all_well(load_echo(server::echo(), "--sessions 1000 --messages 3"), 3_000);
}

#[test]
fn names_are_resolved_and_every_flag_comes_from_the_environment_too() {
    let port = server::echo().port();
    let mut command = wharf(["load", "echo"]);
    command
        .env("WHARF_CONNECT", format!("localhost:{port}"))
        .env("WHARF_SESSIONS", "3")
        .env("WHARF_SIZE", "1KiB")
        .env("WHARF_DEPTH", "2")
        .env("WHARF_RATE", "100000")
        .env("WHARF_MESSAGES", "4")
        .env("WHARF_PATIENCE", "20")
        .env("WHARF_FRAMING", "u16be")
        .env("WHARF_BACKEND", BACKEND)
        .env("WHARF_JSON", "-");
    if cfg!(target_os = "linux") {
        command.env("WHARF_SERVER_PID", std::process::id().to_string());
    }
    let ended = run(command);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let json: Value = serde_json::from_str(&ended.stdout).unwrap();
    assert_eq!(count(&json, "received"), 12);
    for shown in ["3 sessions", "1KiB u16be", &format!("backend {BACKEND}"), "100,000 messages/s"] {
        assert!(ended.stderr.contains(shown), "{shown} in {ended:?}");
    }

    let mut command = wharf(["load", "echo", "--sessions=2", "--messages", "2"]);
    command
        .env("WHARF_CONNECT", format!("127.0.0.1:{port}"))
        .env("WHARF_SESSIONS", "3")
        .env("WHARF_DURATION", "600")
        .env("WHARF_WARMUP", "600");
    check_all_well(command, 4);
}
