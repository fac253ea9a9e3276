//! The program as a service: listeners that a service manager hands over, and what it is told.

use std::net::{TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::net::{UnixDatagram, UnixListener, UnixStream};
use std::process::{Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;

use crate::program::{run, wharf};
use crate::serving::{
    PATIENCE, Serving, Signal, backends, check_echo, connect, read_to_end, serve_echo,
};

/// A command that gets a descriptor as service managers hand them over: as the first behind the standard
/// streams, with its own process named. Its `--listen` is nowhere.
fn handed(descriptor: OwnedFd, arguments: &str) -> Command {
    let program = wharf([""]).get_program().to_owned();
    let mut shell = Command::new("/bin/sh");
    let script = "exec 3<&0 </dev/null; LISTEN_PID=$$ LISTEN_FDS=1 exec \"$@\"";
    shell.env_clear().args(["-c", script, "sh"]).arg(program);
    shell.args(["serve", "echo", "--listen", "192.0.2.1:1"]).args(arguments.split_whitespace());
    shell.stdin(Stdio::from(descriptor));
    shell
}

/// Restarts lose nobody: who connects while no server runs waits in the queue, which the service manager keeps.
#[test]
fn a_listener_that_is_handed_over_outlives_the_server() {
    for backend in backends() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        for _ in 0..2 {
            let early = connect(address).unwrap();
            let listener = listener.try_clone().unwrap();
            let serving = Serving::spawn(handed(listener.into(), &format!("--backend {backend}")));
            assert_eq!(serving.address(), address);
            check_echo(&early, b"was there before");
            let late = connect(address).unwrap();
            check_echo(&late, b"came later");
            drop((early, late));
            serving.stop();
        }
    }
}

#[test]
fn a_unix_socket_that_is_handed_over_keeps_its_file() {
    for backend in backends() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("socket");
        let listener = UnixListener::bind(&path).unwrap();
        let serving = Serving::spawn(handed(listener.into(), &format!("--backend {backend}")));
        let says = format!("listening on unix:{} ", path.display());
        assert!(serving.line.starts_with(&says), "{}", serving.line);
        drop(UnixStream::connect(&path).unwrap());
        serving.stop();
        assert!(path.exists());
    }
}

#[test]
fn what_is_no_listener_is_refused_in_one_line() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let stream = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let file = std::fs::File::open("/dev/null").unwrap();
    for descriptor in [OwnedFd::from(stream), OwnedFd::from(file)] {
        let ended = run(handed(descriptor, ""));
        assert_eq!(ended.code, Some(1), "{ended:?}");
        assert_eq!((ended.stdout.as_str(), ended.stderr.lines().count()), ("", 1), "{ended:?}");
        assert!(ended.stderr.contains("ListenStream="), "{ended:?}");
    }
}

#[test]
fn what_is_handed_to_another_process_is_left_alone() {
    let mut command = serve_echo("--backend readiness");
    // The first process of the system is no server of ours.
    command.env("LISTEN_PID", "1").env("LISTEN_FDS", "1");
    let serving = Serving::spawn(command);
    check_echo(&serving.connect(), b"hello");
    serving.stop();
}

/// Where a service manager hears.
struct Manager {
    socket: UnixDatagram,
    place: TempDir,
}

impl Manager {
    fn new() -> Self {
        let place = tempfile::tempdir().unwrap();
        let socket = UnixDatagram::bind(place.path().join("notify")).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        Self { socket, place }
    }

    /// A server that is to tell it, every `watchdog` if that is not over.
    fn serving(&self, backend: &str, watchdog: Option<Duration>) -> Serving {
        let mut command = serve_echo(&format!("--workers 2 --backend {backend}"));
        command.env("NOTIFY_SOCKET", self.place.path().join("notify"));
        if let Some(watchdog) = watchdog {
            command.env("WATCHDOG_USEC", watchdog.as_micros().to_string());
        }
        Serving::spawn(command)
    }

    fn hears(&self) -> String {
        let mut heard = [0; 4096];
        let count = self.socket.recv(&mut heard).unwrap();
        String::from_utf8(heard[..count].to_vec()).unwrap()
    }

    /// Whether nothing more was said, by those who cannot say more.
    fn has_heard_all(&self) -> bool {
        self.socket.set_nonblocking(true).unwrap();
        self.socket.recv(&mut [0; 16]).is_err()
    }
}

#[test]
fn a_service_manager_is_told_of_the_beginning_and_the_end() {
    for backend in backends() {
        let manager = Manager::new();
        let mut serving = manager.serving(backend, None);
        let ready = format!("READY=1\nSTATUS={backend} on {}\n", serving.address());
        assert_eq!(manager.hears(), ready);
        let client = serving.connect();
        check_echo(&client, b"hello");
        serving.signal(Signal::TERM);
        assert_eq!(manager.hears(), "STOPPING=1\nSTATUS=draining, sessions left: 1\n");
        assert!(read_to_end(&client).is_empty());
        drop(client);
        assert_eq!(serving.end().code, Some(0));
        assert!(manager.has_heard_all(), "nobody has asked for a sign of life");
    }
}

/// Workers that have nothing to do turn, too, and those that drain.
#[test]
fn a_service_manager_hears_that_all_is_well_until_the_end() {
    for backend in backends() {
        let manager = Manager::new();
        let mut serving = manager.serving(backend, Some(Duration::from_millis(200)));
        assert!(manager.hears().starts_with("READY=1\n"));
        for _ in 0..5 {
            assert_eq!(manager.hears(), "WATCHDOG=1\n");
        }
        let client = serving.connect();
        check_echo(&client, b"hello");
        serving.signal(Signal::TERM);
        while !manager.hears().starts_with("STOPPING=1\n") {}
        assert_eq!(manager.hears(), "WATCHDOG=1\n");
        drop(client);
        assert_eq!(serving.end().code, Some(0));
    }
}
