//! Where timers lie: one table, whose places are used again and whose names are not.
//!
//! A timer stands in one list at a time, linked through the table, so that starting one allocates
//! nothing once the table is as large as it has to be. [`crate::slots`] has no links, and an entry of
//! it would be a quarter larger.

use std::num::NonZeroU32;

use crate::clock::Time;

/// No timer: the end of a list.
const NONE: u32 = u32::MAX;

/// The timers of one port, by slot.
#[derive(Debug)]
pub(super) struct Slab {
    timers: Vec<Timer>,
    /// The first free place, which leads to the others: the one that was left last, as it is the
    /// warmest.
    free: u32,
    len: usize,
    slots_max: u32,
}

/// One timer, or a free place: then only `next` and `generation` mean something.
#[derive(Debug)]
struct Timer {
    deadline: Time,
    token: u64,
    next: u32,
    previous: u32,
    /// What the timer's name, or the next one's here, has to have. 0 once they are used up: then the
    /// place stays free for good.
    generation: u32,
}

/// A list of timers, in the order in which they were appended.
#[derive(Clone, Copy, Debug)]
pub(super) struct List {
    first: u32,
    last: u32,
}

impl List {
    pub(super) const EMPTY: Self = Self { first: NONE, last: NONE };

    pub(super) const fn is_empty(self) -> bool {
        self.first == NONE
    }

    pub(super) const fn first(self) -> Option<u32> {
        if self.first == NONE { None } else { Some(self.first) }
    }
}

impl Slab {
    pub(super) const fn new(slots_max: u32) -> Self {
        Self { timers: Vec::new(), free: NONE, len: 0, slots_max }
    }

    pub(super) const fn len(&self) -> usize {
        self.len
    }

    /// Stores a timer that stands in no list. `None` if all places are taken.
    #[inline]
    pub(super) fn insert(&mut self, deadline: Time, token: u64) -> Option<(u32, NonZeroU32)> {
        let slot = if self.free == NONE { self.grow()? } else { self.free };
        let timer = &mut self.timers[slot as usize];
        let generation = NonZeroU32::new(timer.generation)?;
        self.free = timer.next;
        timer.deadline = deadline;
        timer.token = token;
        self.len += 1;
        Some((slot, generation))
    }

    /// Makes one more place, and no other is free.
    #[cold]
    fn grow(&mut self) -> Option<u32> {
        let slot = u32::try_from(self.timers.len()).ok().filter(|slot| *slot < self.slots_max)?;
        let (deadline, generation) = (Time::ZERO, 1);
        self.timers.push(Timer { deadline, token: 0, next: NONE, previous: NONE, generation });
        Some(slot)
    }

    /// Frees the place of a timer that stands in no list: its name is void. Gives its deadline and its
    /// token.
    #[inline]
    pub(super) fn remove(&mut self, slot: u32) -> (Time, u64) {
        let timer = &mut self.timers[slot as usize];
        timer.generation = timer.generation.wrapping_add(1);
        if timer.generation != 0 {
            timer.next = self.free;
            self.free = slot;
        }
        self.len -= 1;
        (timer.deadline, timer.token)
    }

    /// Whether this is the name of a timer that is running.
    #[inline]
    pub(super) fn holds(&self, slot: u32, generation: NonZeroU32) -> bool {
        self.timers.get(slot as usize).is_some_and(|timer| timer.generation == generation.get())
    }

    pub(super) fn generation(&self, slot: u32) -> Option<NonZeroU32> {
        NonZeroU32::new(self.timers[slot as usize].generation)
    }

    #[inline]
    pub(super) fn deadline(&self, slot: u32) -> Time {
        self.timers[slot as usize].deadline
    }

    /// The timer behind this one in its list.
    #[inline]
    pub(super) fn next(&self, slot: u32) -> Option<u32> {
        let next = self.timers[slot as usize].next;
        (next != NONE).then_some(next)
    }

    /// Puts a timer that stands in no list at the end of one.
    #[inline]
    pub(super) fn append(&mut self, list: &mut List, slot: u32) {
        let last = std::mem::replace(&mut list.last, slot);
        let timer = &mut self.timers[slot as usize];
        timer.next = NONE;
        timer.previous = last;
        match self.timers.get_mut(last as usize) {
            Some(last) => last.next = slot,
            None => list.first = slot,
        }
    }

    /// Takes a timer out of the list in which it stands.
    #[inline]
    pub(super) fn unlink(&mut self, list: &mut List, slot: u32) {
        let &Timer { next, previous, .. } = &self.timers[slot as usize];
        match self.timers.get_mut(previous as usize) {
            Some(previous) => previous.next = next,
            None => list.first = next,
        }
        match self.timers.get_mut(next as usize) {
            Some(next) => next.previous = previous,
            None => list.last = previous,
        }
    }

    /// Puts a whole list at the end of another.
    pub(super) fn concatenate(&mut self, list: &mut List, behind: List) {
        if list.is_empty() {
            *list = behind;
        } else if !behind.is_empty() {
            self.timers[list.last as usize].next = behind.first;
            self.timers[behind.first as usize].previous = list.last;
            list.last = behind.last;
        }
    }

    /// Lets the next timer in this place, which is free, be the last one.
    #[cfg(test)]
    pub(super) fn wear_out(&mut self, slot: u32) {
        self.timers[slot as usize].generation = u32::MAX;
    }
}
