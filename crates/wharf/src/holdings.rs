//! What a worker holds, counted in its tables when somebody asks.

use wharf_port::OperationCounts;

/// What a worker holds besides buffers, by kind. Nothing is counted on the way of a message for it: whoever
/// asks has the worker look at each of its sockets and sessions once.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[non_exhaustive]
pub struct Holdings {
    /// What is under way in its completion port.
    pub operations: OperationCounts,
    /// Its sessions.
    pub sessions: SessionCounts,
}

/// Sessions of a worker by where they stand. Each goes down this list, and may leave steps out.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[non_exhaustive]
pub struct SessionCounts {
    /// There is no session yet: a proxy has still to say whose connection it is.
    pub announcing: usize,
    /// They receive and send frames.
    pub open: usize,
    /// They take nothing more in; what is queued is still sent.
    pub flushing: usize,
    /// Everything has been sent, and the end of the peer's stream is awaited, for a second at most.
    pub half_closed: usize,
    /// Their sockets close and wait for their operations.
    pub terminating: usize,
}

impl SessionCounts {
    /// All of them.
    pub const fn total(&self) -> usize {
        self.announcing + self.open + self.flushing + self.half_closed + self.terminating
    }
}
