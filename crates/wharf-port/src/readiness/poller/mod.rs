//! The kernel's readiness: by epoll, or by kqueue. Both give the same types and the same meaning.
//!
//! Everything is watched for edges. An event then means that something has changed since the last
//! one, and whoever gets it remembers it: a descriptor that nobody attends to costs nothing, and the
//! [`Notifier`](crate::sys::Notifier) never has to be read. There is no way to stop watching, since
//! the kernel forgets a descriptor when it is closed.

#[cfg(target_os = "linux")]
mod epoll;
#[cfg(any(not(target_os = "linux"), test))]
mod filters;
#[cfg(not(target_os = "linux"))]
mod kqueue;

use std::time::Duration;

#[cfg(target_os = "linux")]
pub(super) use self::epoll::{Events, Poller};
#[cfg(not(target_os = "linux"))]
pub(super) use self::kqueue::{Events, Poller};
use crate::ids::{ListenerId, SocketId};

/// What one wait can find; the kernel keeps the rest and hands it out in turn. Received buffers are
/// out until the end of their batch, so a long one widens the footprint in the cache: with 1,000
/// connections and messages of 1 KiB, 64 cost some 10% less than 1,024, and no more than 16.
const EVENTS_MAX: usize = 64;

/// epoll takes milliseconds in 32 bits, and some kqueues refuse more than three years; who has to
/// sleep for longer than 24 days is woken then.
const TIMEOUT_MAX: Duration = Duration::from_millis(i32::MAX as u64);

/// Whom an event is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Name {
    Notifier,
    Listener(ListenerId),
    Socket(SocketId),
}

/// Stand where a socket has its slot, which stays below [`SocketId::SLOTS_MAX`].
const NOTIFIER: u32 = u32::MAX;
const LISTENER: u32 = u32::MAX - 1;

impl Name {
    const fn pack(self) -> u64 {
        let (high, low) = match self {
            Self::Notifier => (NOTIFIER, u32::MAX),
            Self::Listener(id) => (LISTENER, id.0),
            Self::Socket(id) => (id.slot(), id.generation()),
        };
        (high as u64) << 32 | low as u64
    }

    #[expect(clippy::cast_possible_truncation, reason = "takes the two halves apart")]
    const fn unpack(packed: u64) -> Self {
        match ((packed >> 32) as u32, packed as u32) {
            (NOTIFIER, _) => Self::Notifier,
            (LISTENER, id) => Self::Listener(ListenerId(id)),
            (slot, generation) => Self::Socket(SocketId::from_parts(slot, generation)),
        }
    }
}

/// More than is ever counted: see [`Event::unread`].
pub(super) const UNTIL_BLOCKED: u32 = u32::MAX;

/// What has changed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Event {
    pub(super) name: Name,
    /// There are bytes, the end or a failure to receive, or connections to accept.
    pub(super) readable: bool,
    /// How many bytes lie there, as far as that is known. A receive that does not fill its buffer is
    /// not the end of them before all these have come, since an urgent byte cuts it short. With
    /// [`UNTIL_BLOCKED`] it never is, as there will be no other event: go on until the end, a failure,
    /// or until a receive would block.
    pub(super) unread: u32,
    /// There is room to send, or a connect has ended, or sending will fail.
    pub(super) writable: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_survives_packing() {
        let last = SocketId::from_parts(SocketId::SLOTS_MAX - 1, u32::MAX);
        for name in [Name::Notifier, Name::Listener(ListenerId(u32::MAX)), Name::Socket(last)] {
            assert_eq!(Name::unpack(name.pack()), name);
        }
    }
}
