//! The examples, run as a reader would run them.

#![cfg(unix)]
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on has failed")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// For everything that a test waits for.
const PATIENCE: Duration = Duration::from_secs(20);

/// A running example, which ends with its test.
struct Example {
    child: Child,
    address: SocketAddr,
}

impl Example {
    fn start(name: &str) -> Self {
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        Self::start_at(&build(name), address)
    }

    fn start_at(program: &Path, address: SocketAddr) -> Self {
        let child = Command::new(program).arg(address.to_string()).stdout(Stdio::null()).spawn();
        Self { child: child.unwrap_or_else(|error| panic!("{program:?}: {error}")), address }
    }

    /// A client. The first one may have to wait until the example listens.
    fn connect(&mut self) -> TcpStream {
        let (_never, pause) = std::sync::mpsc::channel::<()>();
        for _ in 0..2000 {
            if let Ok(stream) = TcpStream::connect(self.address) {
                stream.set_read_timeout(Some(PATIENCE)).unwrap();
                return stream;
            }
            let ended = self.child.try_wait().unwrap();
            assert!(ended.is_none(), "the example has ended: {ended:?}");
            let _ = pause.recv_timeout(Duration::from_millis(10));
        }
        panic!("nobody listens at {}", self.address)
    }
}

/// Builds an example next to where this test lies: `cargo test NAME` leaves them out, or old.
fn build(name: &str) -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let profile = test.parent().unwrap().parent().unwrap();
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["build", "--quiet", "--package", env!("CARGO_PKG_NAME"), "--example", name]);
    cargo.arg("--manifest-path").arg(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml"));
    cargo.arg("--target-dir").arg(profile.parent().unwrap());
    if profile.ends_with("release") {
        cargo.arg("--release");
    }
    assert!(cargo.status().unwrap().success(), "{cargo:?}");
    profile.join("examples").join(name)
}

impl Drop for Example {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Somebody at a terminal.
struct Guest(BufReader<TcpStream>);

impl Guest {
    fn say(&mut self, line: &str) {
        self.0.get_mut().write_all(format!("{line}\n").as_bytes()).unwrap();
    }

    #[track_caller]
    fn hear(&mut self) -> String {
        let mut line = String::new();
        self.0.read_line(&mut line).expect("a line in time");
        line.trim_end().to_owned()
    }

    /// The lines up to one that has this in it.
    #[track_caller]
    fn hear_with(&mut self, what: &str) {
        loop {
            let line = self.hear();
            assert!(!line.is_empty(), "the example closed the connection before '{what}'");
            if line.contains(what) {
                return;
            }
        }
    }

    /// The lines up to one that ends like this.
    #[track_caller]
    fn hear_until(&mut self, end: &str) -> String {
        loop {
            let line = self.hear();
            assert!(!line.is_empty(), "the example closed the connection before '{end}'");
            if line.ends_with(end) {
                return line;
            }
        }
    }
}

#[test]
fn echo_sends_everything_back() {
    let mut example = Example::start("echo");
    let mut client = example.connect();
    client.write_all(b"hello").unwrap();
    let mut echo = [0; 5];
    client.read_exact(&mut echo).unwrap();
    assert_eq!(&echo, b"hello");
}

#[test]
fn an_example_that_cannot_start_says_why_in_a_sentence() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let output = Command::new(build("echo")).arg(&address).output().unwrap();
    assert!(!output.status.success());
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.starts_with("Error: ") && said.contains("in use"), "{said}");
    assert!(said.contains(&address) && !said.contains("AddressInUse"), "{said}");
}

#[test]
fn chat_has_names_rooms_and_a_list_of_who_is_there() {
    let mut example = Example::start("chat");
    let mut guests: [Guest; 3] = std::array::from_fn(|_| Guest(BufReader::new(example.connect())));
    for (guest, name) in guests.iter_mut().zip(["ann", "bob", "cid"]) {
        guest.say(&format!("/name {name}"));
        guest.hear_until(&format!("is {name} now"));
    }
    let [ann, bob, cid] = &mut guests;
    ann.say("hello");
    assert_eq!(bob.hear_until("hello"), "ann: hello");
    assert_eq!(cid.hear_until("hello"), "ann: hello");

    cid.say("/join attic");
    cid.hear_until("* cid has come to attic");
    bob.hear_until("* cid has left");
    cid.say("anybody?");
    assert_eq!(cid.hear(), "cid: anybody?");

    bob.say("/who");
    let there = bob.hear();
    let mut names: Vec<&str> = there.split(", ").collect();
    names.sort_unstable();
    assert_eq!(names, ["ann", "bob"], "and nothing that was said in the attic");

    ann.0.get_ref().shutdown(std::net::Shutdown::Both).unwrap();
    bob.hear_until("* ann has left: the peer closed the connection");
}

#[test]
fn the_chat_of_the_readme_is_the_example_lobby_in_at_most_30_lines() {
    let (_, code) = include_str!("../examples/lobby.rs").split_once("\n\n").unwrap();
    assert!(code.lines().count() <= 30, "{} lines", code.lines().count());
    let block = format!("```rust,no_run\n{code}```\n");
    assert!(include_str!("../../../README.md").contains(&block), "the README has another chat");
}

#[test]
fn who_does_not_read_leaves_the_lobby_and_delays_nobody() {
    let mut example = Example::start("lobby");
    let mut guests: [Guest; 3] = std::array::from_fn(|_| Guest(BufReader::new(example.connect())));
    // All are there when all have heard the last.
    for guest in &mut guests {
        guest.say("hello");
        guest.hear_until(": hello");
    }
    let [_stopped, talker, listener] = &mut guests;
    // More than the buffers on the way to one who has stopped hold.
    let line = "x".repeat(32 << 10);
    let mut reason = None;
    for _ in 0..4096 {
        talker.say(&line);
        for guest in [&mut *talker, &mut *listener] {
            let mut heard = guest.hear();
            while !heard.ends_with(&line) {
                let is_news = heard.contains("has left") || heard.ends_with(": hello");
                assert!(is_news, "a line is missing or torn: {:.80}", heard);
                reason = reason.or_else(|| heard.contains("has left").then_some(heard));
                heard = guest.hear();
            }
        }
        if reason.is_some() {
            break;
        }
    }
    let reason = reason.expect("one who does not read has left");
    assert!(reason.ends_with("has left: the peer reads too slowly"), "{reason}");
}

#[test]
fn reconnect_tells_each_time_once_that_its_server_was_killed_and_is_back() {
    let (echo, reconnect) = (build("echo"), build("reconnect"));
    let mut server = Example::start("echo");
    let address = server.address;
    let mut command = Command::new(&reconnect);
    command.arg(address.to_string()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut client = Example { child: command.spawn().unwrap(), address };
    let said = BufReader::new(client.child.stdout.take().unwrap());
    let (sender, lines) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        said.lines().map_while(Result::ok).try_for_each(|it| sender.send(it))
    });
    let next = || lines.recv_timeout(PATIENCE).expect("the client says something");
    let mut times = 0;
    for kill in 0..=100 {
        // A server that is killed may have let one more in that it never answered.
        loop {
            assert_eq!(next(), format!("connected to {address}, reconnect {times}"));
            times += 1;
            let line = next();
            if line == format!("heard hello {}", times - 1) {
                break;
            }
            assert!(line.starts_with("lost: the peer "), "{line}");
        }
        if kill < 100 {
            drop(server);
            let lost = next();
            assert!(lost.starts_with("lost: the peer "), "{lost}");
            server = Example::start_at(&echo, address);
        }
    }
    let ended = client.child.try_wait().unwrap();
    assert!(ended.is_none(), "the client has ended: {ended:?}");
    assert_eq!(lines.try_iter().next(), None, "nothing is said twice");
}

#[test]
fn the_arena_ticks_for_dummies_and_guests_alike() {
    let mut example = Example::start("arena");
    let mut guest = Guest(BufReader::new(example.connect()));
    // "tick 7: 201 players, 1200 steps"
    guest.hear_with(": 201 players,");
    let numbers = |line: String| -> [u64; 3] {
        let words = line.split(|c: char| !c.is_ascii_digit()).filter(|word| !word.is_empty());
        let numbers: Vec<u64> = words.map(|word| word.parse().unwrap()).collect();
        numbers.try_into().unwrap()
    };
    let first = numbers(guest.hear());
    let mut before = first;
    for _ in 0..20 {
        let now = numbers(guest.hear());
        assert!(now[0] > before[0] && now[2] >= before[2], "{before:?}, then {now:?}");
        before = now;
    }
    assert!(before[2] > first[2] + 200, "the dummies take steps: {first:?}, then {before:?}");
    guest.0.get_ref().shutdown(std::net::Shutdown::Both).unwrap();
    let mut other = Guest(BufReader::new(example.connect()));
    // One has left, and one has come, in either order.
    other.hear_with(": 201 players,");
}

/// The bytes of a stream, each of which says where it belongs.
fn stream(from: usize, len: usize) -> Vec<u8> {
    (from..from + len).map(|at| (at % 65_521).wrapping_mul(0x9E37_79B9).to_le_bytes()[2]).collect()
}

/// A gateway, and the upstream server of the test behind it.
fn gateway() -> (Example, TcpListener) {
    let upstream = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut command = Command::new(build("gateway"));
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    command.args([address.to_string(), upstream.local_addr().unwrap().to_string()]);
    let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    (Example { child, address }, upstream)
}

/// A client of the gateway, and its other half at the upstream server.
fn pair(gateway: &mut Example, upstream: &TcpListener) -> [TcpStream; 2] {
    let client = gateway.connect();
    let half = upstream.accept().unwrap().0;
    half.set_read_timeout(Some(PATIENCE)).unwrap();
    [client, half]
}

/// Writes a stream of so many bytes while another thread reads it, slowly for a while, and compares it.
fn flows(mut from: &TcpStream, mut to: &TcpStream, len: usize) {
    const STEP: usize = 64 << 10;
    std::thread::scope(|scope| {
        scope.spawn(move || {
            let (_never, pause) = std::sync::mpsc::channel::<()>();
            let mut bytes = vec![0; STEP];
            for at in (0..len).step_by(STEP) {
                if at < len / 8 {
                    let _ = pause.recv_timeout(Duration::from_millis(5));
                }
                to.read_exact(&mut bytes).unwrap();
                assert!(bytes == stream(at, STEP), "wrong bytes behind {at}");
            }
        });
        for at in (0..len).step_by(STEP) {
            from.write_all(&stream(at, STEP)).unwrap();
        }
    });
}

#[test]
fn the_gateway_forwards_both_ways_at_once_and_loses_nothing_to_slow_readers() {
    const LEN: usize = 16 << 20;
    let (mut gateway, upstream) = gateway();
    let pairs: [_; 3] = std::array::from_fn(|_| pair(&mut gateway, &upstream));
    std::thread::scope(|scope| {
        for [client, half] in &pairs {
            scope.spawn(|| flows(client, half, LEN));
            scope.spawn(|| flows(half, client, LEN));
        }
    });
}

#[test]
fn the_gateway_forwards_ends_and_resets() {
    let (mut gateway, upstream) = gateway();
    for order in [[0, 1], [1, 0]] {
        let both = pair(&mut gateway, &upstream);
        let [mut first, mut second] = order.map(|side: usize| &both[side]);
        first.write_all(b"the last words").unwrap();
        first.shutdown(std::net::Shutdown::Write).unwrap();
        let mut heard = String::new();
        second.read_to_string(&mut heard).unwrap();
        assert_eq!(heard, "the last words", "and then an end");
        // The other direction goes on until it ends as well.
        flows(second, first, 4 << 20);
        second.shutdown(std::net::Shutdown::Write).unwrap();
        assert_eq!(first.read(&mut [0]).unwrap(), 0, "and then another");

        let [client, half] = pair(&mut gateway, &upstream);
        let mut both = [Some(client), Some(half)];
        let [first, mut second] = order.map(|side: usize| both[side].take().unwrap());
        second.write_all(b"not read").unwrap();
        let _ = first.peek(&mut [0]).unwrap();
        // Closing with something unread is a reset.
        drop(first);
        let error = second.read(&mut [0]).unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
    }
    drop(upstream);
    // There is nobody to forward to. The client may be so late that it never is connected.
    let mut client = gateway.connect();
    let answer = client.read(&mut [0]);
    assert_eq!(answer.unwrap_err().kind(), std::io::ErrorKind::ConnectionReset);
}

/// A player of the typed protocol, which writes what postcard would: a string is its length and its bytes, and a
/// signed number is folded so that small ones of either sign take one byte.
struct TypedPlayer(TcpStream);

impl TypedPlayer {
    fn send(&mut self, id: u16, body: &[u8]) {
        let size = u16::try_from(body.len() + 4).unwrap();
        let header = [size.to_le_bytes(), id.to_le_bytes()].concat();
        self.0.write_all(&[&header, body].concat()).unwrap();
    }

    fn expect(&mut self, id: u16, body: &[u8]) {
        let mut header = [0; 4];
        self.0.read_exact(&mut header).unwrap();
        let size = usize::from(u16::from_le_bytes([header[0], header[1]]));
        let mut got = vec![0; size - 4];
        self.0.read_exact(&mut got).unwrap();
        assert_eq!((&header[2..], &got[..]), (&id.to_le_bytes()[..], body));
    }
}

#[test]
fn the_typed_protocol_dispatches_messages_and_ends_who_sends_none() {
    let mut example = Example::start("typed");
    let mut ann = TypedPlayer(example.connect());
    ann.send(1, b"\x03ann");
    ann.expect(101, &[1]);
    let mut bob = TypedPlayer(example.connect());
    bob.send(1, b"\x03bob");
    bob.expect(101, &[2]);
    // -3 is 5, and 400 is 800 in two pieces of seven bits.
    bob.send(2, &[5, 0xa0, 0x06]);
    for player in [&mut ann, &mut bob] {
        player.expect(102, b"\x03bob\x05\xa0\x06");
    }
    let wrong: [(u16, &[u8]); 5] = [
        (7, b""),                // no message
        (101, &[1]),             // one that only the server sends
        (2, &[1]),               // half of one
        (1, b"\x03eve and ten"), // more than one
        (2, &[1, 1]),            // too early
    ];
    for (id, body) in wrong {
        let mut eve = TypedPlayer(example.connect());
        eve.send(id, body);
        assert_eq!(eve.0.read(&mut [0]).unwrap(), 0, "message {id} with {body:?} ends the session");
    }
    bob.send(2, &[0, 0]);
    ann.expect(102, b"\x03bob\0\0");
}

#[test]
fn the_examples_to_start_from_are_short() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples");
    let own = ["arena", "gateway", "reconnect", "typed", "simulated"];
    let own = own.map(|name| folder.join(format!("{name}.rs")));
    let others = [folder.join("../../../examples/database/src/main.rs")];
    for name in own.iter().chain(&others) {
        let text = std::fs::read_to_string(name).unwrap();
        assert!(text.lines().count() <= 80, "{name:?} has {} lines", text.lines().count());
    }
}
