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
#[cfg(target_os = "linux")]
use crate::socket_options::user_timeout_ms;
use crate::socket_options::{ListenOptions, SocketOptions};

/// An owned socket, closed when dropped.
pub(crate) type Socket = OwnedFd;

fn set_options(socket: &Socket, options: &SocketOptions) -> Result<(), Errno> {
    sockopt::set_tcp_nodelay(socket, options.no_delay)?;
    if let Some(keepalive) = options.keepalive {
        keepalive::set(socket, keepalive)?;
    }
    #[cfg(target_os = "linux")]
    if let Some(millis) = options.user_timeout.and_then(user_timeout_ms) {
        sockopt::set_tcp_user_timeout(socket, millis)?;
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

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;
    use crate::socket_options::Keepalive;
    use crate::sys::accept_now;

    fn all_set() -> SocketOptions {
        let [idle, interval] = [77, 7].map(Duration::from_secs);
        SocketOptions {
            no_delay: false,
            keepalive: Some(Keepalive { idle, interval, probes: 5 }),
            user_timeout: Some(Duration::from_millis(12_345)),
            send_buffer_bytes: Some(20_000),
            unsent_bytes_max: Some(30_000),
            receive_buffer_bytes: Some(40_000),
            bind: None,
        }
    }

    #[track_caller]
    fn check(socket: &Socket) {
        assert_eq!(sockopt::tcp_nodelay(socket), Ok(false));
        assert_eq!(sockopt::socket_keepalive(socket), Ok(true));
        assert_eq!(sockopt::tcp_keepidle(socket), Ok(Duration::from_secs(77)));
        assert_eq!(sockopt::tcp_keepintvl(socket), Ok(Duration::from_secs(7)));
        assert_eq!(sockopt::tcp_keepcnt(socket), Ok(5));
        assert_eq!(sockopt::tcp_user_timeout(socket), Ok(12_345));
        // The kernel doubles both, for what it keeps beside the bytes.
        assert_eq!(sockopt::socket_send_buffer_size(socket), Ok(40_000));
        assert_eq!(sockopt::socket_recv_buffer_size(socket), Ok(80_000));
        let unsent = socket2::SockRef::from(socket).tcp_notsent_lowat();
        assert_eq!(unsent.ok(), Some(30_000));
    }

    #[test]
    fn accepted_sockets_and_connecting_ones_have_every_option() {
        let options = ListenOptions { accepted: all_set(), ..ListenOptions::default() };
        let listener = open_listener("127.0.0.1:0".parse().unwrap(), &options).unwrap();
        let client = open_stream(local_address(&listener).unwrap(), &all_set()).unwrap();
        check(&client);
        // It blocks, so both are connected when this returns.
        start_connect(&client, local_address(&listener).unwrap()).unwrap();
        check(&accept_now(&listener, true).unwrap());
    }

    #[test]
    fn options_that_are_not_given_are_the_systems_own() {
        let own = open("127.0.0.1:0".parse().unwrap()).unwrap();
        let options = ListenOptions::default();
        let listener = open_listener("127.0.0.1:0".parse().unwrap(), &options).unwrap();
        assert_eq!(sockopt::socket_keepalive(&listener), Ok(false));
        assert_eq!(sockopt::tcp_user_timeout(&listener), Ok(0));
        let sizes = |socket: &Socket| {
            (sockopt::socket_send_buffer_size(socket), sockopt::socket_recv_buffer_size(socket))
        };
        assert_eq!(sizes(&listener), sizes(&own));
    }
}
