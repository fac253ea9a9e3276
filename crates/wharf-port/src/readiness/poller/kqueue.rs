//! Readiness by kqueue.

use std::fmt;
use std::os::fd::{AsFd, AsRawFd};
use std::ptr;
use std::sync::Arc;
use std::time::Duration;

use rustix::event::kqueue::{self, EventFilter, EventFlags};
use rustix::io::Errno;

use super::filters::{Filter, Fired};
use super::{EVENTS_MAX, Event, Name, TIMEOUT_MAX};
use crate::sys::{self, Notifier, Queue};

/// A name has to fit into what a kqueue keeps for us.
const _: () = assert!(size_of::<usize>() == size_of::<u64>(), "kqueue needs a 64-bit target");
const _: () = assert!(Name::Notifier.pack() == sys::NOTIFIED as u64);

/// Sockets and listeners have these two filters, and the notifier one that is as good as the first.
fn event(event: &kqueue::Event) -> Event {
    let filter = match event.filter() {
        EventFilter::Write(_) => Filter::Write,
        _ => Filter::Read,
    };
    let ended = event.flags().contains(EventFlags::EOF);
    let name = event.udata().addr() as u64;
    Event::from(Fired { name, filter, amount: event.data(), ended })
}

/// What a wait has found; keeps its room for the next one.
#[derive(Default)]
pub(in super::super) struct Events(Vec<kqueue::Event>);

impl Events {
    pub(in super::super) fn drain(&mut self) -> impl Iterator<Item = Event> {
        self.0.drain(..).map(|it| event(&it))
    }
}

impl fmt::Debug for Events {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.iter().map(event)).finish()
    }
}

/// Watches descriptors.
#[derive(Debug)]
pub(in super::super) struct Poller(Arc<Queue>);

impl Poller {
    /// Waits where the notifier notifies, and watches nothing else yet.
    #[expect(clippy::unnecessary_wraps, reason = "epoll has something to create")]
    pub(in super::super) fn new(notifier: &Notifier) -> Result<Self, Errno> {
        Ok(Self(notifier.queue()))
    }

    /// Watches a descriptor until it is closed.
    pub(in super::super) fn add(&self, source: impl AsFd, name: Name) -> Result<(), Errno> {
        let number = source.as_fd().as_raw_fd();
        let read = watch(EventFilter::Read(number), name);
        match name {
            Name::Notifier | Name::Listener(_) => self.0.change(&[read]),
            Name::Socket(_) => self.0.change(&[read, watch(EventFilter::Write(number), name)]),
        }
    }

    /// Waits for at most `timeout`. A signal ends the wait early.
    pub(in super::super) fn wait(
        &self,
        events: &mut Events,
        timeout: Option<Duration>,
    ) -> Result<(), Errno> {
        events.0.reserve_exact(EVENTS_MAX);
        self.0.wait(&mut events.0, timeout.map(|it| it.min(TIMEOUT_MAX)))
    }
}

#[expect(clippy::cast_possible_truncation, reason = "pointers have 64 bits here")]
fn watch(filter: EventFilter, name: Name) -> kqueue::Event {
    let name = ptr::without_provenance_mut(name.pack() as usize);
    kqueue::Event::new(filter, EventFlags::ADD | EventFlags::CLEAR, name)
}
