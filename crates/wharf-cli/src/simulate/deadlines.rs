//! Whether sessions end for being late, and only for that.

use std::time::Duration;

use wharf::{CloseReason, Limits, Time};

/// What a session that is late may take beyond its deadline: to be flushed and to wait for its peer. A
/// peer that gives no answer is given up by the network within 10 s.
const SLACK: Duration = Duration::from_secs(15);

/// When a session was heard.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Heard {
    connected: Time,
    /// When the last frame came.
    last: Time,
    frames: u64,
    /// Frames may have come from what was held for a while: when they were received is not known.
    was_held: bool,
}

impl Heard {
    pub(super) const fn connected(now: Time) -> Self {
        Self { connected: now, last: now, frames: 0, was_held: false }
    }

    pub(super) const fn has_said_nothing(&self) -> bool {
        self.frames == 0
    }

    /// A frame has arrived.
    pub(super) const fn frame(&mut self, now: Time) {
        self.last = now;
        self.frames += 1;
    }

    /// From here on what arrives may have been received before.
    pub(super) const fn held(&mut self) {
        self.was_held = true;
    }

    /// What is wrong with a session that ends now for this reason: it had time left.
    pub(super) fn too_early(
        &self,
        reason: &CloseReason,
        limits: &Limits,
        now: Time,
    ) -> Option<String> {
        let since = if self.was_held { self.connected } else { self.last };
        let (began, limit) = match reason {
            CloseReason::Idle => (since, limits.idle),
            CloseReason::FrameLate => (since, limits.frame_deadline),
            CloseReason::FirstFrameLate if self.frames > 0 => {
                return Some(format!("{} after {} frames", reason.name(), self.frames));
            }
            CloseReason::FirstFrameLate => (self.connected, limits.first_frame),
            _ => return None,
        };
        let name = reason.name();
        let Some(limit) = limit else { return Some(format!("{name}, which is switched off")) };
        let after = now.since(began);
        (after < limit).then(|| format!("{name} after {after:?}, and the limit is {limit:?}"))
    }

    /// What is wrong with a session that lives still: it should have ended. Nothing has gone wrong since
    /// `calm`.
    pub(super) fn too_late(&self, limits: &Limits, calm: Time, now: Time) -> Option<String> {
        let over = |since: Time, limit: Option<Duration>| {
            limit.is_some_and(|limit| now.since(since.max(calm)) > limit + SLACK)
        };
        if self.frames == 0 && over(self.connected, limits.first_frame) {
            return Some(format!("no frame since {:?}", self.connected));
        }
        over(self.last, limits.idle).then(|| format!("nothing heard since {:?}", self.last))
    }
}
