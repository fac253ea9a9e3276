//! What Windows says when something fails, and what that means to the contract.

use std::io;
use std::net::SocketAddr;

use windows_sys::Win32::Foundation::{
    ERROR_COMMITMENT_LIMIT, ERROR_CONNECTION_ABORTED, ERROR_CONNECTION_REFUSED,
    ERROR_GRACEFUL_DISCONNECT, ERROR_HOST_UNREACHABLE, ERROR_INVALID_HANDLE, ERROR_NETNAME_DELETED,
    ERROR_NETWORK_UNREACHABLE, ERROR_NO_SYSTEM_RESOURCES, ERROR_NOT_ENOUGH_MEMORY,
    ERROR_NOT_ENOUGH_QUOTA, ERROR_OPERATION_ABORTED, ERROR_OUTOFMEMORY, ERROR_PORT_UNREACHABLE,
    ERROR_SEM_TIMEOUT, ERROR_TOO_MANY_OPEN_FILES, ERROR_UNEXP_NET_ERR, ERROR_WORKING_SET_QUOTA,
    WAIT_TIMEOUT,
};
use windows_sys::Win32::Networking::WinSock::{
    WSAEACCES, WSAEADDRINUSE, WSAEADDRNOTAVAIL, WSAECONNABORTED, WSAECONNREFUSED, WSAECONNRESET,
    WSAEDISCON, WSAEHOSTUNREACH, WSAEMFILE, WSAENETDOWN, WSAENETRESET, WSAENETUNREACH, WSAENOBUFS,
    WSAENOTCONN, WSAESHUTDOWN, WSAETIMEDOUT, WSAEWOULDBLOCK,
};

use crate::error::{AcceptError, ConnectError, ListenError, ReceiveError, SendError};

/// A Win32 or Winsock error code. Packets bring an `NTSTATUS`, which the API translates.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Code(pub(crate) u32);

macro_rules! codes {
    ($($name:ident = $code:expr;)*) => {
        impl Code {
            $(pub(crate) const $name: Self = Self($code.cast_unsigned());)*
        }
    };
}

codes! {
    WOULD_BLOCK = WSAEWOULDBLOCK;
    SHUTDOWN = WSAESHUTDOWN;
}

impl Code {
    /// A wait found nothing in time.
    pub(crate) const TIMED_OUT: Self = Self(WAIT_TIMEOUT);
    /// An operation that was cancelled, or whose socket was closed.
    pub(crate) const ABORTED: Self = Self(ERROR_OPERATION_ABORTED);
    /// What is no socket any more.
    pub(crate) const INVALID_HANDLE: Self = Self(ERROR_INVALID_HANDLE);
    /// The system has not enough of something.
    pub(crate) const NO_BUFFERS: Self = Self(WSAENOBUFS.cast_unsigned());

    /// The code of an error of the standard library's.
    pub(crate) fn of(error: &io::Error) -> Self {
        error.raw_os_error().map_or(Self::INVALID_HANDLE, |code| Self(code.cast_unsigned()))
    }

    const fn signed(self) -> i32 {
        self.0.cast_signed()
    }

    /// What a code is about, whichever of its two numbers the system has used: that of Winsock, which
    /// calls return, or that of Win32, which packets bring.
    const fn cause(self) -> Cause {
        match self.0 {
            ERROR_NETNAME_DELETED
            | ERROR_CONNECTION_ABORTED
            | ERROR_UNEXP_NET_ERR
            | ERROR_GRACEFUL_DISCONNECT
            | ERROR_PORT_UNREACHABLE => Cause::Reset,
            ERROR_CONNECTION_REFUSED => Cause::Refused,
            ERROR_SEM_TIMEOUT => Cause::TimedOut,
            ERROR_NETWORK_UNREACHABLE | ERROR_HOST_UNREACHABLE => Cause::Unreachable,
            ERROR_OPERATION_ABORTED => Cause::Cancelled,
            ERROR_TOO_MANY_OPEN_FILES => Cause::Handles,
            ERROR_NOT_ENOUGH_MEMORY
            | ERROR_OUTOFMEMORY
            | ERROR_NO_SYSTEM_RESOURCES
            | ERROR_WORKING_SET_QUOTA
            | ERROR_NOT_ENOUGH_QUOTA
            | ERROR_COMMITMENT_LIMIT => Cause::Memory,
            _ => self.winsock_cause(),
        }
    }

    const fn winsock_cause(self) -> Cause {
        match self.signed() {
            WSAECONNRESET | WSAECONNABORTED | WSAESHUTDOWN | WSAEDISCON | WSAENOTCONN => {
                Cause::Reset
            }
            WSAECONNREFUSED => Cause::Refused,
            // The second is what a keep-alive without an answer leaves.
            WSAETIMEDOUT | WSAENETRESET => Cause::TimedOut,
            WSAENETUNREACH | WSAEHOSTUNREACH | WSAENETDOWN => Cause::Unreachable,
            WSAEMFILE => Cause::Handles,
            WSAENOBUFS => Cause::Memory,
            WSAEADDRINUSE => Cause::AddressInUse,
            WSAEADDRNOTAVAIL => Cause::AddressNotLocal,
            WSAEACCES => Cause::Forbidden,
            _ => Cause::Other,
        }
    }

    /// Whether it says that a connection is over.
    pub(crate) const fn ends_a_connection(self) -> bool {
        matches!(self.cause(), Cause::Reset | Cause::TimedOut | Cause::Unreachable)
    }

    /// Whether this is how a cancelled operation ends. Other codes may mean that too, once its socket
    /// is closed: 6, 64 and 676 have been seen.
    pub(crate) const fn is_cancelled(self) -> bool {
        matches!(self.cause(), Cause::Cancelled)
    }
}

#[derive(Clone, Copy)]
enum Cause {
    Reset,
    Refused,
    TimedOut,
    Unreachable,
    Cancelled,
    Handles,
    Memory,
    AddressInUse,
    AddressNotLocal,
    Forbidden,
    Other,
}

impl From<Code> for io::Error {
    fn from(code: Code) -> Self {
        Self::from_raw_os_error(code.signed())
    }
}

impl From<Code> for AcceptError {
    /// A client that was gone has many numbers (59, 64, 1236, 10054).
    fn from(code: Code) -> Self {
        match code.cause() {
            Cause::Handles => Self::ProcessDescriptors,
            Cause::Memory => Self::Memory,
            Cause::Reset | Cause::TimedOut | Cause::Unreachable | Cause::Cancelled => Self::Aborted,
            _ => Self::Os(code.signed()),
        }
    }
}

impl From<Code> for ConnectError {
    fn from(code: Code) -> Self {
        match code.cause() {
            Cause::Reset | Cause::Refused => Self::Refused,
            Cause::TimedOut => Self::TimedOut,
            Cause::Unreachable => Self::Unreachable,
            Cause::Cancelled => Self::Cancelled,
            Cause::Handles | Cause::Memory | Cause::AddressInUse | Cause::AddressNotLocal => {
                Self::Shortage(code.signed())
            }
            Cause::Forbidden | Cause::Other => Self::Os(code.signed()),
        }
    }
}

impl From<Code> for ReceiveError {
    fn from(code: Code) -> Self {
        match code.cause() {
            Cause::Reset => Self::Reset,
            Cause::TimedOut => Self::TimedOut,
            Cause::Unreachable => Self::Unreachable,
            _ => Self::Os(code.signed()),
        }
    }
}

impl From<Code> for SendError {
    fn from(code: Code) -> Self {
        match code.cause() {
            Cause::Reset => Self::Reset,
            Cause::TimedOut => Self::TimedOut,
            Cause::Unreachable => Self::Unreachable,
            Cause::Cancelled => Self::Cancelled,
            _ => Self::Os(code.signed()),
        }
    }
}

impl ListenError {
    pub(crate) fn of_windows(address: SocketAddr, code: Code) -> Self {
        let address = address.into();
        let source = io::Error::from(code);
        match code.cause() {
            // With SO_EXCLUSIVEADDRUSE, an address that another server has is "forbidden" as well.
            Cause::AddressInUse => Self::AddressInUse(address),
            Cause::AddressNotLocal => Self::AddressNotLocal(address),
            Cause::Forbidden => Self::Forbidden(address),
            Cause::Handles | Cause::Memory => Self::Shortage { address, source },
            _ => Self::Os { address, source },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_numbers_of_a_reset_are_a_reset() {
        for code in [ERROR_NETNAME_DELETED, WSAECONNRESET.cast_unsigned()] {
            assert_eq!(ReceiveError::from(Code(code)), ReceiveError::Reset);
            assert_eq!(SendError::from(Code(code)), SendError::Reset);
        }
    }

    #[test]
    fn a_shortage_of_handles_is_told_from_a_client_that_is_gone() {
        let handles = Code(WSAEMFILE.cast_unsigned());
        assert_eq!(AcceptError::from(handles), AcceptError::ProcessDescriptors);
        for gone in [ERROR_NETNAME_DELETED, ERROR_UNEXP_NET_ERR, ERROR_CONNECTION_ABORTED] {
            assert_eq!(AcceptError::from(Code(gone)), AcceptError::Aborted);
        }
    }
}
