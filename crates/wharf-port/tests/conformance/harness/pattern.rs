//! Bytes to send, and chance that can be repeated.

use std::sync::Arc;

use wharf_port::{OwnedBytes, Segment, SharedBytes};

/// Numbers from a seed (SplitMix64).
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) const fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) const fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// A number below `count`.
    pub(crate) fn below(&mut self, count: usize) -> usize {
        usize::try_from(self.next() % count as u64).unwrap()
    }
}

/// Bytes that are the same for the same seed and repeat nowhere, so that a byte that is lost, doubled
/// or in another's place shows.
pub(crate) fn pattern(seed: u64, len: usize) -> Vec<u8> {
    let mut dice = Dice::new(seed);
    let mut bytes = Vec::with_capacity(len + 8);
    while bytes.len() < len {
        bytes.extend_from_slice(&dice.next().to_le_bytes());
    }
    bytes.truncate(len);
    bytes
}

/// Compares bytes, and says where they differ instead of printing all of them.
#[track_caller]
pub(crate) fn assert_bytes(actual: &[u8], expected: &[u8], what: &str) {
    if actual == expected {
        // One call for millions of bytes, which the search below would take one by one.
        return;
    }
    let differs = actual.iter().zip(expected).position(|(actual, expected)| actual != expected);
    if let Some(at) = differs {
        panic!("{what}: byte {at} is {}, not {}", actual[at], expected[at]);
    }
    assert_eq!(actual.len(), expected.len(), "{what}: the number of bytes");
}

pub(crate) fn owned(bytes: &[u8]) -> Segment {
    Segment::Owned(OwnedBytes::from(bytes.to_vec()))
}

pub(crate) fn shared(bytes: &[u8]) -> Segment {
    Segment::Shared(SharedBytes::from(Arc::<[u8]>::from(bytes)))
}
