//! The Windows that there is.
//!
//! | file | what it is about |
//! |---|---|
//! | `port` | the completion port: open, associate, post, dequeue |
//! | `extensions` | functions that are no exports: asked for once per provider |
//! | `overlapped` | the calls that the kernel finishes later |
//! | `sockets` | the calls that finish at once |
//! | `timer` | waits that end more exactly than the system's tick |

mod extensions;
mod overlapped;
mod port;
mod sockets;
mod timer;

use std::io;
use std::net::SocketAddr;
use std::os::windows::io::{AsRawSocket, OwnedSocket};
use std::time::Duration;

use windows_sys::Win32::Networking::WinSock::{SOCKET, WSAGetLastError};
use windows_sys::Win32::System::IO::{OVERLAPPED, OVERLAPPED_ENTRY};

pub(crate) use self::port::Port;
use self::timer::Timer;
use super::{Api, Disconnect, Slice, Started};
use crate::iocp::code::Code;
use crate::socket::FreshSocket;
use crate::socket_options::{ListenOptions, SocketOptions};

/// The calls of Windows, made.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Native;

/// The number by which Winsock knows a socket.
#[expect(clippy::cast_possible_truncation, reason = "on 32 bits it is a wider name for as much")]
fn raw(socket: &OwnedSocket) -> SOCKET {
    socket.as_raw_socket() as SOCKET
}

/// What the last call of Winsock's on this thread has failed with.
fn last_error() -> Code {
    // SAFETY: it reads a number of this thread's.
    Code(unsafe { WSAGetLastError() }.cast_unsigned())
}

/// What a call of Winsock's that answers 0 or -1 has come to.
fn answered(answer: i32) -> Result<(), Code> {
    if answer == 0 { Ok(()) } else { Err(last_error()) }
}

impl Api for Native {
    type Port = Port;
    type Socket = OwnedSocket;
    type Timer = Timer;

    fn open_port(&self) -> Result<Port, Code> {
        Port::open()
    }

    fn associate(&self, port: &Port, socket: &OwnedSocket) -> Result<(), Code> {
        port.associate(socket)
    }

    fn post(
        &self,
        port: &Port,
        key: usize,
        bytes: u32,
        operation: *mut OVERLAPPED,
    ) -> Result<(), Code> {
        port.post(key, bytes, operation)
    }

    fn dequeue(
        &self,
        port: &Port,
        entries: &mut [OVERLAPPED_ENTRY],
        timeout: Option<Duration>,
    ) -> Result<usize, Code> {
        port.dequeue(entries, timeout)
    }

    fn failure_of(&self, status: usize) -> Option<Code> {
        port::failure_of(status)
    }

    fn open_timer(&self, _: &Port) -> Option<Timer> {
        Timer::open()
    }

    fn set_timer(
        &self,
        port: &Port,
        timer: &Timer,
        after: Duration,
        key: usize,
    ) -> Result<(), Code> {
        timer.set(port, after, key)
    }

    fn is_wine(&self) -> bool {
        timer::is_wine()
    }

    fn open_socket(&self, family: SocketAddr) -> Result<OwnedSocket, Code> {
        sockets::open(family)
    }

    fn open_listener(
        &self,
        address: SocketAddr,
        options: &ListenOptions,
    ) -> Result<OwnedSocket, Code> {
        sockets::open_listener(address, options)
    }

    fn set_options(&self, socket: &OwnedSocket, options: &SocketOptions) -> Result<(), Code> {
        sockets::set_options(socket, options)
    }

    fn bind(
        &self,
        socket: &OwnedSocket,
        family: SocketAddr,
        local: Option<SocketAddr>,
    ) -> Result<(), Code> {
        sockets::bind(socket, family, local)
    }

    fn skip_packets_on_success(&self, socket: &OwnedSocket) -> bool {
        extensions::has_real_handles(socket) && port::skip_on_success(socket)
    }

    fn local_address(&self, socket: &OwnedSocket) -> Option<SocketAddr> {
        sockets::local_address(socket)
    }

    fn peer_address(&self, socket: &OwnedSocket) -> Option<SocketAddr> {
        sockets::peer_address(socket)
    }

    fn no_delay(&self, socket: &OwnedSocket) -> Option<bool> {
        sockets::no_delay(socket)
    }

    fn end_sending(&self, socket: &OwnedSocket) {
        sockets::end_sending(socket);
    }

    fn reset(&self, socket: OwnedSocket) {
        crate::sys::reset(socket);
    }

    fn cancel(&self, socket: &OwnedSocket, operation: Option<*mut OVERLAPPED>) -> Result<(), Code> {
        port::cancel(socket, operation)
    }

    fn release(&self, socket: OwnedSocket, peer: SocketAddr, first: Vec<u8>) -> FreshSocket {
        FreshSocket::new(socket, true, peer.into()).with_first_bytes(first)
    }

    fn take_over(&self, mut fresh: FreshSocket) -> io::Result<(OwnedSocket, Vec<u8>)> {
        let first = fresh.take_first_bytes();
        Ok((fresh.into_system(true)?, first))
    }

    unsafe fn accept_ex(
        &self,
        listener: &OwnedSocket,
        socket: &OwnedSocket,
        output: *mut u8,
        first: u32,
        operation: *mut OVERLAPPED,
    ) -> Result<Started, Code> {
        // SAFETY: the caller keeps the same promise.
        unsafe { overlapped::accept_ex(listener, socket, output, first, operation) }
    }

    fn accepted_addresses(
        &self,
        listener: &OwnedSocket,
        output: &[u8],
        first: u32,
    ) -> Option<(SocketAddr, SocketAddr)> {
        overlapped::accepted_addresses(listener, output, first)
    }

    fn update_accepted(&self, socket: &OwnedSocket, listener: &OwnedSocket) -> Result<(), Code> {
        sockets::update_accepted(socket, listener)
    }

    fn connected_for(&self, socket: &OwnedSocket) -> Option<Duration> {
        sockets::connected_for(socket)
    }

    fn accept_now(&self, listener: &OwnedSocket) -> Result<(OwnedSocket, SocketAddr), Code> {
        sockets::accept_now(listener)
    }

    fn wait_acceptable(&self, listener: &OwnedSocket, timeout: Duration) -> bool {
        sockets::wait_acceptable(listener, timeout)
    }

    unsafe fn connect_ex(
        &self,
        socket: &OwnedSocket,
        address: SocketAddr,
        operation: *mut OVERLAPPED,
    ) -> Result<Started, Code> {
        // SAFETY: the caller keeps the same promise.
        unsafe { overlapped::connect_ex(socket, address, operation) }
    }

    fn update_connected(&self, socket: &OwnedSocket) -> Result<(), Code> {
        sockets::update_connected(socket)
    }

    unsafe fn disconnect_ex(
        &self,
        socket: &OwnedSocket,
        how: Disconnect,
        operation: *mut OVERLAPPED,
    ) -> Result<Started, Code> {
        // SAFETY: the caller keeps the same promise.
        unsafe { overlapped::disconnect_ex(socket, how, operation) }
    }

    unsafe fn receive(
        &self,
        socket: &OwnedSocket,
        buffer: Option<(*mut u8, u32)>,
        operation: *mut OVERLAPPED,
    ) -> Result<Started, Code> {
        // SAFETY: the caller keeps the same promise.
        unsafe { overlapped::receive(socket, buffer, operation) }
    }

    unsafe fn receive_now(
        &self,
        socket: &OwnedSocket,
        buffer: *mut u8,
        len: u32,
    ) -> Result<usize, Code> {
        // SAFETY: the caller keeps the same promise.
        unsafe { sockets::receive_now(socket, buffer, len) }
    }

    unsafe fn send(
        &self,
        socket: &OwnedSocket,
        slices: &[Slice],
        operation: *mut OVERLAPPED,
    ) -> Result<Started, Code> {
        // SAFETY: the caller keeps the same promise.
        unsafe { overlapped::send(socket, slices, operation) }
    }

    unsafe fn send_now(&self, socket: &OwnedSocket, slices: &[Slice]) -> Result<usize, Code> {
        // SAFETY: the caller keeps the same promise.
        unsafe { sockets::send_now(socket, slices) }
    }
}
