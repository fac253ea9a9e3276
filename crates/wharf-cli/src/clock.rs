//! The only place of the program that asks the system for the time. What moves bytes has its port's.

use std::time::Instant;

#[expect(clippy::disallowed_methods, reason = "for people's eyes and fingers, never for a session")]
pub(crate) fn now() -> Instant {
    Instant::now()
}
