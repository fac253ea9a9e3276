//! Making sockets and accepting them: with the flags that each needs from the start, where the system
//! takes flags, and with further calls on Apple's systems, which do not.

use rustix::io::Errno;
use rustix::net::{Protocol, SendFlags, SocketType, ipproto};
#[cfg(not(target_vendor = "apple"))]
use rustix::net::{SocketFlags, accept_with, socket_with};
#[cfg(target_vendor = "apple")]
use rustix::{
    io::{FdFlags, fcntl_setfd},
    net::{accept, socket, sockopt},
};

use super::Socket;
use super::addresses::family_of;
use crate::address::Address;

const fn protocol_of(address: &Address) -> Option<Protocol> {
    if address.is_unix() { None } else { Some(ipproto::TCP) }
}

/// To send with: a peer that is gone is an error and no signal.
#[cfg(not(target_vendor = "apple"))]
pub(crate) const NO_SIGNAL: SendFlags = SendFlags::NOSIGNAL;

/// The sockets have it themselves.
#[cfg(target_vendor = "apple")]
pub(crate) const NO_SIGNAL: SendFlags = SendFlags::empty();

#[cfg(not(target_vendor = "apple"))]
pub(super) fn open(address: &Address) -> Result<Socket, Errno> {
    socket_with(family_of(address), SocketType::STREAM, SocketFlags::CLOEXEC, protocol_of(address))
}

#[cfg(target_vendor = "apple")]
pub(super) fn open(address: &Address) -> Result<Socket, Errno> {
    let socket = socket(family_of(address), SocketType::STREAM, protocol_of(address))?;
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
