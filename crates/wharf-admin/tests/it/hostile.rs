//! Requests that are refused, and clients that mean no good.

use std::io::{Read, Write};
use std::net::TcpStream;

use wharf_admin::{Admin, AdminOptions};

use crate::support::{Answer, Fixture, connect};

const TOKEN: &str = "a-token-of-some-length";

#[test]
fn no_route_is_answered_without_the_token() {
    let fixture = Fixture::start(|options| options.token = Some(TOKEN.to_owned()));
    for path in ["/metrics", "/health", "/ready", "/nowhere"] {
        let answer = fixture.get(path);
        assert_eq!(answer.status, Some(401), "{path}");
        assert!(answer.head.contains("www-authenticate: bearer"), "{}", answer.head);
        let with = |token| {
            let request = format!(
                "GET {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\n\r\n"
            );
            fixture.ask(&request).status
        };
        assert_eq!(with("a-token-of-some-lengtH"), Some(401), "{path}");
        assert_eq!(with(TOKEN), Some(if path == "/nowhere" { 404 } else { 200 }), "{path}");
    }
}

#[test]
fn other_hosts_pages_and_methods_are_refused() {
    let fixture = Fixture::start(|_| ());
    let status = |request: &str| fixture.ask(request).status;
    let host = fixture.admin.address();
    assert_eq!(status("GET /metrics HTTP/1.1\r\nHost: evil.example\r\n\r\n"), Some(421));
    assert_eq!(status("GET /metrics HTTP/1.1\r\n\r\n"), Some(400));
    let target = format!("GET http://evil.example/metrics HTTP/1.1\r\nHost: {host}\r\n\r\n");
    assert_eq!(status(&target), Some(421));
    let page = |origin: &str| {
        let origin = format!("Origin: {origin}");
        status(&format!("GET /metrics HTTP/1.1\r\nHost: {host}\r\n{origin}\r\n\r\n"))
    };
    assert_eq!((page("http://evil.example"), page("null")), (Some(403), Some(403)));
    assert_eq!(page(&format!("http://{host}")), Some(200));
    for method in ["POST", "PUT", "DELETE", "HEAD", "OPTIONS", "PATCH", "TRACE", "FOO"] {
        let request = format!("{method} /metrics HTTP/1.1\r\nHost: {host}\r\n\r\n");
        assert_eq!(status(&request), Some(405), "{method}");
    }
    assert_eq!(fixture.get("/metrics/").status, Some(404));
    assert_eq!(fixture.get("/index.html").status, Some(404));
}

#[test]
fn what_is_too_long_or_no_http_is_refused_and_the_next_is_answered() {
    let fixture = Fixture::start(|_| ());
    let host = fixture.admin.address();
    let long = "x".repeat(64 << 10);
    let many: String = (0..100).map(|number| format!("X-{number}: 1\r\n")).collect();
    let requests = [
        format!("GET /metrics HTTP/1.1\r\nHost: {host}\r\nX: {long}\r\n\r\n"),
        format!("GET /metrics HTTP/1.1\r\nHost: {host}\r\n{many}\r\n"),
        format!("GET /{long} HTTP/1.1\r\nHost: {host}\r\n\r\n"),
        "\u{16}\u{3}\u{1}\u{2} a handshake of TLS".to_owned(),
        "GET /metrics\r\n\r\n".to_owned(),
    ];
    for request in requests {
        let status = fixture.ask(&request).status;
        // None: it was closed, and what had not been read made a reset of it.
        let is_refused = status.is_none_or(|status| (400..500).contains(&status));
        assert!(is_refused, "{status:?} to {}", &request[..request.len().min(60)]);
        assert_eq!(fixture.get("/health").status, Some(200));
    }
}

#[test]
fn those_that_say_nothing_are_closed_and_do_not_keep_others_out() {
    let fixture = Fixture::start(|_| ());
    // More than may be connected at a time: half of them in the middle of a header.
    let mut silent: Vec<_> = (0..40).map(|_| connect(fixture.admin.address())).collect();
    for stream in silent.iter_mut().step_by(2) {
        stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: loc").unwrap();
    }
    // It gets its turn when those before it have been given up.
    assert_eq!(fixture.get("/health").status, Some(200));
    for stream in &mut silent {
        let answer = Answer::read(stream);
        assert!(answer.status.is_none_or(|status| status == 408), "{answer:?}");
        assert_eq!(stream.read(&mut [0]).unwrap_or(0), 0, "it is closed");
    }
}

/// A request that only looks, as it is sent.
fn look(fixture: &Fixture, path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: {}\r\n\r\n", fixture.admin.address())
}

/// Asks whether the server is ready; whether the connection is kept, and nothing if it has ended.
fn ask_ready(fixture: &Fixture, stream: &mut TcpStream) -> Option<bool> {
    stream.write_all(look(fixture, "/ready").as_bytes()).ok()?;
    let mut answer = Vec::new();
    while !answer.ends_with(b"accepted\n") {
        let mut part = [0; 512];
        let count = stream.read(&mut part).ok().filter(|count| *count > 0)?;
        answer.extend_from_slice(&part[..count]);
    }
    let answer = String::from_utf8(answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    Some(!answer.contains("connection: close"))
}

#[test]
fn who_looks_keeps_the_connection_until_nothing_is_asked() {
    let fixture = Fixture::start(|_| ());
    let mut stream = connect(fixture.admin.address());
    for _ in 0..3 {
        assert_eq!(ask_ready(&fixture, &mut stream), Some(true));
    }
    assert_eq!(stream.read(&mut [0]).unwrap(), 0, "it is closed, with nothing more said");
    let three = fixture.ask_as_it_is(&look(&fixture, "/ready").repeat(3));
    assert_eq!(three.body.matches("connections are accepted\n").count(), 3, "{three:?}");
}

#[test]
fn behind_a_change_and_a_refusal_nothing_is_answered() {
    let fixture = Fixture::start(|_| ());
    let host = fixture.admin.address();
    let own = format!("Host: {host}\r\n");
    for (status, first) in [
        (200, format!("POST /api/v1/accepting/resume HTTP/1.1\r\n{own}X-Wharf-Admin: 1\r\n\r\n")),
        (403, format!("POST /api/v1/accepting/resume HTTP/1.1\r\n{own}\r\n")),
        (404, format!("GET /nowhere HTTP/1.1\r\n{own}\r\n")),
        (405, format!("HEAD /ready HTTP/1.1\r\n{own}\r\n")),
        (421, "GET /ready HTTP/1.1\r\nHost: evil.example\r\n\r\n".to_owned()),
        (200, format!("GET /ready HTTP/1.1\r\n{own}Content-Length: 2\r\n\r\n{{}}")),
        (200, format!("GET /ready HTTP/1.1\r\n{own}Connection: close\r\n\r\n")),
        (200, format!("GET /ready HTTP/1.0\r\n{own}\r\n")),
    ] {
        let answer = fixture.ask_as_it_is(&format!("{first}{}", look(&fixture, "/metrics")));
        assert_eq!(answer.status, Some(status), "{first}");
        assert!(!answer.body.contains("HTTP/1.1"), "{first}: {}", answer.body);
        let is_said = answer.head.contains("connection: close") || first.contains("HTTP/1.0");
        assert!(is_said, "{first}: {}", answer.head);
    }
}

#[test]
fn those_who_stay_leave_half_of_the_places_to_others() {
    let fixture = Fixture::start(|_| ());
    let mut staying: Vec<TcpStream> = Vec::new();
    for _ in 0..40 {
        let mut stream = connect(fixture.admin.address());
        match ask_ready(&fixture, &mut stream) {
            Some(true) => staying.push(stream),
            kept => assert_eq!(kept, Some(false), "who comes is answered"),
        }
        // They go on asking, so that none is closed for saying nothing.
        staying.retain_mut(|stream| ask_ready(&fixture, stream) == Some(true));
        assert!(staying.len() <= 16, "{}", staying.len());
    }
    assert!(!staying.is_empty());
    assert_eq!(fixture.get("/health").status, Some(200));
}

#[test]
fn an_open_address_needs_a_token() {
    let fixture = Fixture::start(|_| ());
    let open = AdminOptions::new(([0, 0, 0, 0], 0).into());
    let error = Admin::start(fixture.server(), open).unwrap_err();
    let said = "an admin endpoint on 0.0.0.0:0 needs a token, since it is no loopback address";
    assert_eq!(error.to_string(), said);
}
