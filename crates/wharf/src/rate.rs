//! How often something may happen.

use std::fmt;
use std::ops::RangeInclusive;
use std::str::FromStr;
use std::time::Duration;

use wharf_port::Time;

use crate::sync::{AtomicU64, Ordering};

const NANOS_PER_SECOND: u64 = 1_000_000_000;

/// So many a second, and so many at once: a token bucket that is full at first.
///
/// ```
/// use wharf::{Limits, Rate};
///
/// let frames_per_second = Some(Rate { per_second: 50, burst: 200 });
/// let limits = Limits { frames_per_second, ..Limits::default() };
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Rate {
    /// 1 to 1,000,000,000.
    pub per_second: u32,
    /// 1 and up.
    pub burst: u32,
}

/// What happens to a session that sends more than its rate allows.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[non_exhaustive]
pub enum OverRate {
    /// Nothing is received from it until it may send again: its own system holds it back.
    #[default]
    Throttle,
    /// It is closed, with [`CloseReason::RateLimited`](crate::CloseReason::RateLimited).
    Disconnect,
}

/// A rate in the terms of a clock, so that taking from it is a multiplication.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Limiter {
    /// Nanoseconds that one takes, times 2^16.
    cost: u64,
    /// Nanoseconds that a burst takes.
    burst: u64,
}

const FRACTION_BITS: u32 = 16;

/// How much of a rate has been used: the time at which the bucket is full again. A bucket that nobody has
/// taken from for long needs no refill.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Bucket {
    full_at: Time,
}

impl Limiter {
    pub(crate) fn new(rate: Rate) -> Self {
        let cost = (NANOS_PER_SECOND << FRACTION_BITS).div_ceil(u64::from(rate.per_second.max(1)));
        let limiter = Self { cost, burst: 0 };
        Self { burst: limiter.time_for(rate.burst.into()), ..limiter }
    }

    /// Nanoseconds that so many take, rounded up: whoever has so many left has these tokens.
    #[inline]
    fn time_for(self, count: u64) -> u64 {
        let nanos = (u128::from(count) * u128::from(self.cost)).div_ceil(1 << FRACTION_BITS);
        u64::try_from(nanos).unwrap_or(u64::MAX)
    }
}

impl Bucket {
    pub(crate) const FULL: Self = Self { full_at: Time::ZERO };

    /// How many may happen now, of `most` that are asked for.
    #[inline]
    pub(crate) fn tokens(self, limiter: Limiter, now: Time, most: u64) -> u64 {
        let used = self.full_at.as_nanos().saturating_sub(now.as_nanos());
        let left = limiter.burst.saturating_sub(used);
        if limiter.time_for(most) <= left {
            return most;
        }
        let tokens = (u128::from(left) << FRACTION_BITS) / u128::from(limiter.cost);
        u64::try_from(tokens).map_or(most, |tokens| tokens.min(most))
    }

    /// So many have happened; they may be more than were allowed, which is paid for later.
    #[inline]
    pub(crate) fn take(&mut self, limiter: Limiter, now: Time, count: u64) {
        let time = Duration::from_nanos(limiter.time_for(count));
        self.full_at = self.full_at.max(now) + time;
    }

    /// When one more may happen.
    pub(crate) fn next_at(self, limiter: Limiter) -> Time {
        let burst = limiter.burst.saturating_sub(limiter.time_for(1) + 1);
        Time::from_nanos(self.full_at.as_nanos().saturating_sub(burst))
    }
}

impl Rate {
    /// A nanosecond is the shortest time there is.
    const PER_SECOND: RangeInclusive<u32> = 1..=1_000_000_000;

    /// What is out of range, if anything is.
    pub(crate) fn problem(rate: Option<Self>, name: &str) -> Option<String> {
        let Self { per_second, burst } = rate?;
        (!Self::PER_SECOND.contains(&per_second) || burst == 0).then(|| {
            format!(
                "{name} is {per_second} a second, {burst} at once: 1 to 1,000,000,000, and 1 and up, \
                 or None"
            )
        })
    }
}

impl FromStr for Rate {
    type Err = String;

    /// `N`, or `N:BURST`; without a burst, a second's worth may come at once.
    fn from_str(text: &str) -> Result<Self, String> {
        let number = |text: &str| text.parse().ok().filter(|number: &u32| *number > 0);
        let (per_second, burst) = text.split_once(':').unwrap_or((text, text));
        match (number(per_second), number(burst)) {
            (Some(per_second), Some(burst)) if Self::PER_SECOND.contains(&per_second) => {
                Ok(Self { per_second, burst })
            }
            _ => Err(format!("'{text}' is no rate: N or N:BURST, N from 1 to 1000000000")),
        }
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.per_second, self.burst)
    }
}

impl FromStr for OverRate {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        match name {
            "throttle" => Ok(Self::Throttle),
            "disconnect" => Ok(Self::Disconnect),
            _ => Err(format!("no such thing as '{name}': throttle or disconnect")),
        }
    }
}

/// A bucket that all workers take from.
#[derive(Debug)]
pub(crate) struct SharedBucket {
    /// Of its limiter; 0 if there is none. Who reads it while it changes may find half of the old one with half of
    /// the new one, once.
    cost: AtomicU64,
    burst: AtomicU64,
    full_at: AtomicU64,
}

impl SharedBucket {
    pub(crate) fn new(rate: Option<Rate>) -> Self {
        let bucket =
            Self { cost: AtomicU64::new(0), burst: AtomicU64::new(0), full_at: AtomicU64::new(0) };
        bucket.set(rate);
        bucket
    }

    /// Begins anew, with this rate.
    pub(crate) fn set(&self, rate: Option<Rate>) {
        let limiter = rate.map(Limiter::new);
        self.burst.store(limiter.map_or(0, |limiter| limiter.burst), Ordering::Relaxed);
        self.cost.store(limiter.map_or(0, |limiter| limiter.cost), Ordering::Relaxed);
        self.full_at.store(0, Ordering::Relaxed);
    }

    fn limiter(&self) -> Option<Limiter> {
        let cost = self.cost.load(Ordering::Relaxed);
        (cost != 0).then(|| Limiter { cost, burst: self.burst.load(Ordering::Relaxed) })
    }

    /// Takes one; false if there is none. There is always one without a rate.
    pub(crate) fn take(&self, now: Time) -> bool {
        let Some(limiter) = self.limiter() else { return true };
        let taken = self.full_at.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |full_at| {
            let mut bucket = Bucket { full_at: Time::from_nanos(full_at) };
            (bucket.tokens(limiter, now, 1) > 0).then(|| {
                bucket.take(limiter, now, 1);
                bucket.full_at.as_nanos()
            })
        });
        taken.is_ok()
    }
}

#[cfg(test)]
#[cfg(not(loom))]
mod tests {
    use super::*;

    fn at(millis: u64) -> Time {
        Time::from_nanos(millis * 1_000_000)
    }

    #[test]
    fn a_burst_comes_at_once_and_then_the_rate() {
        let rate = Rate { per_second: 10, burst: 5 };
        let bucket = SharedBucket::new(Some(rate));
        let taken = |now| (0..20).filter(|_| bucket.take(now)).count();
        assert_eq!(taken(at(1000)), 5);
        assert_eq!(taken(at(1099)), 0);
        assert_eq!(taken(at(1100)), 1);
        assert_eq!(taken(at(1350)), 2);
        assert_eq!(taken(at(9_000)), 5, "no more than a burst is saved up");
        assert!((0..100).all(|_| SharedBucket::new(None).take(at(0))));
    }

    #[test]
    fn what_was_taken_too_much_is_paid_for() {
        let limiter = Limiter::new(Rate { per_second: 1000, burst: 100 });
        let mut bucket = Bucket::FULL;
        let tokens = |bucket: Bucket, now| bucket.tokens(limiter, now, 1_000);
        assert_eq!(tokens(bucket, at(0)), 100);
        bucket.take(limiter, at(0), 300);
        assert_eq!((tokens(bucket, at(0)), tokens(bucket, at(200))), (0, 0));
        let next = bucket.next_at(limiter);
        assert!(next >= at(201) && next <= at(202), "{next:?}");
        assert_eq!(tokens(bucket, next), 1);
        assert_eq!(tokens(bucket, at(250)), 50);
        assert_eq!(bucket.tokens(limiter, at(250), 7), 7);
        // However many are asked for, there are as many: else a session would be over its rate and not.
        let odd = Limiter::new(Rate { per_second: 2799, burst: 368 });
        bucket.take(odd, at(300), 1_000);
        for nanos in 0..1_000_000 {
            let now = Time::from_nanos(bucket.full_at.as_nanos() - odd.burst + nanos);
            let (one, all) = (bucket.tokens(odd, now, 1), bucket.tokens(odd, now, 64));
            assert_eq!(one, all.min(1), "{nanos} ns");
        }
    }

    #[test]
    fn rates_are_written_as_they_are_read() {
        for (text, rate) in [("7", (7, 7)), ("7:1", (7, 1)), ("1000000000:9", (1_000_000_000, 9))] {
            let (per_second, burst) = rate;
            assert_eq!(text.parse(), Ok(Rate { per_second, burst }));
        }
        for bad in ["", "0", "0:1", "1:0", "-1", "1:", ":1", "1:2:3", "1000000001", "x"] {
            assert!(bad.parse::<Rate>().is_err(), "{bad}");
        }
        // Nothing overflows at the ends of the range.
        for (per_second, burst) in [(1_000_000_000, u32::MAX), (1, u32::MAX), (1_000_000_000, 1)] {
            let limiter = Limiter::new(Rate { per_second, burst });
            let tokens = Bucket::FULL.tokens(limiter, at(1), u64::MAX);
            assert!((u64::from(burst) - tokens) < 8, "{tokens} of {burst}");
            let mut bucket = Bucket::FULL;
            bucket.take(limiter, at(1), u64::MAX);
            assert_eq!(bucket.tokens(limiter, at(1), 1), 0);
        }
    }

    #[test]
    fn a_rate_that_changes_begins_anew() {
        let bucket = SharedBucket::new(Some(Rate { per_second: 1, burst: 2 }));
        let taken = |now| (0..20).filter(|_| bucket.take(now)).count();
        assert_eq!((taken(at(0)), taken(at(0))), (2, 0));
        bucket.set(Some(Rate { per_second: 10, burst: 5 }));
        assert_eq!((taken(at(0)), taken(at(100))), (5, 1));
        bucket.set(None);
        assert_eq!(taken(at(100)), 20);
    }
}
