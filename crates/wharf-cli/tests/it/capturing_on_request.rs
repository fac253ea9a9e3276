//! `wharf serve --capture-chosen none`: sessions are captured that somebody asks for at the admin endpoint.

use std::net::{SocketAddr, TcpStream};

use serde_json::Value;
use tempfile::TempDir;

use crate::program::run;
use crate::replaying::{hear, replay, say};
use crate::serve_admin::{ask, get, status, token_file};
use crate::serving::{Serving, deadline, moment, serve};

const TOKEN: &str = "a-token-of-some-length";

fn headers() -> String {
    format!("Authorization: Bearer {TOKEN}\r\nX-Wharf-Admin: 1\r\n")
}

/// What stands behind the headers.
#[track_caller]
fn body(answer: &str) -> &str {
    assert_eq!(status(answer), 200, "{answer}");
    answer.split_once("\r\n\r\n").unwrap().1
}

/// A server of one worker with an endpoint that has a token, and the folder of that.
fn start(service: &str, flags: &str) -> (TempDir, Serving, SocketAddr) {
    let (place, token) = token_file(TOKEN);
    let admin = format!("--workers 1 --admin 127.0.0.1:0 --admin-token-file {}", token.display());
    let mut serving = Serving::spawn(serve(service, &format!("{admin} {flags}")));
    let admin = serving.admin();
    (place, serving, admin)
}

/// The path of the capture of a client's session.
fn capture_of(admin: SocketAddr, client: &TcpStream) -> String {
    let peer = client.local_addr().unwrap();
    let page = get(admin, &format!("/api/v1/sessions?peer={peer}"), &headers());
    let page: Value = serde_json::from_str(body(&page)).unwrap();
    assert_eq!(page["sessions"].as_array().unwrap().len(), 1, "{page}");
    format!("/api/v1/sessions/{}/capture", page["sessions"][0]["id"].as_str().unwrap())
}

/// Says something, which all members hear.
fn say_to_all(members: &[TcpStream], who: usize, words: &str) {
    say(&members[who], words);
    members.iter().for_each(|member| hear(member, words));
}

#[test]
fn a_member_of_a_chat_is_captured_while_it_runs_and_the_file_is_replayed() {
    let (place, serving, admin) = start("chat", "--capture-chosen none");
    let mut members: Vec<TcpStream> = Vec::new();
    for number in 0..3 {
        members.push(serving.connect());
        say_to_all(&members, number, &format!("here is {number}"));
    }
    let path = capture_of(admin, &members[1]);
    let answer = get(admin, &path, &headers());
    assert_eq!(status(&answer), 404, "nobody is captured from the beginning: {answer}");
    body(&ask(admin, "POST", &path, &headers()));
    for round in 0..5 {
        say_to_all(&members, 1, &format!("round {round}"));
    }
    let given = get(admin, &path, &headers());
    let file = place.path().join("given.jsonl");
    std::fs::write(&file, body(&given)).unwrap();
    let text = body(&given);
    assert!(!text.contains("here is") && text.contains("round 4"), "{text}");
    let ended = replay(&file, "--sim chat --seeds 5");
    assert!(ended.failure(2).contains("session 1 is not complete (its beginning)"), "{ended:?}");
    let ended = replay(&file, "--sim chat --seeds 5 --incomplete");
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(ended.stdout.contains("25 frames sent, 25 came back equal, 0 different"), "{ended:?}");
    // It is another file when more was said, also behind the end of the session.
    say_to_all(&members, 0, "more");
    drop(members.remove(1));
    let has_ended = |text: &str| text.contains("\"event\":\"close\"") && text.contains("\"more\"");
    let end = deadline();
    while !has_ended(body(&get(admin, &path, &headers()))) {
        assert!(moment() < end, "what is kept stays, and its end with it");
    }
    let ended = serving.stop();
    assert!(!ended.stderr.contains("captured"), "no file was asked for: {ended:?}");
}

#[test]
fn what_was_asked_for_is_in_the_file_of_the_end_if_there_is_one() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("end.jsonl");
    let flags = format!("--framing lines --capture-chosen none --capture {}", file.display());
    let (_place, serving, admin) = start("echo", &flags);
    let clients = [serving.connect(), serving.connect()];
    for client in &clients {
        say(client, "before");
        hear(client, "before");
    }
    body(&ask(admin, "POST", &capture_of(admin, &clients[1]), &headers()));
    say(&clients[1], "behind");
    hear(&clients[1], "behind");
    let ended = serving.stop();
    assert!(ended.stderr.contains("captured 1 session with 2 frames in "), "{ended:?}");
    let text = std::fs::read_to_string(&file).unwrap();
    assert!(text.contains("behind") && !text.contains("before"), "{text}");
}

#[test]
fn nobody_is_left_to_be_asked_for_where_nobody_could_ask() {
    let (_place, token) = token_file(TOKEN);
    let private = format!("--admin 127.0.0.1:0 --admin-token-file {}", token.display());
    let cases = [
        (String::new(), "--admin, and there is none: give one"),
        ("--capture x".to_owned(), "--admin, and there is none: give one"),
        ("--admin 127.0.0.1:7779".to_owned(), "--admin 127.0.0.1:7779, where every user"),
        (format!("{private} --capture-peer 192.0.2.7"), "--capture-peer 192.0.2.7/32 is captured"),
    ];
    for (flags, says) in cases {
        let ended = run(serve("echo", &format!("--capture-chosen none {flags}")));
        let line = ended.failure_alone(2);
        assert!(line.contains("--capture-chosen none") && line.contains(says), "{line}");
    }
    // At an open address a capture is kept, and not given.
    let mut serving = Serving::start("--capture /dev/null --admin 127.0.0.1:0");
    let admin = serving.admin();
    let client = serving.connect();
    say(&client, "hello");
    hear(&client, "hello");
    let path = capture_of(admin, &client);
    for method in ["GET", "POST"] {
        let answer = ask(admin, method, &path, &headers());
        assert_eq!(status(&answer), 403, "{answer}");
        assert!(!answer.contains("hello"), "{answer}");
    }
    serving.stop();
}

#[cfg(unix)]
#[test]
fn at_a_file_no_token_is_needed_to_ask() {
    use std::io::{Read, Write};
    use std::os::unix::net::UnixStream;

    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("admin");
    let flags = format!("--workers 1 --capture-chosen none --admin unix:{}", path.display());
    let mut serving = Serving::spawn(serve("echo", &flags));
    assert!(serving.admin_line().contains("admin on unix:"), "it has started");
    let ask = |method: &str, target: &str| {
        let mut stream = UnixStream::connect(&path).unwrap();
        let head = "Host: localhost\r\nConnection: close\r\nX-Wharf-Admin: 1";
        write!(stream, "{method} {target} HTTP/1.1\r\n{head}\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    };
    let client = serving.connect();
    say(&client, "before");
    hear(&client, "before");
    let page: Value = serde_json::from_str(body(&ask("GET", "/api/v1/sessions"))).unwrap();
    let id = page["sessions"][0]["id"].as_str().unwrap();
    let capture = format!("/api/v1/sessions/{id}/capture");
    body(&ask("POST", &capture));
    say(&client, "behind");
    hear(&client, "behind");
    let given = ask("GET", &capture);
    assert!(body(&given).contains("behind") && !given.contains("before"), "{given}");
    serving.stop();
}

#[test]
fn what_is_captured_for_a_file_is_given_to_nobody_who_asks() {
    let (_place, serving, admin) = start("echo", "--capture /dev/null");
    let client = serving.connect();
    say(&client, "hello");
    hear(&client, "hello");
    let path = capture_of(admin, &client);
    for method in ["GET", "POST"] {
        let answer = ask(admin, method, &path, &headers());
        assert_eq!(status(&answer), 403, "{answer}");
        assert!(answer.contains("--capture-chosen none") && !answer.contains("hello"), "{answer}");
    }
    serving.stop();
}
