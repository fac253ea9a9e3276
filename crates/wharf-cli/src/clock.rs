//! The only place of the program that asks the system for the time. What moves bytes has its port's.

use std::time::{Instant, SystemTime};

#[expect(clippy::disallowed_methods, reason = "for people's eyes and fingers, never for a session")]
pub(crate) fn now() -> Instant {
    Instant::now()
}

/// The time of the day, for what people look at.
#[expect(clippy::disallowed_methods, reason = "for people's eyes, never for a session")]
pub(crate) fn wall() -> SystemTime {
    SystemTime::now()
}
