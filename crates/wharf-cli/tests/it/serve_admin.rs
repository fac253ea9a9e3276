//! `wharf serve --admin`: the endpoint of the program, from outside. What it answers in full is tested in the
//! crate of the endpoint.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;

use serde_json::Value;
use tempfile::TempDir;

use crate::program::run;
use crate::serve_end::stuck;
use crate::serving::{Serving, Signal, backends, check_echo, connect, read_to_end, serve_echo};

const TOKEN: &str = "a-token-of-some-length";

/// Sends a request and gives what comes back.
#[track_caller]
pub(crate) fn ask(address: SocketAddr, method: &str, path: &str, headers: &str) -> String {
    let stream = connect(address).unwrap();
    let host =
        if headers.contains("Host:") { String::new() } else { format!("Host: {address}\r\n") };
    let request = format!("{method} {path} HTTP/1.1\r\n{host}Connection: close\r\n{headers}\r\n");
    (&stream).write_all(request.as_bytes()).unwrap();
    String::from_utf8(read_to_end(&stream)).unwrap()
}

#[track_caller]
pub(crate) fn get(address: SocketAddr, path: &str, headers: &str) -> String {
    ask(address, "GET", path, headers)
}

/// Has something done.
#[track_caller]
fn post(address: SocketAddr, path: &str) -> String {
    ask(address, "POST", path, "X-Wharf-Admin: 1\r\n")
}

/// The number behind `HTTP/1.1`.
#[track_caller]
pub(crate) fn status(answer: &str) -> u16 {
    answer
        .split(' ')
        .nth(1)
        .and_then(|status| status.parse().ok())
        .unwrap_or_else(|| panic!("{answer}"))
}

/// Asks until it is so: a worker of a busy machine may answer late, and a listener closes after it was told to.
#[track_caller]
fn check_that_it_becomes(admin: SocketAddr, path: &str, expected: u16) {
    let mut answers = (0..100).map(|_| get(admin, path, ""));
    let is_so = answers.any(|answer| status(&answer) == expected);
    assert!(is_so, "{path} is never {expected}");
}

/// A file with a token, in a directory of its own.
pub(crate) fn token_file(token: &str) -> (TempDir, PathBuf) {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("token");
    std::fs::write(&path, token).unwrap();
    (place, path)
}

#[test]
fn the_endpoint_tells_of_the_server_until_its_end() {
    for backend in backends() {
        let mut serving = Serving::start(&format!("--backend {backend} --admin 127.0.0.1:0"));
        let admin = serving.admin();
        assert!(admin.ip().is_loopback() && admin.port() != 0, "{admin}");
        let session = serving.connect();
        check_echo(&session, b"hello");
        let metrics = get(admin, "/metrics", "");
        assert_eq!(status(&metrics), 200, "{metrics}");
        let frames =
            metrics.lines().filter_map(|it| it.strip_prefix("wharf_received_bytes_total{"));
        let bytes: f64 =
            frames.map(|it| it.rsplit_once(' ').unwrap().1.parse::<f64>().unwrap()).sum();
        assert_eq!(bytes, 5.0, "{metrics}");
        check_that_it_becomes(admin, "/health", 200);
        assert_eq!(status(&get(admin, "/ready", "")), 200);
        drop(session);
        serving.stop();
        assert!(connect(admin).is_err(), "it is gone with its server");
    }
}

#[test]
fn without_the_token_of_the_file_nothing_is_told() {
    // An editor leaves an end of line there.
    let (_place, path) = token_file(&format!("{TOKEN}\n"));
    let flags = format!("--admin 127.0.0.1:0 --admin-token-file {}", path.display());
    let mut serving = Serving::start(&flags);
    let admin = serving.admin();
    for path in ["/metrics", "/health", "/ready", "/api/v1/sessions"] {
        assert_eq!(status(&get(admin, path, "")), 401, "{path}");
    }
    let bearer = |token: &str| format!("Authorization: Bearer {token}\r\n");
    assert_eq!(status(&get(admin, "/ready", &bearer(TOKEN))), 200);
    assert_eq!(status(&get(admin, "/ready", &bearer("a-token-of-some-lengtH"))), 401);
    let ended = serving.stop();
    assert!(!ended.stderr.contains(TOKEN), "{ended:?}");
}

#[test]
fn a_page_whose_name_has_come_to_mean_this_machine_is_told_nothing() {
    let mut serving = Serving::start("--admin 127.0.0.1:0");
    let admin = serving.admin();
    assert_eq!(status(&get(admin, "/metrics", "Host: evil.example\r\n")), 421);
    assert_eq!(status(&get(admin, "/metrics", "Origin: http://evil.example\r\n")), 403);
    assert_eq!(status(&get(admin, "/metrics", "Host: localhost\r\n")), 200);
    serving.stop();
}

#[test]
fn it_is_asked_by_the_names_that_it_was_given() {
    let flags = "--admin 127.0.0.1:0 --admin-host ops.example,wharf --admin-host w.internal";
    let mut serving = Serving::start(flags);
    let admin = serving.admin();
    for host in ["ops.example", "Wharf:7779", "w.internal", "localhost", "127.0.0.1"] {
        assert_eq!(status(&get(admin, "/ready", &format!("Host: {host}\r\n"))), 200, "{host}");
    }
    for host in ["example", "ops.example.evil.example", "192.0.2.1"] {
        assert_eq!(status(&get(admin, "/ready", &format!("Host: {host}\r\n"))), 421, "{host}");
    }
    serving.stop();
    let ended = run(serve_echo("--admin-host ops.example"));
    let line = ended.failure_alone(2);
    assert!(line.contains("--admin-host ops.example is for the endpoint of --admin"), "{line}");
}

#[test]
fn on_all_addresses_it_is_asked_by_any() {
    let (_place, path) = token_file(TOKEN);
    let flags = format!("--admin 0.0.0.0:0 --admin-token-file {}", path.display());
    let mut serving = Serving::start(&flags);
    let admin = SocketAddr::from(([127, 0, 0, 1], serving.admin().port()));
    let ready = |host: &str| {
        let headers = format!("Host: {host}\r\nAuthorization: Bearer {TOKEN}\r\n");
        status(&get(admin, "/ready", &headers))
    };
    assert_eq!((ready("192.0.2.7:7779"), ready("[2001:db8::7]:7779")), (200, 200));
    assert_eq!((ready("ops.example:7779"), ready("192.0.2.7.evil.example")), (421, 421));
    serving.stop();
}

#[test]
fn an_endpoint_that_everybody_reaches_needs_a_token() {
    for open in ["0.0.0.0:0", "[::]:0", "192.0.2.1:7779"] {
        let ended = run(serve_echo(&format!("--admin {open}")));
        let line = ended.failure_alone(2);
        assert!(line.contains(open) && line.contains("--admin-token-file"), "{line}");
    }
    let ended = run(serve_echo("--admin-token-file token"));
    assert!(ended.failure_alone(2).contains("is for the endpoint of --admin"), "{ended:?}");
    let (_place, path) = token_file(TOKEN);
    let flags = format!("--admin 0.0.0.0:0 --admin-token-file {}", path.display());
    let mut serving = Serving::start(&flags);
    let admin = SocketAddr::from(([127, 0, 0, 1], serving.admin().port()));
    assert_eq!(status(&get(admin, "/health", "")), 401);
    serving.stop();
}

#[test]
fn a_token_that_is_none_is_a_wrong_argument() {
    let (place, path) = token_file("");
    let check = |path: &str, says: &str| {
        let flags = format!("--admin 127.0.0.1:0 --admin-token-file {path}");
        let ended = run(serve_echo(&flags));
        let line = ended.failure_alone(2);
        assert!(line.contains(path) && line.contains(says), "'{says}' is not in {line}");
    };
    let text = path.to_str().unwrap();
    for (token, says) in [
        (&b""[..], "too short"),
        (b"\n", "too short"),
        (b"0123456789abcde\r\n", "too short"),
        (b"0123456789 abcdef", "visible ASCII"),
        (b"0123456789abcdef\n0123456789abcdef\n", "visible ASCII"),
        (b"0123456789abcdef\xff", "cannot be read"),
    ] {
        std::fs::write(&path, token).unwrap();
        check(text, says);
    }
    check(place.path().to_str().unwrap(), "cannot be read");
    drop(place);
    check(text, "cannot be read");
}

#[test]
fn an_address_that_is_taken_fails_the_start_and_leaves_nothing() {
    for backend in backends() {
        let taken = TcpListener::bind("127.0.0.1:0").unwrap();
        let admin = taken.local_addr().unwrap();
        let place = tempfile::tempdir().unwrap();
        let socket = place.path().join("socket");
        let listen = format!("--backend {backend} --listen unix:{}", socket.display());
        let ended = run(serve_echo(&format!("{listen} --admin {admin}")));
        let line = ended.failure_alone(1);
        for part in [&*admin.to_string(), "in use", "--admin"] {
            assert!(line.contains(part), "'{part}' is not in {line}");
        }
        assert!(!socket.exists(), "no server has started");
        assert!(!line.contains("drained"), "{line}");
    }
}

/// The endpoint is there first, so nobody connects to a server that goes again at once.
#[test]
fn a_server_that_does_not_start_leaves_no_endpoint() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let listen = taken.local_addr().unwrap();
    let place = tempfile::tempdir().unwrap();
    let socket = place.path().join("admin");
    let admin =
        if cfg!(unix) { format!("unix:{}", socket.display()) } else { "127.0.0.1:0".into() };
    let ended = run(serve_echo(&format!("--listen {listen} --admin {admin}")));
    assert!(ended.failure_alone(1).contains(&listen.to_string()), "{ended:?}");
    let other = TcpListener::bind("127.0.0.1:0").unwrap();
    let both = format!("--listen {listen} --admin {}", other.local_addr().unwrap());
    let line = run(serve_echo(&both)).failure_alone(1).to_owned();
    assert!(line.contains("the admin endpoint cannot listen"), "it comes first: {line}");
    assert!(place.path().read_dir().unwrap().next().is_none(), "a file is left");
}

#[cfg(unix)]
#[test]
fn an_endpoint_with_a_file_needs_no_port() {
    use std::os::unix::fs::PermissionsExt;
    use std::os::unix::net::UnixStream;

    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("admin");
    let mut serving = Serving::start(&format!("--admin unix:{}", path.display()));
    let line = serving.admin_line();
    assert!(line.ends_with(&format!("admin on unix:{}", path.display())), "{line}");
    assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    let mut stream = UnixStream::connect(&path).unwrap();
    stream.set_read_timeout(Some(crate::serving::PATIENCE)).unwrap();
    stream
        .write_all(b"GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert_eq!(status(&answer), 200, "{answer}");
    serving.stop();
    assert!(place.path().read_dir().unwrap().next().is_none(), "a file is left");
    let ended = run(serve_echo("--admin unix:@wharf-admin"));
    let line = ended.failure_alone(2);
    assert!(line.contains("unix:@wharf-admin") && line.contains("--admin-token-file"), "{line}");
}

#[test]
fn a_session_is_found_and_closed() {
    let mut serving = Serving::start("--admin 127.0.0.1:0 --workers 2");
    let admin = serving.admin();
    let (kicked, other) = (serving.connect(), serving.connect());
    for session in [&kicked, &other] {
        check_echo(session, b"hello");
    }
    let page = || -> Value {
        let answer = get(admin, "/api/v1/sessions?order=age", "");
        serde_json::from_str(answer.split_once("\r\n\r\n").unwrap().1).unwrap()
    };
    let peer = kicked.local_addr().unwrap().to_string();
    let id_in = |page: Value| {
        let sessions = page["sessions"].as_array().unwrap();
        let found = sessions.iter().find(|session| session["peer"] == *peer)?;
        found["id"].as_str().map(str::to_owned)
    };
    let id = (0..100).find_map(|_| id_in(page())).unwrap();
    let path = format!("/api/v1/sessions/{id}/kick");
    assert_eq!(status(&get(admin, &path, "")), 405);
    assert!((0..100).any(|_| status(&post(admin, &path)) == 202));
    assert_eq!(read_to_end(&kicked), b"");
    drop(kicked);
    check_echo(&other, b"still here");
    drop(other);
    let ended = serving.stop();
    assert!(ended.reasons().is_some_and(|reasons| reasons.contains("closed 1")), "{ended:?}");
}

#[test]
fn a_drain_that_is_asked_for_ends_it_as_a_signal_does() {
    for backend in backends() {
        for sessions in [0, 3] {
            let flags = format!("--backend {backend} --workers 2 --admin 127.0.0.1:0");
            let mut serving = Serving::start(&format!("{flags} --framing lines --farewell bye"));
            let admin = serving.admin();
            let sessions: Vec<_> = (0..sessions).map(|_| serving.connect()).collect();
            for session in &sessions {
                check_echo(session, b"hello\n");
            }
            assert_eq!(status(&post(admin, "/api/v1/drain")), 202);
            for session in &sessions {
                assert_eq!(read_to_end(session), b"bye\n");
            }
            let count = sessions.len();
            drop(sessions);
            let ended = serving.end();
            assert_eq!(ended.code, Some(0), "{ended:?}");
            let report = format!("wharf: {count} sessions drained, 0 forced, 0 bytes lost");
            assert_eq!(ended.stderr.lines().last(), Some(&*report), "{ended:?}");
            let says = "draining, 3 sessions left, for at most 10s; the admin endpoint was told so";
            assert_eq!(ended.stderr.contains(says), count == 3, "{ended:?}");
        }
    }
}

/// Whoever stops a container has it drained first, and then sends a signal that must not cut that short.
#[test]
fn the_first_signal_after_a_drain_that_was_asked_for_changes_nothing() {
    let mut serving = Serving::start("--admin 127.0.0.1:0 --drain 600");
    let admin = serving.admin();
    let (slow, _) = stuck(&serving);
    assert_eq!(status(&post(admin, "/api/v1/drain")), 202);
    serving.wait_for("draining, 1 session left");
    check_that_it_becomes(admin, "/ready", 503);
    assert_eq!(status(&post(admin, "/api/v1/drain")), 202, "to ask again is no mistake");
    serving.signal(Signal::TERM);
    serving.wait_for("it drains already");
    check_that_it_becomes(admin, "/health", 200);
    serving.signal(Signal::TERM);
    let ended = serving.end();
    assert!(ended.failure(3).contains("a second signal"), "{ended:?}");
    drop(slow);
}

/// What a terminal would take for a command of its own.
#[test]
fn what_peers_write_never_reaches_the_log_as_it_is() {
    const ESCAPE: &str = "\u{1b}]0;evil\u{7}";
    let flags = "--admin 127.0.0.1:0 --proxy-from 127.0.0.1 --log debug";
    let mut serving = Serving::start(flags);
    let admin = serving.admin();
    for header in [format!("PROXY {ESCAPE} TCP4\r\n"), format!("{ESCAPE}\r\n")] {
        let announced = serving.connect();
        (&announced).write_all(header.as_bytes()).unwrap();
        // It is closed or reset.
        let _ = (&announced).read(&mut [0]);
    }
    let header = |name: &str| format!("{name}: {ESCAPE}\r\n");
    for (path, headers) in [
        (format!("/{ESCAPE}"), String::new()),
        (format!("/api/v1/sessions?group={ESCAPE}"), String::new()),
        ("/api/v1/sessions?group=%1b%5d0;evil%07".to_owned(), String::new()),
        ("/metrics".to_owned(), header("Origin")),
        ("/metrics".to_owned(), header("Host")),
        ("/api/v1/sessions/1/kick".to_owned(), header("X-Wharf-Admin")),
    ] {
        for method in ["GET", "POST"] {
            let stream = connect(admin).unwrap();
            let host = if headers.contains("Host:") { "" } else { "Host: localhost\r\n" };
            let request = format!("{method} {path} HTTP/1.1\r\n{host}{headers}\r\n");
            let _ = (&stream).write_all(request.as_bytes());
            let _ = (&stream).read(&mut [0; 512]);
        }
    }
    let ended = serving.stop();
    assert!(ended.stderr.contains("a proxy does not say"), "{ended:?}");
    let is_raw = |it: char| it.is_control() && it != '\n' && it != '\t';
    assert!(!ended.stderr.contains(is_raw), "{ended:?}");
}
