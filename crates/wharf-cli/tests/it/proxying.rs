//! Runs `wharf proxy` between a test and itself: the test holds both ends of each connection.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::Command;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use crate::program::wharf;
use crate::serving::{PATIENCE, Serving, check_receives, connect};

/// A proxy and the server behind it.
#[derive(Debug)]
pub(crate) struct Between {
    pub(crate) proxy: Serving,
    /// What the proxy has connected, in that order.
    servers: Receiver<TcpStream>,
}

impl Between {
    /// `wharf proxy` with more arguments, separated by spaces.
    #[track_caller]
    pub(crate) fn start(arguments: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let server = listener.local_addr().unwrap();
        let (sender, servers) = channel();
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                if sender.send(stream).is_err() {
                    break;
                }
            }
        });
        let mut command = proxy(arguments);
        command.args(["--connect", &server.to_string()]);
        Self { proxy: Serving::spawn(command), servers }
    }

    /// Both ends of a new connection: the client's and the server's.
    #[track_caller]
    pub(crate) fn connect(&self) -> (TcpStream, TcpStream) {
        let client = self.proxy.connect();
        (client, self.accept())
    }

    /// The server's end of the connection that comes next.
    #[track_caller]
    pub(crate) fn accept(&self) -> TcpStream {
        ready(self.servers.recv_timeout(PATIENCE).unwrap())
    }

    /// Both ends of a new connection, or nothing if the client is reset instead.
    #[track_caller]
    pub(crate) fn connect_unless_dropped(&self) -> Option<(TcpStream, TcpStream)> {
        let client = connect_unless_reset(self.proxy.address())?;
        client.set_read_timeout(Some(Duration::from_millis(10))).unwrap();
        for _ in 0..1_000 {
            if let Ok(server) = self.servers.recv_timeout(Duration::from_millis(10)) {
                client.set_read_timeout(Some(PATIENCE)).unwrap();
                return Some((client, ready(server)));
            }
            match client.peek(&mut [0]) {
                Err(error) if error.kind() == ErrorKind::ConnectionReset => return None,
                Err(error) => assert!(is_patience(&error), "{error}"),
                Ok(count) => panic!("{count} bytes from nobody"),
            }
        }
        panic!("neither connected nor reset");
    }

    /// Ends the proxy; what it reports.
    #[track_caller]
    pub(crate) fn stop(self) -> Report {
        Report(self.proxy.stop().stderr)
    }
}

fn ready(stream: TcpStream) -> TcpStream {
    stream.set_nodelay(true).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.set_write_timeout(Some(PATIENCE)).unwrap();
    stream
}

/// Whether a wait was over before anything came.
fn is_patience(error: &std::io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut)
}

/// `wharf proxy` with more arguments, separated by spaces; on a free port.
pub(crate) fn proxy(arguments: &str) -> Command {
    let mut command = wharf(["proxy", "--listen", "127.0.0.1:0"]);
    command.args(arguments.split_whitespace());
    command
}

/// What a proxy has said when it ended.
#[derive(Debug)]
pub(crate) struct Report(pub(crate) String);

impl Report {
    /// The count of what is named so, such as `flipped bit`.
    #[track_caller]
    pub(crate) fn count(&self, name: &str) -> usize {
        // A comma in a number has no space behind it.
        let text = self.0.replace(": ", ", ").replace("; ", ", ");
        let found = text.split(", ").find_map(|part| {
            let (number, what) = part.trim().split_once(' ')?;
            let number: usize = number.replace(',', "").parse().ok()?;
            what.starts_with(name).then_some(number)
        });
        found.unwrap_or_else(|| panic!("'{name}' is not in {}", self.0))
    }
}

/// A connection, unless it is reset as soon as it is there: that may show in the connect already.
#[track_caller]
pub(crate) fn connect_unless_reset(address: SocketAddr) -> Option<TcpStream> {
    match connect(address) {
        Err(error) if error.kind() == ErrorKind::ConnectionReset => None,
        connected => Some(connected.unwrap()),
    }
}

/// Whether a new connection is reset, with nothing to read.
#[track_caller]
pub(crate) fn is_turned_away(address: SocketAddr) -> bool {
    connect_unless_reset(address).is_none_or(|client| is_reset(&client))
}

/// Checks that bytes go through a connection, one way and the other.
#[track_caller]
pub(crate) fn check_both_ways(mut client: &TcpStream, mut server: &TcpStream) {
    client.write_all(b"ping").unwrap();
    check_receives(server, b"ping");
    server.write_all(b"pong").unwrap();
    check_receives(client, b"pong");
}

/// Whether the peer has reset the connection, with nothing to read before.
#[track_caller]
pub(crate) fn is_reset(stream: &TcpStream) -> bool {
    let (bytes, error) = read_to_reset(stream);
    assert_eq!(bytes, b"", "{error:?}");
    error == Some(ErrorKind::ConnectionReset)
}

/// What can be read, and what comes after it: the end of the stream, or an error.
#[track_caller]
pub(crate) fn read_to_reset(mut stream: &TcpStream) -> (Vec<u8>, Option<ErrorKind>) {
    let mut bytes = Vec::new();
    match stream.read_to_end(&mut bytes) {
        Ok(_) => (bytes, None),
        Err(error) => {
            assert!(!is_patience(&error), "neither ended nor reset after {} bytes", bytes.len());
            (bytes, Some(error.kind()))
        }
    }
}

/// Whether nothing comes for a while. That something comes later than that is not a failure that
/// such a test can see, but none that it makes up either.
#[track_caller]
pub(crate) fn is_silent(mut stream: &TcpStream) -> bool {
    stream.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
    let silent = match stream.read(&mut [0]) {
        Ok(_) => false,
        Err(error) => is_patience(&error),
    };
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    silent
}
