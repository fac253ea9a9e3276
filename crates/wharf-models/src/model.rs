//! What a model is, and which of them this system has.

use std::convert::Infallible;
use std::fmt;
use std::io;
use std::net::SocketAddr;

use crate::{Observer, portable};

/// An echo server of one kind, and what is known of it before it is measured.
#[derive(Clone, Copy, Debug)]
pub struct Model {
    /// Lower-case words with hyphens; no two models of a system have the same.
    pub name: &'static str,
    /// Who does the work: see [`Pattern`].
    pub pattern: Pattern,
    /// Where it runs, such as `Linux`.
    pub system: &'static str,
    /// What it is, in a line.
    pub summary: &'static str,
    /// How many connections it can have.
    pub limit: Limit,
    /// System calls per message by its design, when one message at a time comes on each connection.
    pub calls_per_message: &'static str,
    /// Serves on an address, where port 0 is any free one, until the process ends: a server here has no end of its
    /// own. It says to the observer where it listens, and whom it refuses. It may panic only by a bug.
    pub serve: fn(SocketAddr, &dyn Observer) -> Result<Infallible, ModelError>,
}

/// Who does the work that a connection makes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pattern {
    /// A thread for each connection waits within the call.
    Blocking,
    /// The system tells what would not block, the program does it.
    Reactor,
    /// The program tells what is to be done, the system does it.
    Proactor,
}

/// What bounds the number of connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit {
    /// The interface itself: it takes no more than so many handles, those for its own use included. Further
    /// connections are [refused](Observer::refused).
    Handles(usize),
    /// The threads that the system allows.
    Threads,
    /// The descriptors or handles that the process may open.
    Descriptors,
}

/// Why a server ended, or did not start.
#[derive(Debug, thiserror::Error)]
pub enum ModelError {
    /// A call failed that it cannot do without.
    #[error("{call} failed: {error}")]
    Call {
        /// The call, as the system names it.
        call: &'static str,
        /// What the system said.
        error: io::Error,
    },
    /// wharf itself did not start, or ended.
    #[error(transparent)]
    Wharf(#[from] wharf::ServerError),
    /// It was told to end; only wharf can be told.
    #[error("the server was told to end")]
    Ended,
}

impl ModelError {
    /// For `map_err`: names the call that failed.
    pub(crate) fn of<E: Into<io::Error>>(call: &'static str) -> impl FnOnce(E) -> Self {
        move |error| Self::Call { call, error: error.into() }
    }
}

/// The models that run on this system, the oldest first.
#[must_use]
pub fn models() -> Vec<Model> {
    let mut models = vec![portable::thread_per_connection::MODEL];
    #[cfg(target_os = "linux")]
    models.extend(crate::linux::MODELS);
    #[cfg(windows)]
    models.extend(crate::windows::MODELS);
    models.push(portable::wharf::MODEL);
    models
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Blocking => "blocking",
            Self::Reactor => "reactor",
            Self::Proactor => "proactor",
        })
    }
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Handles(count) => f.pad(&format!("{count} handles")),
            Self::Threads => f.pad("threads"),
            Self::Descriptors => f.pad("descriptors"),
        }
    }
}
