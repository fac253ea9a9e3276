//! Who is at the other end of a Unix socket.

use super::Socket;
use crate::address::Credentials;

#[cfg(target_os = "linux")]
pub(crate) fn credentials(socket: &Socket) -> Option<Credentials> {
    let mut peer = libc::ucred { pid: 0, uid: 0, gid: 0 };
    let mut bytes = libc::socklen_t::try_from(size_of::<libc::ucred>()).ok()?;
    // By hand: `rustix` takes a pid of 0, which one of another namespace has, for impossible.
    // SAFETY: there is room for as many bytes as it is told, and every value of them is a `ucred`.
    let got = unsafe {
        libc::getsockopt(
            std::os::fd::AsRawFd::as_raw_fd(socket),
            libc::SOL_SOCKET,
            libc::SO_PEERCRED,
            (&raw mut peer).cast(),
            &raw mut bytes,
        )
    };
    let pid = u32::try_from(peer.pid).ok().filter(|&pid| pid != 0);
    (got == 0).then_some(Credentials { uid: peer.uid, gid: peer.gid, pid })
}

#[cfg(not(target_os = "linux"))]
pub(crate) fn credentials(socket: &Socket) -> Option<Credentials> {
    let (mut uid, mut gid) = (0, 0);
    let socket = std::os::fd::AsRawFd::as_raw_fd(socket);
    // SAFETY: it writes one number to each.
    let got = unsafe { libc::getpeereid(socket, &raw mut uid, &raw mut gid) };
    (got == 0).then_some(Credentials { uid, gid, pid: None })
}
