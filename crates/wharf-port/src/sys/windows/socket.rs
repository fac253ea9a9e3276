//! Sockets before a port has adopted them.

use std::io;
use std::os::windows::io::OwnedSocket;
use std::time::Duration;

use socket2::SockRef;

/// An owned socket, closed when dropped.
pub(crate) type Socket = OwnedSocket;

/// Makes a socket block or not, as its backend needs it.
pub(crate) fn adapt(socket: &Socket, nonblocking: bool) -> io::Result<()> {
    SockRef::from(socket).set_nonblocking(nonblocking)
}

/// Closes a socket so that its peer sees a reset and nothing stays in the kernel.
pub(crate) fn reset(socket: Socket) {
    // Fails only on what is no socket; closing is what remains either way.
    let _ = SockRef::from(&socket).set_linger(Some(Duration::ZERO));
    drop(socket);
}
