//! What waits to be sent on all workers of a server together, and how near that is to its ceiling.

use crate::sync::{AtomicBool, AtomicUsize, Ordering};

/// What a worker may have queued or got rid of before it says so.
const STEP_MAX: usize = 64 << 10;

/// How near the total is to its ceiling, and so what is done about it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Load {
    Normal,
    /// From 75%: new connections are refused.
    Refusing,
    /// From 90%: sessions without a first frame are closed.
    Shedding,
    /// From 100% until it is below 90%: those with the fullest queues are closed.
    Closing,
}

/// The bytes in all send queues of a server. Each worker adds what has changed at the end of a turn, and
/// only if that is a step: what is counted lags by less than a step for each worker.
#[derive(Debug)]
pub(crate) struct SendTotal {
    max: usize,
    step: usize,
    bytes: AtomicUsize,
    /// The ceiling was reached, and the total has not been below 90% since.
    closing: AtomicBool,
    /// How often the total has risen to 90%.
    rises: AtomicUsize,
}

impl SendTotal {
    /// A total for so many workers. All steps together are at most a sixteenth of the ceiling.
    pub(crate) fn new(max: usize, workers: usize) -> Self {
        let step = (max / workers.max(1) / 16).clamp(1, STEP_MAX);
        let bytes = AtomicUsize::new(0);
        Self { max, step, bytes, closing: AtomicBool::new(false), rises: AtomicUsize::new(0) }
    }

    pub(crate) const fn step(&self) -> usize {
        self.step
    }

    pub(crate) fn bytes(&self) -> usize {
        self.bytes.load(Ordering::Relaxed)
    }

    /// How often the total has risen to 90%: who has seen fewer has to look at its sessions.
    pub(crate) fn rises(&self) -> usize {
        self.rises.load(Ordering::Relaxed)
    }

    /// Counts what a worker had as what it has now. True if the total has risen to 90% or to 100% with
    /// it, which the other workers must hear.
    pub(crate) fn change(&self, had: usize, has: usize) -> bool {
        let delta = has.wrapping_sub(had);
        let before = self.bytes.fetch_add(delta, Ordering::Relaxed);
        let after = before.wrapping_add(delta);
        let rises = before < self.part(90) && after >= self.part(90);
        if rises {
            self.rises.fetch_add(1, Ordering::Relaxed);
        }
        let full = after >= self.max && !self.closing.swap(true, Ordering::Relaxed);
        if after < self.part(90) && before >= self.part(90) {
            self.closing.store(false, Ordering::Relaxed);
        }
        rises || full
    }

    pub(crate) fn load(&self) -> Load {
        let bytes = self.bytes();
        if bytes < self.part(75) {
            Load::Normal
        } else if bytes < self.part(90) {
            Load::Refusing
        } else if self.closing.load(Ordering::Relaxed) {
            Load::Closing
        } else {
            Load::Shedding
        }
    }

    /// How much of what this worker has must go, by its part in the total, until that is below 90%.
    pub(crate) fn excess_of(&self, has: usize) -> usize {
        let total = self.bytes().max(has).max(1) as u128;
        let excess = (total + 1).saturating_sub(self.part(90) as u128);
        let part = (excess * has as u128).div_ceil(total);
        usize::try_from(part).unwrap_or(usize::MAX)
    }

    const fn part(&self, percent: usize) -> usize {
        self.max / 100 * percent + self.max % 100 * percent / 100
    }
}

#[cfg(test)]
#[cfg(not(loom))]
mod tests {
    use super::*;

    #[test]
    fn the_load_follows_the_total_and_closing_lasts_until_below_90_percent() {
        let total = SendTotal::new(1000, 1);
        let mut has = 0;
        let mut to = |next: usize| {
            let told = total.change(std::mem::replace(&mut has, next), next);
            (total.load(), told)
        };
        assert_eq!(to(749), (Load::Normal, false));
        assert_eq!(to(750), (Load::Refusing, false));
        assert_eq!(to(899), (Load::Refusing, false));
        assert_eq!(to(900), (Load::Shedding, true));
        assert_eq!(to(999), (Load::Shedding, false));
        assert_eq!(to(1000), (Load::Closing, true));
        assert_eq!(to(900), (Load::Closing, false));
        assert_eq!(to(899), (Load::Refusing, false));
        assert_eq!(to(950), (Load::Shedding, true), "nothing is closed again before 100%");
        assert_eq!((to(0), total.rises()), ((Load::Normal, false), 2));
    }

    #[test]
    fn workers_share_what_must_go_by_what_they_have() {
        let total = SendTotal::new(1000, 2);
        total.change(0, 800);
        total.change(0, 200);
        let (first, second) = (total.excess_of(800), total.excess_of(200));
        assert!(first + second > 100 && first + second <= 103, "{first} and {second}");
        assert!(first.abs_diff(4 * second) <= 4, "{first} and {second}");
        assert_eq!(total.excess_of(0), 0);
    }

    #[test]
    fn no_ceiling_overflows() {
        let total = SendTotal::new(usize::MAX, 1024);
        total.change(0, usize::MAX / 2);
        assert_eq!(total.load(), Load::Normal);
        assert_eq!(SendTotal::new(1, 1024).step(), 1);
    }
}
