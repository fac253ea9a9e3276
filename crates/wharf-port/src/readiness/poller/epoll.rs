//! Readiness by epoll.

use std::fmt;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use rustix::buffer::spare_capacity;
use rustix::event::{Timespec, epoll};
use rustix::io::Errno;

use super::{EVENTS_MAX, Event, Name, TIMEOUT_MAX, UNTIL_BLOCKED};
use crate::sys::Notifier;

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
            unread: if flags.intersects(until_blocked) { UNTIL_BLOCKED } else { 0 },
            writable: flags.intersects(Flags::OUT | Flags::HUP | Flags::ERR),
        }
    }
}

/// What a wait has found; keeps its room for the next one.
#[derive(Default)]
pub(in super::super) struct Events(Vec<epoll::Event>);

impl Events {
    pub(in super::super) fn drain(&mut self) -> impl Iterator<Item = Event> {
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
pub(in super::super) struct Poller(OwnedFd);

impl Poller {
    /// Watches the notifier, and nothing else yet.
    pub(in super::super) fn new(notifier: &Notifier) -> Result<Self, Errno> {
        let poller = Self(epoll::create(epoll::CreateFlags::CLOEXEC)?);
        poller.add(notifier, Name::Notifier)?;
        Ok(poller)
    }

    /// Watches a descriptor until it is closed.
    pub(in super::super) fn add(&self, source: impl AsFd, name: Name) -> Result<(), Errno> {
        use epoll::EventFlags as Flags;
        let flags = match name {
            Name::Notifier | Name::Listener(_) => Flags::IN | Flags::ET,
            Name::Socket(_) => Flags::IN | Flags::PRI | Flags::OUT | Flags::RDHUP | Flags::ET,
        };
        epoll::add(&self.0, source, epoll::EventData::new_u64(name.pack()), flags)
    }

    /// Waits for at most `timeout`, rounded up to a millisecond. A signal ends the wait early.
    pub(in super::super) fn wait(
        &self,
        events: &mut Events,
        timeout: Option<Duration>,
    ) -> Result<(), Errno> {
        let timeout = timeout.and_then(|it| Timespec::try_from(it.min(TIMEOUT_MAX)).ok());
        events.0.reserve_exact(EVENTS_MAX);
        match epoll::wait(&self.0, spare_capacity(&mut events.0), timeout.as_ref()) {
            Ok(_) | Err(Errno::INTR) => Ok(()),
            Err(errno) => Err(errno),
        }
    }
}
