//! `wharf load accept`: connections that come and go.

use std::collections::BTreeSet;
use std::io::{ErrorKind, Read};
use std::net::{SocketAddr, TcpListener};
use std::process::Command;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use serde_json::Value;

use crate::program::{count, load, load_echo, run, run_json};
use crate::server;

fn load_accept(server: SocketAddr, arguments: &str) -> Command {
    let mut command = load("accept", server, arguments);
    command.args(["--warmup", "off"]);
    command
}

/// An echo server that says of each connection how many bytes came, and how it ended.
fn telling_server() -> (SocketAddr, Receiver<(usize, Option<ErrorKind>)>) {
    let (sender, receiver) = channel();
    let server = server::serve(move |_, mut stream| {
        let mut bytes = 0;
        let mut buffer = [0; 1024];
        let end = loop {
            match stream.read(&mut buffer) {
                Ok(0) => break None,
                Ok(count) => {
                    bytes += count;
                    let _ = std::io::Write::write_all(&mut stream, &buffer[..count]);
                }
                Err(error) => break Some(error.kind()),
            }
        };
        let _ = sender.send((bytes, end));
    });
    (server, receiver)
}

/// How so many connections have ended.
fn endings(
    told: &Receiver<(usize, Option<ErrorKind>)>,
    connections: u64,
) -> BTreeSet<(usize, Option<ErrorKind>)> {
    let tell = |_| told.recv_timeout(Duration::from_secs(30)).unwrap();
    (0..connections).map(tell).collect()
}

#[test]
fn each_connection_has_its_echo_and_is_reset() {
    let (server, told) = telling_server();
    let flags = "--sessions 4 --size 100 --rate 300 --duration 0.5";
    let (ended, json) = run_json(load_accept(server, flags));
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let connections = count(&json, "connections");
    assert!((20..=160).contains(&connections), "{json}");
    for field in ["sent", "received"] {
        assert_eq!(count(&json, field), connections, "{json}");
    }
    assert_eq!((count(&json, "wrong"), count(&json, "missing")), (0, 0));
    for latency in ["connect_us", "latency_us"] {
        assert!(json[latency]["p50"].as_f64().unwrap() > 0.0, "{json}");
    }
    assert!(json["latency_us"]["max"].as_f64() >= json["connect_us"]["p50"].as_f64(), "{json}");
    // The one that found the server sent nothing.
    let reset = Some(ErrorKind::ConnectionReset);
    let seen = endings(&told, connections + 1);
    assert_eq!(seen, BTreeSet::from([(0, reset), (100, reset)]));
}

#[test]
fn connections_may_be_closed_and_send_nothing() {
    let (server, told) = telling_server();
    let (ended, json) =
        run_json(load_accept(server, "--sessions 2 --rate 200 --duration 0.3 --ending close"));
    assert_eq!(ended.code, Some(0), "{ended:?}");
    for field in ["sent", "received", "wrong", "missing", "per_second", "bytes_per_second"] {
        assert_eq!(json[field], Value::Null, "{field} in {json}");
    }
    assert_eq!(json["latency_us"]["p50"], Value::Null);
    assert!(json["connections_per_second"].as_f64().unwrap() > 20.0, "{json}");
    let connections = count(&json, "connections");
    let seen = endings(&told, connections + 1);
    let found = (0, Some(ErrorKind::ConnectionReset));
    assert_eq!(seen, BTreeSet::from([(0, None), found]));
}

#[test]
fn without_a_rate_the_next_one_begins_when_one_has_ended() {
    let (server, told) = telling_server();
    let (ended, json) = run_json(load_accept(server, "--sessions 1 --size 8 --duration 0.5"));
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let connections = count(&json, "connections");
    assert!(connections >= 3, "{json}");
    endings(&told, connections + 1);
}

#[test]
fn what_is_wrong_or_missing_is_told() {
    let server = server::echo_spoiled(|_, _, bytes| bytes[3] ^= 1);
    let flags = "--sessions 1 --size 8 --rate 50 --duration 0.1";
    let ended = run(load_accept(server, flags));
    assert!(ended.failure(1).contains("came back wrong (the first in session 0: byte 3 is"));

    let server = server::serve(|_, stream| server::echo_exactly(&stream, 5));
    let ended = run(load_accept(server, flags));
    let line = ended.failure(1);
    assert!(line.contains("did not come back"), "{line}");
}

#[test]
#[cfg(target_os = "linux")]
fn the_cpu_time_is_told_for_each_connection_and_session() {
    // The server is this process, with a thread for each connection.
    for (mode, what) in [("accept", "connection"), ("idle", "session")] {
        let pid = std::process::id();
        let flags = format!("--sessions 3 --rate 100 --duration 0.4 --server-pid {pid}");
        let (ended, json) = run_json(load(mode, server::echo(), &flags));
        assert_eq!(ended.code, Some(0), "{ended:?}");
        for whose in ["server CPU ", "own CPU "] {
            let lines = || ended.stderr.lines().filter(|line| line.trim_start().starts_with(whose));
            assert!(lines().any(|line| line.contains(&format!(" ns per {what}"))), "{ended:?}");
        }
        if mode == "accept" {
            assert!(json["own_cpu_ns_per_connection"].as_f64().unwrap() > 0.0, "{json}");
        }
    }
}

#[test]
fn what_the_warm_up_meets_is_not_measured() {
    // Of 180 connections the first 60 have to wait for their echo, all of them in the warm-up.
    let server = server::serve(move |number, stream| {
        if number <= 60 {
            let (_sender, receiver) = channel::<()>();
            let _ = receiver.recv_timeout(Duration::from_millis(200));
        }
        server::pump(&stream, &stream, |_| {});
    });
    let flags = "--size 8 --rate 200 --duration 0.3 --warmup 0.6";
    let (ended, json) = run_json(load("accept", server, flags));
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(count(&json, "connections") > 100, "{json}");
    assert!(json["latency_us"]["p90"].as_f64().unwrap() < 100_000.0, "{json}");
    let per_second = json["connections_per_second"].as_f64().unwrap();
    assert!((100.0..300.0).contains(&per_second), "{json}");
}

#[test]
fn a_connection_has_the_patience_that_is_asked_for() {
    let silent = server::serve(|_, stream| server::swallow(&stream));
    let flags = "--sessions 1 --size 8 --duration 0.1 --patience 0.3";
    let ended = run(load_accept(silent, flags));
    assert!(ended.failure(1).contains("not answered within 0.3 s (--patience)"), "{ended:?}");
}

#[test]
fn connections_that_could_not_be_begun_in_time_are_told() {
    let silent = server::serve(|_, stream| server::swallow(&stream));
    let flags = "--sessions 1 --size 8 --rate 1000 --duration 0.2 --patience 0.1";
    let (ended, json) = run_json(load_accept(silent, flags));
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(count(&json, "unstarted") > 100, "{json}");
    assert!(ended.stderr.contains("of 1,000 connections/s asked for"), "{ended:?}");
}

#[test]
fn connects_that_fail_are_counted_and_do_not_hold_up_the_end() {
    let ended = run(load_accept(server::nobody(), "--duration 0.1"));
    assert!(ended.failure_alone(4).contains("nobody listens there"));

    // Three are accepted, and then nobody listens.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let server = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        let accepted: Vec<_> = (0..3).map(|_| listener.accept().unwrap().0).collect();
        drop(listener);
        accepted.iter().for_each(server::swallow);
    });
    let (ended, json) = run_json(load_accept(server, "--sessions 1 --rate 100 --duration 0.5"));
    let line = ended.failure(4);
    assert!(line.contains("connects failed") && line.contains("nobody listens"), "{line}");
    assert!(count(&json, "connect_failed") > 0, "{json}");
}

/// Where the connections of a run come from.
#[cfg(target_os = "linux")]
fn sources_seen(mode: &str, source: &str) -> BTreeSet<String> {
    let (sender, receiver) = channel();
    let server = server::serve(move |_, stream| {
        let _ = sender.send(stream.peer_addr().unwrap().ip().to_string());
        server::pump(&stream, &stream, |_| {});
    });
    let flags = format!("--source {source} --sessions 9 --duration 0.2 --size 8 --rate 100");
    let ended = run(load(mode, server, &flags));
    assert_eq!(ended.code, Some(0), "{ended:?}");
    receiver.try_iter().collect()
}

/// Where all of 127.0.0.0/8 are addresses of the machine.
#[cfg(target_os = "linux")]
#[test]
fn sessions_come_from_the_addresses_of_the_source_in_turn() {
    for mode in ["echo", "accept"] {
        let seen = sources_seen(mode, "127.5.0.0/30");
        assert_eq!(seen, BTreeSet::from(["127.5.0.1", "127.5.0.2"].map(String::from)), "{mode}");
        let seen = sources_seen(mode, "127.5.0.9");
        assert_eq!(seen, BTreeSet::from(["127.5.0.9".to_owned()]), "{mode}");
    }
}

#[test]
fn a_source_that_leads_nowhere_is_one_clear_line() {
    let server = server::echo();
    for (source, code, says) in [
        ("::1", 2, "--source ::1/128 does not lead to"),
        ("10.0.0.1/8", 2, "it has bits behind its length"),
        ("here", 2, "give an address or a network"),
        // The address of no machine.
        ("192.0.2.1", 4, "check that all of --source are addresses of this machine"),
    ] {
        let mut command = load_echo(server, "--sessions 2 --messages 1");
        command.args(["--source", source]);
        let line = run(command).failure_alone(code).to_owned();
        assert!(line.contains(says), "{source}: {line}");
    }
}
