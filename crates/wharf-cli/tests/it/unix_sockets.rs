//! The program over Unix domain sockets.

use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

use serde_json::Value;
use tempfile::TempDir;

use crate::program::{Ended, run, run_json, wharf};
use crate::serving::{PATIENCE, Serving, Signal, backends};

/// A directory of a test's own.
struct Place(TempDir);

impl Place {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// The address of a socket in it.
    fn at(&self, name: &str) -> String {
        format!("unix:{}", self.path(name).display())
    }

    fn is_empty(&self) -> bool {
        self.0.path().read_dir().unwrap().next().is_none()
    }
}

fn connect(path: &Path) -> UnixStream {
    let stream = UnixStream::connect(path).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.set_write_timeout(Some(PATIENCE)).unwrap();
    stream
}

#[track_caller]
fn check_echo(path: &Path) {
    let mut stream = connect(path);
    stream.write_all(b"hello").unwrap();
    let mut back = [0; 5];
    stream.read_exact(&mut back).unwrap();
    assert_eq!(&back, b"hello");
}

/// A load of a moment, from a server at this address.
fn load(server: &str, arguments: &str) -> (Ended, Value) {
    let mut command = wharf(["load", "echo", "--connect", server]);
    command.args(arguments.split_whitespace());
    run_json(command)
}

#[test]
fn a_server_listens_at_a_path_and_a_load_compares_every_byte() {
    for backend in backends() {
        let place = Place::new();
        let address = place.at("socket");
        let framing = "--framing u32le";
        let flags = format!("--backend {backend} --listen {address} --unix-mode 600 {framing}");
        let serving = Serving::start(&flags);
        assert!(
            serving.line.starts_with(&format!("listening on {address} backend=")),
            "{}",
            serving.line
        );
        let mode = place.path("socket").metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, 0o600);
        let run = format!("--sessions 20 --messages 100 --size 5000 --backend {backend} {framing}");
        let (ended, report) = load(&address, &run);
        assert_eq!(ended.code, Some(0), "{ended:?}");
        assert_eq!((&report["received"], &report["wrong"]), (&Value::from(2000), &Value::from(0)));
        assert!(ended.stderr.contains(&format!("echo {address}: 20 sessions")), "{ended:?}");
        serving.stop();
        assert!(place.is_empty(), "{backend}");
    }
}

#[test]
fn a_server_that_was_killed_leaves_a_file_that_the_next_one_takes_over() {
    let place = Place::new();
    let address = place.at("socket");
    for _ in 0..3 {
        let serving = Serving::start(&format!("--listen {address}"));
        check_echo(&place.path("socket"));
        let second = run(wharf(["serve", "echo", "--listen", &address]));
        assert_eq!(second.code, Some(1), "{second:?}");
        assert!(second.stderr.contains("is in use by another server"), "{second:?}");
        check_echo(&place.path("socket"));
        serving.signal(Signal::KILL);
        drop(serving);
        assert!(place.path("socket").exists(), "it has had no time to clean up");
    }
    let serving = Serving::start(&format!("--listen {address}"));
    serving.stop();
    assert!(place.is_empty());
}

#[test]
fn what_a_path_cannot_be_is_one_line() {
    let place = Place::new();
    std::fs::write(place.path("file"), "precious").unwrap();
    let _stranger = UnixListener::bind(place.path("taken")).unwrap();
    let long = format!("unix:{}", place.path(&"p".repeat(200)).display());
    let [file, taken, missing] = ["file", "taken", "missing/socket"].map(|name| place.at(name));
    for (arguments, code, says) in [
        (vec!["--listen", &file], 1, "is a file, and no socket: choose another path"),
        (vec!["--listen", &taken], 1, "is in use by another server: choose another path"),
        (vec!["--listen", &missing], 1, "its directory does not exist"),
        (vec!["--listen", &long], 2, "bytes, this one has"),
        (vec!["--listen", "unix:"], 2, "a Unix socket needs a path: unix:/path"),
        (vec!["--listen", r"unix:/a\"], 2, "a backslash in the path of a Unix socket"),
        (vec!["--listen", &file, "--unix-mode", "888"], 2, "give permissions in octal"),
        (vec!["--unix-mode", "660"], 2, "--unix-mode is for the files of Unix sockets"),
        (vec!["--listen", "unix:@a", "--unix-mode", "660"], 2, "--unix-mode is for the files"),
        (vec!["--proxy-from", "unix"], 2, "--proxy-from unix is for Unix sockets"),
        (vec!["--listen", &file, "--dual-stack", "on"], 2, "--dual-stack is for IPv6 addresses"),
        (vec!["--listen", &file, "--listen", &file], 2, "is given twice"),
    ] {
        let ended = run(wharf(["serve", "echo"].iter().chain(&arguments)));
        assert_eq!(ended.code, Some(code), "{arguments:?}: {ended:?}");
        assert!(ended.stderr.contains(says), "{arguments:?}: {ended:?}");
        assert_eq!(ended.stderr.trim_end().lines().count(), 1, "{arguments:?}: {ended:?}");
    }
    assert_eq!(std::fs::read_to_string(place.path("file")).unwrap(), "precious");
    let nobody = run(wharf(["load", "echo", "--connect", &missing, "--sessions", "1"]));
    assert_eq!(nobody.code, Some(4), "{nobody:?}");
    assert!(nobody.stderr.contains("there is no such socket"), "{nobody:?}");
}

/// The path of a config file has everything that a flag's has.
#[test]
fn a_config_file_names_a_path_and_its_mode() {
    let place = Place::new();
    let address = place.at("socket");
    let config = place.path("wharf.toml");
    let text =
        format!("listen = [\"{address}\", \"127.0.0.1:0\"]\n[sockets]\nunix-mode = \"660\"\n");
    std::fs::write(&config, text).unwrap();
    let mut command = wharf(["serve", "echo", "--config"]);
    command.arg(&config);
    let serving = Serving::spawn(command);
    assert!(
        serving.line.starts_with(&format!("listening on {address},127.0.0.1:")),
        "{}",
        serving.line
    );
    check_echo(&place.path("socket"));
    let mode = place.path("socket").metadata().unwrap().permissions().mode() & 0o777;
    assert_eq!(mode, 0o660);
    serving.stop();
}

/// Networks say nothing of Unix sockets, and their proxies announce themselves like others.
#[test]
fn peers_of_unix_sockets_are_let_in_and_may_be_proxies() {
    let place = Place::new();
    let address = place.at("socket");
    let serving =
        Serving::start(&format!("--listen {address} --allow 10.0.0.0/8 --deny 0.0.0.0/0"));
    check_echo(&place.path("socket"));
    serving.stop();
    let serving = Serving::start(&format!("--listen {address} --proxy-from unix --deny 192.0.2.1"));
    for (source, is_served) in [("192.0.2.1", false), ("192.0.2.2", true)] {
        let mut stream = connect(&place.path("socket"));
        let header = format!("PROXY TCP4 {source} 198.51.100.1 5000 80\r\nhello");
        stream.write_all(header.as_bytes()).unwrap();
        let mut back = [0; 5];
        assert_eq!(stream.read_exact(&mut back).is_ok(), is_served, "{source}");
    }
    serving.stop();
}

#[test]
fn a_proxy_stands_between_two_paths() {
    let place = Place::new();
    let (server, own) = (place.at("server"), place.at("proxy"));
    let serving = Serving::start(&format!("--listen {server}"));
    let proxy = Serving::spawn(wharf(["proxy", "--connect", &server, "--listen", &own]));
    assert!(proxy.line.starts_with(&format!("listening on {own} backend=")), "{}", proxy.line);
    check_echo(&place.path("proxy"));
    let itself = run(wharf(["proxy", "--connect", &own, "--listen", &own]));
    assert_eq!(itself.code, Some(1), "{itself:?}");
    proxy.stop();
    serving.stop();
    let itself = run(wharf(["proxy", "--connect", &own, "--listen", &own]));
    assert_eq!(itself.code, Some(2), "{itself:?}");
    assert!(itself.stderr.contains("is where the proxy itself listens"), "{itself:?}");
    assert!(place.is_empty());
}

#[cfg(target_os = "linux")]
#[test]
fn an_abstract_name_is_listened_on_and_leaves_nothing() {
    let name = format!("unix:@wharf-cli-{}", std::process::id());
    let serving = Serving::start(&format!("--listen {name}"));
    let (ended, report) = load(&name, "--sessions 2 --messages 10");
    assert_eq!((ended.code, &report["received"]), (Some(0), &Value::from(20)), "{ended:?}");
    serving.stop();
}
