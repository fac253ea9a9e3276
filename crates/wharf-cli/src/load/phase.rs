//! The phases of a run.
//!
//! ```text
//! warm-up -> measuring -> answers -> ends -> over
//!            the window   nothing    streams are ended,
//!                         new is     and the server
//!                         sent       ends them as well
//! ```
//!
//! The server has the run's patience for the answers that are due when sending stops, and again for its ends
//! of stream. When the number of messages is given instead of a time, that is how long nothing at all may
//! come back.

use std::time::Duration;

use wharf_port::Time;

/// What began before that has run out of `patience`.
pub(super) fn long_ago(now: Time, patience: Duration) -> Time {
    let patience = u64::try_from(patience.as_nanos()).unwrap_or(u64::MAX);
    Time::from_nanos(now.as_nanos().saturating_sub(patience))
}

/// Where a run stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Phase {
    /// All is sent and verified as later, and not measured.
    WarmUp {
        until: Time,
    },
    /// Without an end when the number of messages is given.
    Measuring {
        until: Option<Time>,
    },
    /// Nothing new is sent; what is missing may come.
    Answers {
        until: Time,
    },
    /// The server may end its streams.
    Ends {
        until: Time,
    },
    Over,
}

impl Phase {
    /// The last of the phases in which anything is waited for.
    pub(super) fn ends(now: Time, patience: Duration) -> Self {
        Self::Ends { until: now + patience }
    }

    /// When it ends at the latest, if nothing has come or gone since `moved_at`.
    pub(super) fn deadline(self, moved_at: Time, patience: Duration) -> Time {
        match self {
            Self::WarmUp { until }
            | Self::Measuring { until: Some(until) }
            | Self::Answers { until }
            | Self::Ends { until } => until,
            Self::Measuring { until: None } => moved_at + patience,
            Self::Over => Time::ZERO,
        }
    }

    /// Whether messages become due.
    pub(super) const fn sends(self) -> bool {
        matches!(self, Self::WarmUp { .. } | Self::Measuring { .. })
    }
}
