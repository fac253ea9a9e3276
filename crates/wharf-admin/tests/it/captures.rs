//! Captures of single sessions: who gets them, and what they are.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use serde_json::{Value, json};
use wharf::capture::{CaptureOptions, Chosen};
use wharf_capture::{Recording, What};

use crate::support::{Answer, Fixture, connect, frame, wait_until};

/// Nobody is captured before somebody asks for it.
fn nobody() -> CaptureOptions {
    let mut options = CaptureOptions::default();
    options.chosen = Chosen::None;
    options
}

/// The path of the capture of a session, by its place among those that there are.
fn capture(fixture: &Fixture, number: usize) -> String {
    let page = fixture.json("/api/v1/sessions");
    format!("/api/v1/sessions/{}/capture", page["sessions"][number]["id"].as_str().unwrap())
}

/// Says something and hears it again.
fn say(session: &mut TcpStream, words: &[u8]) {
    frame(session, words);
    session.read_exact(&mut vec![0; 4 + words.len()]).unwrap();
}

#[track_caller]
fn recording(answer: &Answer) -> Recording {
    assert_eq!(answer.status, Some(200), "{}", answer.head);
    Recording::read(answer.body.as_bytes())
        .unwrap_or_else(|error| panic!("{error}: {}", answer.head))
}

/// The frames of the only session.
fn frames(recording: &Recording) -> Vec<(&'static str, String)> {
    let text = |payload: &[u8]| String::from_utf8_lossy(payload).into_owned();
    let frame = |what: &What| match what {
        What::In(payload) => Some(("in", text(payload))),
        What::Out(payload) => Some(("out", text(payload))),
        _ => None,
    };
    recording.records.iter().filter_map(|record| frame(&record.what)).collect()
}

/// Checks that a request is refused, with words that say why.
#[track_caller]
fn check_refused(answer: &Answer, status: u16, says: &str) {
    // A file may be long.
    let told: String = answer.body.chars().take(200).collect();
    assert_eq!(answer.status, Some(status), "{told}");
    assert!(told.contains(says), "'{says}' is not in {told}");
    assert!(!answer.body.contains("wharf_capture"), "{told}");
}

#[test]
fn a_session_is_captured_from_when_it_is_asked_for_and_given_as_a_file() {
    let fixture = Fixture::start_capturing(nobody());
    let (mut session, mut other) = (fixture.session(), fixture.session());
    let path = capture(&fixture, 0);
    check_refused(&fixture.get(&path), 404, "nothing of such a session is kept");
    say(&mut session, b"before");
    for _ in 0..2 {
        let answer = fixture.post(&path);
        assert_eq!(answer.status, Some(200), "{answer:?}");
        let id = path.split('/').nth(4).unwrap();
        let told: Value = serde_json::from_str(&answer.body).unwrap();
        assert_eq!(told, json!({ "id": id, "capturing": true }));
    }
    say(&mut session, b"behind");
    say(&mut other, b"of another");
    let answer = fixture.get(&path);
    assert!(answer.head.contains("content-type: application/jsonl\r\n"), "{}", answer.head);
    assert!(answer.head.contains("cache-control: no-store\r\n"), "{}", answer.head);
    let told = recording(&answer);
    let name = &told.sessions[0].id;
    let disposition = format!("attachment; filename=\"wharf-session-{name}.jsonl\"\r\n");
    assert!(answer.head.contains(&disposition), "{}", answer.head);
    assert_eq!((told.sessions.len(), told.sessions[0].is_whole, told.is_cut), (1, false, false));
    let said = |way, words: &str| (way, words.to_owned());
    assert_eq!(frames(&told), [said("in", "behind"), said("out", "behind")]);
    assert!(told.started_unix_ms.is_some_and(|it| it > 1_700_000_000_000), "{told:?}");
    assert!(told.records[0].at.is_zero(), "it begins with itself: {told:?}");
    // What is kept stays when the session has ended.
    drop(session);
    wait_until("its end is kept", || {
        let told = recording(&fixture.get(&path));
        matches!(told.records.last().unwrap().what, What::Close { .. })
    });
    check_refused(&fixture.post(&path), 404, "there is no such session");
    assert_eq!(frames(&recording(&fixture.get(&path))).len(), 2);
}

#[test]
fn where_every_user_of_the_machine_may_ask_nothing_that_was_said_is_told() {
    let fixture = Fixture::start_server(|server| server.capture(CaptureOptions::default()), |_| ());
    let _session = fixture.session();
    let path = capture(&fixture, 0);
    for answer in [fixture.get(&path), fixture.post(&path)] {
        check_refused(&answer, 403, "give the endpoint a token");
    }
    // Nor is it told whether there is such a session.
    check_refused(&fixture.get("/api/v1/sessions/1/capture"), 403, "give the endpoint a token");
}

#[test]
fn without_the_token_and_for_other_sites_there_is_none() {
    let fixture = Fixture::start_capturing(CaptureOptions::default());
    let _session = fixture.session();
    let path = capture(&fixture, 0);
    let host = fixture.admin.address();
    for method in ["GET", "POST"] {
        let head = fixture.head(method, &path);
        let bare = format!("{method} {path} HTTP/1.1\r\nX-Wharf-Admin: 1\r\n");
        let asked = |text: String| fixture.ask(&format!("{text}\r\n"));
        check_refused(&asked(format!("{bare}Host: {host}\r\n")), 401, "a token is needed");
        let rebound = head.replace(&host.to_string(), "evil.example");
        check_refused(&asked(format!("{rebound}X-Wharf-Admin: 1\r\n")), 421, "not the host");
        let page = format!("{head}X-Wharf-Admin: 1\r\nOrigin: http://evil.example\r\n");
        check_refused(&asked(page), 403, "another site");
    }
    let head = fixture.head("POST", &path);
    check_refused(&fixture.ask(&format!("{head}\r\n")), 403, "X-Wharf-Admin");
    for method in ["HEAD", "PUT", "DELETE", "OPTIONS", "PATCH"] {
        let head = fixture.head(method, &path);
        let answer = fixture.ask(&format!("{head}X-Wharf-Admin: 1\r\n\r\n"));
        assert_eq!(answer.status, Some(405), "{method}: {answer:?}");
        assert!(answer.head.contains("allow: get, post\r\n"), "{}", answer.head);
    }
    assert_eq!(recording(&fixture.get(&path)).sessions.len(), 1, "it is there all the time");
}

#[cfg(unix)]
#[test]
fn at_a_file_its_owner_needs_no_token() {
    use std::os::unix::net::UnixStream;

    let fixture = Fixture::start_server(|server| server.capture(nobody()), |_| ());
    let mut session = fixture.session();
    let path = capture(&fixture, 0);
    let place = tempfile::tempdir().unwrap();
    let at = place.path().join("admin");
    let listen = wharf::UnixAddress::at(&at).unwrap().into();
    let mut options = wharf_admin::AdminOptions::at(listen);
    options.captures = true;
    let _admin = wharf_admin::Admin::start(fixture.server(), options).unwrap();
    let ask = |method: &str| {
        let mut stream = UnixStream::connect(&at).unwrap();
        stream.set_read_timeout(Some(crate::support::PATIENCE)).unwrap();
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: localhost\r\nX-Wharf-Admin: 1\r\nConnection: close\r\n"
        );
        stream.write_all(format!("{head}\r\n").as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    };
    let begun = ask("POST");
    assert!(begun.starts_with("HTTP/1.1 200 OK\r\n"), "{begun}");
    say(&mut session, b"behind");
    let given = ask("GET");
    assert!(given.starts_with("HTTP/1.1 200 OK\r\n") && given.contains("behind"), "{given}");
}

#[test]
fn a_server_that_is_not_set_up_for_it_says_what_to_set() {
    let token = "a-token-of-some-length";
    let fixture = Fixture::start(|options| {
        options.token = Some(token.to_owned());
        options.captures = true;
    });
    let _session = fixture.session();
    let id = fixture.server().ask_workers(wharf::SessionsWanted::Oldest(1));
    let reports = id.wait(crate::support::PATIENCE);
    let id = reports.iter().flat_map(|it| &it.sessions).next().unwrap().id.as_u64();
    for method in ["GET", "POST"] {
        let path = format!("/api/v1/sessions/{id}/capture");
        let head = format!("{}Authorization: Bearer {token}\r\n", fixture.head(method, &path));
        let answer = fixture.ask(&format!("{head}X-Wharf-Admin: 1\r\n\r\n"));
        check_refused(&answer, 409, "--capture-chosen none");
    }
}

#[test]
fn an_endpoint_that_was_not_told_to_gives_none() {
    let fixture = Fixture::start_capturing_with(nobody(), |options| options.captures = false);
    let _session = fixture.session();
    let path = capture(&fixture, 0);
    check_refused(&fixture.get(&path), 403, "AdminOptions::captures");
    check_refused(&fixture.post(&path), 403, "AdminOptions::captures");
}

#[test]
fn what_is_not_there_or_has_no_place_is_told_apart() {
    let mut options = nobody();
    options.sessions_max = 1;
    let fixture = Fixture::start_capturing(options);
    let (mut first, mut second) = (fixture.session(), fixture.session());
    let paths = [capture(&fixture, 0), capture(&fixture, 1)];
    for gone in ["0", "4294967295", "18446744073709551615"] {
        let path = format!("/api/v1/sessions/{gone}/capture");
        check_refused(&fixture.post(&path), 404, "there is no such session");
        check_refused(&fixture.get(&path), 404, "nothing of such a session is kept");
    }
    assert_eq!(fixture.post(&paths[0]).status, Some(200));
    check_refused(&fixture.post(&paths[1]), 409, "--capture-sessions");
    check_refused(&fixture.get(&paths[1]), 404, "nothing of such a session is kept");
    // The one that is captured is none the worse for it, and gives its place up with its end.
    say(&mut first, b"behind");
    assert_eq!(frames(&recording(&fixture.get(&paths[0]))).len(), 2);
    drop(first);
    wait_until("there is a place", || fixture.post(&paths[1]).status == Some(200));
    say(&mut second, b"behind");
    check_refused(&fixture.get(&paths[0]), 404, "made room");
    assert_eq!(frames(&recording(&fixture.get(&paths[1]))).len(), 2);
}

/// The place is given up when the file has been sent, and not when it has been written.
#[test]
fn one_file_is_given_at_a_time_and_whoever_goes_away_holds_nobody_up() {
    let mut options = CaptureOptions::default();
    // More than all buffers between the two take.
    options.session_bytes_max = 20 << 20;
    let fixture = Fixture::start_capturing_with(options, |options| {
        options.worker_patience = Duration::from_secs(1);
    });
    let session = fixture.session();
    let path = capture(&fixture, 0);
    let drained = drain_flood(session);
    let mut slow = connect(fixture.admin.address());
    slow.write_all(format!("{}\r\n", fixture.head("GET", &path)).as_bytes()).unwrap();
    let mut head = [0; 512];
    slow.read_exact(&mut head).unwrap();
    // So that who takes it has all the time of an exchange, which begins with the next request otherwise.
    assert!(head.windows(17).any(|it| it == b"connection: close"), "{}", head.escape_ascii());
    let answer = fixture.get(&path);
    check_refused(&answer, 503, "another capture is being given");
    drop(slow);
    wait_until("there is a place", || fixture.get(&path).status == Some(200));
    drop(drained);
}

/// Has a session be sent much, and reads it.
fn drain_flood(mut session: TcpStream) -> TcpStream {
    frame(&mut session, b"flood");
    let mut read = 0;
    let mut part = vec![0; 1 << 20];
    while read < 512 * (4 + (64 << 10)) + 9 {
        let count = session.read(&mut part).unwrap();
        assert!(count > 0, "it ended after {read} bytes");
        read += count;
    }
    session
}
