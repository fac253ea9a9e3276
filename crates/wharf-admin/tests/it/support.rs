//! A server with an endpoint, and requests that are written by hand.

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::Value;
use wharf::capture::CaptureOptions;
use wharf::{Context, DrainReport, Limits, Outcome, RunningServer, Server, Session};
use wharf_admin::{Admin, AdminOptions};

/// Longer than anything here takes on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// Waits until something holds; `what` says what.
#[track_caller]
pub(crate) fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    let (_kept, nothing) = channel::<()>();
    let glance = Duration::from_millis(10);
    // No shorter than the patience, whatever a look takes.
    for _ in 0..PATIENCE.as_millis() / glance.as_millis() {
        if holds() {
            return;
        }
        let _ = nothing.recv_timeout(glance);
    }
    panic!("waited in vain until {what}");
}

/// The names of the fields of a struct, from how it is shown: `Stats { sessions: 3, .. }`.
pub(crate) fn fields_of(shown: &str) -> BTreeSet<&str> {
    shown.split([' ', '{', ',']).filter_map(|word| word.strip_suffix(':')).collect()
}

pub(crate) fn keys_of(object: &Value) -> BTreeSet<&str> {
    object.as_object().unwrap().keys().map(String::as_str).collect()
}

/// The page for those who run servers.
pub(crate) const OPERATIONS: &str = include_str!("../../../../docs/operations.md");
/// The group that sessions join with `join`, with what would end a text of JSON.
pub(crate) const GROUP: &str = "a \"group\"\n\\ </script> \u{1b}";
/// Frames that a session is sent with `flood`, and the length of each.
const FLOOD: (usize, usize) = (512, 64 << 10);

/// Sends everything back; with `wait` it holds up its worker until the test lets it go on.
struct Echo(Arc<Mutex<Receiver<()>>>, Sender<()>);

impl Session for Echo {
    fn on_frame(&mut self, ctx: &mut Context<'_>, frame: &[u8]) -> Outcome {
        if frame == b"wait" {
            self.1.send(())?;
            let _ = self.0.lock().unwrap().recv_timeout(PATIENCE);
        }
        if frame == b"join" {
            ctx.join(&ctx.group(GROUP))?;
        }
        if frame == b"flood" {
            for _ in 0..FLOOD.0 {
                ctx.send(&[0; FLOOD.1]);
            }
        }
        ctx.send(frame);
        Ok(())
    }
}

/// Two workers and an endpoint, both on ports of their own.
pub(crate) struct Fixture {
    pub(crate) admin: Admin,
    running: Option<RunningServer>,
    /// Further lines of a request that is made as one should.
    headers: String,
    /// Lets the callback go on that waits.
    pub(crate) go_on: Sender<()>,
    /// Tells that one waits.
    pub(crate) waits: Receiver<()>,
}

impl Fixture {
    pub(crate) fn start(change: impl FnOnce(&mut AdminOptions)) -> Self {
        Self::start_server(|server| server, change)
    }

    /// With an endpoint that has a token, which requests bring, and a server that captures.
    pub(crate) fn start_capturing(options: CaptureOptions) -> Self {
        Self::start_capturing_with(options, |_| ())
    }

    /// The same with an endpoint that is set up further.
    pub(crate) fn start_capturing_with(
        options: CaptureOptions,
        change: impl FnOnce(&mut AdminOptions),
    ) -> Self {
        const TOKEN: &str = "a-token-of-some-length";
        let mut fixture = Self::start_server(
            |server| server.capture(options),
            |options| {
                options.token = Some(TOKEN.to_owned());
                options.captures = true;
                change(options);
            },
        );
        fixture.headers = format!("Authorization: Bearer {TOKEN}\r\n");
        fixture
    }

    /// With a server that is set up further.
    pub(crate) fn start_server(
        set_up: impl FnOnce(Server) -> Server,
        change: impl FnOnce(&mut AdminOptions),
    ) -> Self {
        let ((go_on, may_go_on), (arrived, waits)) = (channel(), channel());
        let may_go_on = Arc::new(Mutex::new(may_go_on));
        let arrived = Mutex::new(arrived);
        let factory =
            move |_: &wharf::Arrival| Echo(Arc::clone(&may_go_on), arrived.lock().unwrap().clone());
        let limits = Limits { send_bytes_max: 64 << 20, ..Limits::default() };
        let server = Server::bind("127.0.0.1:0").workers(2).limits(limits);
        let running = set_up(server).start(factory).unwrap();
        let mut options = AdminOptions::new(([127, 0, 0, 1], 0).into());
        // A busy machine is no worker that is held up, and a connection lasts for ten seconds.
        options.worker_patience = Duration::from_secs(8);
        change(&mut options);
        let admin = Admin::start(running.handle(), options).unwrap();
        Self { admin, running: Some(running), headers: String::new(), go_on, waits }
    }

    pub(crate) fn server(&self) -> wharf::ServerHandle {
        self.running.as_ref().unwrap().handle()
    }

    /// Waits for the end of the server and ends the endpoint at once, as a program does.
    pub(crate) fn join(mut self) -> DrainReport {
        self.running.take().unwrap().join().unwrap()
    }

    /// A session that has had an answer.
    pub(crate) fn session(&self) -> TcpStream {
        let address = self.server().addresses()[0].tcp().unwrap();
        let mut stream = connect(address);
        frame(&mut stream, b"hello");
        stream.read_exact(&mut [0; 9]).unwrap();
        stream
    }

    /// Asks for a path as one should.
    pub(crate) fn get(&self, path: &str) -> Answer {
        let head = self.head("GET", path);
        self.ask(&format!("{head}\r\n"))
    }

    /// Has something done as one should.
    pub(crate) fn post(&self, path: &str) -> Answer {
        let head = self.head("POST", path);
        self.ask(&format!("{head}X-Wharf-Admin: 1\r\n\r\n"))
    }

    /// The same with a body.
    pub(crate) fn post_body(&self, path: &str, body: &str) -> Answer {
        let head = self.head("POST", path);
        self.ask(&format!("{head}X-Wharf-Admin: 1\r\nContent-Length: {}\r\n\r\n{body}", body.len()))
    }

    /// The beginning of a request that is made as one should.
    pub(crate) fn head(&self, method: &str, path: &str) -> String {
        let (host, headers) = (self.admin.address(), &self.headers);
        format!("{method} {path} HTTP/1.1\r\nHost: {host}\r\n{headers}")
    }

    /// The JSON of a path.
    #[track_caller]
    pub(crate) fn json(&self, path: &str) -> Value {
        let answer = self.get(path);
        assert_eq!(answer.status, Some(200), "{answer:?}");
        assert!(answer.head.contains("content-type: application/json"), "{}", answer.head);
        serde_json::from_str(&answer.body).unwrap()
    }

    /// Sends a whole request, with a header that has the connection closed behind it, and reads until the end of
    /// the stream.
    pub(crate) fn ask(&self, request: &str) -> Answer {
        self.ask_as_it_is(&request.replacen("\r\n", "\r\nConnection: close\r\n", 1))
    }

    /// Sends what is given, byte by byte, and reads until the end of the stream.
    pub(crate) fn ask_as_it_is(&self, request: &str) -> Answer {
        let mut stream = connect(self.admin.address());
        // Who is refused early may find the connection closed.
        let _ = stream.write_all(request.as_bytes());
        Answer::read(&mut stream)
    }
}

impl Drop for Fixture {
    fn drop(&mut self) {
        let _ = self.go_on.send(());
        if let Some(running) = self.running.take() {
            running.handle().stop();
            let _ = running.join();
        }
    }
}

pub(crate) fn connect(address: impl ToSocketAddrs) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.set_write_timeout(Some(PATIENCE)).unwrap();
    stream
}

/// Writes a frame as the default framing has it.
pub(crate) fn frame(stream: &mut TcpStream, payload: &[u8]) {
    let length = u32::try_from(payload.len()).unwrap().to_le_bytes();
    stream.write_all(&[&length, payload].concat()).unwrap();
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Answer {
    /// `None`: the connection was closed without one.
    pub(crate) status: Option<u16>,
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn read(stream: &mut TcpStream) -> Self {
        let mut bytes = Vec::new();
        // A reset behind the answer is no loss.
        let mut part = [0; 4096];
        while let Ok(count) = stream.read(&mut part)
            && count > 0
        {
            bytes.extend_from_slice(&part[..count]);
        }
        let text = String::from_utf8(bytes).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
        Self { status, head: head.to_lowercase(), body: body.to_owned() }
    }

    /// The value of a metric, as it stands in the text.
    pub(crate) fn value(&self, metric: &str) -> Option<f64> {
        let line =
            self.body.lines().find_map(|line| line.strip_prefix(metric)?.strip_prefix(' '))?;
        line.parse().ok()
    }
}
