//! Servers and clients over Unix domain sockets.

use std::io::{ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tempfile::TempDir;
use wharf::sim::{Network, NetworkOptions};
use wharf::{
    Address, Arrival, Backend, Client, Context, Credentials, IpNet, Outcome, PortOptions,
    Reconnect, RunningServer, Server, Session, Target, TargetError, UnixAddress, Verdict,
};

use crate::support::caller::{Told, telling};
use crate::support::client::Client as TcpClient;
use crate::support::record::Echo;
use crate::support::server::Setup;
use crate::support::time::{PATIENCE, wait_until};
use crate::support::wire::Wire;

each_backend! {
    a_server_serves_at_a_path_and_takes_the_file_along,
    a_session_knows_who_its_peer_is,
    one_server_listens_on_both_kinds_and_its_filter_tells_them_apart,
    limits_and_bans_by_address_are_not_about_unix_sockets,
    who_is_refused_sees_the_end,
    a_proxy_over_a_unix_socket_says_whose_connection_it_is,
    a_target_is_connected_again_when_its_socket_is_back,
    a_server_starts_where_another_drains,
    a_path_where_a_server_lives_is_not_taken,
}

/// A directory of a test's own, and the socket in it.
struct Place {
    directory: TempDir,
}

impl Place {
    fn new() -> Self {
        Self { directory: tempfile::tempdir().unwrap() }
    }

    fn path(&self) -> PathBuf {
        self.directory.path().join("socket")
    }

    fn address(&self) -> Address {
        UnixAddress::at(self.path()).unwrap().into()
    }

    fn is_empty(&self) -> bool {
        self.directory.path().read_dir().unwrap().next().is_none()
    }

    fn server(&self, backend: Backend) -> Server {
        Server::bind(self.address().to_string())
            .backend(backend)
            .workers(2)
            .limits(Setup::new(backend).limits)
    }
}

/// A client that speaks lengths of four bytes.
struct Local(UnixStream);

impl Local {
    #[track_caller]
    fn connect(path: &Path) -> Self {
        Self::of(UnixStream::connect(path).expect("a connection"))
    }

    fn of(stream: UnixStream) -> Self {
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        Self(stream)
    }

    #[track_caller]
    fn ping(&mut self, payload: &[u8]) {
        let frame = [&u32::try_from(payload.len()).unwrap().to_le_bytes(), payload].concat();
        self.0.write_all(&frame).expect("the server takes what is written");
        let mut back = vec![0; frame.len()];
        self.0.read_exact(&mut back).expect("the server sends it back");
        assert_eq!(back, frame);
    }

    /// Whether it ends without a byte.
    #[track_caller]
    fn expect_end(&mut self) {
        match self.0.read(&mut [0]) {
            Ok(0) => {}
            Err(error) if error.kind() == ErrorKind::ConnectionReset => {}
            other => panic!("neither an end nor a reset: {other:?}"),
        }
    }
}

/// Tells what it was told of its peer, and sends everything back.
struct Teller {
    told: std::sync::mpsc::Sender<(Address, Address, Option<Credentials>)>,
    arrival: (Address, Option<Credentials>),
}

impl Session for Teller {
    fn on_frame(&mut self, ctx: &mut Context<'_>, frame: &[u8]) -> Outcome {
        let (peer, credentials) = self.arrival.clone();
        self.told.send((peer, ctx.peer().clone(), credentials))?;
        ctx.send(frame);
        Ok(())
    }
}

type Peers = Receiver<(Address, Address, Option<Credentials>)>;

fn telling_peers(server: Server) -> (RunningServer, Peers) {
    let (told, peers) = channel();
    let running = server.start(move |arrival| Teller {
        told: told.clone(),
        arrival: (arrival.peer().clone(), arrival.credentials()),
    });
    (running.unwrap(), peers)
}

fn a_server_serves_at_a_path_and_takes_the_file_along(backend: Backend) {
    let place = Place::new();
    let running = place.server(backend).start(|_| Echo).unwrap();
    assert_eq!(running.handle().addresses(), [place.address()]);
    let mut clients: Vec<Local> = (0..20).map(|_| Local::connect(&place.path())).collect();
    // More than a socket holds, and than a buffer of the port.
    let long = vec![7; 60_000];
    for client in &mut clients {
        client.ping(b"hello");
        client.ping(&long);
    }
    running.handle().stop();
    running.join().unwrap();
    assert!(place.is_empty());
    clients.iter_mut().for_each(Local::expect_end);
}

fn a_session_knows_who_its_peer_is(backend: Backend) {
    let place = Place::new();
    let (running, peers) = telling_peers(place.server(backend));
    for _ in 0..4 {
        Local::connect(&place.path()).ping(b"who am I?");
        let (of_arrival, of_context, credentials) = peers.recv_timeout(PATIENCE).unwrap();
        assert_eq!(of_arrival, of_context);
        assert_eq!(of_arrival.to_string(), "unix:(unnamed)");
        let credentials = credentials.expect("the kernel knows");
        let own = rustix::process::geteuid().as_raw();
        assert_eq!((credentials.uid, credentials.pid), (own, Some(std::process::id())));
    }
    drop(running);
}

fn one_server_listens_on_both_kinds_and_its_filter_tells_them_apart(backend: Backend) {
    let place = Place::new();
    let seen = Arc::new(Mutex::new(Vec::new()));
    let asked = Arc::clone(&seen);
    let server = place.server(backend).and_bind("127.0.0.1:0").accept_filter(move |incoming| {
        asked.lock().unwrap().push(incoming.clone());
        let own = |it: Credentials| it.uid == rustix::process::geteuid().as_raw();
        match incoming.credentials.is_some_and(own) {
            true => Verdict::Allow,
            false => Verdict::Deny,
        }
    });
    let running = server.start(|_| Echo).unwrap();
    let [unix, tcp] = running.handle().addresses().to_vec().try_into().unwrap();
    Local::connect(&place.path()).ping(b"hello");
    if let Some(mut client) = TcpClient::try_connect(tcp.tcp().unwrap(), Wire::U32Le) {
        client.expect_reset();
    }
    wait_until("both have been asked about", || seen.lock().unwrap().len() == 2);
    let seen = seen.lock().unwrap();
    let at = |listener: &Address| seen.iter().find(|it| it.listener == *listener).unwrap();
    assert!(at(&unix).peer.is_unix() && at(&unix).credentials.is_some());
    assert!(!at(&tcp).peer.is_unix() && at(&tcp).credentials.is_none());
    // The verdict is counted after the filter has given it.
    wait_until("one was refused", || running.handle().stats().refused_by_filter == 1);
}

fn limits_and_bans_by_address_are_not_about_unix_sockets(backend: Backend) {
    let place = Place::new();
    let mut limits = Setup::new(backend).limits;
    limits.per_address_max = Some(1);
    let running = place.server(backend).limits(limits).start(|_| Echo).unwrap();
    for all in ["0.0.0.0/0", "::/0"] {
        running.handle().ban(all.parse::<IpNet>().unwrap(), None).unwrap();
    }
    let mut clients: Vec<Local> = (0..5).map(|_| Local::connect(&place.path())).collect();
    clients.iter_mut().for_each(|client| client.ping(b"hello"));
    assert_eq!(running.handle().sessions(), 5);
}

fn who_is_refused_sees_the_end(backend: Backend) {
    let place = Place::new();
    let mut limits = Setup::new(backend).limits;
    limits.sessions_max = Some(1);
    let running = place.server(backend).limits(limits).start(|_| Echo).unwrap();
    let mut first = Local::connect(&place.path());
    first.ping(b"hello");
    Local::connect(&place.path()).expect_end();
    wait_until("it is counted", || running.handle().stats().refused_sessions_max == 1);
    first.ping(b"still here");
}

fn a_proxy_over_a_unix_socket_says_whose_connection_it_is(backend: Backend) {
    let place = Place::new();
    let mut limits = Setup::new(backend).limits;
    limits.per_address_max = Some(1);
    let listener = Arc::new(Mutex::new(None));
    let asked = Arc::clone(&listener);
    let server = place.server(backend).limits(limits).unix_proxies(true).accept_filter(move |it| {
        *asked.lock().unwrap() = Some((it.listener.clone(), it.credentials));
        Verdict::Allow
    });
    let (running, peers) = telling_peers(server);
    let forwarded = |source: &str| {
        let mut stream = UnixStream::connect(place.path()).unwrap();
        let header = format!("PROXY TCP4 {source} 192.0.2.1 5000 80\r\n");
        stream.write_all(header.as_bytes()).unwrap();
        Local::of(stream)
    };
    let mut first = forwarded("198.51.100.7");
    first.ping(b"hello");
    let (peer, of_context, credentials) = peers.recv_timeout(PATIENCE).unwrap();
    assert_eq!((peer.to_string().as_str(), credentials), ("198.51.100.7:5000", None));
    assert_eq!(peer, of_context);
    assert_eq!(*listener.lock().unwrap(), Some((place.address(), None)));
    // It is counted by whose it is, and not by who forwards it.
    forwarded("198.51.100.7").expect_end();
    forwarded("198.51.100.8").ping(b"another");
    // Who says nothing of the kind is no proxy.
    let mut other = UnixStream::connect(place.path()).unwrap();
    other.write_all(b"hello, I am no proxy").unwrap();
    Local::of(other).expect_end();
    assert_eq!(running.handle().stats().refused_per_address, 1);
}

fn a_target_is_connected_again_when_its_socket_is_back(backend: Backend) {
    let place = Place::new();
    let (teller, heard) = telling();
    let failures = teller.clone();
    let soon = Duration::from_millis(1);
    let terms = Reconnect { delay_min: soon, delay_max: soon, ..Reconnect::default() };
    let client = Client::new()
        .connect(Target::from(place.address()).reconnect(terms).tag(9))
        .backend(backend)
        .workers(1)
        .limits(Setup::new(backend).limits)
        .on_connect_failed(move |failure| failures.failed(failure))
        .start(move |arrival| teller.caller(arrival))
        .unwrap();
    let Told::Failed { problem, .. } = heard.next() else { panic!("nobody is there yet") };
    assert!(problem.contains("there is no such socket"), "{problem}");
    for round in 0..5 {
        let server = place.server(backend).start(|_| Echo).unwrap();
        let (_, connected) = heard.next_but_failures();
        let Told::Connected { tag, peer, reconnects, .. } = connected else {
            panic!("not connected: {connected:?}")
        };
        assert_eq!((tag, reconnects, peer), (9, round, place.address().to_string()));
        let (_, echoed) = heard.next_but_failures();
        assert!(matches!(echoed, Told::Frame(_, frame) if frame == b"hello"));
        drop(server);
        let (_, ended) = heard.next_but_failures();
        assert!(matches!(ended, Told::Ended { .. }), "{ended:?}");
    }
    drop(client);
}

/// The file goes when the listener stops, not when the last session has ended.
fn a_server_starts_where_another_drains(backend: Backend) {
    let place = Place::new();
    let mut limits = Setup::new(backend).limits;
    limits.drain = PATIENCE;
    let old = place.server(backend).limits(limits).start(|_| Echo).unwrap();
    let mut before = Local::connect(&place.path());
    before.ping(b"hello");
    old.handle().drain();
    wait_until("nobody finds it any more", || place.is_empty());
    let new = place.server(backend).start(|_| Echo).unwrap();
    Local::connect(&place.path()).ping(b"hello");
    // It ends its half, and the old server goes.
    before.expect_end();
    drop(before);
    old.join().unwrap();
    Local::connect(&place.path()).ping(b"still there");
    drop(new);
    assert!(place.is_empty());
}

fn a_path_where_a_server_lives_is_not_taken(backend: Backend) {
    let place = Place::new();
    let running = place.server(backend).start(|_| Echo).unwrap();
    let refused = place.server(backend).start(|_| Echo).map(drop).unwrap_err().to_string();
    let says = format!("{} is in use by another server", place.address());
    assert!(refused.starts_with(&says), "{refused}");
    // The same twice in one server: neither is left behind.
    let other = Place::new();
    let twice = other.server(backend).and_bind(other.address().to_string());
    assert!(twice.start(|_| Echo).is_err());
    assert!(other.is_empty());
    Local::connect(&place.path()).ping(b"still there");
    drop(running);
}

#[test]
fn what_is_no_address_or_no_option_of_one_is_refused_at_once() {
    let said = |address: &str| Server::bind(address).start(|_| Echo).unwrap_err().to_string();
    assert!(said("unix:").contains("needs a path"));
    assert!(said(&format!("unix:/{}", "p".repeat(200))).contains("has at most"));
    let mode = Server::bind("unix:/a").unix_mode(0o7777).start(|_| Echo).unwrap_err();
    assert!(mode.to_string().contains("unix_mode is out of range"), "{mode}");
    let start = |target| Client::new().connect(target).start(|_| Echo).map(drop).unwrap_err();
    assert!(start(Target::new("unix:@")).to_string().contains("needs a name"));
    let bound = Target::new("unix:/a").bind("127.0.0.1:0".parse().unwrap());
    let bound = start(bound).to_string();
    assert!(bound.contains("a Unix socket has none"), "{bound}");
    let no_bound = TargetError::from("unix:".parse::<Address>().unwrap_err());
    assert!(no_bound.to_string().contains("needs a path"));
}

/// The path is a name there, and makes no file.
#[test]
fn a_server_at_a_path_is_tested_on_a_simulated_network() {
    let network = Network::new(NetworkOptions { seed: 5, ..NetworkOptions::default() });
    let port = PortOptions { simulated: Some(network.clone()), ..PortOptions::default() };
    let path = "unix:/run/simulated.sock";
    let mut server = Server::bind(path)
        .and_bind("10.0.0.1:7777")
        .workers(1)
        .limits(Setup::new(Backend::Sim).limits)
        .port_options(port)
        .start_stepped(|arrival: &Arrival| {
            assert_eq!(arrival.credentials(), None);
            Echo
        })
        .unwrap();
    let [unix, tcp] = server.handle().addresses().to_vec().try_into().unwrap();
    assert_eq!(unix.to_string(), path);
    let peers = [network.connect(&unix), network.connect(&tcp)];
    let nobody = network.connect("unix:/run/other.sock".parse::<Address>().unwrap());
    for (mut peer, kind) in peers.into_iter().zip(["unix", "tcp"]) {
        let mut back = Vec::new();
        let mut written = false;
        for _ in 0..1_000 {
            written = written || peer.try_write(b"\x05\0\0\0hello").is_ok();
            server.turn(0, Some(network.now())).unwrap();
            network.advance();
            let mut bytes = [0; 9];
            let count = peer.try_read(&mut bytes).unwrap_or(0);
            back.extend_from_slice(&bytes[..count]);
        }
        assert_eq!(back, b"\x05\0\0\0hello", "{kind}");
        assert_eq!(peer.local_address().unwrap().is_unix(), kind == "unix");
    }
    assert!(!nobody.is_connected());
}
