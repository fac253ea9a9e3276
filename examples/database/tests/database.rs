//! The example against a real database: SQLite in a file, or what `DATABASE_URL` names.

use std::io::{BufRead, BufReader, ErrorKind, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::channel;
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(60);

/// The example, which ends with its test.
struct Example {
    child: Child,
    address: SocketAddr,
}

impl Example {
    fn start(folder: &Path) -> Self {
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let url = std::env::var("DATABASE_URL")
            .unwrap_or_else(|_| format!("sqlite:{}/scores.db?mode=rwc", folder.display()));
        let child = Command::new(env!("CARGO_BIN_EXE_database"))
            .args([address.to_string(), url])
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        Self { child, address }
    }

    /// A client. The first one may have to wait until the example listens.
    fn connect(&mut self) -> Asker {
        let (_never, pause) = channel::<()>();
        for _ in 0..6_000 {
            if let Ok(stream) = TcpStream::connect(self.address) {
                stream.set_read_timeout(Some(PATIENCE)).unwrap();
                return Asker(BufReader::new(stream));
            }
            assert!(self.child.try_wait().unwrap().is_none(), "the example has ended");
            let _ = pause.recv_timeout(Duration::from_millis(10));
        }
        panic!("nobody listens at {}", self.address)
    }
}

impl Drop for Example {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

struct Asker(BufReader<TcpStream>);

impl Asker {
    fn ask(&mut self, question: &str) {
        self.0.get_mut().write_all(format!("{question}\n").as_bytes()).unwrap();
    }

    #[track_caller]
    fn hear(&mut self) -> String {
        let mut line = String::new();
        self.0.read_line(&mut line).expect("an answer in time");
        line.trim_end().to_owned()
    }

    #[track_caller]
    fn expect(&mut self, question: &str, answer: &str) {
        self.ask(question);
        assert_eq!(self.hear(), answer, "{question}");
    }

    fn hears_nothing(&mut self) -> bool {
        assert!(self.0.buffer().is_empty());
        self.0.get_ref().set_nonblocking(true).unwrap();
        let peeked = self.0.get_ref().peek(&mut [0]);
        self.0.get_ref().set_nonblocking(false).unwrap();
        matches!(peeked, Err(error) if error.kind() == ErrorKind::WouldBlock)
    }
}

/// One test: PostgreSQL is there only once.
#[test]
fn questions_are_answered_and_a_slow_one_delays_nobody() {
    let folder = tempfile::tempdir().unwrap();
    let mut example = Example::start(folder.path());
    let (mut slow, mut fast) = (example.connect(), example.connect());
    // Unlike any of a run before, in a database that stays.
    let name = format!("ada{}", std::process::id());

    fast.expect(&format!("1 get {name}"), "1 none");
    fast.expect(&format!("2 add {name} 40"), "2 40");
    fast.expect(&format!("3 add {name} 2"), "3 42");
    fast.expect("4 hello", "4 error: get NAME, add NAME POINTS or count N");
    fast.expect(&format!("5 add {name} many"), "5 error: invalid digit found in string");

    // More than a second of work on any machine of these days.
    const ROWS: u32 = 5_000_000;
    slow.ask(&format!("6 count {ROWS}"));
    for tag in 10..200 {
        fast.expect(&format!("{tag} get {name}"), &format!("{tag} 42"));
    }
    // Its own session is not held up either.
    slow.expect(&format!("7 get {name}"), "7 42");
    assert!(slow.hears_nothing(), "the slow question was too fast to show anything");
    assert_eq!(slow.hear(), format!("6 {ROWS}"));

    // Who leaves with a question open disturbs nobody.
    slow.ask("8 count 1000000");
    drop(slow);
    fast.expect(&format!("9 get {name}"), "9 42");
}
