//! The kernel's readiness, by epoll. A kqueue would stand beside this file and give the same types.
//!
//! Everything is watched for edges. An event then means that something has changed since the last
//! one, and whoever gets it remembers it: a descriptor that nobody attends to costs nothing, and the
//! [`Notifier`](crate::sys::Notifier) never has to be read. There is no way to stop watching, since
//! the kernel forgets a descriptor when it is closed.

use std::fmt;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use rustix::buffer::spare_capacity;
use rustix::event::{Timespec, epoll};
use rustix::io::Errno;

use crate::ids::{ListenerId, SocketId};

/// What one wait can find; the kernel keeps the rest and hands it out in turn. Received buffers are
/// out until the end of their batch, so a long one widens the footprint in the cache: with 1,000
/// connections and messages of 1 KiB, 64 cost some 10% less than 1,024, and no more than 16.
const EVENTS_MAX: usize = 64;

/// The kernel takes milliseconds in 32 bits; who has to sleep for longer than 24 days is woken then.
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
            Self::Notifier => (NOTIFIER, 0),
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

/// What has changed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Event {
    pub(super) name: Name,
    /// There are bytes, the end or a failure to receive, or connections to accept.
    pub(super) readable: bool,
    /// A receive that does not fill its buffer says nothing about what lies behind: go on until the
    /// end, a failure, or until a receive would block.
    pub(super) until_blocked: bool,
    /// There is room to send, or a connect has ended, or sending will fail.
    pub(super) writable: bool,
}

impl From<epoll::Event> for Event {
    fn from(event: epoll::Event) -> Self {
        use epoll::EventFlags as Flags;
        let flags = event.flags;
        // After the end, or a failure, there will be no further edge. An urgent byte (PRI) cuts a
        // receive short although more bytes lie behind it.
        let until_blocked = Flags::RDHUP | Flags::HUP | Flags::ERR | Flags::PRI;
        Self {
            name: Name::unpack(event.data.u64()),
            readable: flags.intersects(Flags::IN | until_blocked),
            until_blocked: flags.intersects(until_blocked),
            writable: flags.intersects(Flags::OUT | Flags::HUP | Flags::ERR),
        }
    }
}

/// What a wait has found; keeps its room for the next one.
#[derive(Default)]
pub(super) struct Events(Vec<epoll::Event>);

impl Events {
    pub(super) fn drain(&mut self) -> impl Iterator<Item = Event> {
        self.0.drain(..).map(Event::from)
    }
}

impl fmt::Debug for Events {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.iter().map(|&event| Event::from(event))).finish()
    }
}

/// Watches descriptors.
#[derive(Debug)]
pub(super) struct Poller(OwnedFd);

impl Poller {
    pub(super) fn new() -> Result<Self, Errno> {
        Ok(Self(epoll::create(epoll::CreateFlags::CLOEXEC)?))
    }

    /// Watches a descriptor until it is closed.
    pub(super) fn add(&self, source: impl AsFd, name: Name) -> Result<(), Errno> {
        use epoll::EventFlags as Flags;
        let flags = match name {
            Name::Notifier | Name::Listener(_) => Flags::IN | Flags::ET,
            Name::Socket(_) => Flags::IN | Flags::PRI | Flags::OUT | Flags::RDHUP | Flags::ET,
        };
        epoll::add(&self.0, source, epoll::EventData::new_u64(name.pack()), flags)
    }

    /// Waits for at most `timeout`, rounded up to a millisecond. A signal ends the wait early.
    pub(super) fn wait(&self, events: &mut Events, timeout: Option<Duration>) -> Result<(), Errno> {
        let timeout = timeout.and_then(|it| Timespec::try_from(it.min(TIMEOUT_MAX)).ok());
        events.0.reserve_exact(EVENTS_MAX);
        match epoll::wait(&self.0, spare_capacity(&mut events.0), timeout.as_ref()) {
            Ok(_) | Err(Errno::INTR) => Ok(()),
            Err(errno) => Err(errno),
        }
    }
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
