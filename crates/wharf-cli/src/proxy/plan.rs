//! What happens to one direction of a connection, and where in its stream.
//!
//! Everything but the jitter is decided by position in the stream, so that a seed gives the same
//! faults however TCP cuts the stream into pieces. What has a chance per KiB is drawn once for each
//! KiB, with its place; what has a chance per byte once for each byte.

use std::rc::Rc;
use std::time::Duration;

use super::dice::{Dice, Purpose};
use super::options::{Direction, Faults, Trigger};

/// Bytes for which a chance of [`Trigger::per_kib`] is drawn once.
const BLOCK: u64 = 1 << 10;

/// What happens at a place of the stream.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Event {
    /// Nothing goes on for a time, or for good.
    Stall,
    /// The stream ends here, and what still comes is thrown away.
    HalfClose,
    /// Both ends are reset.
    Reset,
}

/// The faults of one direction.
#[derive(Debug)]
pub(super) struct Plan {
    faults: Rc<Faults>,
    /// Bytes that have been looked at.
    position: u64,
    stall: Due,
    half_close: Due,
    reset: Due,
    corrupt: Dice,
    jitter: Dice,
}

impl Plan {
    /// The plan for a direction of a connection that is affected, if that direction is.
    ///
    /// Without one, bytes go on from where they were received.
    pub(super) fn new(
        faults: &Rc<Faults>,
        seed: u64,
        connection: u64,
        direction: Direction,
    ) -> Option<Self> {
        if !faults.directions.include(direction) || !faults.change_streams() {
            return None;
        }
        let stream = connection * 2 + direction as u64;
        let dice = |purpose| Dice::new(seed, stream, purpose);
        let half_close = Trigger { per_kib: None, after: faults.half_close_after };
        Some(Self {
            position: 0,
            stall: Due::new(faults.stall, dice(Purpose::Stall)),
            // Without a chance nothing is drawn.
            half_close: Due::new(half_close, dice(Purpose::Reset)),
            reset: Due::new(faults.reset, dice(Purpose::Reset)),
            corrupt: dice(Purpose::Corrupt),
            jitter: dice(Purpose::Jitter),
            faults: Rc::clone(faults),
        })
    }

    pub(super) fn faults(&self) -> &Faults {
        &self.faults
    }

    /// Moves on by at most `len` bytes, up to the next event: by how many, and the event that comes
    /// behind them. Events at the same place come one by one, with no bytes between.
    pub(super) fn advance(&mut self, len: usize) -> (usize, Option<Event>) {
        let end = self.position + len as u64;
        let [stall, half_close, reset] =
            [&mut self.stall, &mut self.half_close, &mut self.reset].map(|due| due.up_to(end));
        // The first of those at the same place: `min` takes it, and a reset spares nothing.
        let next = [(stall, Event::Stall), (half_close, Event::HalfClose), (reset, Event::Reset)]
            .into_iter()
            .filter_map(|(at, event)| Some((at?, event)))
            .min_by_key(|&(at, _)| at);
        let Some((at, event)) = next else {
            self.position = end;
            return (len, None);
        };
        match event {
            Event::Stall => self.stall.take(),
            Event::HalfClose => self.half_close.take(),
            Event::Reset => self.reset.take(),
        }
        let passing = usize::try_from(at - self.position).unwrap_or(len);
        self.position = at;
        (passing, Some(event))
    }

    /// Flips bits of the next bytes of the stream; returns how many.
    pub(super) fn corrupt(&mut self, bytes: &mut [u8]) -> u64 {
        let Some(chance) = self.faults.corrupt else { return 0 };
        let mut flipped = 0;
        for byte in bytes {
            if self.corrupt.hits(chance) {
                *byte ^= 1 << (self.corrupt.draw() & 7);
                flipped += 1;
            }
        }
        flipped
    }

    /// How long a run of bytes is held back.
    pub(super) fn delay(&mut self) -> Duration {
        let jitter = self.faults.jitter.map(|jitter| jitter.mul_f64(self.jitter.unit()));
        self.faults.delay.unwrap_or_default() + jitter.unwrap_or_default()
    }
}

/// The next place at which something happens.
#[derive(Debug)]
struct Due {
    trigger: Trigger,
    dice: Dice,
    /// Bytes for which has been drawn: whole blocks.
    drawn: u64,
    /// The place that was drawn and has not been taken.
    hit: Option<u64>,
}

impl Due {
    const fn new(trigger: Trigger, dice: Dice) -> Self {
        Self { trigger, dice, drawn: 0, hit: None }
    }

    /// The next place, if it is not beyond `end`: so many bytes come before it.
    fn up_to(&mut self, end: u64) -> Option<u64> {
        if let Some(chance) = self.trigger.per_kib {
            while self.hit.is_none() && self.drawn < end {
                // Both are drawn for each block, so that the sequence keeps step with the stream.
                let (hits, place) = (self.dice.hits(chance), self.dice.draw() % BLOCK);
                self.hit = hits.then_some(self.drawn + place + 1);
                self.drawn += BLOCK;
            }
        }
        self.next().filter(|&at| at <= end)
    }

    /// Takes the next place out.
    fn take(&mut self) {
        let next = self.next();
        if self.trigger.after == next {
            self.trigger.after = None;
        } else {
            self.hit = None;
        }
    }

    fn next(&self) -> Option<u64> {
        self.trigger.after.into_iter().chain(self.hit).min()
    }
}

#[cfg(test)]
mod tests {
    use super::super::options::Directions;
    use super::*;

    /// Where what happens in the first MiB, when the stream comes in pieces of `step` bytes.
    fn events(faults: Faults, connection: u64, step: usize) -> Vec<(u64, Event)> {
        let mut plan = Plan::new(&Rc::new(faults), 42, connection, Direction::Up).unwrap();
        let mut events = Vec::new();
        while plan.position < 1 << 20 {
            let mut left = step;
            while left > 0 {
                let (passing, event) = plan.advance(left);
                left -= passing;
                events.extend(event.map(|event| (plan.position, event)));
            }
        }
        events.retain(|&(at, _)| at <= 1 << 20);
        events
    }

    #[test]
    fn events_lie_where_they_lie_however_the_stream_is_cut() {
        let some = |chance| Trigger { per_kib: Some(chance), after: Some(5_000) };
        let faults = Faults { stall: some(0.05), reset: some(0.02), ..Faults::none() };
        let whole = events(faults.clone(), 3, 1 << 20);
        assert!(whole.contains(&(5_000, Event::Stall)), "{whole:?}");
        assert!(whole.contains(&(5_000, Event::Reset)), "{whole:?}");
        // 1,024 draws each: some 51 and 20 hits.
        let count = |kind| whole.iter().filter(|&&(_, event)| event == kind).count();
        assert!((30..80).contains(&count(Event::Stall)), "{whole:?}");
        assert!((8..40).contains(&count(Event::Reset)), "{whole:?}");
        for step in [1, 7, 1_000, 1_024, 16_384] {
            assert_eq!(events(faults.clone(), 3, step), whole, "in pieces of {step}");
        }
        assert_ne!(events(faults, 4, 1 << 20), whole, "another connection");
    }

    #[test]
    fn a_fault_that_is_switched_on_moves_no_other() {
        let stall = Trigger { per_kib: Some(0.1), after: None };
        let alone = events(Faults { stall, ..Faults::none() }, 0, 4_096);
        let reset = Trigger { per_kib: Some(0.1), after: None };
        let mut both =
            events(Faults { stall, reset, corrupt: Some(0.5), ..Faults::none() }, 0, 4_096);
        both.retain(|&(_, event)| event == Event::Stall);
        assert_eq!(alone, both);
    }

    #[test]
    fn what_comes_after_so_many_bytes_comes_once_and_in_order() {
        let after = |bytes| Trigger { per_kib: None, after: Some(bytes) };
        let all = Faults {
            stall: after(1),
            half_close_after: Some(1_000),
            reset: after(1_000),
            ..Faults::none()
        };
        let expected = [(1, Event::Stall), (1_000, Event::HalfClose), (1_000, Event::Reset)];
        assert_eq!(events(all, 0, 333), expected);
    }

    #[test]
    fn the_bits_that_flip_do_not_depend_on_the_pieces() {
        let faults = Rc::new(Faults { corrupt: Some(0.01), ..Faults::none() });
        let corrupted = |step: usize| {
            let mut plan = Plan::new(&faults, 42, 0, Direction::Down).unwrap();
            let mut bytes = vec![0_u8; 100_000];
            let flipped: u64 = bytes.chunks_mut(step).map(|piece| plan.corrupt(piece)).sum();
            (bytes, flipped)
        };
        let (whole, flipped) = corrupted(100_000);
        let ones: u64 = whole.iter().map(|byte| u64::from(byte.count_ones())).sum();
        assert_eq!(ones, flipped);
        assert!((800..1_200).contains(&flipped), "{flipped}");
        assert_eq!(corrupted(7), (whole, flipped));
    }

    #[test]
    fn a_direction_to_which_nothing_is_done_has_no_plan() {
        let up = Faults { directions: Directions::Up, chop: Some(1), ..Faults::none() };
        let has_plan = |faults: &Faults, direction| {
            Plan::new(&Rc::new(faults.clone()), 1, 0, direction).is_some()
        };
        assert!(has_plan(&up, Direction::Up));
        assert!(!has_plan(&up, Direction::Down));
        assert!(!has_plan(&Faults { chop: None, drop: Some(0.5), ..up }, Direction::Up));
    }

    #[test]
    fn a_delay_lies_between_what_is_fixed_and_that_with_all_of_the_jitter() {
        let [fixed, most] = [Duration::from_millis(10), Duration::from_millis(5)];
        let faults = Rc::new(Faults { delay: Some(fixed), jitter: Some(most), ..Faults::none() });
        let mut plan = Plan::new(&faults, 1, 0, Direction::Up).unwrap();
        let delays: Vec<Duration> = (0..1_000).map(|_| plan.delay()).collect();
        assert!(delays.iter().all(|delay| (fixed..=fixed + most).contains(delay)), "{delays:?}");
        let halves = delays.iter().filter(|&&delay| delay < fixed + most / 2).count();
        assert!((400..600).contains(&halves), "{halves}");
    }
}
