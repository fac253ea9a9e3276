//! `wharf load idle`: sessions that are kept, and those that the server loses.

use std::net::{Shutdown, SocketAddr};
use std::process::Command;
use std::sync::mpsc::channel;
use std::time::Duration;

use serde_json::Value;

use crate::program::{count, load, run, run_json};
use crate::server;

fn load_idle(server: SocketAddr, arguments: &str) -> Command {
    load("idle", server, arguments)
}

/// Waits for a time that is the test's subject.
fn rest(time: Duration) {
    let (_sender, receiver) = channel::<()>();
    let _ = receiver.recv_timeout(time);
}

#[test]
fn sessions_are_kept_for_the_duration_and_send_nothing() {
    let server = server::serve(|_, stream| {
        server::swallow(&stream);
    });
    let (ended, json) = run_json(load_idle(server, "--sessions 20 --rate 100 --duration 0.3"));
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert_eq!((count(&json, "opened"), count(&json, "connect_failed")), (20, 0));
    assert_eq!(count(&json["lost"], "count"), 0);
    for field in ["sent", "received", "wrong", "missing", "per_second"] {
        assert_eq!(json[field], Value::Null, "{field} in {json}");
    }
    assert!(json["connect_us"]["max"].as_f64().unwrap() > 0.0);
}

#[test]
fn what_a_server_says_to_a_session_that_asks_nothing_is_its_own_business() {
    let server = server::serve(|_, stream| {
        let _ = std::io::Write::write_all(&mut &stream, b"220 welcome\r\n");
        server::swallow(&stream);
    });
    let (ended, json) = run_json(load_idle(server, "--sessions 5 --duration 0.5"));
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert_eq!((count(&json, "opened"), count(&json["lost"], "count")), (5, 0), "{json}");

    let ended = run(load_idle(server, "--sessions 5 --duration 3 --every 1"));
    let line = ended.failure(1);
    assert!(line.contains("5 sessions got something before anything was sent"), "{line}");
    assert!(line.contains("does the server say something first?"), "{line}");
}

#[test]
fn sessions_that_the_server_loses_are_counted_with_their_age() {
    // The first is the one that finds the server. Of the others every other one is ended, after 400 ms.
    let server = server::serve(|number, stream| {
        if number % 2 == 1 {
            rest(Duration::from_millis(400));
            let _ = stream.shutdown(Shutdown::Write);
        }
        server::swallow(&stream);
    });
    let (ended, json) = run_json(load_idle(server, "--sessions 6 --duration 3"));
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let lost = &json["lost"];
    assert_eq!((count(lost, "count"), count(lost, "reset")), (3, 0), "{json}");
    let age = |name: &str| lost[name].as_f64().unwrap();
    // A session may be open here a while before it is accepted there.
    assert!(age("first_s") >= 0.3 && age("first_s") < 3.0, "{json}");
    assert!(age("first_s") <= age("median_s") && age("median_s") <= age("last_s"), "{json}");
}

#[test]
fn each_session_sends_a_message_now_and_then_and_verifies_it() {
    let flags = "--sessions 5 --duration 1 --every 0.2 --size 33 --framing u16le";
    let (ended, json) = run_json(load_idle(server::echo(), flags));
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let sent = count(&json, "sent");
    assert!((5..=30).contains(&sent), "{json}");
    assert_eq!(count(&json, "received"), sent);
    assert!(json["latency_us"]["p50"].as_f64().unwrap() > 0.0);

    let spoiled = server::echo_spoiled(|_, _, bytes| bytes[0] ^= 1);
    let ended = run(load_idle(spoiled, flags));
    assert!(ended.failure(1).contains("came back wrong"));

    let silent = server::serve(|_, stream| server::swallow(&stream));
    let ended = run(load_idle(silent, "--sessions 2 --duration 0.5 --every 0.1"));
    assert!(ended.failure(1).contains("messages did not come back"), "{ended:?}");
}

#[test]
fn messages_that_a_stalled_server_answers_late_are_late() {
    // Silent for the first second: the messages of that time are all sent, and told with their age.
    let stalled = server::serve(|_, stream| {
        rest(Duration::from_secs(1));
        server::pump(&stream, &stream, |_| {});
    });
    let (ended, json) = run_json(load_idle(stalled, "--sessions 1 --duration 1.3 --every 0.05"));
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!((15..=30).contains(&count(&json, "sent")), "{json}");
    assert_eq!((count(&json, "missing"), count(&json, "unsent")), (0, 0), "{json}");
    // Of one message every 50 ms, half are more than 300 ms late.
    assert!(json["latency_us"]["p50"].as_f64().unwrap() > 300_000.0, "{json}");

    // Who reads nothing soon takes nothing more.
    let deaf = server::serve(|_, stream| {
        rest(Duration::from_secs(20));
        drop(stream);
    });
    let flags = "--sessions 1 --duration 0.5 --every 0.001 --size 1MiB --patience 0.1";
    let (ended, json) = run_json(load_idle(deaf, flags));
    assert!(ended.failure(1).contains("did not come back"), "{ended:?}");
    assert!(count(&json, "unsent") > 100, "{json}");
    assert!(ended.stderr.contains("more were due"), "{ended:?}");
}

#[test]
fn what_makes_no_sense_is_one_line() {
    let server = server::nobody();
    let line = run(load_idle(server, "--size 5")).failure_alone(2).to_owned();
    assert!(line.contains("give --every"), "{line}");
    let line = run(load_idle(server, "--sessions 5")).failure_alone(4).to_owned();
    assert!(line.contains("(0 of 5 sessions connected)"), "{line}");
}
