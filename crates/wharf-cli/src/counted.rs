//! Numbers as people write them.

use std::fmt;

use indicatif::HumanCount;

/// So many of something: `1 session`, `1,000 sessions`.
pub(crate) struct Counted(pub(crate) u64, pub(crate) &'static str);

impl fmt::Display for Counted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(count, what) = self;
        let plural = if *count == 1 { "" } else { "s" };
        write!(f, "{} {what}{plural}", HumanCount(*count))
    }
}
