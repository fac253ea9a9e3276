//! Chance that is the same in every version of this program.

/// The generator `SplitMix64` (Steele, Lea and Flood, "Fast splittable pseudorandom number generators",
/// 2014). It is written out here because what a seed means must not change, which the generators of
/// libraries do not promise. Not for secrets.
#[derive(Clone, Debug)]
pub(crate) struct SplitMix64(u64);

impl SplitMix64 {
    /// The sequence that begins with a state.
    pub(crate) const fn new(state: u64) -> Self {
        Self(state)
    }

    /// The next number.
    pub(crate) const fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_numbers_are_those_of_the_published_test_vector() {
        let mut numbers = SplitMix64::new(1_234_567);
        assert_eq!(
            [numbers.draw(), numbers.draw(), numbers.draw()],
            [6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423]
        );
    }
}
