//! The endpoint on a Unix socket.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;

use wharf::{Address, Server, UnixAddress};
use wharf_admin::{Admin, AdminOptions, AdminSocket};

use crate::support::{Fixture, PATIENCE};

fn options(path: &Path) -> AdminOptions {
    AdminOptions::at(UnixAddress::at(path).unwrap().into())
}

/// Sends a request and gives the first line and what is behind the headers.
fn ask(path: &Path, request: &str) -> (String, String) {
    let mut stream = UnixStream::connect(path).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.lines().next().unwrap().to_owned(), body.to_owned())
}

/// What is in a directory.
fn names_in(place: &Path) -> Vec<String> {
    let names = place.read_dir().unwrap().map(|it| it.unwrap().file_name());
    names.map(|name| name.to_string_lossy().into_owned()).collect()
}

#[test]
fn it_answers_its_owner_without_a_port_or_a_token_and_leaves_nothing() {
    let fixture = Fixture::start(|_| ());
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("admin");
    let admin = Admin::start(fixture.server(), options(&path)).unwrap();
    assert_eq!(admin.address().to_string(), format!("unix:{}", path.display()));
    let mode = path.metadata().unwrap().permissions().mode() & 0o7777;
    assert_eq!(mode, 0o600, "{mode:o}");
    let ready = "GET /ready HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n";
    let (status, body) = ask(&path, &format!("{ready}\r\n"));
    assert_eq!((&*status, &*body), ("HTTP/1.1 200 OK", "connections are accepted\n"));
    let pause = "POST /api/v1/accepting/pause HTTP/1.1\r\nHost: localhost\r\n";
    let (status, _) = ask(&path, &format!("{pause}\r\n"));
    assert_eq!(status, "HTTP/1.1 403 Forbidden", "a change needs its header here, too");
    let (status, _) = ask(&path, &format!("{pause}X-Wharf-Admin: 1\r\n\r\n"));
    assert_eq!(status, "HTTP/1.1 200 OK");
    assert!(!fixture.server().is_accepting());
    let (status, _) = ask(&path, "GET /ready HTTP/1.1\r\nHost: evil.example\r\n\r\n");
    assert_eq!(status, "HTTP/1.1 421 Misdirected Request");
    let (status, _) = ask(&path, &format!("{ready}Origin: http://evil.example\r\n\r\n"));
    assert_eq!(status, "HTTP/1.1 403 Forbidden");
    drop(admin);
    assert!(names_in(place.path()).is_empty(), "{:?}", names_in(place.path()));
}

#[test]
fn a_token_is_asked_for_if_there_is_one() {
    let fixture = Fixture::start(|_| ());
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("admin");
    let mut options = options(&path);
    options.token = Some("a-token-of-some-length".to_owned());
    let _admin = Admin::start(fixture.server(), options).unwrap();
    let ready = "GET /ready HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n";
    assert_eq!(ask(&path, &format!("{ready}\r\n")).0, "HTTP/1.1 401 Unauthorized");
    let bearer = "Authorization: Bearer a-token-of-some-length";
    assert_eq!(ask(&path, &format!("{ready}{bearer}\r\n\r\n")).0, "HTTP/1.1 200 OK");
}

#[test]
fn what_is_there_already_is_told_apart() {
    let fixture = Fixture::start(|_| ());
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("admin");
    let said = |options| Admin::start(fixture.server(), options).unwrap_err().to_string();
    std::fs::write(&path, "precious").unwrap();
    let line = said(options(&path));
    assert!(line.starts_with("the admin endpoint cannot listen: "), "{line}");
    assert_eq!(std::fs::read(&path).unwrap(), b"precious");
    std::fs::remove_file(&path).unwrap();
    // A server that has died leaves its file.
    drop(UnixListener::bind(&path).unwrap());
    let admin = Admin::start(fixture.server(), options(&path)).unwrap();
    let line = said(options(&path));
    assert!(line.contains("in use") && line.contains(path.to_str().unwrap()), "{line}");
    assert!(UnixStream::connect(&path).is_ok(), "who is there stays there");
    drop(admin);
    let line = said(AdminOptions::at(UnixAddress::named("wharf-admin-test").unwrap().into()));
    assert!(line.contains("needs a token") && line.contains("unix:@wharf-admin-test"), "{line}");
}

#[test]
fn an_address_is_had_before_there_is_a_server() {
    let socket = AdminSocket::bind(AdminOptions::new(([127, 0, 0, 1], 0).into())).unwrap();
    let address = socket.address().clone();
    let Address::Tcp(tcp) = &address else { panic!("{address}") };
    assert_ne!(tcp.port(), 0);
    // Who comes early waits.
    let mut early = TcpStream::connect(&address).unwrap();
    early.set_read_timeout(Some(PATIENCE)).unwrap();
    early
        .write_all(b"GET /ready HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        .unwrap();
    assert!(AdminSocket::bind(AdminOptions::at(address)).is_err(), "nobody else gets it");
    struct Nothing;
    impl wharf::Session for Nothing {
        fn on_frame(&mut self, _: &mut wharf::Context<'_>, _: &[u8]) -> wharf::Outcome {
            Ok(())
        }
    }
    let running = Server::bind("127.0.0.1:0").workers(1).start(|_| Nothing).unwrap();
    let _admin = socket.start(running.handle()).unwrap();
    let mut answer = String::new();
    early.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
}
