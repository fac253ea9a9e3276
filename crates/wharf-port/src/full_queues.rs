//! Unix sockets whose connect found the listener's queue full.
//!
//! Nothing tells when it has room, so they are tried again. `io_uring` is not asked to connect them: it polls
//! for room that no poll tells of, and answers the same in the end, later (seen on 6.18).

use std::time::Duration;

use crate::clock::Time;
use crate::ids::SocketId;

/// How soon they are tried again.
const RETRY: Duration = Duration::from_millis(10);

/// Those that wait for room.
#[derive(Debug, Default)]
pub(crate) struct FullQueues {
    waiting: Vec<SocketId>,
    tried_at: Time,
}

impl FullQueues {
    pub(crate) fn add(&mut self, socket: SocketId) {
        self.waiting.push(socket);
    }

    /// How long a port may wait that was to wait this long.
    pub(crate) fn at_most(&self, timeout: Option<Duration>) -> Option<Duration> {
        if self.waiting.is_empty() {
            return timeout;
        }
        Some(timeout.map_or(RETRY, |timeout| timeout.min(RETRY)))
    }

    /// Those that are to be tried now; some may have given up meanwhile.
    pub(crate) fn take_due(&mut self, now: Time) -> Vec<SocketId> {
        if self.waiting.is_empty() || now < self.tried_at + RETRY {
            return Vec::new();
        }
        self.tried_at = now;
        std::mem::take(&mut self.waiting)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn they_are_tried_again_soon_and_not_at_every_turn() {
        let id = SocketId::from_parts(1, 1);
        let mut queues = FullQueues::default();
        assert_eq!(queues.at_most(None), None);
        queues.add(id);
        let second = Duration::from_secs(1);
        assert_eq!(queues.at_most(None), Some(RETRY));
        assert_eq!(queues.at_most(Some(second)), Some(RETRY));
        assert_eq!(queues.at_most(Some(RETRY / 2)), Some(RETRY / 2));
        let begin = Time::ZERO + second;
        assert_eq!(queues.take_due(begin), [id]);
        queues.add(id);
        assert_eq!(queues.take_due(begin + RETRY / 2), []);
        assert_eq!(queues.take_due(begin + RETRY), [id]);
        assert_eq!(queues.at_most(None), None);
    }
}
