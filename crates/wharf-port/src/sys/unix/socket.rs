//! Sockets, and the calls on them that finish at once.

use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::time::Duration;

#[cfg(target_os = "linux")]
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::{Shutdown, bind, connect, getpeername, getsockname, listen, shutdown, sockopt};

use super::fresh::open;
use super::keepalive;
use crate::options::{ListenOptions, SocketOptions};

/// An owned socket, closed when dropped.
pub(crate) type Socket = OwnedFd;

fn set_options(socket: &Socket, options: &SocketOptions) -> Result<(), Errno> {
    sockopt::set_tcp_nodelay(socket, options.no_delay)?;
    if let Some(keepalive) = options.keepalive {
        keepalive::set(socket, keepalive)?;
    }
    if let Some(bytes) = options.send_buffer_bytes {
        sockopt::set_socket_send_buffer_size(socket, bytes as usize)?;
    }
    #[cfg(target_os = "linux")]
    if let Some(bytes) = options.unsent_bytes_max {
        let set = socket2::SockRef::from(socket).set_tcp_notsent_lowat(bytes);
        set.map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO))?;
    }
    if let Some(bytes) = options.receive_buffer_bytes {
        sockopt::set_socket_recv_buffer_size(socket, bytes as usize)?;
    }
    Ok(())
}

/// A socket that listens. Accepted sockets inherit its options, which Linux and the BSDs do for all
/// that are set here, so that an accept needs no further call there.
pub(crate) fn open_listener(address: SocketAddr, options: &ListenOptions) -> Result<Socket, Errno> {
    let socket = open(address)?;
    // On Unix this lets a server start while connections of the last one are in TIME_WAIT; two
    // listeners on one address still exclude each other.
    sockopt::set_socket_reuseaddr(&socket, true)?;
    if address.is_ipv6() {
        sockopt::set_ipv6_v6only(&socket, !options.dual_stack)?;
    }
    set_options(&socket, &options.accepted)?;
    bind(&socket, &address)?;
    listen(&socket, i32::try_from(options.backlog).unwrap_or(i32::MAX))?;
    Ok(socket)
}

/// A socket that is about to connect.
pub(crate) fn open_stream(address: SocketAddr, options: &SocketOptions) -> Result<Socket, Errno> {
    let socket = open(address)?;
    set_options(&socket, options)?;
    if let Some(local) = options.bind {
        bind(&socket, &local)?;
    }
    Ok(socket)
}

/// Starts to connect a socket that does not block: `Err(INPROGRESS)` is the usual answer.
pub(crate) fn start_connect(socket: &Socket, address: SocketAddr) -> Result<(), Errno> {
    connect(socket, &address)
}

/// How a connect that was in progress went.
pub(crate) fn take_error(socket: &Socket) -> Result<(), Errno> {
    sockopt::socket_error(socket)?
}

/// Makes a socket block or not, as its backend needs it.
pub(crate) fn adapt(socket: &Socket, nonblocking: bool) -> Result<(), Errno> {
    rustix::io::ioctl_fionbio(socket, nonblocking)
}

pub(crate) fn local_address(socket: &Socket) -> Option<SocketAddr> {
    getsockname(socket).ok()?.try_into().ok()
}

/// `None` if the peer is gone already.
pub(crate) fn peer_address(socket: &Socket) -> Option<SocketAddr> {
    getpeername(socket).ok()??.try_into().ok()
}

/// Whether a connection is gone, of which this end has not ended its own direction: a peer that has
/// only ended its stream can still be sent to.
#[cfg(target_os = "linux")]
pub(crate) fn is_gone(socket: &Socket) -> bool {
    let mut polled = [PollFd::new(socket, PollFlags::empty())];
    let answered = poll(&mut polled, Some(&Timespec::default()));
    answered.is_ok() && polled[0].revents().contains(PollFlags::HUP)
}

/// Whether small sends go out at once.
pub(crate) fn no_delay(socket: &Socket) -> Result<bool, Errno> {
    sockopt::tcp_nodelay(socket)
}

/// Ends the sending direction: the peer sees the end of the stream after what has been sent.
pub(crate) fn shutdown_send(socket: &Socket) -> Result<(), Errno> {
    shutdown(socket, Shutdown::Write)
}

/// Ends both directions: whatever waits on the socket comes back. Fails only on what is gone already.
#[cfg(target_os = "linux")]
pub(crate) fn shutdown_both(socket: &Socket) {
    let _ = shutdown(socket, Shutdown::Both);
}

/// Closes a socket so that its peer sees a reset and nothing stays in the kernel.
pub(crate) fn reset(socket: Socket) {
    // Fails only on what is no socket; closing is what remains either way.
    let _ = sockopt::set_socket_linger(&socket, Some(Duration::ZERO));
    drop(socket);
}
