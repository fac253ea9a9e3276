//! Time and randomness as the port gives them: the only place that asks the system for either.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::ops::{Add, Sub};
use std::sync::OnceLock;
use std::time::Duration;

use crate::sim::Network;

/// A moment, in nanoseconds since the process first asked for the time.
///
/// Monotonic: a jump of the wall clock does not move it. The same on every port of a process, so a
/// deadline may travel between workers.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default, Hash)]
pub struct Time(u64);

impl Time {
    /// The first moment.
    pub const ZERO: Self = Self(0);

    /// A moment from its nanoseconds.
    pub const fn from_nanos(nanos: u64) -> Self {
        Self(nanos)
    }

    /// Nanoseconds since the first moment.
    pub const fn as_nanos(self) -> u64 {
        self.0
    }

    /// How long ago `earlier` was; zero if it lies ahead.
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

impl Add<Duration> for Time {
    type Output = Self;

    /// Saturates at the end of time (584 years).
    fn add(self, rhs: Duration) -> Self {
        Self(self.0.saturating_add(u64::try_from(rhs.as_nanos()).unwrap_or(u64::MAX)))
    }
}

impl Sub for Time {
    type Output = Duration;

    fn sub(self, earlier: Self) -> Duration {
        self.since(earlier)
    }
}

/// A completion port's clock, for any thread: it goes on while the port does not wait. The default is the
/// system's.
#[derive(Clone, Debug, Default)]
pub struct Clock(Option<Network>);

impl Clock {
    /// That of a simulated network, or the system's.
    pub(crate) const fn new(simulated: Option<Network>) -> Self {
        Self(simulated)
    }

    /// The time now; a port's [`now`](crate::CompletionPort::now) is never ahead of it.
    pub fn now(&self) -> Time {
        self.0.as_ref().map_or_else(monotonic_now, Network::now)
    }
}

/// The system's monotonic clock.
#[expect(clippy::disallowed_methods, reason = "this is where the port gets its time from")]
pub(crate) fn monotonic_now() -> Time {
    static ORIGIN: OnceLock<std::time::Instant> = OnceLock::new();
    let elapsed = ORIGIN.get_or_init(std::time::Instant::now).elapsed();
    Time(u64::try_from(elapsed.as_nanos()).unwrap_or(u64::MAX))
}

/// A seed that differs from process to process and from port to port, from the keys with which the
/// standard library seeds its hash maps.
pub(crate) fn system_seed() -> u64 {
    RandomState::new().build_hasher().finish()
}

/// A small generator for jitter and hash seeds: `SplitMix64` (Steele, Lea and Flood, "Fast
/// splittable pseudorandom number generators", 2014). Not for secrets.
#[derive(Debug)]
pub(crate) struct Random(u64);

impl Random {
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
}
