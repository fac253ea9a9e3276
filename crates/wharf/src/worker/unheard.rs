//! Sends that nobody needs to hear of before something else happens.

use std::time::Duration;

use wharf_port::Time;

use super::connection::{Connection, Sending, State};

/// Sends of one turn that may be unheard of while the worker sleeps: with more of them, a wait of their own
/// costs each of them little.
const SENDS_MAX: u32 = 16;
/// Bytes of them together: they count as queued, and lie in memory, until they are heard of.
const BYTES_MAX: usize = 64 << 10;

/// How long they may be: so long they are missing in what is counted and told to others.
const UNHEARD_MAX: Duration = Duration::from_millis(10);

/// The sends that a turn has started, and whether the worker can sleep without hearing how they ended: a
/// lone message then costs one wait and one turn, and not two.
#[derive(Clone, Copy, Default, Debug)]
pub(super) struct Unheard {
    sends: u32,
    bytes: usize,
    /// Something follows upon the end of one of them.
    awaited: bool,
}

impl Unheard {
    /// Counts a session that had something to send when the turn ended.
    #[inline]
    pub(super) fn count(&mut self, connection: &Connection) {
        let queue = &connection.queue;
        let going = queue.in_flight_bytes().unwrap_or(0);
        self.sends += 1;
        self.bytes += going;
        self.awaited |= queue.bytes() > going
            || connection.was_full
            || connection.state != State::Open
            || connection.sending != Sending::Open;
    }

    /// Whether there are sends, and none that has to be heard of at once.
    pub(super) const fn can_wait(&self) -> bool {
        self.sends > 0 && !self.awaited && self.sends <= SENDS_MAX && self.bytes <= BYTES_MAX
    }

    /// Until when the worker may sleep at most.
    pub(super) fn until(&self, now: Time, deadline: Option<Time>) -> Time {
        let heard = now + UNHEARD_MAX;
        deadline.map_or(heard, |deadline| deadline.min(heard))
    }
}
