//! Making sockets and accepting them: with the flags that each needs from the start, where the system
//! takes flags, and with further calls on Apple's systems, which do not.

use std::net::SocketAddr;

use rustix::io::Errno;
use rustix::net::{AddressFamily, SendFlags, SocketType, ipproto};
#[cfg(not(target_vendor = "apple"))]
use rustix::net::{SocketFlags, accept_with, socket_with};
#[cfg(target_vendor = "apple")]
use rustix::{
    io::{FdFlags, fcntl_setfd},
    net::{accept, socket, sockopt},
};

use super::Socket;

const fn family_of(address: SocketAddr) -> AddressFamily {
    if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 }
}

/// To send with: a peer that is gone is an error and no signal.
#[cfg(not(target_vendor = "apple"))]
pub(crate) const NO_SIGNAL: SendFlags = SendFlags::NOSIGNAL;

/// The sockets have it themselves.
#[cfg(target_vendor = "apple")]
pub(crate) const NO_SIGNAL: SendFlags = SendFlags::empty();

#[cfg(not(target_vendor = "apple"))]
pub(super) fn open(address: SocketAddr) -> Result<Socket, Errno> {
    socket_with(family_of(address), SocketType::STREAM, SocketFlags::CLOEXEC, Some(ipproto::TCP))
}

#[cfg(target_vendor = "apple")]
pub(super) fn open(address: SocketAddr) -> Result<Socket, Errno> {
    let socket = socket(family_of(address), SocketType::STREAM, Some(ipproto::TCP))?;
    fcntl_setfd(&socket, FdFlags::CLOEXEC)?;
    // What is accepted inherits it.
    sockopt::set_socket_nosigpipe(&socket, true)?;
    Ok(socket)
}

/// Takes a connection that waits; the listener must not block.
#[cfg(not(target_vendor = "apple"))]
pub(crate) fn accept_now(listener: &Socket, nonblocking: bool) -> Result<Socket, Errno> {
    let mut flags = SocketFlags::CLOEXEC;
    flags.set(SocketFlags::NONBLOCK, nonblocking);
    accept_with(listener, flags)
}

/// Takes a connection that waits; the listener must not block.
#[cfg(target_vendor = "apple")]
pub(crate) fn accept_now(listener: &Socket, nonblocking: bool) -> Result<Socket, Errno> {
    let socket = accept(listener)?;
    fcntl_setfd(&socket, FdFlags::CLOEXEC)?;
    super::adapt(&socket, nonblocking)?;
    super::keepalive::inherit_idle(listener, &socket);
    Ok(socket)
}
