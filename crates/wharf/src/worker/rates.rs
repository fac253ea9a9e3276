//! Sessions that send more than they may.

use wharf_port::{SocketId, Time};

use super::Core;
use super::connection::Connection;
use crate::close_reason::CloseReason;
use crate::live_limits::LiveLimits;
use crate::rate::{Bucket, Limiter, OverRate};

/// What each session may send.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Allowance {
    frames: Option<Limiter>,
    bytes: Option<Limiter>,
}

impl Allowance {
    pub(super) fn new(limits: &LiveLimits) -> Self {
        Self {
            frames: limits.frames_per_second.map(Limiter::new),
            bytes: limits.bytes_per_second.map(Limiter::new),
        }
    }
}

/// What a session has used of its rates.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Used {
    frames: Bucket,
    bytes: Bucket,
}

impl Used {
    pub(super) const NOTHING: Self = Self { frames: Bucket::FULL, bytes: Bucket::FULL };

    /// How many frames and bytes it may send now, if so many are asked for.
    #[inline]
    pub(super) fn allows(&self, of: &Allowance, now: Time, frames: u8, bytes: u32) -> (u8, u32) {
        let left = |bucket: Bucket, limiter, most: u64| match limiter {
            Some(limiter) => bucket.tokens(limiter, now, most),
            None => most,
        };
        let frames_left = left(self.frames, of.frames, frames.into());
        let bytes_left = left(self.bytes, of.bytes, bytes.into());
        (u8::try_from(frames_left).unwrap_or(frames), u32::try_from(bytes_left).unwrap_or(bytes))
    }

    /// It has sent so much.
    #[inline]
    pub(super) fn take(&mut self, of: &Allowance, now: Time, frames: u64, bytes: u64) {
        if let Some(limiter) = of.frames {
            self.frames.take(limiter, now, frames);
        }
        if let Some(limiter) = of.bytes {
            self.bytes.take(limiter, now, bytes);
        }
    }

    /// When it may send again.
    fn free_at(&self, of: &Allowance) -> Time {
        let frames = of.frames.map(|limiter| self.frames.next_at(limiter));
        let bytes = of.bytes.map(|limiter| self.bytes.next_at(limiter));
        frames.into_iter().chain(bytes).max().unwrap_or(Time::ZERO)
    }
}

impl Core {
    /// Whether a session has used up what its rates allow.
    pub(super) fn is_over_rate(&self, socket: SocketId) -> bool {
        let Some(connection) = self.connections.get(socket) else { return false };
        let (frames, bytes) = connection.used.allows(&self.allowance, self.now, 1, 1);
        frames == 0 || bytes == 0
    }

    /// A session that has sent more than it may, and holds some of it, has to wait or to go.
    #[cold]
    pub(super) fn over_rate(&mut self, socket: SocketId) {
        if self.limits.over_rate == OverRate::Disconnect {
            return self.begin_close(socket, CloseReason::RateLimited);
        }
        let Some(connection) = self.connection(socket) else { return };
        connection.throttled = true;
        self.stats.seldom().throttled += 1;
        self.hold_back(socket);
        self.arm_next_timer(socket);
    }

    /// The rates of sessions may have changed. Then what was used of the old ones is forgotten, and those go on that
    /// had to wait.
    pub(super) fn look_at_rates(&mut self) {
        let allowance = Allowance::new(&self.shared().live_limits());
        if std::mem::replace(&mut self.allowance, allowance) == allowance {
            return;
        }
        for socket in self.connections.sockets() {
            let Some(connection) = self.connection(socket) else { continue };
            connection.used = Used::NOTHING;
            if connection.throttled {
                self.end_throttling(socket);
            }
        }
    }

    /// Goes on with a session that had to wait.
    pub(super) fn end_throttling(&mut self, socket: SocketId) {
        let now = self.now;
        let Some(connection) = self.connection(socket) else { return };
        connection.throttled = false;
        // It was this side that did not receive.
        connection.last_receive = now;
        self.go_on(socket);
    }
}

impl Connection {
    /// When a session that is throttled may send again.
    pub(super) fn free_at(&self, of: &Allowance) -> Option<Time> {
        self.throttled.then(|| self.used.free_at(of))
    }
}
