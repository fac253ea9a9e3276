//! Storms: chance does everything that a program, its peers and its system can do, and every operation
//! that was started has exactly one final completion; no byte is lost, doubled or moved.

mod checked;
mod peer;
mod weather;

use self::checked::Checked;
use self::weather::{options, switches};
use crate::clock::Random;
use crate::iocp::mock::kernel::Counts;

/// Seeds that each test run tries; a seed that has failed is worth a test of its own.
const SEEDS: u64 = 1_000;

/// What happens in one storm.
const STEPS: u32 = 120;

/// Chance, in small numbers.
struct Dice(Random);

impl Dice {
    fn below(&mut self, bound: usize) -> usize {
        let bound = u64::try_from(bound.max(1)).unwrap();
        usize::try_from(self.0.next() % bound).unwrap()
    }

    /// True once in so many times.
    fn one_in(&mut self, times: usize) -> bool {
        self.below(times) == 0
    }

    fn pick<T: Copy>(&mut self, from: &[T]) -> Option<T> {
        if from.is_empty() { None } else { Some(from[self.below(from.len())]) }
    }
}

fn storm(seed: u64) -> Counts {
    let mut dice = Dice(Random::new(seed));
    let switches = switches(&mut dice);
    let options = options(&mut dice);
    let mut checked = Checked::new(switches, &options);
    for _ in 0..STEPS {
        checked.step(&mut dice);
    }
    checked.finish(&mut dice)
}

#[test]
fn storms_lose_and_double_nothing() {
    let mut all = Counts::default();
    for seed in 0..SEEDS {
        let counts = std::panic::catch_unwind(|| storm(seed));
        all.add(&counts.unwrap_or_else(|_| panic!("the storm of seed {seed}")));
    }
    // Together they have met everything.
    let Counts { disconnects, sockets_reused, failed_accepts, overlapped_sends, .. } = all;
    let Counts { empty_receives, full_receives, timers_set, .. } = all;
    let met = [disconnects, sockets_reused, failed_accepts, overlapped_sends];
    assert!(met.iter().all(|it| *it > 0), "{all:?}");
    assert!([empty_receives, full_receives, timers_set].iter().all(|it| *it > 0), "{all:?}");
}
