//! What the log has of callbacks that block.

use std::collections::HashMap;
use std::time::Duration;

use super::watched::Seen;
use super::{Blocked, Callback};

/// How long nothing more is said of a kind of callback after one was named, but of one that takes this long itself:
/// a callback that never returns has to be named, and a worker has no more than one of those in this time.
pub(super) const SILENCE: Duration = Duration::from_secs(60);

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
    /// The last of them, by worker.
    last_others: HashMap<usize, Seen>,
}

impl Said {
    fn new(worker: usize, seen: Seen, at: Duration) -> Self {
        Self { worker, seen, at, others: 0, last_others: HashMap::new() }
    }

    /// How many have blocked since, without this one, which may have been counted when it began to.
    fn others_than(&self, worker: usize, seen: Seen) -> u64 {
        self.others - u64::from(self.last_others.get(&worker) == Some(&seen))
    }
}

impl Log {
    pub(super) fn pass(&mut self, time: Duration) {
        self.passed += time;
    }

    /// Says it, or leaves it to those who want to hear of everything.
    pub(super) fn write(&mut self, seen: Seen, blocked: &Blocked) {
        match self.unsaid(seen, blocked) {
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

    /// How many others of the kind were not named since the last that was; `None` if this one is not to be either.
    fn unsaid(&mut self, seen: Seen, blocked: &Blocked) -> Option<u64> {
        let Blocked { worker, duration, is_over, .. } = *blocked;
        let last = self.last.get_mut(&seen.callback);
        let was_named = last.as_ref().is_some_and(|it| (it.worker, it.seen) == (worker, seen));
        if is_over || was_named {
            // The end belongs to the beginning, and nothing else does.
            return (is_over && was_named).then_some(0);
        }
        if let Some(last) = last
            && self.passed < last.at + SILENCE
            && duration < SILENCE
        {
            last.others += 1;
            last.last_others.insert(worker, seen);
            return None;
        }
        let said = Said::new(worker, seen, self.passed);
        Some(self.last.insert(seen.callback, said).map_or(0, |last| last.others_than(worker, seen)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHORT: Duration = Duration::from_millis(100);

    /// The callback with this number.
    fn seen(callback: Callback, number: u64) -> Seen {
        Seen { session: None, callback, number }
    }

    fn blocks(log: &mut Log, worker: usize, seen: Seen, duration: Duration) -> Option<u64> {
        let callback = seen.callback;
        log.unsaid(seen, &Blocked { worker, session: None, callback, duration, is_over: false })
    }

    fn ends(log: &mut Log, worker: usize, seen: Seen) -> Option<u64> {
        let Seen { session, callback, .. } = seen;
        log.unsaid(seen, &Blocked { worker, session, callback, duration: SHORT, is_over: true })
    }

    #[test]
    fn one_of_a_kind_is_named_within_a_minute_from_its_beginning_to_its_end() {
        let mut log = Log::default();
        let (first, second) = (seen(Callback::Frame, 1), seen(Callback::Frame, 2));
        assert_eq!(blocks(&mut log, 0, first, SHORT), Some(0));
        assert_eq!(blocks(&mut log, 0, seen(Callback::Tick, 1), SHORT), Some(0), "another kind");
        let others = "another worker's with the same number";
        assert_eq!(blocks(&mut log, 1, first, SHORT), None, "{others}");
        assert_eq!(ends(&mut log, 1, first), None);
        assert_eq!(ends(&mut log, 0, first), Some(0));
        log.pass(SILENCE - Duration::from_nanos(1));
        assert_eq!(blocks(&mut log, 0, second, SHORT), None);
        log.pass(Duration::from_nanos(1));
        assert_eq!(ends(&mut log, 0, second), None, "its beginning was not said");
        let hangs = seen(Callback::Frame, 3);
        assert_eq!(blocks(&mut log, 0, hangs, SHORT), Some(2), "and how many were not");
        assert_eq!(ends(&mut log, 0, hangs), Some(0));
    }

    #[test]
    fn one_that_takes_a_minute_is_named_once_whatever_was_named_before() {
        let mut log = Log::default();
        let (first, hangs) = (seen(Callback::Frame, 1), seen(Callback::Frame, 2));
        assert_eq!(blocks(&mut log, 0, first, SHORT), Some(0));
        assert_eq!(blocks(&mut log, 0, seen(Callback::Frame, 7), SHORT), None);
        assert_eq!(blocks(&mut log, 1, hangs, SHORT), None);
        assert_eq!(blocks(&mut log, 1, hangs, SILENCE), Some(1), "it is none of those unnamed");
        assert_eq!(blocks(&mut log, 1, hangs, SILENCE), None, "it is named");
        assert_eq!(ends(&mut log, 1, hangs), Some(0));
        // One that was named when it began to block needs no second name.
        log.pass(SILENCE);
        let known = seen(Callback::Frame, 3);
        assert_eq!(blocks(&mut log, 0, known, SHORT), Some(0));
        assert_eq!(blocks(&mut log, 0, known, SILENCE), None);
    }
}
