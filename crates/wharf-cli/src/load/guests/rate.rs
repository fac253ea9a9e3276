//! Rates that are kept in ticks, in whole bytes and to the byte.

use std::time::Duration;

/// How often a slow reader sends, and has bytes to read.
pub(super) const TICK: Duration = Duration::from_millis(100);
/// Ticks in a second.
const TICKS: u64 = 10;

/// A rate, dealt out tick by tick. What does not make a byte is carried over.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rate {
    per_second: u64,
    /// Tenths of a byte.
    rest: u64,
}

impl Rate {
    pub(super) const fn new(per_second: u64) -> Self {
        Self { per_second, rest: 0 }
    }

    /// The bytes of the next tick.
    pub(super) const fn tick(&mut self) -> u64 {
        let tenths = self.rest + self.per_second;
        self.rest = tenths % TICKS;
        tenths / TICKS
    }
}

/// Who reads at a rate. Bytes come in pieces of any length: after a long one it is paused until the rate
/// has made up for it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reading {
    rate: Rate,
    /// Bytes that it may read; below zero it has had too many.
    allowance: i64,
    is_paused: bool,
}

impl Reading {
    pub(super) const fn new(per_second: u64) -> Self {
        Self { rate: Rate::new(per_second), allowance: 0, is_paused: false }
    }

    /// It has read bytes; whether it has to pause now.
    pub(super) fn took(&mut self, bytes: usize) -> bool {
        self.allowance = self.allowance.saturating_sub_unsigned(bytes as u64);
        self.allowance < 0 && !std::mem::replace(&mut self.is_paused, true)
    }

    /// A tick has gone by; whether it reads again. What was not read is no more to read later.
    pub(super) fn tick(&mut self) -> bool {
        let most = i64::try_from(self.rate.per_second.div_ceil(TICKS)).unwrap_or(i64::MAX);
        self.allowance = self.allowance.saturating_add_unsigned(self.rate.tick()).min(most);
        self.allowance >= 0 && std::mem::replace(&mut self.is_paused, false)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_has_as_many_bytes_as_the_rate_says() {
        for per_second in [1, 7, 10, 25, 1 << 10, (1 << 30) - 1] {
            let mut rate = Rate::new(per_second);
            for second in 0..3 {
                let bytes: u64 = (0..TICKS).map(|_| rate.tick()).sum();
                assert_eq!(bytes, per_second, "in second {second}");
            }
        }
    }

    #[test]
    fn a_piece_that_was_too_long_is_made_up_for() {
        for (per_second, piece, ticks) in [(1, 20, 200), (7, 21, 30), (4096, 4096, 10)] {
            let mut reading = Reading::new(per_second);
            assert!(reading.took(piece), "{per_second}");
            assert!(!reading.took(0), "it is paused once");
            let paused = (1..).find(|_| reading.tick());
            assert_eq!(paused, Some(ticks), "{per_second}");
            assert!(!reading.tick(), "it is resumed once");
        }
    }

    #[test]
    fn who_has_had_nothing_to_read_does_not_read_more_later() {
        let mut reading = Reading::new(100);
        assert!((0..50).all(|_| !reading.tick()));
        assert!(!reading.took(10));
        assert!(reading.took(1));
    }
}
