//! What is done to a server, and by whom.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::mpsc::channel;

use serde_json::{Value, json};
use wharf::capture::CaptureOptions;

use crate::support::{Answer, Fixture, OPERATIONS, PATIENCE, connect, frame, wait_until};

const TOKEN: &str = "a-token-of-some-length";

/// The path that kicks the only session.
fn kick(fixture: &Fixture) -> String {
    let page = fixture.json("/api/v1/sessions");
    format!("/api/v1/sessions/{}/kick", page["sessions"][0]["id"].as_str().unwrap())
}

#[track_caller]
fn body(answer: &Answer, status: u16) -> Value {
    assert_eq!(answer.status, Some(status), "{answer:?}");
    serde_json::from_str(&answer.body).unwrap()
}

/// Whether the peer ends its stream in order, with nothing before.
fn ends(stream: &mut TcpStream) -> bool {
    stream.read(&mut [0]).unwrap() == 0
}

#[test]
fn a_session_that_is_kicked_ends_in_order_and_no_other() {
    let fixture = Fixture::start(|_| ());
    let mut kicked = fixture.session();
    let path = kick(&fixture);
    let mut other = fixture.session();
    let answer = body(&fixture.post(&path), 202);
    let id = path.split('/').nth(4).unwrap();
    assert_eq!(answer, json!({ "id": id, "closing": true }));
    assert!(ends(&mut kicked));
    drop(kicked);
    wait_until("it is gone", || fixture.post(&path).status == Some(404));
    assert_eq!(fixture.server().close_counts().to_string(), "closed 1");
    frame(&mut other, b"hello");
    other.read_exact(&mut [0; 9]).unwrap();
}

#[test]
fn nothing_is_changed_but_by_whoever_means_it() {
    let fixture = Fixture::start(|_| ());
    let mut session = fixture.session();
    let host = fixture.admin.address();
    let kick = kick(&fixture);
    let changes = [&*kick, "/api/v1/drain", "/api/v1/accepting/pause", "/api/v1/accepting/resume"];
    for path in changes {
        let status = |method: &str, headers: &str| {
            fixture.ask(&format!("{method} {path} HTTP/1.1\r\n{headers}\r\n")).status
        };
        let own = format!("Host: {host}\r\n");
        let meant = "X-Wharf-Admin: 1\r\n";
        assert_eq!(status("POST", &own), Some(403), "{path}");
        for no in ["X-Wharf-Admin: 0\r\n", "X-Wharf-Admin:\r\n", "X-Wharf-Admin: 1, 1\r\n"] {
            assert_eq!(status("POST", &format!("{own}{no}")), Some(403), "{path} {no}");
        }
        assert_eq!(status("POST", &format!("{own}{meant}{meant}")), Some(400), "{path}");
        assert_eq!(status("POST", &format!("Host: evil.example\r\n{meant}")), Some(421), "{path}");
        let foreign = format!("{own}{meant}Origin: http://evil.example\r\n");
        assert_eq!(status("POST", &foreign), Some(403), "{path}");
        for method in ["GET", "HEAD", "PUT", "DELETE", "PATCH", "OPTIONS"] {
            let answer = fixture.ask(&format!("{method} {path} HTTP/1.1\r\n{own}{meant}\r\n"));
            assert_eq!(answer.status, Some(405), "{method} {path}");
            assert!(answer.head.contains("allow: post"), "{}", answer.head);
            assert!(!answer.head.contains("access-control"), "{}", answer.head);
        }
    }
    for path in ["/metrics", "/health", "/ready", "/api/v1/sessions", "/api/v1/workers"] {
        let answer = fixture.post(path);
        assert_eq!(answer.status, Some(405), "{path}");
        assert!(answer.head.contains("allow: get"), "{}", answer.head);
    }
    // All that came before would be done by now: this goes the same way.
    assert_eq!(fixture.json("/api/v1/workers")["accepting"], true);
    frame(&mut session, b"hello");
    session.read_exact(&mut [0; 9]).unwrap();
    drop(fixture.session());
}

#[test]
fn nothing_is_changed_without_the_token() {
    let fixture = Fixture::start(|options| options.token = Some(TOKEN.to_owned()));
    for path in ["/api/v1/drain", "/api/v1/accepting/pause", "/api/v1/sessions/1/kick"] {
        assert_eq!(fixture.post(path).status, Some(401), "{path}");
    }
    assert!(fixture.server().is_accepting());
    let pause = "POST /api/v1/accepting/pause HTTP/1.1\r\nHost: localhost\r\nX-Wharf-Admin: 1\r\n";
    let answer = fixture.ask(&format!("{pause}Authorization: Bearer {TOKEN}\r\n\r\n"));
    assert_eq!(body(&answer, 200), json!({ "accepting": false }));
}

#[test]
fn accepting_is_paused_and_resumed() {
    let fixture = Fixture::start(|_| ());
    assert_eq!(body(&fixture.post("/api/v1/accepting/pause"), 200), json!({ "accepting": false }));
    assert_eq!(fixture.get("/ready").status, Some(503));
    assert_eq!(fixture.json("/api/v1/workers")["accepting"], false);
    assert_eq!(body(&fixture.post("/api/v1/accepting/resume"), 200), json!({ "accepting": true }));
    drop(fixture.session());
}

#[test]
fn every_route_of_the_page_of_operations_is_there() {
    let fixture = Fixture::start_capturing(CaptureOptions::default());
    let _session = fixture.session();
    let kick = kick(&fixture);
    let id = kick.split('/').nth(4).unwrap();
    let (looks, changes) = OPERATIONS.split_once("\n## What there is to do\n").unwrap();
    let paths = |text: &str| -> Vec<String> {
        let rows = text.lines().filter_map(|line| line.strip_prefix("| `/")?.split_once('`'));
        rows.map(|(path, _)| format!("/{}", path.replace("ID", id))).collect()
    };
    let body = |path: &str| match path {
        "/api/v1/limits" => "{}",
        "/api/v1/bans" | "/api/v1/bans/lift" => "{\"network\":\"192.0.2.7\"}",
        _ => "",
    };
    let (looks, changes) = (paths(looks), paths(changes));
    assert_eq!((looks.len(), changes.len()), (13, 8), "{looks:?} {changes:?}");
    for path in looks {
        assert_eq!(fixture.get(&path).status, Some(200), "{path}");
    }
    // A session is captured before it is kicked, and a drain comes last.
    for path in changes {
        let status = fixture.post_body(&path, body(&path)).status;
        assert!(matches!(status, Some(200 | 202)), "{path}: {status:?}");
    }
    fixture.join();
}

/// Without a session the server is gone in no time, and with it the endpoint.
#[test]
fn a_drain_is_answered_before_it_begins() {
    for round in 0..20 {
        let fixture = Fixture::start(|_| ());
        let mut sessions: Vec<_> = (0..round % 2).map(|_| fixture.session()).collect();
        let host = fixture.admin.address().clone();
        let waits = std::thread::spawn(move || fixture.join());
        let mut stream = connect(&host);
        let drain = "POST /api/v1/drain HTTP/1.1\r\nX-Wharf-Admin: 1\r\nContent-Length: 0\r\n";
        stream.write_all(format!("{drain}Host: {host}\r\n\r\n").as_bytes()).unwrap();
        let answer = Answer::read(&mut stream);
        let expected = json!({ "draining": true, "sessions": sessions.len() });
        assert_eq!(body(&answer, 202), expected, "round {round}");
        assert!(sessions.iter_mut().all(ends));
        let drained = u64::try_from(sessions.len()).unwrap();
        drop(sessions);
        let report = waits.join().unwrap();
        assert_eq!((report.drained, report.forced, report.bytes_lost), (drained, 0, 0));
    }
}

#[test]
fn what_drains_the_server_can_be_something_else() {
    let (told, tells) = channel();
    let hook = Arc::new(move || told.send(()).unwrap());
    let fixture = Fixture::start(|options| options.drain = Some(hook));
    assert_eq!(fixture.post("/api/v1/drain").status, Some(202));
    tells.recv_timeout(PATIENCE).unwrap();
    assert!(fixture.server().is_accepting(), "the server itself has not been told");
    drop(fixture.session());
}
