//! What is told of a connection that was not made.

use std::fmt;
use std::io;
use std::time::Duration;

use thiserror::Error;
use wharf_port::{Address, AddressError, ConnectError};

use super::outgoing::TargetRef;
use crate::session_id::SessionId;

/// Why a target was not taken.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum TargetError {
    /// The address cannot be parsed.
    #[error("'{0}' is no address: use IP:PORT, [IPv6]:PORT, NAME:PORT or unix:/path")]
    Address(String),
    /// The path or the name of a Unix socket cannot be one.
    #[error(transparent)]
    UnixAddress(#[from] AddressError),
    /// An option is out of its range.
    #[error("target {address}: {problem}")]
    Options {
        /// The target's address.
        address: String,
        /// Which option, and what would be right.
        problem: String,
    },
    /// There are as many targets as the server may have sessions.
    #[error("there are as many targets as sessions are allowed: raise sessions_max, or stop some")]
    TooMany,
    /// Too much waits to be done by the worker.
    #[error("too much waits for the worker: try again later")]
    Overloaded,
    /// The server has ended.
    #[error("the server has ended")]
    Ended,
}

/// An attempt to connect that has failed; told once each.
#[derive(Debug)]
pub struct ConnectFailure {
    pub(crate) target: TargetRef,
    pub(crate) problem: ConnectProblem,
    pub(crate) opener: Option<SessionId>,
    pub(crate) attempts: u32,
    pub(crate) retry_after: Option<Duration>,
}

impl ConnectFailure {
    /// What was to be connected.
    pub const fn target(&self) -> &TargetRef {
        &self.target
    }

    /// Why it was not.
    pub const fn problem(&self) -> &ConnectProblem {
        &self.problem
    }

    /// The session that asked for it by [`Context::connect`](crate::Context::connect), if one did.
    pub const fn opener(&self) -> Option<SessionId> {
        self.opener
    }

    /// How many attempts have failed in a row, this one included.
    pub const fn attempts(&self) -> u32 {
        self.attempts
    }

    /// In how long it is tried again; `None`: the target is given up, and will not be heard of again.
    pub const fn retry_after(&self) -> Option<Duration> {
        self.retry_after
    }
}

impl fmt::Display for ConnectFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot connect to {}: {}; ", self.target.address(), self.problem)?;
        match self.retry_after {
            Some(delay) => write!(f, "next attempt in {:.3} s", delay.as_secs_f64()),
            None => f.write_str("given up"),
        }
    }
}

/// Why a connection was not made.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ConnectProblem {
    /// The name does not resolve; or not in time, with [`io::ErrorKind::TimedOut`].
    #[error("the name does not resolve: {0}")]
    Resolve(io::Error),
    /// None of the addresses could be connected. In the order in which they failed; those that had not
    /// answered in time come last, with [`ConnectError::TimedOut`].
    #[error("{}", listed(.0))]
    Addresses(Vec<(Address, ConnectError)>),
    /// All sessions are taken: [`Limits::sessions_max`](crate::Limits::sessions_max).
    #[error("all sessions are taken")]
    SessionsMax,
    /// Too much waits to be sent to others:
    /// [`Limits::send_total_max`](crate::Limits::send_total_max).
    #[error("too much waits to be sent to others")]
    Overload,
}

fn listed(failed: &[(Address, ConnectError)]) -> String {
    if failed.is_empty() {
        return "it has no address that can be connected from here".to_owned();
    }
    let each = failed.iter().map(|(address, error)| format!("{address}: {error}"));
    each.collect::<Vec<_>>().join(", ")
}
