//! Readiness by epoll.
//!
//! A wait is exact by `epoll_pwait2` (Linux 5.11), and rounded up to a millisecond by `epoll_pwait` where
//! the kernel or the policy that this process runs under does not have that. `rustix` has the one or the
//! other, as it was built, and no way from one to the other.

use std::cell::Cell;
use std::mem::offset_of;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::time::Duration;
use std::{fmt, io, ptr};

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
pub(in super::super) struct Poller {
    epoll: OwnedFd,
    /// Whether a wait can be exact, as far as that is known.
    is_exact: Cell<bool>,
}

impl Poller {
    /// Watches the notifier, and nothing else yet.
    pub(in super::super) fn new(notifier: &Notifier) -> Result<Self, Errno> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        let poller = Self { epoll, is_exact: Cell::new(true) };
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
        epoll::add(&self.epoll, source, epoll::EventData::new_u64(name.pack()), flags)
    }

    /// Waits for at most `timeout`. A signal ends the wait early.
    pub(in super::super) fn wait(
        &self,
        events: &mut Events,
        timeout: Option<Duration>,
    ) -> Result<(), Errno> {
        let timeout = timeout.map(|it| it.min(TIMEOUT_MAX));
        events.0.reserve_exact(EVENTS_MAX);
        match self.ask(&mut events.0, timeout) {
            Ok(()) | Err(Errno::INTR) => Ok(()),
            Err(errno) => Err(errno),
        }
    }

    fn ask(&self, events: &mut Vec<epoll::Event>, timeout: Option<Duration>) -> Result<(), Errno> {
        // Who does not wait for a time has nothing to be exact about.
        if let Some(timeout) = timeout.filter(|it| self.is_exact.get() && !it.is_zero()) {
            match self.ask_exactly(events, timeout) {
                // An old kernel, or a policy that is older than the call.
                Err(Errno::NOSYS | Errno::PERM) => self.is_exact.set(false),
                asked => return asked,
            }
        }
        let timeout = timeout.and_then(|it| Timespec::try_from(it).ok());
        epoll::wait(&self.epoll, spare_capacity(events), timeout.as_ref()).map(drop)
    }

    fn ask_exactly(&self, events: &mut Vec<epoll::Event>, timeout: Duration) -> Result<(), Errno> {
        // The kernel's own `timespec`, with 64 bits in each field on every architecture.
        let timeout = [timeout.as_secs().cast_signed(), i64::from(timeout.subsec_nanos())];
        let room = events.spare_capacity_mut();
        let room_len = i32::try_from(room.len()).unwrap_or(i32::MAX);
        // SAFETY: the kernel writes up to `room_len` events to `room`, which has that many places of the
        // kernel's layout (asserted below) and stays borrowed; it reads `timeout`, which lives until
        // the call is over, and no set of signals, as there is none.
        let found = unsafe {
            libc::syscall(
                libc::SYS_epoll_pwait2,
                self.epoll.as_raw_fd(),
                room.as_mut_ptr(),
                room_len,
                timeout.as_ptr(),
                ptr::null::<libc::sigset_t>(),
                0_usize,
            )
        };
        let Ok(found) = usize::try_from(found) else {
            return Err(Errno::from_io_error(&io::Error::last_os_error()).unwrap_or(Errno::IO));
        };
        let len = events.len() + found;
        // SAFETY: the kernel has written `found` events behind those that were there, and no more than
        // there was room for.
        unsafe { events.set_len(len) };
        Ok(())
    }
}

/// `rustix` gives its own events to the kernel, and so do we.
const _: () = {
    assert!(size_of::<epoll::Event>() == size_of::<libc::epoll_event>());
    assert!(offset_of!(epoll::Event, flags) == offset_of!(libc::epoll_event, events));
    assert!(offset_of!(epoll::Event, data) == offset_of!(libc::epoll_event, u64));
};

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    const SHORT: Duration = Duration::from_micros(200);

    fn poller() -> (Poller, Notifier) {
        let notifier = Notifier::new().unwrap();
        (Poller::new(&notifier).unwrap(), notifier)
    }

    /// The shortest of many waits for that time: on a busy machine any one of them may be late.
    #[expect(clippy::disallowed_methods, reason = "nothing but the system's clock can tell")]
    fn shortest_wait(poller: &Poller) -> Duration {
        let mut events = Events::default();
        let mut wait = || {
            let start = Instant::now();
            poller.wait(&mut events, Some(SHORT)).unwrap();
            assert_eq!(events.drain().count(), 0);
            start.elapsed()
        };
        (0..200).map(|_| wait()).min().unwrap()
    }

    #[test]
    fn a_wait_is_no_shorter_and_not_rounded_to_a_millisecond() {
        let (poller, _notifier) = poller();
        assert!(poller.is_exact.get(), "it is not even tried");
        let shortest = shortest_wait(&poller);
        assert!(shortest >= SHORT, "{shortest:?}");
        // An old kernel has no exact wait.
        assert!(!poller.is_exact.get() || shortest < Duration::from_micros(900), "{shortest:?}");
    }

    #[test]
    fn without_the_exact_wait_it_is_rounded_up() {
        let (poller, _notifier) = poller();
        poller.is_exact.set(false);
        let shortest = shortest_wait(&poller);
        assert!(shortest >= SHORT && !poller.is_exact.get(), "{shortest:?}");
    }

    #[test]
    fn what_has_come_ends_an_exact_wait() {
        let (poller, notifier) = poller();
        notifier.notify();
        let mut events = Events::default();
        poller.wait(&mut events, Some(Duration::from_secs(60))).unwrap();
        let names: Vec<Name> = events.drain().map(|event| event.name).collect();
        assert_eq!(names, [Name::Notifier]);
    }
}
