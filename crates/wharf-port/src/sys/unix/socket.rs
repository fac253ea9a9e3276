//! Sockets, and the calls on them that finish at once.

use std::os::fd::OwnedFd;
use std::time::Duration;

#[cfg(target_os = "linux")]
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::{Shutdown, bind, connect, shutdown, sockopt};

use super::addresses::{is_somewhere, to_system};
use super::fresh::open;
use super::keepalive;
use crate::address::Address;
use crate::error::{ConnectError, lacking};
use crate::socket_options::SocketOptions;
#[cfg(target_os = "linux")]
use crate::socket_options::user_timeout_ms;

/// An owned socket, closed when dropped.
pub(crate) type Socket = OwnedFd;

/// Sets what there is to set. Of a Unix socket that is the buffer of what it sends; all the rest is TCP's.
pub(super) fn set_options(
    socket: &Socket,
    address: &Address,
    options: &SocketOptions,
) -> Result<(), Errno> {
    if let Some(bytes) = options.send_buffer_bytes {
        sockopt::set_socket_send_buffer_size(socket, bytes as usize)?;
    }
    if !address.is_unix() {
        set_tcp_options(socket, options)?;
    }
    Ok(())
}

fn set_tcp_options(socket: &Socket, options: &SocketOptions) -> Result<(), Errno> {
    sockopt::set_tcp_nodelay(socket, options.no_delay)?;
    if let Some(keepalive) = options.keepalive {
        keepalive::set(socket, keepalive)?;
    }
    #[cfg(target_os = "linux")]
    if let Some(millis) = options.user_timeout.and_then(user_timeout_ms) {
        sockopt::set_tcp_user_timeout(socket, millis)?;
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

/// A socket that is about to connect.
pub(crate) fn open_stream(
    address: &Address,
    options: &SocketOptions,
) -> Result<Socket, ConnectError> {
    if !is_somewhere(address) {
        return Err(ConnectError::Unsupported(lacking(address)));
    }
    let socket = open(address)?;
    set_options(&socket, address, options)?;
    if let Some(local) = options.bind.filter(|_| !address.is_unix()) {
        bind(&socket, &local)?;
    }
    Ok(socket)
}

/// Starts to connect a socket that does not block: `Err(INPROGRESS)` is the usual answer.
/// Of a Unix socket `Err(AGAIN)` says that the listener's queue is full.
pub(crate) fn start_connect(socket: &Socket, address: &Address) -> Result<(), Errno> {
    connect(socket, &to_system(address)?)
}

/// How a connect that was in progress went.
pub(crate) fn take_error(socket: &Socket) -> Result<(), Errno> {
    sockopt::socket_error(socket)?
}

/// Makes a socket block or not, as its backend needs it.
pub(crate) fn adapt(socket: &Socket, nonblocking: bool) -> Result<(), Errno> {
    rustix::io::ioctl_fionbio(socket, nonblocking)
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
    use crate::socket_options::ListenOptions;
    use crate::sys::{local_address, open_listener};

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
        let listener = open_listener(&"127.0.0.1:0".parse().unwrap(), &options).unwrap();
        let address = local_address(&listener.socket).unwrap();
        let client = open_stream(&address, &all_set()).unwrap();
        check(&client);
        // It blocks, so both are connected when this returns.
        start_connect(&client, &address).unwrap();
        check(&listener.accept_now(true).unwrap());
    }

    #[test]
    fn options_that_are_not_given_are_the_systems_own() {
        let own = open(&"127.0.0.1:0".parse().unwrap()).unwrap();
        let options = ListenOptions::default();
        let listener = open_listener(&"127.0.0.1:0".parse().unwrap(), &options).unwrap().socket;
        assert_eq!(sockopt::socket_keepalive(&listener), Ok(false));
        assert_eq!(sockopt::tcp_user_timeout(&listener), Ok(0));
        let sizes = |socket: &Socket| {
            (sockopt::socket_send_buffer_size(socket), sockopt::socket_recv_buffer_size(socket))
        };
        assert_eq!(sizes(&listener), sizes(&own));
    }
}
