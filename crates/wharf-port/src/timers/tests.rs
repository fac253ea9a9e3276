//! The wheel against an ordered map, and what a map would not show.

use std::collections::BTreeMap;

use super::*;
use crate::clock::Random;

fn at(nanos: u64) -> Time {
    Time::from_nanos(nanos)
}

fn tokens(timers: &mut Timers, now: u64) -> Vec<u64> {
    std::iter::from_fn(|| timers.pop_due(at(now))).map(|(_, token)| token).collect()
}

#[test]
fn due_timers_come_in_order_and_cancelled_ones_never() {
    let mut timers = Timers::new();
    timers.start(at(30), 3).unwrap();
    timers.start(at(10), 1).unwrap();
    let second = timers.start(at(20), 2).unwrap();
    assert_eq!(timers.next_deadline(), Some(at(10)));
    assert_eq!(timers.cancel(second), Some(2));
    assert_eq!(timers.cancel(second), None);
    assert!(timers.pop_due(at(9)).is_none());
    assert_eq!(tokens(&mut timers, 99), [1, 3]);
    assert_eq!(timers.len(), 0);
}

#[test]
fn a_name_that_fired_cancels_no_later_timer() {
    let mut timers = Timers::new();
    let first = timers.start(at(1), 1).unwrap();
    timers.pop_due(at(1)).unwrap();
    timers.start(at(1), 2).unwrap();
    assert_eq!(timers.cancel(first), None);
    assert_eq!(timers.len(), 1);
}

#[test]
fn a_place_whose_names_are_used_up_is_not_used_again() {
    let mut timers = Timers::new();
    let worn = timers.start(at(1), 1).unwrap();
    timers.cancel(worn).unwrap();
    timers.slab.wear_out(worn.slot);
    let last = timers.start(at(1), 2).unwrap();
    assert_eq!((last.slot, last.generation.get()), (worn.slot, u32::MAX));
    assert_eq!(timers.cancel(last), Some(2));
    let next = timers.start(at(1), 3).unwrap();
    assert_ne!(next.slot, worn.slot);
    assert_eq!((timers.cancel(last), timers.cancel(worn)), (None, None));
    assert_eq!(tokens(&mut timers, 1), [3]);
}

#[test]
fn too_many_timers_are_refused_until_one_is_gone() {
    let mut timers = Timers { slab: Slab::new(2), wheel: Wheel::new() };
    let first = timers.start(at(1), 1).unwrap();
    timers.start(at(2), 2).unwrap();
    assert_eq!(timers.start(at(3), 3), None);
    timers.cancel(first).unwrap();
    timers.start(at(3), 3).unwrap();
    assert_eq!(tokens(&mut timers, 9), [2, 3]);
}

#[test]
fn timers_of_the_same_deadline_fire_in_the_order_of_their_start() {
    let mut timers = Timers::new();
    let day = 86_400_000_000_000;
    timers.start(at(day), 0).unwrap();
    // Each wakes the wheel nearer to the day, from where the next one is started.
    for (token, before) in (1..).zip([1 << 45, 1 << 30, 1 << 20, 1 << 10, 1]) {
        timers.start(at(day - before), 99).unwrap();
        assert_eq!(tokens(&mut timers, day - before), [99]);
        timers.start(at(day), token).unwrap();
    }
    assert_eq!(tokens(&mut timers, day), [0, 1, 2, 3, 4, 5]);
}

#[test]
fn a_cancelled_first_timer_wakes_a_port_early_only_once() {
    let mut timers = Timers::new();
    let second = 1_000_000_000;
    // In one bucket, of 69 seconds.
    let first = timers.start(at(80 * second), 1).unwrap();
    timers.start(at(90 * second), 2).unwrap();
    assert_eq!(timers.next_deadline(), Some(at(80 * second)));
    timers.cancel(first).unwrap();
    assert_eq!(timers.next_deadline(), Some(at(80 * second)));
    assert!(timers.pop_due(at(80 * second)).is_none());
    assert_eq!(timers.next_deadline(), Some(at(90 * second)));
}

#[test]
fn running_timers_need_no_memory_beyond_their_places() {
    let mut timers = Timers::new();
    for round in 0..1_000 {
        let ids: Vec<_> = (0..10).map(|n| timers.start(at(round * 7 + n), n).unwrap()).collect();
        assert!(ids.iter().all(|id| id.slot < 10), "{ids:?}");
        ids.into_iter().for_each(|id| assert!(timers.cancel(id).is_some()));
    }
}

/// The wheel and what it is compared with, driven by one seed.
struct Comparison {
    random: Random,
    timers: Timers,
    model: BTreeMap<(Time, u64), TimerId>,
    /// Names that are void.
    gone: Vec<TimerId>,
    now: Time,
    started: u64,
}

impl Comparison {
    fn below(&mut self, bound: u64) -> u64 {
        self.random.next() % bound
    }

    /// From nanoseconds to weeks, as many of each magnitude.
    fn span(&mut self) -> u64 {
        let magnitude = self.below(50);
        self.below(1 << magnitude)
    }

    fn start(&mut self) {
        let span = self.span();
        let nanos = self.now.as_nanos();
        let deadline = match self.below(10) {
            0 => nanos.saturating_sub(span),
            1 => self.model.keys().next_back().map_or(nanos, |(deadline, _)| deadline.as_nanos()),
            2 => u64::MAX - span,
            _ => nanos.saturating_add(span),
        };
        self.started += 1;
        let id = self.timers.start(at(deadline), self.started).unwrap();
        assert_eq!(id.deadline(), at(deadline));
        assert!(!self.gone.contains(&id), "a name has come again");
        self.model.insert((at(deadline), self.started), id);
    }

    fn cancel(&mut self) {
        let from = (at(self.span()), 0);
        let found = self.model.range(from..).next().or_else(|| self.model.iter().next());
        let Some((&key, &id)) = found else { return };
        self.model.remove(&key);
        assert_eq!(self.timers.cancel(id), Some(key.1));
        self.gone.push(id);
    }

    fn cancel_what_is_gone(&mut self) {
        for index in 0..self.gone.len() {
            assert_eq!(self.timers.cancel(self.gone[index]), None);
        }
        self.gone.drain(..self.gone.len().saturating_sub(20));
    }

    fn advance(&mut self) {
        let first = self.model.keys().next().map(|(deadline, _)| *deadline);
        match (self.timers.next_deadline(), first) {
            (Some(next), Some(first)) => assert!(next <= first, "{next:?} is after {first:?}"),
            (next, first) => assert_eq!(next, first),
        }
        let nanos = match first.filter(|_| self.below(3) == 0) {
            Some(first) => first.as_nanos().max(self.now.as_nanos()),
            None => self.now.as_nanos().saturating_add(self.span()),
        };
        // The end of time is not reached, or nothing would be left to happen.
        self.now = at(nanos.min(1 << 62));
        while let Some((id, token)) = self.timers.pop_due(self.now) {
            let ((deadline, number), expected) = self.model.pop_first().unwrap();
            assert_eq!((id, token), (expected, number), "the wrong one, at {:?}", self.now);
            assert!(deadline <= self.now, "{deadline:?} at {:?}", self.now);
            self.gone.push(id);
        }
        let left = self.model.keys().next().map(|(deadline, _)| *deadline);
        assert!(left.is_none_or(|left| left > self.now), "{left:?} is due at {:?}", self.now);
    }
}

#[test]
fn the_wheel_does_what_an_ordered_map_does() {
    for seed in 0..200 {
        let mut it = Comparison {
            random: Random::new(seed),
            timers: Timers::new(),
            model: BTreeMap::new(),
            gone: Vec::new(),
            now: Time::ZERO,
            started: 0,
        };
        // Seeds differ in how many timers run at a time.
        let starts = 40 + seed % 40;
        for _ in 0..1_000 {
            match it.below(100) {
                roll if roll < starts => it.start(),
                roll if roll < 85 => it.cancel(),
                roll if roll < 90 => it.cancel_what_is_gone(),
                _ => it.advance(),
            }
            assert_eq!(it.timers.len(), it.model.len());
            if it.below(16) == 0 {
                it.timers.wheel.audit(&it.timers.slab);
            }
        }
    }
}
