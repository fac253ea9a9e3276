//! The messages that have been sent and have not come to all members.

use std::collections::VecDeque;

use wharf_port::Time;

/// Messages of the stream, from the first that a member lacks.
#[derive(Debug)]
pub(super) struct Flight {
    /// The first message that was ever put in.
    first: u64,
    /// The message that stands in front.
    front: u64,
    messages: VecDeque<Message>,
}

#[derive(Clone, Copy, Debug)]
struct Message {
    due: Time,
    /// Members that have not got it.
    missing: u64,
}

impl Flight {
    pub(super) const fn new(first: u64) -> Self {
        Self { first, front: first, messages: VecDeque::new() }
    }

    /// How many are in flight.
    pub(super) fn len(&self) -> u64 {
        self.messages.len() as u64
    }

    pub(super) fn is_over(&self) -> bool {
        self.messages.is_empty()
    }

    /// How many there have been.
    pub(super) fn sent(&self) -> u64 {
        self.end() - self.first
    }

    /// The message behind the last.
    pub(super) fn end(&self) -> u64 {
        self.front + self.len()
    }

    pub(super) fn begin(&mut self, due: Time, members: u64) {
        self.messages.push_back(Message { due, missing: members });
        self.leave_out_the_done();
    }

    /// One more member has got a message; gives when that was due.
    #[inline]
    pub(super) fn delivered(&mut self, message: u64) -> Time {
        let Some(it) = self.get_mut(message) else { return Time::ZERO };
        it.missing = it.missing.saturating_sub(1);
        let due = it.due;
        self.leave_out_the_done();
        due
    }

    /// A member is gone, and gets nothing from this message on.
    pub(super) fn lost_member(&mut self, from: u64) {
        let behind = usize::try_from(from.saturating_sub(self.front)).unwrap_or(usize::MAX);
        for message in self.messages.iter_mut().skip(behind) {
            message.missing = message.missing.saturating_sub(1);
        }
        self.leave_out_the_done();
    }

    /// Forgets the messages from this one on; returns how many that were.
    pub(super) fn forget_from(&mut self, message: u64) -> u64 {
        let before = self.len();
        let kept = usize::try_from(message.saturating_sub(self.front)).unwrap_or(usize::MAX);
        self.messages.truncate(kept);
        before - self.len()
    }

    fn get_mut(&mut self, message: u64) -> Option<&mut Message> {
        let at = usize::try_from(message.checked_sub(self.front)?).ok()?;
        self.messages.get_mut(at)
    }

    /// Members get messages in order, so the first are the first to be done.
    fn leave_out_the_done(&mut self) {
        while self.messages.front().is_some_and(|message| message.missing == 0) {
            self.messages.pop_front();
            self.front += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_in_flight_until_all_have_got_it_or_are_gone() {
        let at = Time::from_nanos;
        let mut flight = Flight::new(2);
        flight.begin(at(10), 3);
        flight.begin(at(20), 3);
        assert_eq!((flight.len(), flight.sent(), flight.end()), (2, 2, 4));
        assert_eq!(flight.delivered(2), at(10));
        assert_eq!(flight.delivered(2), at(10));
        assert_eq!(flight.delivered(3), at(20));
        assert_eq!(flight.len(), 2);
        // Neither of them has come to the third one.
        flight.lost_member(2);
        assert_eq!((flight.len(), flight.sent()), (1, 2));
        assert_eq!(flight.delivered(3), at(20));
        assert!(flight.is_over());
        flight.begin(at(30), 2);
        assert_eq!((flight.forget_from(4), flight.sent()), (1, 2));
    }
}
