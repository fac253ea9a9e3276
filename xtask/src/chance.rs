//! Chance, for what is to happen at a moment that nobody has chosen.

use std::hash::{BuildHasher, RandomState};

/// A number below `bound`, which is not 0. Not for secrets.
pub(crate) fn below(bound: u64) -> u64 {
    // Each state has keys of its own.
    RandomState::new().hash_one(0) % bound
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_below_the_bound_comes() {
        let mut seen = [false; 4];
        for _ in 0..1_000 {
            seen[usize::try_from(below(4)).unwrap()] = true;
        }
        assert_eq!(seen, [true; 4]);
    }
}
