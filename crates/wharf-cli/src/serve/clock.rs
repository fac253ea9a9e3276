//! The only place of `wharf serve` that asks the system for the time. The server has its own.

use std::time::Instant;

#[expect(clippy::disallowed_methods, reason = "for people's eyes and fingers, never for a session")]
pub(super) fn now() -> Instant {
    Instant::now()
}
