//! What one worker does at this moment, where the watchdog can see it.

use super::Callback;
use crate::session_id::SessionId;
use crate::sync::{AtomicU64, Ordering};

/// Only the worker writes; so it may read with no order what it has written.
#[derive(Debug, Default)]
#[repr(align(128))]
pub(crate) struct Watched {
    session: AtomicU64,
    /// The number of the callback, and in the lowest byte which it is, counted from 1; 0 between two.
    callback: AtomicU64,
    /// Callbacks of this worker that were told of. Only the watchdog writes.
    blocked: AtomicU64,
}

/// Bits that say which callback it is.
const KIND_BITS: u32 = 8;
const KIND: u64 = (1 << KIND_BITS) - 1;
/// No session has this number: generations begin with 1.
const NOBODY: u64 = 0;

/// A callback at a look.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Seen {
    pub(super) session: Option<SessionId>,
    pub(super) callback: Callback,
    /// Tells it from every other callback of its worker.
    pub(super) number: u64,
}

impl Watched {
    /// A callback begins.
    #[inline]
    pub(crate) fn begin(&self, session: Option<SessionId>, callback: Callback) {
        let number = (self.callback.load(Ordering::Relaxed) >> KIND_BITS) + 1;
        // Behind the end of the callback before, so that nobody sees that one with this session.
        self.session.store(session.map_or(NOBODY, SessionId::as_u64), Ordering::Release);
        self.callback.store(number << KIND_BITS | (callback as u64 + 1), Ordering::Release);
    }

    /// The callback is over.
    #[inline]
    pub(crate) fn end(&self) {
        let number = self.callback.load(Ordering::Relaxed) >> KIND_BITS;
        self.callback.store(number << KIND_BITS, Ordering::Release);
    }

    /// The callback that the worker is in.
    pub(super) fn look(&self) -> Option<Seen> {
        let mark = self.callback.load(Ordering::Acquire);
        let session = self.session.load(Ordering::Acquire);
        let session = (session != NOBODY).then(|| SessionId::from_u64(session));
        let kind = usize::try_from(mark & KIND).ok()?.checked_sub(1)?;
        // Another one has begun meanwhile: then none blocks.
        let same = self.callback.load(Ordering::Acquire) == mark;
        let callback = *Callback::ALL.get(kind)?;
        same.then_some(Seen { session, callback, number: mark >> KIND_BITS })
    }

    pub(super) fn count_blocked(&self) {
        self.blocked.fetch_add(1, Ordering::Relaxed);
    }

    /// Callbacks that were told of.
    pub(crate) fn blocked(&self) -> u64 {
        self.blocked.load(Ordering::Relaxed)
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn a_callback_is_seen_while_it_lasts_and_told_from_the_next() {
        let watched = Watched::default();
        assert_eq!(watched.look(), None);
        for (index, callback) in Callback::ALL.into_iter().enumerate() {
            let session = (index > 0).then(|| SessionId::from_u64(index as u64));
            watched.begin(session, callback);
            let first = watched.look().unwrap();
            assert_eq!((first.session, first.callback), (session, callback));
            assert_eq!(watched.look(), Some(first));
            watched.end();
            assert_eq!(watched.look(), None);
            watched.begin(session, callback);
            assert_ne!(watched.look(), Some(first), "the same callback once more is another one");
            watched.end();
        }
    }
}
