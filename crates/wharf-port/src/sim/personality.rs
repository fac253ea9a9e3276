//! What differs between the kernels that are simulated.

/// Whose habits the simulated kernel has.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum Personality {
    /// Linux `io_uring`: accepts and receives stay armed until the kernel ends them without notice;
    /// sends are tried at once; a cancel is answered beside the operation that it ends, in either
    /// order; a socket is closed when its operations are back.
    #[default]
    Uring,
    /// Windows: each receive is one operation; a send takes what there is room for and says so
    /// later; a socket is closed before its operations are back, and they come back with codes that
    /// do not tell who closed it, or with success.
    Iocp,
    /// Readiness: receives and sends are done by the port itself, and a cancel cannot miss.
    Readiness,
}

impl Personality {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Uring, Self::Iocp, Self::Readiness];

    /// The name of the backend that has these habits.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Uring => "uring",
            Self::Iocp => "iocp",
            Self::Readiness => "readiness",
        }
    }

    /// Whether a receive stays armed after it has given something.
    pub(super) const fn stays_armed(self) -> bool {
        !matches!(self, Self::Iocp)
    }

    /// Whether pausing takes the armed receive back.
    pub(super) const fn pauses_by_cancel(self) -> bool {
        matches!(self, Self::Uring)
    }

    /// Whether a send is tried in the wait that starts it.
    pub(super) const fn tries_sends(self) -> bool {
        !matches!(self, Self::Iocp)
    }

    /// Whether the descriptor is closed before the operations are back.
    pub(super) const fn closes_first(self) -> bool {
        matches!(self, Self::Iocp)
    }

    /// Whether cancelling is a matter of the port's own books.
    pub(super) const fn cancels_at_once(self) -> bool {
        matches!(self, Self::Readiness)
    }

    /// Whether a connection that has failed says why once, and is from then on one that has ended.
    pub(super) const fn tells_failures_once(self) -> bool {
        !matches!(self, Self::Iocp)
    }

    /// Whether a reset throws away what has been received and not been read.
    pub(super) const fn reset_discards(self) -> bool {
        matches!(self, Self::Iocp)
    }
}
