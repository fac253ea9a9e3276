//! The timetable of an open loop: when each message is due, whatever the server does.

use std::time::Duration;

use wharf_port::Time;

/// Fraction bits of the distance between two messages: after 2^40 messages the rounding has summed
/// up to a quarter of a microsecond.
const FRACTION_BITS: u32 = 32;

/// Messages at even distances, dealt to the sessions in turn. Nothing is kept per message: when one
/// is due follows from its number.
#[derive(Debug)]
pub(super) struct Schedule {
    start: Time,
    /// Nanoseconds between two messages, times 2^32.
    distance: u64,
    sessions: usize,
    /// The message that is due next, counted over all sessions.
    next: u64,
    /// The session that it is dealt to.
    next_session: usize,
    /// Messages over all sessions.
    end: u64,
}

impl Schedule {
    /// `messages` is what each session gets at most.
    pub(super) const fn new(start: Time, per_second: u64, sessions: usize, messages: u64) -> Self {
        let distance = (1_000_000_000_u64 << FRACTION_BITS).div_ceil(per_second);
        let end = messages.saturating_mul(sessions as u64);
        Self { start, distance, sessions, next: 0, next_session: 0, end }
    }

    /// When a session's message is due.
    #[inline]
    pub(super) fn due(&self, session: usize, message: u64) -> Time {
        self.at(message * self.sessions as u64 + session as u64)
    }

    /// When the next message is due, if there is another one.
    #[inline]
    pub(super) fn next_due(&self) -> Option<Time> {
        (self.next < self.end).then(|| self.at(self.next))
    }

    /// Takes the next message if it is due: the session that it is dealt to.
    #[inline]
    pub(super) fn take_due(&mut self, now: Time) -> Option<usize> {
        self.next_due().filter(|&due| due <= now)?;
        let session = self.next_session;
        self.next += 1;
        self.next_session = if session + 1 == self.sessions { 0 } else { session + 1 };
        Some(session)
    }

    /// Takes all messages that are due; how many they are.
    pub(super) fn take_all_due(&mut self, now: Time) -> u64 {
        std::iter::from_fn(|| self.take_due(now)).fold(0, |count, _| count + 1)
    }

    #[inline]
    fn at(&self, number: u64) -> Time {
        let nanos = (u128::from(number) * u128::from(self.distance)) >> FRACTION_BITS;
        self.start + Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_due_at_even_distances_in_turn() {
        let start = Time::from_nanos(500);
        let mut schedule = Schedule::new(start, 3, 2, u64::MAX);
        let mut due = Vec::new();
        for second in 0..3 {
            let now = start + Duration::from_secs(second);
            while let Some(session) = schedule.take_due(now) {
                due.push(session);
            }
        }
        // Three in each second, and the one that is due as the last second ends.
        assert_eq!(due, [0, 1, 0, 1, 0, 1, 0]);
        assert_eq!(schedule.due(1, 1), start + Duration::from_secs(1));
        assert_eq!(schedule.next_due(), Some(schedule.due(1, 3)));
    }

    #[test]
    fn the_timetable_ends_when_each_session_has_had_its_messages() {
        let mut schedule = Schedule::new(Time::ZERO, 1_000, 3, 2);
        let now = Time::ZERO + Duration::from_secs(60);
        let dealt: Vec<usize> = std::iter::from_fn(|| schedule.take_due(now)).collect();
        assert_eq!(dealt, [0, 1, 2, 0, 1, 2]);
        assert_eq!(schedule.next_due(), None);
    }

    #[test]
    fn all_that_are_due_are_taken_at_once_and_only_once() {
        let mut schedule = Schedule::new(Time::ZERO, 10, 1, 25);
        let at = |millis| Time::ZERO + Duration::from_millis(millis);
        // The first is due at once.
        assert_eq!([at(0), at(0), at(1_050)].map(|now| schedule.take_all_due(now)), [1, 0, 10]);
        assert_eq!(schedule.next_due(), Some(schedule.due(0, 11)));
        assert_eq!(schedule.take_all_due(at(60_000)), 14);
    }

    #[test]
    fn rounding_does_not_sum_up() {
        let schedule = Schedule::new(Time::ZERO, 3, 1, u64::MAX);
        let late = schedule.due(0, 3 << 30).as_nanos().abs_diff((1 << 30) * 1_000_000_000);
        assert!(late <= 1, "{late} ns");
    }
}
