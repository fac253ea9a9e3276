//! That this Windows notices what a driver must not do.

use windows_sys::Win32::System::IO::OVERLAPPED;

use super::super::client::Client;
use super::super::rig::ADDRESS;
use super::super::switches::Switches;
use super::super::{Mock, Socket};
use crate::iocp::api::{Disconnect, Slice, Started};
use crate::iocp::{Api, Code};
use crate::socket_options::ListenOptions;

/// A machine with a port and a socket that a client has connected to.
struct Bench {
    mock: Mock,
    port: <Mock as Api>::Port,
    socket: Socket,
    client: Client,
}

impl Bench {
    fn new(associated: bool) -> Self {
        let mock = Mock::new(Switches::default());
        let port = mock.open_port().unwrap();
        let listener = mock.open_listener(ADDRESS, &ListenOptions::default()).unwrap();
        let client = Client::connect(&mock, ADDRESS).unwrap();
        let (socket, _) = mock.accept_now(&listener).unwrap();
        if associated {
            mock.associate(&port, &socket).unwrap();
        }
        Self { mock, port, socket, client }
    }

    /// Starts a receive of nothing; the operation lives as long as the process.
    fn receive(&self, operation: *mut OVERLAPPED) -> Result<Started, Code> {
        // SAFETY: the operation is leaked.
        unsafe { self.mock.receive(&self.socket, None, operation) }
    }

    fn send(&self, slices: &[Slice]) -> Result<Started, Code> {
        // SAFETY: the operation is leaked, and so is what the slices point at.
        unsafe { self.mock.send(&self.socket, slices, operation()) }
    }
}

/// An operation that nobody frees.
fn operation() -> *mut OVERLAPPED {
    Box::leak(Box::default())
}

fn slice(len: usize) -> Slice {
    Slice { start: vec![0u8; len].leak().as_ptr(), len: u32::try_from(len).unwrap() }
}

#[test]
#[should_panic = "a second receive"]
fn a_second_receive() {
    let bench = Bench::new(true);
    bench.receive(operation()).unwrap();
    let _ = bench.receive(operation());
}

#[test]
#[should_panic = "a second send"]
fn a_second_send() {
    let bench = Bench::new(true);
    assert_eq!(bench.send(&[slice(1 << 17)]), Ok(Started::Pending));
    let _ = bench.send(&[slice(1)]);
}

#[test]
#[should_panic = "65 slices"]
fn too_many_slices() {
    let _ = Bench::new(true).send(&[slice(1); 65]);
}

#[test]
#[should_panic = "under way"]
fn an_operation_that_is_under_way() {
    let bench = Bench::new(true);
    let operation = operation();
    bench.receive(operation).unwrap();
    let slices = [slice(1 << 17)];
    // SAFETY: operation and bytes are leaked.
    let _ = unsafe { bench.mock.send(&bench.socket, &slices, operation) };
}

#[test]
#[should_panic = "was not dequeued"]
fn an_operation_whose_packet_waits() {
    let bench = Bench::new(true);
    let operation = operation();
    bench.receive(operation).unwrap();
    bench.client.send(b"x");
    let _ = bench.receive(operation);
}

#[test]
#[should_panic = "has no port"]
fn a_socket_without_a_port() {
    let _ = Bench::new(false).receive(operation());
}

#[test]
fn a_second_association_is_refused() {
    let bench = Bench::new(true);
    assert_eq!(bench.mock.associate(&bench.port, &bench.socket), Err(Code(87)));
}

#[test]
#[should_panic = "with an operation pending"]
fn a_disconnect_with_an_operation_pending() {
    let bench = Bench::new(true);
    bench.receive(operation()).unwrap();
    // SAFETY: the operation is leaked.
    let _ =
        unsafe { bench.mock.disconnect_ex(&bench.socket, Disconnect::DisconnectEx, operation()) };
}

#[test]
#[should_panic = "SO_UPDATE_ACCEPT_CONTEXT was not set"]
fn a_socket_that_was_accepted_and_not_updated() {
    let mock = Mock::new(Switches::default());
    let port = mock.open_port().unwrap();
    let listener = mock.open_listener(ADDRESS, &ListenOptions::default()).unwrap();
    mock.associate(&port, &listener).unwrap();
    let socket = mock.open_socket(ADDRESS).unwrap();
    let output = vec![0; 88].leak().as_mut_ptr();
    // SAFETY: operation and output are leaked.
    unsafe { mock.accept_ex(&listener, &socket, output, 0, operation()) }.unwrap();
    let _client = Client::connect(&mock, ADDRESS).unwrap();
    mock.end_sending(&socket);
}

#[test]
#[should_panic = "SO_UPDATE_CONNECT_CONTEXT was not set"]
fn a_socket_that_was_connected_and_not_updated() {
    let mock = Mock::new(Switches { connects_at_once: true, ..Switches::default() });
    let port = mock.open_port().unwrap();
    let _listener = mock.open_listener(ADDRESS, &ListenOptions::default()).unwrap();
    let socket = mock.open_socket(ADDRESS).unwrap();
    mock.bind(&socket, ADDRESS, None).unwrap();
    mock.associate(&port, &socket).unwrap();
    // SAFETY: the operation is leaked.
    unsafe { mock.connect_ex(&socket, ADDRESS, operation()) }.unwrap();
    let _ = mock.peer_address(&socket);
}
