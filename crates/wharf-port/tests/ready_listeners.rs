//! Listeners that somebody else has opened, and may still have.

#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::fs::File;
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::OwnedFd;
use std::os::unix::net::{UnixListener, UnixStream};
use std::time::Duration;

use wharf_port::{
    Address, Backend, Completion, CompletionPort, FreshSocket, ListenError, ListenOptions,
    ListenerId, PortOptions, ReadyListener,
};

/// Longer than anything here takes on a busy machine.
const LIMIT: Duration = Duration::from_secs(30);

fn on_each_backend(test: impl Fn(CompletionPort)) {
    let of = |backend| PortOptions { backend, ..PortOptions::default() };
    // Older kernels take one connection with each accept.
    let mut one_by_one = of(Backend::Uring);
    one_by_one.uring.multishot_accept = false;
    for options in [of(Backend::Uring), one_by_one, of(Backend::Readiness)] {
        // Where io_uring is denied there is nothing of it to test.
        if let Ok(port) = CompletionPort::open(&options) {
            test(port);
        }
    }
}

/// A listener that blocks or does not, and where it is.
fn opened(nonblocking: bool) -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(nonblocking).unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

fn listen_on(port: &mut CompletionPort, listener: impl Into<ReadyListener>) -> ListenerId {
    port.listen_on(&listener.into(), &ListenOptions::default()).unwrap()
}

fn next(port: &mut CompletionPort, of_what: &str) -> Completion {
    let until = port.now() + LIMIT;
    while port.now() < until {
        port.wait(Some(until)).unwrap();
        if let Some(completion) = port.take() {
            return completion;
        }
    }
    panic!("in vain: {of_what}");
}

fn accepted(port: &mut CompletionPort) -> FreshSocket {
    match next(port, "a connection") {
        Completion::Accepted { socket, .. } => socket,
        other => panic!("not a connection: {other:?}"),
    }
}

/// Who was there before the port is accepted, and who comes later, without a rest in between.
#[test]
fn who_waits_already_is_accepted_and_who_comes_later() {
    for nonblocking in [false, true] {
        on_each_backend(|mut port| {
            let (listener, address) = opened(nonblocking);
            let early = TcpStream::connect(address).unwrap();
            let id = listen_on(&mut port, listener);
            assert_eq!(port.listener_address(id), Some(address.into()));
            let socket = accepted(&mut port);
            assert_eq!(socket.peer(), &Address::from(early.local_addr().unwrap()));
            let (waits, quiet) = (port.stats().waits, port.now() + Duration::from_millis(50));
            while port.now() < quiet {
                port.wait(Some(quiet)).unwrap();
                assert!(port.take().is_none(), "nobody has come");
            }
            let waits = port.stats().waits - waits;
            assert!(waits < 10, "{waits} waits for nobody");
            let late = TcpStream::connect(address).unwrap();
            let socket = accepted(&mut port);
            assert_eq!(socket.peer(), &Address::from(late.local_addr().unwrap()));
        });
    }
}

#[test]
fn what_is_accepted_has_the_options_of_the_port() {
    on_each_backend(|mut port| {
        let (listener, address) = opened(false);
        listen_on(&mut port, listener);
        let _client = TcpStream::connect(address).unwrap();
        let socket = accepted(&mut port);
        let socket = port.adopt(socket).unwrap();
        assert_eq!(port.no_delay(socket), Some(true));
    });
}

/// Its other owner goes on with it: nobody who connects in between is refused.
#[test]
fn its_queue_outlives_the_port() {
    on_each_backend(|mut port| {
        let (listener, address) = opened(false);
        let id = listen_on(&mut port, listener.try_clone().unwrap());
        port.stop_listening(id);
        let closed = next(&mut port, "the listener to close");
        assert!(matches!(closed, Completion::ListenerClosed { .. }), "{closed:?}");
        port.shut_down(LIMIT).unwrap();
        let client = TcpStream::connect(address).unwrap();
        // Whether it blocks, both have changed.
        listener.set_nonblocking(false).unwrap();
        let (_, peer) = listener.accept().unwrap();
        assert_eq!(peer, client.local_addr().unwrap());
    });
}

#[test]
fn the_file_of_a_unix_socket_stays() {
    on_each_backend(|mut port| {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("socket");
        listen_on(&mut port, UnixListener::bind(&path).unwrap());
        let _client = UnixStream::connect(&path).unwrap();
        assert!(accepted(&mut port).peer().is_unix());
        port.shut_down(LIMIT).unwrap();
        assert!(path.exists());
        let files = directory.path().read_dir().unwrap().count();
        assert_eq!(files, 1, "and nothing has joined it");
    });
}

#[test]
fn what_is_no_listener_is_refused() {
    on_each_backend(|mut port| {
        let (listener, address) = opened(false);
        let stream = TcpStream::connect(address).unwrap();
        let (end, _other) = UnixStream::pair().unwrap();
        let others: [OwnedFd; 4] = [
            stream.into(),
            end.into(),
            UdpSocket::bind("127.0.0.1:0").unwrap().into(),
            File::open("/dev/null").unwrap().into(),
        ];
        for other in others {
            let what = format!("{other:?}");
            let refused = port.listen_on(&other.into(), &ListenOptions::default());
            assert!(matches!(refused, Err(ListenError::NotAListener(_))), "{what}: {refused:?}");
        }
        assert_eq!(port.operations(), 0);
        listen_on(&mut port, listener);
    });
}
