//! Who waits to be accepted.

use super::Socket;
use crate::accept_backlog::AcceptBacklog;

/// The queue of a socket that listens; `None` of one that does not, or is of the Unix domain.
#[cfg(target_os = "linux")]
pub(crate) fn accept_backlog(socket: &Socket) -> Option<AcceptBacklog> {
    /// What Linux calls the state of a socket that listens (`TCP_LISTEN`).
    const LISTENS: u8 = 10;
    let mut info = std::mem::MaybeUninit::<libc::tcp_info>::zeroed();
    let mut bytes = libc::socklen_t::try_from(size_of::<libc::tcp_info>()).ok()?;
    // By hand: `rustix` and `socket2` do not offer it.
    // SAFETY: there is room for as many bytes as it is told, and it writes no more.
    let got = unsafe {
        libc::getsockopt(
            std::os::fd::AsRawFd::as_raw_fd(socket),
            libc::IPPROTO_TCP,
            libc::TCP_INFO,
            info.as_mut_ptr().cast(),
            &raw mut bytes,
        )
    };
    // SAFETY: it is all numbers, which were zero before; an older kernel writes to fewer of them.
    let info = unsafe { info.assume_init() };
    // Of a socket that listens these two are not what their names say.
    let backlog = AcceptBacklog { waiting: info.tcpi_unacked, max: info.tcpi_sacked };
    (got == 0 && info.tcpi_state == LISTENS).then_some(backlog)
}

#[cfg(not(target_os = "linux"))]
pub(crate) const fn accept_backlog(_: &Socket) -> Option<AcceptBacklog> {
    None
}
