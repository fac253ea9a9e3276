//! An event of a kqueue that is nobody's but ours.

use std::io;
#[cfg(any(target_os = "netbsd", target_os = "openbsd"))]
use std::os::fd::{AsRawFd, OwnedFd};
use std::ptr;
use std::sync::Arc;

use rustix::event::kqueue::{Event, EventFilter, EventFlags};
#[cfg(not(any(target_os = "netbsd", target_os = "openbsd")))]
use rustix::event::kqueue::{UserDefinedFlags, UserFlags};
#[cfg(any(target_os = "netbsd", target_os = "openbsd"))]
use rustix::pipe::{PipeFlags, pipe_with};

use super::super::Queue;

/// What a wait gives as the name of the notifier.
pub(crate) const NOTIFIED: usize = usize::MAX;

/// Interrupts the wait of one port, on the queue that the port waits on. There is nothing to read:
/// many notifications before a wait are one event, and the wait takes it away.
#[derive(Debug)]
pub(crate) struct Notifier {
    queue: Arc<Queue>,
    bell: Bell,
}

impl Notifier {
    pub(crate) fn new() -> io::Result<Self> {
        let queue = Arc::new(Queue::new()?);
        let bell = Bell::new(&queue)?;
        Ok(Self { queue, bell })
    }

    pub(crate) fn notify(&self) {
        // Short of memory for what is known already, it fails; nothing else can.
        let _ = self.queue.change(&[self.bell.ring()]);
    }

    /// Where the port has to wait.
    pub(crate) fn queue(&self) -> Arc<Queue> {
        Arc::clone(&self.queue)
    }
}

fn named(filter: EventFilter, flags: EventFlags) -> Event {
    Event::new(filter, flags, ptr::without_provenance_mut(NOTIFIED))
}

/// A filter that fires when it is told to.
#[cfg(not(any(target_os = "netbsd", target_os = "openbsd")))]
#[derive(Debug)]
struct Bell;

#[cfg(not(any(target_os = "netbsd", target_os = "openbsd")))]
impl Bell {
    fn new(queue: &Queue) -> io::Result<Self> {
        let flags = EventFlags::ADD | EventFlags::CLEAR;
        queue.change(&[named(Self::filter(UserFlags::NOINPUT), flags)])?;
        Ok(Self)
    }

    /// Names no flags: `EV_CLEAR`, said again, would undo the trigger on FreeBSD.
    #[expect(clippy::unused_self, reason = "others have a descriptor to name")]
    fn ring(&self) -> Event {
        named(Self::filter(UserFlags::TRIGGER), EventFlags::empty())
    }

    fn filter(flags: UserFlags) -> EventFilter {
        EventFilter::User { ident: 0, flags, user_flags: UserDefinedFlags::new(0) }
    }
}

/// A pipe with one byte in it, which is never read. To watch it once fires at once.
#[cfg(any(target_os = "netbsd", target_os = "openbsd"))]
#[derive(Debug)]
struct Bell {
    end: OwnedFd,
    _other: OwnedFd,
}

#[cfg(any(target_os = "netbsd", target_os = "openbsd"))]
impl Bell {
    fn new(_: &Queue) -> io::Result<Self> {
        let (end, other) = pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK)?;
        rustix::io::write(&other, &[0])?;
        Ok(Self { end, _other: other })
    }

    fn ring(&self) -> Event {
        let filter = EventFilter::Read(self.end.as_raw_fd());
        named(filter, EventFlags::ADD | EventFlags::ONESHOT)
    }
}
