//! What a worker's sessions had received and sent when somebody asked before: what their rates are counted from.
//!
//! Marks are made when sessions are asked for and at no other time: nothing is done for them when a message goes by,
//! and a worker that nobody asks about its sessions has none.

use std::mem;
use std::time::Duration;

use wharf_port::{SocketId, Time};

use super::connection::Connection;
use super::connections::Connections;

/// How old marks are when new ones are made: a little less than a second, so that who asks once a second is told of
/// that second, and not of two whenever a question comes a little early.
const MARKED_EVERY: Duration = Duration::from_millis(900);
/// The shortest time for what a session has done since it began: one that has just said hello is not the fastest.
const YOUNGEST: Duration = Duration::from_secs(1);
const NANOS_PER_SECOND: u128 = 1_000_000_000;

/// The last marks, and those before them, which rates are counted from. So these are never younger than
/// `MARKED_EVERY`, however often and by how many is asked, and as old as the question before was, if that is longer
/// ago. They take 64 bytes for a slot, until the worker has been empty for a while.
#[derive(Debug, Default)]
pub(super) struct Marks {
    before: Option<Look>,
    last: Option<Look>,
}

/// All sessions at one moment, by slot.
#[derive(Debug, Default)]
struct Look {
    at: Time,
    marks: Vec<Option<Mark>>,
}

/// What a session had received and sent by then.
#[derive(Clone, Copy, Debug)]
struct Mark {
    socket: SocketId,
    received_bytes: u64,
    sent_bytes: u64,
}

/// What a session has received and sent of late.
#[derive(Clone, Copy, Debug)]
pub(super) struct Lately {
    received_bytes: u64,
    sent_bytes: u64,
    time: Duration,
}

impl Marks {
    /// Sessions are asked for: makes new marks if the last ones are old enough. A look at each session.
    pub(super) fn renew(&mut self, connections: &Connections, now: Time) {
        if self.last.as_ref().is_some_and(|last| now.since(last.at) < MARKED_EVERY) {
            return;
        }
        // The table of those that nothing is counted from any longer is used again.
        let mut look = mem::replace(&mut self.before, self.last.take()).unwrap_or_default();
        look.take(connections, now);
        self.last = Some(look);
    }

    /// What a session has received and sent since the marks that rates are counted from; since it began, if it was
    /// not there then.
    pub(super) fn lately(&self, connection: &Connection, now: Time) -> Lately {
        let traffic = connection.traffic;
        let before = self.before.as_ref();
        match before.and_then(|look| Some((look.at, look.of(connection.socket)?))) {
            Some((at, mark)) => Lately {
                received_bytes: traffic.received_bytes.saturating_sub(mark.received_bytes),
                sent_bytes: traffic.sent_bytes.saturating_sub(mark.sent_bytes),
                time: now.since(at),
            },
            None => Lately {
                received_bytes: traffic.received_bytes,
                sent_bytes: traffic.sent_bytes,
                time: now.since(connection.opened).max(YOUNGEST),
            },
        }
    }
}

impl Look {
    fn take(&mut self, connections: &Connections, now: Time) {
        self.at = now;
        self.marks.clear();
        self.marks.reserve_exact(connections.slots());
        for connection in connections.iter() {
            let socket = connection.socket;
            // They come in the order of their slots; those between are free.
            self.marks.resize(socket.slot() as usize, None);
            let traffic = connection.traffic;
            self.marks.push(Some(Mark {
                socket,
                received_bytes: traffic.received_bytes,
                sent_bytes: traffic.sent_bytes,
            }));
        }
    }

    /// `None` if the slot was free, or somebody else's.
    fn of(&self, socket: SocketId) -> Option<&Mark> {
        let mark = self.marks.get(socket.slot() as usize)?.as_ref()?;
        (mark.socket == socket).then_some(mark)
    }
}

impl Lately {
    /// Received bytes a second.
    pub(super) fn received_per_second(self) -> u64 {
        self.per_second(self.received_bytes)
    }

    /// Sent bytes a second.
    pub(super) fn sent_per_second(self) -> u64 {
        self.per_second(self.sent_bytes)
    }

    fn per_second(self, bytes: u64) -> u64 {
        let rate = u128::from(bytes) * NANOS_PER_SECOND / self.time.as_nanos().max(1);
        u64::try_from(rate).unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_is_small() {
        assert!(size_of::<Option<Mark>>() <= 32, "{} bytes", size_of::<Option<Mark>>());
    }
}
