//! The chat server with real clients, from its start to its end.

#![cfg(unix)]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(60);

/// The server in a folder of its own, which ends with its test.
struct Server {
    child: Child,
    said: BufReader<ChildStdout>,
    address: SocketAddr,
}

impl Server {
    /// With the options of the guide, but for the address.
    fn start(name: &str) -> Self {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        std::fs::create_dir_all(&folder).unwrap();
        let options = include_str!("../chat.toml");
        assert!(options.contains("\"0.0.0.0:7777\""));
        let options = options.replace("\"0.0.0.0:7777\"", "\"127.0.0.1:0\"");
        std::fs::write(folder.join("chat.toml"), options).unwrap();
        std::fs::write(folder.join("welcome.txt"), "Be kind to each other.\n").unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_chat-server"));
        command.arg("chat.toml").current_dir(folder).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut said = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        said.read_line(&mut line).unwrap();
        let address = line.split(' ').nth(2).and_then(|it| it.parse().ok());
        Self { child, said, address: address.unwrap_or_else(|| panic!("it said '{line}'")) }
    }

    /// Somebody who has said a name, and is in the lobby.
    fn guest(&self, name: &str) -> Guest {
        let stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut guest = Guest(BufReader::new(stream));
        assert_eq!(guest.hear(), "* your name?");
        assert_eq!(guest.hear(), "Be kind to each other.");
        guest.say(name);
        assert_eq!(guest.hear(), format!("* {name} has come to lobby"));
        guest
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

struct Guest(BufReader<TcpStream>);

impl Guest {
    fn say(&mut self, line: &str) {
        self.0.get_mut().write_all(format!("{line}\n").as_bytes()).unwrap();
    }

    /// The next line; an empty one at the end of the stream.
    #[track_caller]
    fn hear(&mut self) -> String {
        let mut line = String::new();
        self.0.read_line(&mut line).expect("a line in time");
        line.trim_end().to_owned()
    }
}

#[test]
fn guests_chat_and_a_signal_ends_it_in_order() {
    let mut server = Server::start("chat");
    let (mut ann, mut bob) = (server.guest("ann"), server.guest("bob"));
    assert_eq!(ann.hear(), "* bob has come to lobby");

    bob.say("hello \x1b[2J there");
    assert_eq!(ann.hear(), "bob: hello [2J there", "without the control character");
    assert_eq!(bob.hear(), "bob: hello [2J there");
    ann.say("/tell bob psst");
    assert_eq!(bob.hear(), "ann whispers: psst");
    ann.say("/tell cid psst");
    assert_eq!(ann.hear(), "* there is no cid here");
    bob.say("/join attic");
    assert_eq!(ann.hear(), "* bob has left for attic");
    assert_eq!(bob.hear(), "* bob has left for attic");
    assert_eq!(bob.hear(), "* bob has come to attic");
    ann.say("/who");
    assert_eq!(ann.hear(), "ann");

    let pid = server.child.id().to_string();
    assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
    for guest in [&mut ann, &mut bob] {
        assert_eq!(guest.hear(), "* the server ends, come back soon");
        assert_eq!(guest.hear(), "", "the end of the stream");
    }
    drop((ann, bob));
    let mut rest = String::new();
    server.said.read_to_string(&mut rest).unwrap();
    assert_eq!(rest, "2 sessions drained, 0 forced, 0 bytes lost\n");
    assert!(server.child.wait().unwrap().success());
}

#[test]
fn a_line_that_is_too_long_ends_its_guest_and_nobody_else() {
    let server = Server::start("too-long");
    let (mut ann, mut bob) = (server.guest("ann"), server.guest("bob"));
    assert_eq!(ann.hear(), "* bob has come to lobby");
    bob.say(&"x".repeat(2 << 10));
    let left = ann.hear();
    assert!(left.starts_with("* bob has left: "), "{left}");
    ann.say("still here");
    assert_eq!(ann.hear(), "ann: still here");
}

#[test]
fn options_that_are_wrong_are_told_and_fail_the_start() {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let file = folder.join("wrong.toml");
    std::fs::write(&file, "listen = \"127.0.0.1:0\"\nsesions-max = 5\n").unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_chat-server")).arg(&file).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("line 2") && said.contains("sesions-max"), "{said}");
}
