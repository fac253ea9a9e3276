//! How many sessions ended, by reason.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::close_reason::CloseReason;

/// How many sessions have ended since the server started, by [`CloseReason`]. Each session is counted
/// once, when it is gone.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct CloseCounts([u64; CloseReason::COUNT]);

impl CloseCounts {
    /// Every reason's [name](CloseReason::name) and how many sessions ended for it, those with none
    /// included.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, u64)> {
        CloseReason::NAMES.iter().copied().zip(self.0)
    }

    /// How many sessions ended for the reason of this name; 0 for a name that is no reason's.
    pub fn get(&self, name: &str) -> u64 {
        self.iter().find(|(reason, _)| *reason == name).map_or(0, |(_, count)| count)
    }

    /// How many sessions ended.
    pub fn total(&self) -> u64 {
        self.0.iter().sum()
    }
}

/// Those that are not 0, as `peer_closed 3, idle 1`; `none` if all are.
impl fmt::Display for CloseCounts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut separator = "";
        for (name, count) in self.iter().filter(|(_, count)| *count > 0) {
            write!(f, "{separator}{name} {count}")?;
            separator = ", ";
        }
        if separator.is_empty() { f.write_str("none") } else { Ok(()) }
    }
}

/// The counts of one worker, where other threads can read them. Only the worker writes, when a session
/// is gone.
#[derive(Debug, Default)]
#[repr(align(128))]
pub(crate) struct ClosesOfWorker([AtomicU64; CloseReason::COUNT]);

impl ClosesOfWorker {
    pub(crate) fn count(&self, reason: &CloseReason) {
        self.0[reason.index()].fetch_add(1, Ordering::Relaxed);
    }

    /// What all workers have counted.
    pub(crate) fn sum(workers: &[Self]) -> CloseCounts {
        let mut sum = [0; CloseReason::COUNT];
        for worker in workers {
            for (sum, count) in sum.iter_mut().zip(&worker.0) {
                *sum += count.load(Ordering::Relaxed);
            }
        }
        CloseCounts(sum)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_are_counted_by_worker_and_told_by_name() {
        let workers = [ClosesOfWorker::default(), ClosesOfWorker::default()];
        assert_eq!(ClosesOfWorker::sum(&workers).to_string(), "none");
        workers[0].count(&CloseReason::PeerClosed);
        workers[1].count(&CloseReason::PeerClosed);
        workers[1].count(&CloseReason::Failed("no".into()));
        workers[1].count(&CloseReason::Panicked);
        let counts = ClosesOfWorker::sum(&workers);
        assert_eq!(counts.to_string(), "peer_closed 2, failed 1, panicked 1");
        assert_eq!((counts.get("peer_closed"), counts.get("idle"), counts.get("?")), (2, 0, 0));
        assert_eq!(counts.total(), 4);
    }

    #[test]
    fn every_reason_has_a_name_of_its_own() {
        let mut names = CloseReason::NAMES.to_vec();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), CloseReason::COUNT);
    }
}
