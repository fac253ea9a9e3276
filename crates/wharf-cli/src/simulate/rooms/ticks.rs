//! When a room ticks: each tick at its time, counted from the first; none twice, and none left out unsaid.

use std::time::Duration;

use wharf::{Tick, Time};

use super::super::record::Book;
use super::{Life, RoomNumber};

/// By how much a tick may be late in the second phase, if its worker is turned.
const LATE: Duration = Duration::from_millis(100);
const NANOS: u128 = 1_000_000_000;

/// What is known of the ticks of one room.
pub(super) struct Ticks {
    per_second: u32,
    opened: Time,
    /// From when the times of its ticks are counted, once there was one.
    begun: Option<Time>,
    /// The number of the last.
    last: u64,
    /// When it was due.
    last_due: Time,
    /// Its worker has heard that the server ends.
    is_over: bool,
}

impl Ticks {
    pub(super) const fn new(per_second: u32, opened: Time) -> Self {
        Self { per_second, opened, begun: None, last: 0, last_due: opened, is_over: false }
    }

    /// How long after the beginning a tick is due.
    fn after(&self, number: u64) -> Duration {
        let nanos = u128::from(number) * NANOS / u128::from(self.per_second);
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }

    /// Whether there were so many since a time.
    pub(super) fn ticked(&self, times: u32, since: Time) -> bool {
        self.last_due >= since + self.after(times.into())
    }

    /// Takes a tick; says what is wrong with it.
    fn take(&mut self, tick: &Tick, now: Time) -> Option<&'static str> {
        let after = self.after(tick.number).as_nanos();
        let begun = u128::from(tick.due.as_nanos()).checked_sub(after);
        let begun = begun.and_then(|nanos| u64::try_from(nanos).ok()).map(Time::from_nanos);
        let expected = self.last + 1 + tick.skipped;
        let Some(begun) = begun.filter(|begun| *begun >= self.opened) else {
            return Some("is older than its room");
        };
        let first = *self.begun.get_or_insert(begun);
        (self.last, self.last_due) = (tick.number, tick.due);
        match () {
            () if self.is_over => Some("comes though the server ends"),
            () if tick.number != expected => Some("is not the next"),
            () if begun != first => Some("has drifted"),
            () if now < tick.due => Some("comes too early"),
            () if tick.late != now.since(tick.due) => Some("says that it is as late as it is not"),
            () if now >= first + self.after(tick.number + 1) => Some("has another behind it"),
            () => None,
        }
    }

    /// Whether the next one should have come by now.
    fn is_late(&self, calm: Time, now: Time) -> bool {
        // Its worker may have stalled, and has placed it by the time that it turns again.
        let begun = self.begun.unwrap_or_else(|| self.opened.max(calm));
        let due = begun + self.after(self.last + 1);
        now > due.max(calm) + LATE
    }
}

impl Book {
    pub(super) fn room_ticks(&mut self, room: RoomNumber, tick: &Tick, now: Time) {
        self.marks.count("room tick");
        self.marks.add("room ticks skipped", tick.skipped);
        self.rooms.ticks += 1;
        self.rooms.ticks_skipped += tick.skipped;
        let known = &mut self.rooms.known[room];
        let wrong = match &mut known.ticks {
            _ if known.life == Life::Gone => Some("comes though the room is gone"),
            Some(ticks) => ticks.take(tick, now),
            None => Some("was never asked for"),
        };
        if let Some(wrong) = wrong {
            self.violate("I13", || format!("room {room}: {tick:?} at {now:?} {wrong}"));
        }
    }

    /// Looks after a turn of a worker whether its rooms tick, and whether those that were closed are gone.
    pub(super) fn check_rooms_of(&mut self, worker: usize, turns: u64, now: Time, heard_end: bool) {
        let calm = self.calm.filter(|_| !self.rooms.server_ends);
        let rooms = (0..).zip(&mut self.rooms.known).filter(|(_, known)| known.worker == worker);
        let wrong = rooms.filter(|(_, known)| known.life != Life::Gone).find_map(
            |(room, known): (RoomNumber, _)| {
                if known.gone_at.is_some_and(|at| turns > at) {
                    return Some((room, "was closed, and is there"));
                }
                let ticks = known.ticks.as_mut()?;
                ticks.is_over |= heard_end;
                let is_late = calm.is_some_and(|calm| ticks.is_late(calm, now));
                (known.life == Life::Open && is_late).then_some((room, "does not tick"))
            },
        );
        if let Some((room, wrong)) = wrong {
            self.violate("I13", || format!("room {room} {wrong} at {now:?}"));
        }
    }
}
