//! A kqueue.

use std::time::Duration;

use rustix::buffer::spare_capacity;
use rustix::event::Timespec;
use rustix::event::kqueue::{Event, kevent_timespec, kqueue};
use rustix::fd::OwnedFd;
use rustix::io::{Errno, FdFlags, fcntl_setfd};

/// What a port waits on. It belongs to those, too, who notify it.
#[derive(Debug)]
pub(crate) struct Queue(OwnedFd);

impl Queue {
    pub(super) fn new() -> Result<Self, Errno> {
        let queue = kqueue()?;
        fcntl_setfd(&queue, FdFlags::CLOEXEC)?;
        Ok(Self(queue))
    }

    /// Adds or triggers filters, without a wait.
    pub(crate) fn change(&self, changes: &[Event]) -> Result<(), Errno> {
        let nothing: &mut [Event] = &mut [];
        // SAFETY: all that lies behind a descriptor is the kernel's, which drops its filters when it is
        // closed; what an event carries for us is a number and never a pointer.
        let changed = unsafe { kevent_timespec(&self.0, changes, nothing, None) };
        match changed {
            // A signal does not undo what it interrupts.
            Ok(_) | Err(Errno::INTR) => Ok(()),
            Err(errno) => Err(errno),
        }
    }

    /// Waits until there are events, for at most `timeout`, and puts as many as there is room for
    /// behind those that are in `events`. A signal ends the wait early.
    pub(crate) fn wait(
        &self,
        events: &mut Vec<Event>,
        timeout: Option<Duration>,
    ) -> Result<(), Errno> {
        let timeout = timeout.and_then(|it| Timespec::try_from(it).ok());
        // SAFETY: no descriptor is named.
        let waited =
            unsafe { kevent_timespec(&self.0, &[], spare_capacity(events), timeout.as_ref()) };
        match waited {
            Ok(_) | Err(Errno::INTR) => Ok(()),
            Err(errno) => Err(errno),
        }
    }
}
