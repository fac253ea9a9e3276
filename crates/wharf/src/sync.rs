//! What threads share, in terms that can be modelled: `--cfg loom` puts loom's types in the place of
//! the standard library's, so that the models try this crate's own code in every interleaving.
//!
//! Locks are taken in one order, always: in builds with debug assertions each is checked against all that
//! this process has seen, and one that could close a circle panics and names both places, whether it would
//! have hung or not. In other builds they are the standard library's.

#[cfg(loom)]
pub(crate) use loom::sync::{
    Arc, Condvar, Mutex, MutexGuard,
    atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering},
};
#[cfg(not(loom))]
pub(crate) use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering},
};
#[cfg(not(loom))]
pub(crate) use tracing_mutex::stdsync::{Condvar, Mutex, MutexGuard};

#[cfg(all(test, not(loom), debug_assertions))]
mod tests {
    use super::Mutex;

    #[test]
    #[should_panic(expected = "Found cycle in mutex dependency graph")]
    fn locks_that_are_taken_in_two_orders_are_told_although_none_hangs() {
        let (first, second) = (Mutex::new(()), Mutex::new(()));
        {
            let _first = first.lock();
            let _second = second.lock();
        }
        let _second = second.lock();
        let _first = first.lock();
    }
}
