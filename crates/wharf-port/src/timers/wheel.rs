//! A hierarchical timer wheel (Varghese and Lauck, "Hashed and hierarchical timing wheels", 1987),
//! exact to the nanosecond.
//!
//! A deadline is a number of eleven digits with 64 values each. A timer stands on the level of the
//! highest digit in which its deadline differs from the wheel's base, in the bucket that this digit
//! names; so every timer of a level comes before all of the levels above, and the first bucket of the
//! lowest level that is in use has the first of all. That place follows from base and deadline alone:
//! timers with equal deadlines always share a bucket, in the order in which they came.
//!
//! The base is at or before every deadline. It moves up when the first bucket has a timer that is due,
//! whose timers then go to lower levels; and down for a deadline that lies before it, for which what
//! is on lower levels becomes one bucket. On the lowest level a bucket has one deadline.

use std::fmt;

use super::slab::{List, Slab};
use crate::clock::Time;

const DIGIT_BITS: u32 = 6;
const BUCKETS: usize = 1 << DIGIT_BITS;
const LEVELS: usize = u64::BITS.div_ceil(DIGIT_BITS) as usize;

pub(super) struct Wheel {
    base: u64,
    /// A bit for each level that has timers.
    levels: u16,
    /// A bit for each bucket that has timers, by level.
    occupied: [u64; LEVELS],
    buckets: Box<[Bucket]>,
}

#[derive(Clone, Copy, Debug)]
struct Bucket {
    timers: List,
    /// No timer in here is due before. Exact, but for the cancelled.
    earliest: Time,
}

/// Which bucket: its level, and the digit that names it there.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Place {
    level: usize,
    digit: usize,
}

impl Place {
    const fn of(base: u64, deadline: u64) -> Self {
        // The lowest bit changes nothing: it tells no level from another, and zero has no highest.
        let highest = u64::BITS - 1 - ((base ^ deadline) | 1).leading_zeros();
        let level = highest / DIGIT_BITS;
        Self { level: level as usize, digit: digit(deadline, level) }
    }

    const fn index(self) -> usize {
        self.level * BUCKETS + self.digit
    }
}

#[expect(clippy::cast_possible_truncation, reason = "it is below 64")]
const fn digit(deadline: u64, level: u32) -> usize {
    (deadline >> (level * DIGIT_BITS)) as usize % BUCKETS
}

impl Wheel {
    pub(super) fn new() -> Self {
        let bucket = Bucket { timers: List::EMPTY, earliest: Time::ZERO };
        let buckets = vec![bucket; LEVELS * BUCKETS].into_boxed_slice();
        Self { base: 0, levels: 0, occupied: [0; LEVELS], buckets }
    }

    /// Takes in a timer that stands in no list.
    #[inline]
    pub(super) fn insert(&mut self, slab: &mut Slab, slot: u32) {
        let deadline = slab.deadline(slot);
        if deadline.as_nanos() < self.base {
            self.move_down(slab, deadline.as_nanos());
        }
        self.put(slab, slot, deadline);
    }

    #[inline]
    fn put(&mut self, slab: &mut Slab, slot: u32, deadline: Time) {
        let place = Place::of(self.base, deadline.as_nanos());
        let bucket = &mut self.buckets[place.index()];
        if bucket.timers.is_empty() {
            self.occupied[place.level] |= 1 << place.digit;
            self.levels |= 1 << place.level;
            bucket.earliest = deadline;
        } else {
            bucket.earliest = bucket.earliest.min(deadline);
        }
        slab.append(&mut bucket.timers, slot);
    }

    /// Takes out a timer that stands here.
    #[inline]
    pub(super) fn unlink(&mut self, slab: &mut Slab, slot: u32) {
        let place = Place::of(self.base, slab.deadline(slot).as_nanos());
        let bucket = &mut self.buckets[place.index()];
        slab.unlink(&mut bucket.timers, slot);
        if bucket.timers.is_empty() {
            self.vacate(place);
        }
    }

    /// Notes that a bucket is empty.
    #[inline]
    fn vacate(&mut self, place: Place) {
        let occupied = &mut self.occupied[place.level];
        *occupied &= !(1 << place.digit);
        if *occupied == 0 {
            self.levels &= !(1 << place.level);
        }
    }

    /// The bucket with the first deadline.
    #[inline]
    fn first(&self) -> Option<Place> {
        let level = self.levels.trailing_zeros() as usize;
        let occupied = self.occupied.get(level)?;
        Some(Place { level, digit: occupied.trailing_zeros() as usize })
    }

    /// No timer is due before; `None` if there is none.
    #[inline]
    pub(super) fn earliest(&self) -> Option<Time> {
        self.first().map(|place| self.buckets[place.index()].earliest)
    }

    /// Takes out the first timer, if it is due.
    #[inline]
    pub(super) fn pop_due(&mut self, slab: &mut Slab, now: Time) -> Option<u32> {
        loop {
            let place = self.first()?;
            let bucket = &self.buckets[place.index()];
            if bucket.earliest > now {
                return None;
            }
            if place.level == 0 {
                let slot = bucket.timers.first()?;
                self.unlink(slab, slot);
                return Some(slot);
            }
            self.move_up(slab, place);
        }
    }

    /// Moves the base into the first bucket, whose timers go to lower levels. All others stay where
    /// they are: they differ from the base in the same digit as before.
    fn move_up(&mut self, slab: &mut Slab, place: Place) {
        let timers = self.take(place);
        self.base = self.buckets[place.index()].earliest.as_nanos();
        let mut next = timers.first();
        while let Some(slot) = next {
            next = slab.next(slot);
            self.put(slab, slot, slab.deadline(slot));
        }
    }

    /// Moves the base back to a deadline before it. What stands below the digit in which they differ
    /// now differs in that one, and becomes one bucket; nothing else can have stood there.
    #[cold]
    fn move_down(&mut self, slab: &mut Slab, base: u64) {
        let target = Place::of(base, self.base);
        let mut gathered = List::EMPTY;
        let mut earliest = None;
        while let Some(place) = self.first().filter(|place| place.level < target.level) {
            earliest.get_or_insert_with(|| self.buckets[place.index()].earliest);
            let timers = self.take(place);
            slab.concatenate(&mut gathered, timers);
        }
        // On the level itself nothing moves, and if the digits are the lowest the base's own bucket is
        // already where it belongs.
        if let Some(earliest) = earliest {
            self.buckets[target.index()] = Bucket { timers: gathered, earliest };
            self.occupied[target.level] |= 1 << target.digit;
            self.levels |= 1 << target.level;
        }
        self.base = base;
    }

    /// Empties a bucket.
    fn take(&mut self, place: Place) -> List {
        self.vacate(place);
        std::mem::replace(&mut self.buckets[place.index()].timers, List::EMPTY)
    }

    /// Checks that every timer stands where it should, and every bit.
    #[cfg(test)]
    pub(super) fn audit(&self, slab: &Slab) {
        let mut count = 0;
        for (index, bucket) in self.buckets.iter().enumerate() {
            let place = Place { level: index / BUCKETS, digit: index % BUCKETS };
            let noted = self.occupied[place.level] >> place.digit & 1 == 1;
            assert_eq!(noted, !bucket.timers.is_empty(), "{place:?}");
            let mut next = bucket.timers.first();
            while let Some(slot) = next {
                let deadline = slab.deadline(slot);
                assert_eq!(Place::of(self.base, deadline.as_nanos()), place, "{deadline:?}");
                assert!(self.base <= deadline.as_nanos() && bucket.earliest <= deadline);
                next = slab.next(slot);
                count += 1;
            }
        }
        for (level, occupied) in self.occupied.iter().enumerate() {
            assert_eq!(self.levels >> level & 1 == 1, *occupied != 0, "level {level}");
        }
        assert_eq!(count, slab.len());
    }
}

impl fmt::Debug for Wheel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { base, occupied, .. } = self;
        f.debug_struct("Wheel")
            .field("base", base)
            .field("occupied", occupied)
            .finish_non_exhaustive()
    }
}
