//! Who the peer is.

use std::os::unix::net::UnixStream;

use rustix::process::{getegid, geteuid, getpid};
use wharf_port::{ListenOptions, UnixAddress};

use crate::place::{Place, accepted, at, on_each_backend};

#[test]
fn a_peer_is_known_by_what_the_kernel_says() {
    on_each_backend(|mut port| {
        let place = Place::new();
        let path = place.path("socket");
        port.listen(at(&path), &ListenOptions::default()).unwrap();
        let client = UnixStream::connect(&path).unwrap();
        let socket = accepted(&mut port);
        assert_eq!(socket.peer().unix(), Some(&UnixAddress::unnamed()));
        let peer = socket.credentials().expect("the kernel knows");
        assert_eq!((peer.uid, peer.gid), (geteuid().as_raw(), getegid().as_raw()));
        let pid = u32::try_from(getpid().as_raw_nonzero().get()).unwrap();
        assert_eq!(peer.pid, cfg!(target_os = "linux").then_some(pid));
        drop(client);
    });
}

#[test]
fn one_of_tcp_has_none() {
    on_each_backend(|mut port| {
        let any: std::net::SocketAddr = "127.0.0.1:0".parse().unwrap();
        let listener = port.listen(any, &ListenOptions::default()).unwrap();
        let address = port.listener_address(listener).unwrap();
        let _client = std::net::TcpStream::connect(&address).unwrap();
        assert_eq!(accepted(&mut port).credentials(), None);
    });
}
