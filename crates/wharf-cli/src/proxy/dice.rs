//! Chance that repeats.

use crate::split_mix::SplitMix64;

/// A sequence of draws.
#[derive(Clone, Debug)]
pub(super) struct Dice(SplitMix64);

/// What a sequence is for. Each purpose has its own, so that a fault that is switched on moves no
/// draw of another. The numbers belong to the meaning of a seed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Purpose {
    /// Whether a connection is affected at all.
    Share = 1,
    Drop = 2,
    Jitter = 3,
    Corrupt = 4,
    Stall = 5,
    Reset = 6,
}

impl Dice {
    /// The sequence of one purpose. `stream` tells apart what has the same seed: connections by
    /// their number in the order of arrival, and the two directions of each.
    pub(super) fn new(seed: u64, stream: u64, purpose: Purpose) -> Self {
        let mut numbers = SplitMix64::new(seed);
        for part in [stream, purpose as u64] {
            numbers = SplitMix64::new(numbers.draw() ^ part);
        }
        Self(SplitMix64::new(numbers.draw()))
    }

    /// Any number.
    pub(super) const fn draw(&mut self) -> u64 {
        self.0.draw()
    }

    /// A number from 0 up to, but not, 1.
    pub(super) const fn unit(&mut self) -> f64 {
        // The upper 53 bits: what the fraction of a double holds.
        (self.draw() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// Whether something happens that has this chance, from 0 (never) to 1 (always).
    pub(super) const fn hits(&mut self, chance: f64) -> bool {
        self.unit() < chance
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_means_the_same_in_every_version() {
        // How a sequence follows from a seed, worked out apart from this code.
        let mut dice = Dice::new(42, 7, Purpose::Stall);
        assert_eq!(
            [dice.draw(), dice.draw()],
            [3_733_060_190_059_209_145, 4_675_038_790_737_878_595]
        );
    }

    #[test]
    fn each_connection_and_each_purpose_has_a_sequence_of_its_own() {
        let first = |seed, stream, purpose| Dice::new(seed, stream, purpose).draw();
        let mut seen = Vec::new();
        for seed in 0..20 {
            for stream in 0..20 {
                for purpose in [Purpose::Share, Purpose::Drop, Purpose::Stall, Purpose::Reset] {
                    assert_eq!(first(seed, stream, purpose), first(seed, stream, purpose));
                    seen.push(first(seed, stream, purpose));
                }
            }
        }
        seen.sort_unstable();
        seen.dedup();
        assert_eq!(seen.len(), 20 * 20 * 4);
    }

    #[test]
    fn a_chance_is_hit_as_often_as_it_says() {
        for (chance, expected) in [(1.0, 100_000..=100_000), (0.25, 24_500..=25_500)] {
            let mut dice = Dice::new(7, 0, Purpose::Share);
            let hits = (0..100_000).filter(|_| dice.hits(chance)).count();
            assert!(expected.contains(&hits), "{chance}: {hits}");
        }
    }
}
