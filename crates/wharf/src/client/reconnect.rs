//! When a connection is tried again.

use std::time::Duration;

/// The longest delay that may be asked for.
const DELAY_MAX: Duration = Duration::from_secs(24 * 3600);

/// When a [`Target`](crate::Target) is connected again, after a connection that was not made and after a
/// session that has ended.
///
/// The delay begins at `delay_min` and grows by `factor` with each failure in a row, up to `delay_max`.
/// Chance takes up to the share `jitter` off it, so that the clients of a server that comes back do not
/// come all at once.
///
/// ```
/// use std::time::Duration;
/// use wharf::{Reconnect, Target};
///
/// let reconnect = Reconnect { delay_max: Duration::from_secs(5), ..Reconnect::default() };
/// let target = Target::new("game.example:7777").reconnect(reconnect);
/// ```
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Reconnect {
    /// The first delay: 1 ms and up; default 200 ms.
    pub delay_min: Duration,
    /// The longest delay: `delay_min` to 24 hours; default 30 s.
    pub delay_max: Duration,
    /// By how much a delay is longer than the one before: 1 to 100; default 2.
    pub factor: f64,
    /// The share of a delay that chance may take off: 0 (none) to 1 (all); default 0.5.
    pub jitter: f64,
    /// Attempts in a row without a connection, after which the target is given up: 1 and up; default
    /// `None`, never.
    pub attempts_max: Option<u32>,
    /// A session that has lasted so long was a good one: behind it delays begin at `delay_min` again.
    /// One that ends sooner counts as a failure, or a server that accepts and closes at once would be
    /// connected without end. Default 5 s; zero makes every session a good one.
    pub stable_after: Duration,
}

impl Default for Reconnect {
    fn default() -> Self {
        Self {
            delay_min: Duration::from_millis(200),
            delay_max: Duration::from_secs(30),
            factor: 2.0,
            jitter: 0.5,
            attempts_max: None,
            stable_after: Duration::from_secs(5),
        }
    }
}

impl Reconnect {
    /// What is out of range, if anything is.
    pub(crate) fn problem(&self) -> Option<String> {
        if self.delay_min < Duration::from_millis(1) {
            return Some(format!("delay_min is {:?}: 1 ms and up", self.delay_min));
        }
        if !(self.delay_min..=DELAY_MAX).contains(&self.delay_max) {
            return Some(format!("delay_max is {:?}: delay_min to 24 hours", self.delay_max));
        }
        if !(1.0..=100.0).contains(&self.factor) {
            return Some(format!("factor is {}: 1 to 100", self.factor));
        }
        if !(0.0..=1.0).contains(&self.jitter) {
            return Some(format!("jitter is {}: 0 to 1", self.jitter));
        }
        (self.attempts_max == Some(0)).then(|| "attempts_max is 0: 1 and up, or None".to_owned())
    }
}

/// How long one target waits next.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Backoff {
    /// Without its jitter; `None`: from the beginning.
    next: Option<Duration>,
}

impl Backoff {
    /// The next delay; `random` is where its jitter comes from.
    pub(crate) fn delay(&mut self, terms: &Reconnect, random: u64) -> Duration {
        let delay = self.next.unwrap_or(terms.delay_min);
        self.next = Some(delay.mul_f64(terms.factor).min(terms.delay_max));
        // 53 bits are what a double holds exactly.
        let chance = (random >> 11) as f64 / (1_u64 << 53) as f64;
        delay.mul_f64(1.0 - terms.jitter * chance)
    }

    /// All is well: the next delay is the first one.
    pub(crate) const fn reset(&mut self) {
        self.next = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TERMS: Reconnect = Reconnect {
        delay_min: Duration::from_millis(100),
        delay_max: Duration::from_millis(1000),
        factor: 3.0,
        jitter: 0.5,
        attempts_max: None,
        stable_after: Duration::ZERO,
    };

    #[test]
    fn delays_grow_to_their_maximum_and_begin_again() {
        let mut backoff = Backoff::default();
        let mut delay = || backoff.delay(&TERMS, 0).as_millis();
        assert_eq!([delay(), delay(), delay(), delay()], [100, 300, 900, 1000]);
        backoff.reset();
        assert_eq!(backoff.delay(&TERMS, 0).as_millis(), 100);
    }

    #[test]
    fn chance_takes_off_no_more_than_its_share() {
        let shortest = Backoff::default().delay(&TERMS, u64::MAX);
        assert!((50.0..51.0).contains(&(shortest.as_secs_f64() * 1000.0)), "{shortest:?}");
        let middle = Backoff::default().delay(&TERMS, u64::MAX / 2);
        assert!((74.0..76.0).contains(&(middle.as_secs_f64() * 1000.0)), "{middle:?}");
    }

    #[test]
    fn what_is_out_of_range_is_named() {
        assert_eq!(TERMS.problem(), None);
        assert_eq!(Reconnect::default().problem(), None);
        let zero = Duration::ZERO;
        let wrong = [
            (Reconnect { delay_min: zero, ..TERMS }, "delay_min"),
            (Reconnect { delay_max: Duration::from_millis(99), ..TERMS }, "delay_max"),
            (Reconnect { delay_max: Duration::MAX, ..TERMS }, "delay_max"),
            (Reconnect { factor: f64::NAN, ..TERMS }, "factor"),
            (Reconnect { factor: 0.5, ..TERMS }, "factor"),
            (Reconnect { jitter: 1.5, ..TERMS }, "jitter"),
            (Reconnect { attempts_max: Some(0), ..TERMS }, "attempts_max"),
        ];
        for (terms, name) in wrong {
            assert!(terms.problem().is_some_and(|problem| problem.starts_with(name)), "{terms:?}");
        }
    }
}
