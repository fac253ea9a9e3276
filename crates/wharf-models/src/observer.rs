//! Whom a server speaks to.

use std::fmt;
use std::net::SocketAddr;

/// Hears what a server has to say. Its threads may speak at the same time.
pub trait Observer: Sync {
    /// The server accepts connections on this address. It is said once.
    fn listening(&self, address: SocketAddr);

    /// The server has closed a connection at once, since it cannot have more. It is said for each of them.
    fn refused(&self, refusal: &Refusal);
}

/// Why a connection was closed at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// How many connections it has.
    pub connections: usize,
    /// What does not allow more, as a clause: `select takes descriptors below 1024 (FD_SETSIZE)`.
    pub why: &'static str,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a connection beside {} others is refused: {}", self.connections, self.why)
    }
}
