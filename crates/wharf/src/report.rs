//! What became of the sessions when a server ended.

use std::fmt;

/// What a drain has done, over all workers.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[non_exhaustive]
pub struct DrainReport {
    /// Sessions that ended in order: everything that was queued has been sent, and the peer was told.
    pub drained: u64,
    /// Sessions that were cut off, at the deadline or by a stop.
    pub forced: u64,
    /// Bytes that were queued and have not been sent.
    pub bytes_lost: u64,
}

impl DrainReport {
    pub(crate) const fn count(&mut self, drained: bool) {
        if drained {
            self.drained += 1;
        } else {
            self.forced += 1;
        }
    }
}

impl std::ops::AddAssign for DrainReport {
    fn add_assign(&mut self, other: Self) {
        self.drained += other.drained;
        self.forced += other.forced;
        self.bytes_lost += other.bytes_lost;
    }
}

impl fmt::Display for DrainReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { drained, forced, bytes_lost } = self;
        write!(f, "{drained} sessions drained, {forced} forced, {bytes_lost} bytes lost")
    }
}
