//! Limits that change, and bans.

use std::io::{Read, Write};

use serde_json::{Value, json};
use wharf::Rate;

use crate::support::{Answer, Fixture, connect, wait_until};

#[track_caller]
fn body(answer: &Answer) -> Value {
    assert_eq!(answer.status, Some(200), "{answer:?}");
    serde_json::from_str(&answer.body).unwrap()
}

/// Whether a connection is turned away.
fn is_refused(fixture: &Fixture) -> bool {
    let mut stream = connect(fixture.server().addresses()[0].tcp().unwrap());
    let _ = stream.write_all(&[1, 0, 0, 0, b'x']);
    !matches!(stream.read(&mut [0; 5]), Ok(1..))
}

#[test]
fn limits_are_told_and_changed_each_by_itself() {
    let fixture = Fixture::start(|_| ());
    let before = fixture.json("/api/v1/limits");
    assert_eq!(before["sessions_max"], before["sessions_max_at_start"]);
    assert_eq!(before["per_address_max"], 64);
    assert_eq!(before["accept_rate"], json!({ "per_second": 10_000, "burst": 20_000 }));
    let change = json!({
        "sessions_max": 3,
        "accept_rate": null,
        "frame_rate": { "per_second": 50, "burst": 200 },
    });
    let mut expected = before.clone();
    expected.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
    let answer = fixture.post_body("/api/v1/limits", &change.to_string());
    assert_eq!(body(&answer), expected);
    assert_eq!(fixture.json("/api/v1/limits"), expected);
    let live = fixture.server().live_limits();
    assert_eq!((live.sessions_max, live.accept_rate), (3, None));
    assert_eq!(live.frames_per_second, Some(Rate { per_second: 50, burst: 200 }));
    assert_eq!(body(&fixture.post_body("/api/v1/limits", "{}")), expected, "nothing stays");
    let _sessions = [fixture.session(), fixture.session(), fixture.session()];
    assert!(is_refused(&fixture));
}

#[test]
fn what_makes_no_sense_changes_nothing() {
    let fixture = Fixture::start(|_| ());
    let before = fixture.json("/api/v1/limits");
    for (wrong, says) in [
        ("", "the body: "),
        ("[]", "the body: "),
        ("[null, null]", "the body: invalid type: sequence"),
        ("{\"accept_rate\": [50, 50]}", "the body: no field of it is a list"),
        ("{\"sessions_max\": null}", "the body: invalid type: null"),
        ("{\"sessions_max\": \"3\"}", "the body: invalid type"),
        ("{\"sessions_max\": -1}", "the body: invalid value"),
        ("{\"per_address_max\": 5, \"idle\": 3}", "the body: unknown field `idle`"),
        ("{\"accept_rate\": {\"per_second\": 5}}", "the body: missing field `burst`"),
        ("{\"per_address_max\": 5, \"sessions_max\": 0}", "sessions_max is 0: 1 to"),
        ("{\"per_address_max\": 0}", "per_address_max is 0"),
        ("{\"byte_rate\": {\"per_second\": 0, \"burst\": 1}}", "bytes_per_second is 0"),
        ("{} {}", "the body: trailing characters"),
    ] {
        let answer = fixture.post_body("/api/v1/limits", wrong);
        assert_eq!(answer.status, Some(400), "{wrong}: {answer:?}");
        assert!(answer.body.starts_with(says), "{wrong}: {}", answer.body);
    }
    let long = format!("{{{}}}", " ".repeat(5000));
    assert_eq!(fixture.post_body("/api/v1/limits", &long).status, Some(413));
    let unmeant = "POST /api/v1/limits HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n\r\n{}";
    assert_eq!(fixture.ask(unmeant).status, Some(403), "without the header of a change");
    let answer = fixture.ask("PUT /api/v1/limits HTTP/1.1\r\nHost: localhost\r\n\r\n");
    assert!(answer.status == Some(405) && answer.head.contains("allow: get, post"), "{answer:?}");
    assert_eq!(fixture.json("/api/v1/limits"), before);
}

#[test]
fn networks_are_banned_and_let_in_again() {
    let fixture = Fixture::start(|_| ());
    let mut stays = fixture.session();
    assert_eq!(fixture.json("/api/v1/bans"), json!({ "count": 0, "bans": [] }));
    let ban = |network: &str| {
        fixture.post_body("/api/v1/bans", &json!({ "network": network }).to_string())
    };
    let told = body(&ban("127.0.0.1"));
    assert_eq!(told, json!({ "network": "127.0.0.1/32", "seconds": null }));
    wait_until("who comes is refused", || is_refused(&fixture));
    crate::support::frame(&mut stays, b"hello");
    stays.read_exact(&mut [0; 9]).unwrap();
    let timed = json!({ "network": "2001:db8::7/32", "seconds": 600 }).to_string();
    assert_eq!(body(&fixture.post_body("/api/v1/bans", &timed))["network"], "2001:db8::/32");
    let bans = fixture.json("/api/v1/bans");
    assert_eq!((&bans["count"], &bans["bans"][0]), (&json!(2), &told));
    let left = bans["bans"][1]["seconds"].as_f64().unwrap();
    assert!(left > 500.0 && left < 600.0, "{bans}");
    let lift = || body(&fixture.post_body("/api/v1/bans/lift", "{\"network\":\"127.0.0.1\"}"));
    assert_eq!(lift(), json!({ "network": "127.0.0.1/32", "lifted": true }));
    assert_eq!(lift(), json!({ "network": "127.0.0.1/32", "lifted": false }));
    drop(fixture.session());
    for (wrong, says) in [
        ("{\"network\": \"localhost\"}", "network is an address"),
        ("{\"network\": \"10.0.0.0/33\"}", "network is an address"),
        ("{\"network\": \"10.0.0.1\", \"seconds\": 0}", "seconds is from"),
        ("{\"network\": \"10.0.0.1\", \"seconds\": 1e300}", "seconds is from"),
        ("{\"seconds\": 5}", "the body: missing field `network`"),
    ] {
        let answer = fixture.post_body("/api/v1/bans", wrong);
        assert_eq!(answer.status, Some(400), "{wrong}: {answer:?}");
        assert!(answer.body.starts_with(says), "{wrong}: {}", answer.body);
    }
    assert_eq!(fixture.json("/api/v1/bans")["count"], 1);
}
