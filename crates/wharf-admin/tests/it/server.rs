//! The server as a whole, as JSON.

use std::io::{Read, Write};

use serde_json::{Value, json};

use crate::support::{Fixture, GROUP, frame, wait_until};

#[test]
fn a_server_tells_what_it_is_and_what_became_of_its_sessions() {
    let fixture = Fixture::start(|_| ());
    let mut streams = [fixture.session(), fixture.session()];
    frame(&mut streams[0], b"join");
    streams[0].read_exact(&mut [0; 8]).unwrap();
    // A length beyond what is allowed.
    streams[1].write_all(&u32::MAX.to_le_bytes()).unwrap();
    let handle = fixture.server();
    wait_until("it is gone", || handle.sessions() == 1);
    let told = fixture.json("/api/v1/server");
    let closes: serde_json::Map<String, Value> =
        handle.close_counts().iter().map(|(name, count)| (name.to_owned(), count.into())).collect();
    assert_eq!((&closes["bad_frame"], &closes["idle"]), (&json!(1), &json!(0)));
    let uptime = told["uptime_seconds"].as_f64().unwrap();
    let addresses: Vec<_> = handle.addresses().iter().map(ToString::to_string).collect();
    let expected = json!({
        "version": env!("CARGO_PKG_VERSION"),
        "backend": handle.backend().name(),
        "addresses": addresses,
        "uptime_seconds": uptime,
        "accepting": true,
        "draining": false,
        "workers": 2,
        "sessions": 1,
        "sessions_max": handle.live_limits().sessions_max,
        "groups": 1,
        "rooms": 0,
        "closes": closes,
    });
    assert_eq!(told, expected, "the group is {GROUP:?}");
    let later = fixture.json("/api/v1/server")["uptime_seconds"].as_f64().unwrap();
    assert!(uptime > 0.0 && later > uptime, "{uptime} and then {later}");
    assert!(later <= handle.uptime().as_secs_f64());
}

#[test]
fn a_maximum_that_is_changed_is_told() {
    let fixture = Fixture::start(|_| ());
    let answer = fixture.post_body("/api/v1/limits", "{\"sessions_max\":7}");
    assert_eq!(answer.status, Some(200), "{answer:?}");
    assert_eq!(fixture.json("/api/v1/server")["sessions_max"], 7);
}

#[test]
fn a_server_that_pauses_or_drains_says_so() {
    let fixture = Fixture::start(|_| ());
    // It holds its worker until the test has looked, so that the server cannot end.
    let mut session = fixture.session();
    frame(&mut session, b"wait");
    fixture.waits.recv().unwrap();
    let state = || {
        let told = fixture.json("/api/v1/server");
        (told["accepting"].as_bool(), told["draining"].as_bool())
    };
    assert_eq!(state(), (Some(true), Some(false)));
    fixture.server().pause_accepting();
    assert_eq!(state(), (Some(false), Some(false)));
    fixture.server().drain();
    assert_eq!(state(), (Some(false), Some(true)));
}
