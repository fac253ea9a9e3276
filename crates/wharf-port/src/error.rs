//! What can go wrong, one type per operation.

use std::io;

use thiserror::Error;

use crate::address::Address;
use crate::select::Backend;

/// Why a completion port did not open.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum OpenError {
    /// The backend that was asked for by name is not to be had here.
    #[error("backend {backend} is not available: {reason}")]
    Unavailable {
        /// What was asked for.
        backend: Backend,
        /// What this system said.
        reason: String,
    },
    /// The system has the backend, but not enough left for another port.
    #[error("{backend}: {source} ({advice})")]
    Shortage {
        /// The backend that was being opened.
        backend: Backend,
        /// What this system said.
        source: io::Error,
        /// What to raise.
        advice: &'static str,
    },
    /// An option is out of its range.
    #[error("port options: {0}")]
    Options(String),
    /// Anything else that the system refused.
    #[error("{backend}: {source}")]
    Os {
        /// The backend that was being opened.
        backend: Backend,
        /// What this system said.
        source: io::Error,
    },
}

/// Why a listener did not start.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ListenError {
    /// Another socket listens there.
    #[error("{0} is in use by another server: choose another {another} or stop that server", another = place(.0))]
    AddressInUse(Address),
    /// No interface of this machine has the address.
    #[error("{0} is not an address of this machine: use one that it has, or 0.0.0.0 for all")]
    AddressNotLocal(Address),
    /// The process may not listen there.
    #[cfg_attr(not(windows), error("not allowed to listen on {0}: {needs}", needs = right(.0)))]
    #[cfg_attr(
        windows,
        error(
            "not allowed to listen on {0}: another server has it, or Windows has reserved it (netsh int \
             ipv4 show excludedportrange tcp); choose another port"
        )
    )]
    Forbidden(Address),
    /// There is a file at the path of a Unix socket that is none, and is left alone.
    #[error("{0} is a file, and no socket: choose another path, or remove it")]
    NotASocket(Address),
    /// The directory of a Unix socket does not exist.
    #[error("cannot listen on {0}: its directory does not exist")]
    NoDirectory(Address),
    /// This system, or its backend, has no such sockets.
    #[error("cannot listen on {0}: {what}", what = lacking(.0))]
    Unsupported(Address),
    /// An option is out of its range, or this system does not have it.
    #[error("cannot listen: {0}")]
    Options(&'static str),
    /// What was handed over as a listener is none.
    #[error("the socket that was handed over cannot be taken: {0}")]
    NotAListener(&'static str),
    /// Descriptors or memory have run out.
    #[error("cannot listen on {address}: {source}")]
    Shortage {
        /// Where.
        address: Address,
        /// What this system said.
        source: io::Error,
    },
    /// Anything else.
    #[error("cannot listen on {address}: {source}")]
    Os {
        /// Where.
        address: Address,
        /// What this system said.
        source: io::Error,
    },
}

/// What another listener would need another one of.
fn place(address: &Address) -> &'static str {
    match address {
        Address::Tcp(_) => "port",
        Address::Unix(at) if at.name().is_some() => "name",
        Address::Unix(_) => "path",
    }
}

/// What it takes to be allowed to listen.
#[cfg(not(windows))]
const fn right(address: &Address) -> &'static str {
    match address {
        Address::Tcp(_) => "ports below 1024 need a privilege, choose a higher one",
        Address::Unix(_) => {
            "its directory, and a socket that is there already, must be yours to write"
        }
    }
}

/// What there is not.
pub(crate) fn lacking(address: &Address) -> &'static str {
    match address {
        Address::Unix(at) if at.is_unnamed() => "it is the address of no socket: use unix:/path",
        Address::Unix(at) if at.name().is_some() && cfg!(unix) => {
            "Linux alone has Unix sockets with abstract names: use unix:/path"
        }
        _ => "there are no Unix sockets here: use IP:PORT",
    }
}

/// Why no connection was accepted; the listener goes on.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Error)]
#[non_exhaustive]
pub enum AcceptError {
    /// The process has no descriptor left (`EMFILE`).
    #[error("the process has no descriptor left: raise its limit (ulimit -n)")]
    ProcessDescriptors,
    /// The system has no descriptor left (`ENFILE`).
    #[error("the system has no descriptor left: raise fs.file-max")]
    SystemDescriptors,
    /// The kernel has no memory for another socket (`ENOBUFS`, `ENOMEM`).
    #[error("the kernel has no memory for another socket")]
    Memory,
    /// The connection was gone before it was accepted, many times in a row.
    #[error("connections are gone before they are accepted")]
    Aborted,
    /// Anything else, by its code.
    #[error("accept failed with system error {0}")]
    Os(i32),
}

/// Why a connection was not made.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// Nobody listens there.
    #[error("connection refused: nobody listens there")]
    Refused,
    /// There is no such Unix socket.
    #[error("nobody listens there: there is no such socket")]
    NoSocket,
    /// The process may not connect there: it takes the right to write to a Unix socket, and to pass through
    /// the directories above it.
    #[error("not allowed to connect there")]
    Forbidden,
    /// This system, or its backend, cannot connect to such an address.
    #[error("cannot connect: {0}")]
    Unsupported(&'static str),
    /// No answer in time.
    #[error("no answer in time")]
    TimedOut,
    /// There is no way to that address.
    #[error("no route to that address")]
    Unreachable,
    /// The connect was cancelled or its socket closed.
    #[error("cancelled")]
    Cancelled,
    /// An option is out of its range, or this system does not have it.
    #[error("cannot connect: {0}")]
    Options(&'static str),
    /// Descriptors, local addresses or memory have run out.
    #[error("out of descriptors, local addresses or memory (system error {0})")]
    Shortage(i32),
    /// Anything else, by its code.
    #[error("connect failed with system error {0}")]
    Os(i32),
}

/// Why a receive ended before the end of the stream.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Error)]
#[non_exhaustive]
pub enum ReceiveError {
    /// The peer reset the connection.
    #[error("connection reset by the peer")]
    Reset,
    /// The peer did not answer (keepalive, retransmission).
    #[error("the peer no longer answers")]
    TimedOut,
    /// The way to the peer is gone.
    #[error("the peer is no longer reachable")]
    Unreachable,
    /// Anything else, by its code.
    #[error("receive failed with system error {0}")]
    Os(i32),
}

/// Why a send was not finished.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Error)]
#[non_exhaustive]
pub enum SendError {
    /// The peer reset the connection, or it had been ended.
    #[error("connection reset by the peer")]
    Reset,
    /// The peer did not answer (keepalive, retransmission).
    #[error("the peer no longer answers")]
    TimedOut,
    /// The way to the peer is gone.
    #[error("the peer is no longer reachable")]
    Unreachable,
    /// The send was cancelled or its socket closed.
    #[error("cancelled")]
    Cancelled,
    /// Anything else, by its code.
    #[error("send failed with system error {0}")]
    Os(i32),
}

/// The name of a socket that is closed, or that this port never had.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
#[error("no such socket: it has been closed")]
pub struct UnknownSocket;

/// The port could not wait: its kernel object is broken.
#[derive(Debug, Error)]
#[error("{backend}: wait failed: {source}")]
pub struct WaitError {
    /// The backend.
    pub backend: Backend,
    /// What this system said.
    pub source: io::Error,
}

/// What was left when a port closed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
#[error("{operations} operations did not come back in time: their memory is leaked")]
pub struct CloseError {
    /// Operations that the kernel did not give back.
    pub operations: usize,
}

#[cfg(unix)]
mod unix {
    use std::io;

    use rustix::io::Errno;

    use super::{AcceptError, ConnectError, ListenError, ReceiveError, SendError};
    use crate::address::Address;

    impl ListenError {
        pub(crate) fn new(address: &Address, errno: Errno) -> Self {
            let address = address.clone();
            match errno {
                Errno::NOENT | Errno::NOTDIR if address.is_unix() => Self::NoDirectory(address),
                Errno::ROFS => Self::Forbidden(address),
                Errno::ADDRINUSE => Self::AddressInUse(address),
                Errno::ADDRNOTAVAIL => Self::AddressNotLocal(address),
                Errno::ACCESS | Errno::PERM => Self::Forbidden(address),
                Errno::MFILE | Errno::NFILE | Errno::NOBUFS | Errno::NOMEM => {
                    Self::Shortage { address, source: io::Error::from(errno) }
                }
                _ => Self::Os { address, source: io::Error::from(errno) },
            }
        }
    }

    impl From<Errno> for AcceptError {
        fn from(errno: Errno) -> Self {
            match errno {
                Errno::MFILE => Self::ProcessDescriptors,
                Errno::NFILE => Self::SystemDescriptors,
                Errno::NOBUFS | Errno::NOMEM => Self::Memory,
                // accept(2): errors of the connection that was to be accepted.
                Errno::CONNABORTED
                | Errno::PROTO
                | Errno::PERM
                | Errno::INTR
                | Errno::NETDOWN
                | Errno::NETUNREACH
                | Errno::HOSTDOWN
                | Errno::HOSTUNREACH
                | Errno::NOPROTOOPT
                | Errno::OPNOTSUPP
                | Errno::TIMEDOUT => Self::Aborted,
                #[cfg(target_os = "linux")]
                Errno::NONET => Self::Aborted,
                _ => Self::Os(errno.raw_os_error()),
            }
        }
    }

    impl From<Errno> for ConnectError {
        fn from(errno: Errno) -> Self {
            match errno {
                Errno::CONNREFUSED | Errno::CONNRESET => Self::Refused,
                Errno::NOENT | Errno::NOTDIR => Self::NoSocket,
                Errno::ACCESS | Errno::PERM => Self::Forbidden,
                Errno::TIMEDOUT => Self::TimedOut,
                Errno::NETUNREACH | Errno::HOSTUNREACH | Errno::NETDOWN => Self::Unreachable,
                Errno::CANCELED => Self::Cancelled,
                Errno::MFILE
                | Errno::NFILE
                | Errno::NOBUFS
                | Errno::NOMEM
                | Errno::ADDRNOTAVAIL
                | Errno::AGAIN => Self::Shortage(errno.raw_os_error()),
                _ => Self::Os(errno.raw_os_error()),
            }
        }
    }

    impl From<Errno> for ReceiveError {
        fn from(errno: Errno) -> Self {
            match errno {
                Errno::CONNRESET | Errno::PIPE | Errno::CONNABORTED => Self::Reset,
                Errno::TIMEDOUT => Self::TimedOut,
                Errno::NETUNREACH | Errno::HOSTUNREACH | Errno::NETDOWN => Self::Unreachable,
                _ => Self::Os(errno.raw_os_error()),
            }
        }
    }

    impl From<Errno> for SendError {
        fn from(errno: Errno) -> Self {
            match errno {
                Errno::CONNRESET | Errno::PIPE | Errno::CONNABORTED => Self::Reset,
                Errno::TIMEDOUT => Self::TimedOut,
                Errno::NETUNREACH | Errno::HOSTUNREACH | Errno::NETDOWN => Self::Unreachable,
                Errno::CANCELED => Self::Cancelled,
                _ => Self::Os(errno.raw_os_error()),
            }
        }
    }
}
