//! Connecting, and the names of those who do.

use std::os::unix::net::{UnixDatagram, UnixListener, UnixStream};

use socket2::{Domain, SockAddr, Socket, Type};
use wharf_port::{
    Address, Completion, CompletionPort, ConnectError, ListenOptions, SocketOptions, UnixAddress,
};

use crate::place::{LIMIT, Place, accepted, at, on_each_backend, take};

#[track_caller]
fn connected(port: &mut CompletionPort, to: Address) -> Result<(), ConnectError> {
    let begin = port.clock().now();
    let socket = port.connect(to.clone(), &SocketOptions::default())?;
    let (of, result) = take(port, "a connect to end", |_, completion| match completion {
        Completion::Connected { socket, result } => Some((socket, result)),
        _ => None,
    });
    assert_eq!(of, socket);
    // It ends within the wait that starts it, which does not sleep on what it has found.
    assert!(port.clock().now() < begin + LIMIT / 2, "the wait has slept");
    if result.is_ok() {
        assert_eq!(port.peer_address(socket), Some(to));
        assert_eq!(port.local_address(socket), Some(UnixAddress::unnamed().into()));
    }
    result
}

#[test]
fn a_connect_says_why_there_is_nobody() {
    on_each_backend(|mut port| {
        let place = Place::new();
        let path = place.path("socket");
        assert_eq!(connected(&mut port, at(&path)), Err(ConnectError::NoSocket));
        assert_eq!(connected(&mut port, at(&path.join("socket"))), Err(ConnectError::NoSocket));
        let listener = UnixListener::bind(&path).unwrap();
        assert_eq!(connected(&mut port, at(&path)), Ok(()));
        drop(listener);
        assert_eq!(connected(&mut port, at(&path)), Err(ConnectError::Refused));
        let datagrams = place.path("datagrams");
        let _bound = UnixDatagram::bind(&datagrams).unwrap();
        let other = connected(&mut port, at(&datagrams));
        assert!(matches!(other, Err(ConnectError::Os(_))), "{other:?}");
        let nowhere = connected(&mut port, UnixAddress::unnamed().into());
        assert!(matches!(nowhere, Err(ConnectError::Unsupported(_))), "{nowhere:?}");
    });
}

#[cfg(target_os = "linux")]
#[test]
fn a_name_is_no_file_and_goes_with_its_listener() {
    on_each_backend(|mut port| {
        let name = format!("wharf-port {} {}", std::process::id(), port.backend());
        let address: Address = UnixAddress::named(&name).unwrap().into();
        let listener = port.listen(&address, &ListenOptions::default()).unwrap();
        assert_eq!(port.listener_address(listener), Some(address.clone()));
        let second = port.listen(&address, &ListenOptions::default()).unwrap_err();
        assert!(second.to_string().contains("in use"), "{second}");
        assert_eq!(connected(&mut port, address.clone()), Ok(()));
        port.stop_listening(listener);
        take(&mut port, "the listener to close", |_, completion| {
            matches!(completion, Completion::ListenerClosed { .. }).then_some(())
        });
        assert_eq!(connected(&mut port, address), Err(ConnectError::Refused));
    });
}

/// Some conversions of such an address panic: all of it is path, and there is no end to see.
#[cfg(target_os = "linux")]
#[test]
fn a_peer_whose_path_fills_its_address_is_no_trouble() {
    on_each_backend(|mut port| {
        let place = Place::new();
        let path = place.path("socket");
        port.listen(at(&path), &ListenOptions::default()).unwrap();
        let room = 108 - place.path("").as_os_str().len();
        let own = place.path(&"p".repeat(room));
        let to = rustix::net::SocketAddrUnix::new(&own).unwrap();
        let client = Socket::new(Domain::UNIX, Type::STREAM, None).unwrap();
        rustix::net::bind(&client, &to).unwrap();
        client.connect(&SockAddr::unix(&path).unwrap()).unwrap();
        let socket = accepted(&mut port);
        assert_eq!(socket.peer().unix().unwrap().path(), Some(&*own));
    });
}

/// A peer's name is shown so that it cannot write to a log what it likes.
#[test]
fn a_peer_has_the_name_that_it_has_bound_itself_to() {
    on_each_backend(|mut port| {
        let place = Place::new();
        let path = place.path("socket");
        port.listen(at(&path), &ListenOptions::default()).unwrap();
        let own = place.path("line\nbreak");
        let client = Socket::new(Domain::UNIX, Type::STREAM, None).unwrap();
        client.bind(&SockAddr::unix(&own).unwrap()).unwrap();
        client.connect(&SockAddr::unix(&path).unwrap()).unwrap();
        let socket = accepted(&mut port);
        assert_eq!(*socket.peer(), at(&own));
        assert!(socket.peer().to_string().ends_with(r"/line\x0abreak"), "{}", socket.peer());
        // It is gone when it is accepted, and is accepted all the same.
        drop(UnixStream::connect(&path).unwrap());
        assert!(accepted(&mut port).peer().unix().unwrap().is_unnamed());
    });
}
