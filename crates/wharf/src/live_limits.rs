//! Those limits that can change while a server runs.

use thiserror::Error;

use crate::limits::Limits;
use crate::rate::Rate;

/// The limits of a running server that an operator may change: each as [`Limits`] has it.
///
/// A change is for what comes from then on. Sessions that there are stay, however low their maximum becomes.
/// Rates begin anew: what was used of the old ones is forgotten, and each session may send a burst.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct LiveLimits {
    /// [`Limits::sessions_max`]: 1 to what the server was started with, since that is what it has descriptors for.
    pub sessions_max: usize,
    /// [`Limits::per_address_max`], 1 and up. Sessions that came while it was off are not counted.
    pub per_address_max: Option<usize>,
    /// [`Limits::accept_rate`].
    pub accept_rate: Option<Rate>,
    /// [`Limits::frames_per_second`].
    pub frames_per_second: Option<Rate>,
    /// [`Limits::bytes_per_second`].
    pub bytes_per_second: Option<Rate>,
}

/// A limit that is out of its range: none was changed.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
#[error("{0}")]
pub struct LiveLimitsError(String);

impl LiveLimits {
    pub(crate) const fn new(limits: &Limits, sessions_max: usize) -> Self {
        let Limits { per_address_max, accept_rate, frames_per_second, bytes_per_second, .. } =
            *limits;
        Self { sessions_max, per_address_max, accept_rate, frames_per_second, bytes_per_second }
    }

    /// Whether they are in their ranges, for a server that was started for so many sessions.
    pub(crate) fn check(&self, sessions_max: usize) -> Result<(), LiveLimitsError> {
        if !(1..=sessions_max).contains(&self.sessions_max) {
            let asked = self.sessions_max;
            return Err(LiveLimitsError(format!(
                "sessions_max is {asked}: 1 to the {sessions_max} that the server was started with"
            )));
        }
        let limits = Limits {
            per_address_max: self.per_address_max,
            accept_rate: self.accept_rate,
            frames_per_second: self.frames_per_second,
            bytes_per_second: self.bytes_per_second,
            ..Limits::default()
        };
        limits.problem().map_or(Ok(()), |problem| Err(LiveLimitsError(problem)))
    }
}
