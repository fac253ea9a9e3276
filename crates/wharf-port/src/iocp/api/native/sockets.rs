//! Calls on sockets that finish at once.

use std::mem::size_of;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::windows::io::OwnedSocket;
use std::ptr::null_mut;
use std::time::Duration;

use socket2::{Domain, Protocol, SockRef, Socket, TcpKeepalive, Type};
use windows_sys::Win32::Networking::WinSock::{
    POLLRDNORM, SO_CONNECT_TIME, SO_EXCLUSIVEADDRUSE, SO_REUSE_UNICASTPORT,
    SO_UPDATE_ACCEPT_CONTEXT, SO_UPDATE_CONNECT_CONTEXT, SOCKET, SOL_SOCKET, WSABUF, WSAPOLLFD,
    WSAPoll, WSARecv, WSASend, getsockopt, setsockopt,
};

use super::{Slice, answered, overlapped, raw};
use crate::iocp::code::Code;
use crate::socket_options::{ListenOptions, SocketOptions};

fn code(error: &std::io::Error) -> Code {
    Code::of(error)
}

/// A TCP socket for overlapped I/O, which no child process inherits, and whose other calls do not
/// block.
pub(super) fn open(family: SocketAddr) -> Result<OwnedSocket, Code> {
    let socket = Socket::new(Domain::for_address(family), Type::STREAM, Some(Protocol::TCP));
    let socket = socket.map_err(|error| code(&error))?;
    socket.set_nonblocking(true).map_err(|error| code(&error))?;
    Ok(socket.into())
}

pub(super) fn open_listener(
    address: SocketAddr,
    options: &ListenOptions,
) -> Result<OwnedSocket, Code> {
    let socket = open(address)?;
    // Without it another process may listen on the same address and take connections away. TIME_WAIT
    // keeps no address on Windows, but a connection of the last server's that is still alive does.
    set_option(&socket, SOL_SOCKET, SO_EXCLUSIVEADDRUSE, &1u32)?;
    if address.is_ipv6() {
        let both = SockRef::from(&socket).set_only_v6(!options.dual_stack);
        both.map_err(|error| code(&error))?;
    }
    set_options(&socket, &options.accepted)?;
    bind(&socket, address, Some(address))?;
    SockRef::from(&socket).listen(backlog(options.backlog)).map_err(|error| code(&error))?;
    Ok(socket)
}

/// A plain number is cut down to 200, or to 5 on a client edition; a negative one is what
/// `SOMAXCONN_HINT` makes, of 200 to 65,535.
fn backlog(connections: u32) -> i32 {
    let connections = i32::try_from(connections.min(65_535)).unwrap_or(65_535);
    if connections > 200 { -connections } else { connections }
}

pub(super) fn set_options(socket: &OwnedSocket, options: &SocketOptions) -> Result<(), Code> {
    apply(&SockRef::from(socket), options).map_err(|error| code(&error))
}

fn apply(socket: &SockRef<'_>, options: &SocketOptions) -> std::io::Result<()> {
    socket.set_tcp_nodelay(options.no_delay)?;
    if let Some(keepalive) = options.keepalive {
        let times = TcpKeepalive::new().with_time(keepalive.idle).with_interval(keepalive.interval);
        socket.set_tcp_keepalive(&times)?;
        // How many probes can be set since Windows 10; before that it is ten.
        let _ = socket.set_tcp_keepalive(&times.with_retries(keepalive.probes));
    }
    if let Some(bytes) = options.send_buffer_bytes {
        socket.set_send_buffer_size(bytes as usize)?;
    }
    if let Some(bytes) = options.receive_buffer_bytes {
        socket.set_recv_buffer_size(bytes as usize)?;
    }
    Ok(())
}

pub(super) fn bind(
    socket: &OwnedSocket,
    family: SocketAddr,
    local: Option<SocketAddr>,
) -> Result<(), Code> {
    let any: SocketAddr = match family {
        SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
        SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
    };
    if local.is_none() {
        // Windows 10 then shares a port among connections that go to different places; else each takes
        // one of 16,384 to itself.
        let _ = set_option(socket, SOL_SOCKET, SO_REUSE_UNICASTPORT, &1u32);
    }
    let bound = SockRef::from(socket).bind(&local.unwrap_or(any).into());
    bound.map_err(|error| code(&error))
}

pub(super) fn local_address(socket: &OwnedSocket) -> Option<SocketAddr> {
    SockRef::from(socket).local_addr().ok()?.as_socket()
}

pub(super) fn peer_address(socket: &OwnedSocket) -> Option<SocketAddr> {
    SockRef::from(socket).peer_addr().ok()?.as_socket()
}

pub(super) fn no_delay(socket: &OwnedSocket) -> Option<bool> {
    SockRef::from(socket).tcp_nodelay().ok()
}

pub(super) fn end_sending(socket: &OwnedSocket) {
    // It fails only on a connection that is gone, and then it has no one to tell.
    let _ = SockRef::from(socket).shutdown(std::net::Shutdown::Write);
}

pub(super) fn update_accepted(socket: &OwnedSocket, listener: &OwnedSocket) -> Result<(), Code> {
    set_option(socket, SOL_SOCKET, SO_UPDATE_ACCEPT_CONTEXT, &raw(listener))
}

pub(super) fn update_connected(socket: &OwnedSocket) -> Result<(), Code> {
    // SAFETY: no value is given, and none is read.
    let answer =
        unsafe { setsockopt(raw(socket), SOL_SOCKET, SO_UPDATE_CONNECT_CONTEXT, null_mut(), 0) };
    answered(answer)
}

pub(super) fn connected_for(socket: &OwnedSocket) -> Option<Duration> {
    let mut seconds = u32::MAX;
    // SAFETY: the value is a number of 32 bits.
    unsafe { get_option(socket, SOL_SOCKET, SO_CONNECT_TIME, &mut seconds) }.ok()?;
    (seconds != u32::MAX).then(|| Duration::from_secs(seconds.into()))
}

pub(super) fn accept_now(listener: &OwnedSocket) -> Result<(OwnedSocket, SocketAddr), Code> {
    let accepted = SockRef::from(listener).accept().map_err(|error| code(&error))?;
    let (socket, peer) = accepted;
    socket.set_nonblocking(true).map_err(|error| code(&error))?;
    let peer = peer.as_socket().ok_or(Code::INVALID_HANDLE)?;
    Ok((socket.into(), peer))
}

pub(super) fn wait_acceptable(listener: &OwnedSocket, timeout: Duration) -> bool {
    let mut polled = WSAPOLLFD { fd: raw(listener), events: POLLRDNORM, revents: 0 };
    let timeout = i32::try_from(timeout.as_millis()).unwrap_or(i32::MAX);
    // SAFETY: one entry is given and one is said to be there.
    unsafe { WSAPoll(&raw mut polled, 1, timeout) != 0 }
}

/// # Safety
/// See `Api::receive_now`.
pub(super) unsafe fn receive_now(
    socket: &OwnedSocket,
    buffer: *mut u8,
    len: u32,
) -> Result<usize, Code> {
    let buffer = WSABUF { len, buf: buffer };
    let (mut bytes, mut flags) = (0, 0);
    // SAFETY: the caller promises the room, and nothing is written after the call.
    let answer = unsafe {
        WSARecv(raw(socket), &raw const buffer, 1, &raw mut bytes, &raw mut flags, null_mut(), None)
    };
    answered(answer).map(|()| bytes as usize)
}

/// # Safety
/// See `Api::send_now`.
pub(super) unsafe fn send_now(socket: &OwnedSocket, slices: &[Slice]) -> Result<usize, Code> {
    let (buffers, count) = overlapped::gathered(slices);
    let mut bytes = 0;
    // SAFETY: the caller promises the bytes, and nothing is read after the call.
    let answer = unsafe {
        WSASend(raw(socket), buffers.as_ptr(), count, &raw mut bytes, 0, null_mut(), None)
    };
    answered(answer).map(|()| bytes as usize)
}

fn set_option<T>(socket: &OwnedSocket, level: i32, name: i32, value: &T) -> Result<(), Code> {
    let size = i32::try_from(size_of::<T>()).unwrap_or(0);
    // SAFETY: as many bytes as `value` has are read from it during the call.
    let answer =
        unsafe { setsockopt(raw(socket), level, name, std::ptr::from_ref(value).cast(), size) };
    answered(answer)
}

/// # Safety
/// `T` is what the option's value is, and any bytes are valid for it.
pub(super) unsafe fn get_option<T>(
    socket: &OwnedSocket,
    level: i32,
    name: i32,
    value: &mut T,
) -> Result<(), Code> {
    let mut size = i32::try_from(size_of::<T>()).unwrap_or(0);
    let number: SOCKET = raw(socket);
    // SAFETY: at most as many bytes as `value` has are written to it, and only during the call.
    let answer =
        unsafe { getsockopt(number, level, name, std::ptr::from_mut(value).cast(), &raw mut size) };
    answered(answer)
}
