//! Why a server did not start, or ended badly.

use std::{fmt, io};

use thiserror::Error;
use wharf_port::{AddressError, ListenError, OpenError, WaitError};

use crate::client::TargetError;

/// Why a server did not start, or did not go on. [`Debug`](fmt::Debug) is the same sentence as
/// [`Display`](fmt::Display), since it is what a `main` prints that returns this error.
#[derive(Error)]
#[non_exhaustive]
pub enum ServerError {
    /// An option is out of its range, or two do not go together.
    #[error("{0}")]
    Options(String),
    /// An address cannot be parsed.
    #[error("'{0}' is no address: use IP:PORT, [IPv6]:PORT, NAME:PORT or unix:/path")]
    Address(String),
    /// The path or the name of a Unix socket cannot be one.
    #[error(transparent)]
    UnixAddress(#[from] AddressError),
    /// A name does not resolve.
    #[error("'{name}' does not resolve: {source}")]
    Resolve {
        /// The name.
        name: String,
        /// What the resolver said.
        source: io::Error,
    },
    /// There are too few descriptors for as many sessions.
    #[error(
        "{sessions_max} sessions need {needed} descriptors, and the limit is {limit}: raise it \
         (ulimit -n) or lower sessions-max to {possible}"
    )]
    TooFewDescriptors {
        /// What was asked for.
        sessions_max: usize,
        /// Descriptors that this takes, with what else the process needs.
        needed: u64,
        /// The hard limit.
        limit: u64,
        /// The sessions that are possible.
        possible: u64,
    },
    /// A target of a client cannot be connected as it is.
    #[error(transparent)]
    Target(#[from] TargetError),
    /// A completion port did not open.
    #[error(transparent)]
    Port(#[from] OpenError),
    /// A listener did not start.
    #[error(transparent)]
    Listen(#[from] ListenError),
    /// A worker could not be pinned to a core.
    #[error("a worker cannot be pinned to a core: {0}")]
    Pin(io::Error),
    /// A thread did not start.
    #[error("a worker thread did not start: {0}")]
    Thread(io::Error),
    /// A completion port broke while the server ran.
    #[error(transparent)]
    Wait(#[from] WaitError),
    /// A worker thread panicked, which only a bug of this library makes it do.
    #[error("a worker thread panicked: this is a bug, please report it")]
    WorkerPanicked,
}

impl fmt::Debug for ServerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
