//! What the models share of Winsock and would only repeat: the number of a socket, and what the last call
//! of this thread has come to.

use std::io;
use std::os::windows::io::{AsRawSocket, FromRawSocket, OwnedSocket, RawSocket};
use std::ptr::null;

use windows_sys::Win32::Foundation::ERROR_IO_PENDING;
use windows_sys::Win32::Networking::WinSock::{
    AF_INET, AF_INET6, INVALID_SOCKET, IPPROTO_TCP, SOCK_STREAM, SOCKET,
    WSA_FLAG_NO_HANDLE_INHERIT, WSA_FLAG_OVERLAPPED, WSASocketW,
};

use crate::ModelError;

/// The number by which Winsock knows a socket, for as long as it is open.
#[expect(clippy::cast_possible_truncation, reason = "on 32 bits it is a wider name for as much")]
pub(super) fn raw(socket: &impl AsRawSocket) -> SOCKET {
    socket.as_raw_socket() as SOCKET
}

/// The error with which the last call of this thread has failed.
pub(super) fn failed(call: &'static str) -> ModelError {
    ModelError::Call { call, error: io::Error::last_os_error() }
}

/// What a call that the kernel may finish later has come to: `Ok` if it is done or under way, and then it
/// is told the same way in both cases. An error means that it was never started and is never told.
pub(super) fn started(succeeded: bool) -> io::Result<()> {
    if succeeded {
        return Ok(());
    }
    let error = io::Error::last_os_error();
    if error.raw_os_error() == Some(ERROR_IO_PENDING.cast_signed()) { Ok(()) } else { Err(error) }
}

/// A length as Winsock wants it. No buffer of this crate is longer than 4 GiB.
pub(super) fn length(bytes: usize) -> u32 {
    u32::try_from(bytes).unwrap_or(u32::MAX)
}

/// A TCP socket for overlapped operations.
pub(super) fn tcp_socket(is_ipv6: bool) -> io::Result<OwnedSocket> {
    let family = i32::from(if is_ipv6 { AF_INET6 } else { AF_INET });
    let flags = WSA_FLAG_OVERLAPPED | WSA_FLAG_NO_HANDLE_INHERIT;
    // SAFETY: no protocol's description is given, so nothing is pointed at.
    let socket = unsafe { WSASocketW(family, SOCK_STREAM, IPPROTO_TCP, null(), 0, flags) };
    if socket == INVALID_SOCKET {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the socket is open, was made just now, and is nobody else's.
    Ok(unsafe { OwnedSocket::from_raw_socket(socket as RawSocket) })
}
