//! What the log has of callbacks that block.

use std::collections::HashMap;
use std::time::Duration;

use super::watched::Seen;
use super::{Blocked, Callback};

/// How long nothing more is said of a kind of callback after one was named. Not for ever: a callback that
/// never returns has to be named, however long ago the last one was.
const SILENCE: Duration = Duration::from_secs(60);

/// What was said, by the kind of callback: a peer may be able to have one block again and again.
#[derive(Debug, Default)]
pub(super) struct Log {
    /// The time of the looks, added up.
    passed: Duration,
    last: HashMap<Callback, Said>,
    hook_panicked: bool,
}

/// The one that was named last.
#[derive(Debug)]
struct Said {
    worker: usize,
    seen: Seen,
    at: Duration,
    /// Others of its kind that have blocked since.
    others: u64,
}

impl Log {
    pub(super) fn pass(&mut self, time: Duration) {
        self.passed += time;
    }

    /// Says it, or leaves it to those who want to hear of everything.
    pub(super) fn write(&mut self, seen: Seen, blocked: &Blocked) {
        match self.unsaid(blocked.worker, seen, blocked.is_over) {
            Some(0) => tracing::warn!("{blocked}"),
            Some(unsaid) => tracing::warn!(unsaid, "{blocked}"),
            None => tracing::debug!("{blocked}"),
        }
    }

    pub(super) fn hook_panicked(&mut self) {
        if !std::mem::replace(&mut self.hook_panicked, true) {
            tracing::error!("what is to hear of blocked callbacks panicked; said once");
        }
    }

    /// How many of the kind were not named since the last that was; `None` if this one is not to be either.
    fn unsaid(&mut self, worker: usize, seen: Seen, is_over: bool) -> Option<u64> {
        let last = self.last.get_mut(&seen.callback);
        if is_over {
            // The end belongs to the beginning.
            return last.filter(|it| (it.worker, it.seen) == (worker, seen)).map(|_| 0);
        }
        if let Some(last) = last
            && self.passed < last.at + SILENCE
        {
            last.others += 1;
            return None;
        }
        let said = Said { worker, seen, at: self.passed, others: 0 };
        Some(self.last.insert(seen.callback, said).map_or(0, |last| last.others))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The callback with this number.
    fn seen(callback: Callback, number: u64) -> Seen {
        Seen { session: None, callback, number }
    }

    #[test]
    fn one_of_a_kind_is_named_within_a_minute_from_its_beginning_to_its_end() {
        let mut log = Log::default();
        let (first, second) = (seen(Callback::Frame, 1), seen(Callback::Frame, 2));
        assert_eq!(log.unsaid(0, first, false), Some(0));
        assert_eq!(log.unsaid(0, seen(Callback::Tick, 1), false), Some(0), "another kind");
        assert_eq!(log.unsaid(1, first, false), None, "another worker's with the same number");
        assert_eq!(log.unsaid(1, first, true), None);
        assert_eq!(log.unsaid(0, first, true), Some(0));
        log.pass(SILENCE - Duration::from_nanos(1));
        assert_eq!(log.unsaid(0, second, false), None);
        log.pass(Duration::from_nanos(1));
        assert_eq!(log.unsaid(0, second, true), None, "its beginning was not said");
        let hangs = seen(Callback::Frame, 3);
        assert_eq!(log.unsaid(0, hangs, false), Some(2), "and how many were not");
        assert_eq!(log.unsaid(0, hangs, true), Some(0));
    }
}
