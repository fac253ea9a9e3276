//! How a connection is found out to be dead that has nothing to send.

use rustix::io::Errno;
use rustix::net::sockopt;

use super::Socket;
use crate::socket_options::Keepalive;

#[cfg(not(target_os = "openbsd"))]
pub(super) fn set(socket: &Socket, keepalive: Keepalive) -> Result<(), Errno> {
    sockopt::set_socket_keepalive(socket, true)?;
    sockopt::set_tcp_keepidle(socket, keepalive.idle)?;
    sockopt::set_tcp_keepintvl(socket, keepalive.interval)?;
    sockopt::set_tcp_keepcnt(socket, keepalive.probes)
}

/// When and how often is a matter of the whole system here (`net.inet.tcp.keepidle`).
#[cfg(target_os = "openbsd")]
pub(super) fn set(socket: &Socket, _: Keepalive) -> Result<(), Errno> {
    sockopt::set_socket_keepalive(socket, true)
}

/// The one of the options of a listener that is not inherited on Apple's systems.
#[cfg(target_vendor = "apple")]
pub(super) fn inherit_idle(listener: &Socket, accepted: &Socket) {
    // Fails only on what is gone already.
    if sockopt::socket_keepalive(accepted) == Ok(true)
        && let Ok(idle) = sockopt::tcp_keepidle(listener)
    {
        let _ = sockopt::set_tcp_keepidle(accepted, idle);
    }
}
