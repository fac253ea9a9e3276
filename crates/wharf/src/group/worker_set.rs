//! A set of workers.

use crate::session_id::SessionId;

const BITS: usize = u64::BITS as usize;

/// Workers as they were at one moment: what is counted twice must be the same both times.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct WorkerSet([u64; SessionId::WORKERS_MAX / BITS]);

impl WorkerSet {
    pub(crate) const fn without(mut self, worker: u16) -> Self {
        let worker = worker as usize;
        self.0[worker / BITS] &= !(1 << (worker % BITS));
        self
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.iter().all(|bits| *bits == 0)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = usize> {
        let words = self.0.iter().enumerate().filter(|(_, bits)| **bits != 0);
        words.flat_map(|(word, bits)| {
            (0..BITS).filter(move |bit| bits >> bit & 1 == 1).map(move |bit| word * BITS + bit)
        })
    }
}

impl FromIterator<usize> for WorkerSet {
    fn from_iter<I: IntoIterator<Item = usize>>(workers: I) -> Self {
        let mut set = Self::default();
        for worker in workers {
            set.0[worker / BITS] |= 1 << (worker % BITS);
        }
        set
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_goes_in_comes_out_in_order() {
        let workers = [0, 3, 63, 64, 1023];
        let set: WorkerSet = workers.into_iter().collect();
        assert_eq!(set.iter().collect::<Vec<usize>>(), workers);
        assert_eq!(set.without(64).iter().collect::<Vec<usize>>(), [0, 3, 63, 1023]);
        assert!(WorkerSet::from_iter([64]).without(64).is_empty());
    }
}
