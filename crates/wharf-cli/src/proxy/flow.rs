//! One direction of a connection: what has come from one end and is to go to the other.
//!
//! It holds no socket: it is told what has come, and says what to do next. What an end does (its
//! stream's end, a reset) goes on behind the bytes before it, and through the same faults.

use std::sync::Arc;
use std::time::Duration;

use wharf_port::{Lease, Segment, Time, TimerId};

use super::counts::{Count, Counts};
use super::plan::{Event, Plan};
use super::queue::{Front, Mark, Queue};

/// How many sends a second keep a rate: each has what is due in 20 ms.
const SENDS_PER_SECOND: u64 = 50;

/// What a flow wants done.
#[derive(Debug)]
pub(super) enum Step {
    /// To send these bytes; [`Flow::sent`] tells of their end.
    Send(Vec<Segment>),
    /// To end the stream.
    ShutDown,
    /// To reset both ends.
    Reset,
    /// To be asked again at this time.
    WaitUntil(Time),
    /// Nothing, until something comes.
    Rest,
}

/// Whether a flow stands still.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Stalled {
    No,
    Until(Time),
    ForGood,
}

/// See the [module](self).
#[derive(Debug)]
pub(super) struct Flow {
    /// The faults, if this direction is affected.
    plan: Option<Box<Plan>>,
    queue: Queue,
    /// Bytes of the send in flight.
    in_flight: usize,
    /// The other end is connected.
    open: bool,
    /// What this end sends is not received for the moment.
    paused: bool,
    /// This end has ended its stream, or failed.
    source_ended: bool,
    /// What still comes is thrown away.
    cut: bool,
    /// The other end has been told of the end.
    ended: bool,
    /// The other end takes no more.
    broken: bool,
    stalled: Stalled,
    /// When the rate lets the next bytes go.
    rate_at: Time,
    /// When the gap between pieces does.
    gap_at: Time,
    pub(super) timer: Option<TimerId>,
}

impl Flow {
    pub(super) fn new(plan: Option<Plan>) -> Self {
        Self {
            plan: plan.map(Box::new),
            queue: Queue::default(),
            in_flight: 0,
            open: false,
            paused: false,
            source_ended: false,
            cut: false,
            ended: false,
            broken: false,
            stalled: Stalled::No,
            rate_at: Time::ZERO,
            gap_at: Time::ZERO,
            timer: None,
        }
    }

    /// The other end is connected.
    pub(super) const fn open(&mut self) {
        self.open = true;
    }

    pub(super) const fn is_open(&self) -> bool {
        self.open
    }

    /// Takes in what has come. Gives it back if it can be sent at once, from where it lies; it counts
    /// as sent for then.
    pub(super) fn take(&mut self, lease: Lease, now: Time, counts: &Counts) -> Option<Segment> {
        if self.cut {
            counts.add(Count::BytesDiscarded, lease.len());
            return None;
        }
        if self.plan.is_some() {
            self.take_by_plan(&lease, now, counts);
            return None;
        }
        if self.open && self.in_flight == 0 && self.queue.is_empty() {
            self.in_flight = lease.len();
            return Some(Segment::Received(lease));
        }
        self.queue.push_bytes(Arc::from(&*lease), now);
        None
    }

    fn take_by_plan(&mut self, bytes: &[u8], now: Time, counts: &Counts) {
        let due = self.due(now, counts);
        let Some(plan) = &mut self.plan else { return };
        let mut rest = bytes;
        loop {
            let (passing, event) = plan.advance(rest.len());
            let mut kept: Arc<[u8]> = Arc::from(&rest[..passing]);
            if let Some(bytes) = Arc::get_mut(&mut kept) {
                counts.add(Count::BitsFlipped, plan.corrupt(bytes));
            }
            self.queue.push_bytes(kept, due);
            rest = &rest[passing..];
            let mark = match event {
                None => return,
                Some(Event::Stall) => Mark::Stall,
                Some(Event::HalfClose) => Mark::End { injected: true },
                Some(Event::Reset) => Mark::Reset { injected: true },
            };
            self.queue.push_mark(mark, due);
            if mark != Mark::Stall {
                self.cut = true;
                counts.add(Count::BytesDiscarded, rest.len());
                return;
            }
        }
    }

    /// When what comes now may go on, at the earliest: it also waits for what came before it.
    fn due(&mut self, now: Time, counts: &Counts) -> Time {
        let Some(plan) = &mut self.plan else { return now };
        let delay = plan.delay();
        counts.add(Count::Delays, usize::from(!delay.is_zero()));
        now + delay
    }

    /// This end has ended its stream.
    pub(super) fn end(&mut self, now: Time, counts: &Counts) {
        self.source_ended = true;
        if !self.cut {
            let due = self.due(now, counts);
            self.queue.push_mark(Mark::End { injected: false }, due);
        }
    }

    /// This end has failed: the other one is to see a reset, behind what came before.
    pub(super) fn fail(&mut self, now: Time, counts: &Counts) {
        self.source_ended = true;
        let due = self.due(now, counts);
        self.queue.push_mark(Mark::Reset { injected: false }, due);
    }

    /// The send is over; returns how many bytes it had.
    pub(super) const fn sent(&mut self) -> usize {
        std::mem::replace(&mut self.in_flight, 0)
    }

    /// The other end takes no more. Why, its own direction says, behind what it had sent.
    pub(super) fn break_off(&mut self, counts: &Counts) {
        self.broken = true;
        self.cut = true;
        counts.add(Count::BytesDiscarded, self.queue.clear());
    }

    /// The other end has ended its own stream. If this flow stands still for good, nobody waits for it
    /// any more but who sends: nothing is held for it, so that the end of this end is seen.
    pub(super) fn give_up_if_stuck(&mut self, counts: &Counts) {
        if self.stalled == Stalled::ForGood && !self.queue.is_empty() {
            self.cut = true;
            counts.add(Count::BytesDiscarded, self.queue.clear());
        }
    }

    /// What is to be done now.
    pub(super) fn next(&mut self, now: Time, counts: &Counts) -> Step {
        if !self.open || self.in_flight > 0 {
            return Step::Rest;
        }
        loop {
            match self.stalled {
                Stalled::ForGood => return Step::Rest,
                Stalled::Until(until) if until > now => return Step::WaitUntil(until),
                Stalled::Until(_) | Stalled::No => self.stalled = Stalled::No,
            }
            let mark = match self.queue.front() {
                None => return Step::Rest,
                Some((due, _)) if due > now => return Step::WaitUntil(due),
                Some((due, Front::Bytes)) => return self.next_send(due, now, counts),
                Some((_, Front::Mark(mark))) => mark,
            };
            self.queue.pop_mark();
            match mark {
                Mark::Stall => self.stall(now, counts),
                Mark::End { injected } => {
                    counts.add(Count::HalfCloses, usize::from(injected));
                    self.ended = true;
                    return Step::ShutDown;
                }
                Mark::Reset { injected } => {
                    counts.add(Count::Resets, usize::from(injected));
                    return Step::Reset;
                }
            }
        }
    }

    fn stall(&mut self, now: Time, counts: &Counts) {
        counts.add(Count::Stalls, 1_usize);
        let time = self.plan.as_ref().and_then(|plan| plan.faults().stall_for);
        self.stalled = time.map_or(Stalled::ForGood, |time| Stalled::Until(now + time));
    }

    /// A send of what has been due since `due`, as much as the faults let go at once.
    fn next_send(&mut self, due: Time, now: Time, counts: &Counts) -> Step {
        let next_at = self.rate_at.max(self.gap_at);
        if next_at > now {
            return Step::WaitUntil(next_at);
        }
        let pace = self.plan.as_ref().map_or(Pace::NONE, |plan| Pace::of(plan));
        let mut segments = Vec::new();
        self.in_flight = self.queue.take_bytes(pace.piece(), now, &mut segments);
        counts.add(Count::RateWaits, u64::from(due < self.rate_at));
        counts.add(Count::Cuts, u64::from(pace.is_chopping() && self.queue.has_bytes(now)));
        self.rate_at = pace.next_by_rate(self.in_flight, self.rate_at, now);
        self.gap_at = now + pace.gap;
        Step::Send(segments)
    }

    /// Whether to pause what this end sends (`Some(true)`), or to resume it (`Some(false)`), if not
    /// more than `held_max` is to be held. There is some way between the two.
    pub(super) fn regulate(&mut self, held_max: usize) -> Option<bool> {
        let held = self.queue.cost() + self.in_flight;
        let pause = if self.paused { held > held_max / 2 } else { held >= held_max };
        let changes = !self.source_ended && pause != self.paused;
        self.paused = pause;
        changes.then_some(pause)
    }

    /// This end has ended its stream, or failed.
    pub(super) const fn has_source_ended(&self) -> bool {
        self.source_ended
    }

    /// Whether nothing will happen any more: it has come to its end, or will never.
    pub(super) fn is_over(&self) -> bool {
        let stuck = self.stalled == Stalled::ForGood;
        self.source_ended && (self.ended || self.broken || stuck) && self.in_flight == 0
    }

    /// Whether all that came has been passed on, and the end.
    pub(super) fn is_complete(&self) -> bool {
        self.source_ended && self.ended && !self.broken && self.queue.is_empty()
    }
}

/// How fast a flow may go.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Pace {
    chop: Option<u64>,
    gap: Duration,
    /// Bytes a second.
    rate: Option<u64>,
}

impl Pace {
    const NONE: Self = Self { chop: None, gap: Duration::ZERO, rate: None };

    fn of(plan: &Plan) -> Self {
        let faults = plan.faults();
        Self { chop: faults.chop, gap: faults.chop_gap.unwrap_or_default(), rate: faults.rate }
    }

    /// Bytes of one of the sends that keep the rate; at a low rate each byte is one.
    fn portion(self) -> u64 {
        self.rate.map_or(u64::MAX, |rate| (rate / SENDS_PER_SECOND).max(1))
    }

    /// Bytes of one send at most.
    fn piece(self) -> usize {
        let piece = self.chop.unwrap_or(u64::MAX).min(self.portion());
        usize::try_from(piece).unwrap_or(usize::MAX)
    }

    /// Whether it is the chop that makes pieces what they are, and not the rate.
    fn is_chopping(self) -> bool {
        self.chop.is_some_and(|chop| chop <= self.portion())
    }

    /// When the rate lets the next send go after one of `len` bytes at `now`, which it had let go at
    /// `due`.
    fn next_by_rate(self, len: usize, due: Time, now: Time) -> Time {
        let Some(rate) = self.rate else { return Time::ZERO };
        let nanos = (len as u128 * 1_000_000_000).div_ceil(u128::from(rate));
        let takes = Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX));
        // What a late timer has cost is made good, and of what nobody has used no more than one send:
        // nothing goes on before now.
        now.max(due + takes)
    }
}

#[cfg(test)]
mod tests {
    use std::rc::Rc;

    use super::super::options::{Direction, Faults, Trigger};
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    fn at(millis: u32) -> Time {
        Time::ZERO + MS * millis
    }

    /// A flow whose other end is connected, and what it counts.
    fn flow(faults: Faults) -> (Flow, Counts) {
        let mut flow = Flow::new(Plan::new(&Rc::new(faults), 1, 0, Direction::Up));
        flow.open();
        (flow, Counts::default())
    }

    /// The bytes that a flow sends now.
    #[track_caller]
    fn sends(flow: &mut Flow, now: Time, counts: &Counts) -> Vec<u8> {
        match flow.next(now, counts) {
            Step::Send(segments) => {
                let bytes: Vec<u8> = segments.iter().flat_map(Segment::as_slice).copied().collect();
                assert!(matches!(flow.next(now, counts), Step::Rest), "one send at a time");
                assert_eq!(flow.sent(), bytes.len());
                bytes
            }
            step => panic!("{step:?}"),
        }
    }

    #[track_caller]
    fn waits(flow: &mut Flow, now: Time, counts: &Counts) -> Time {
        match flow.next(now, counts) {
            Step::WaitUntil(time) => time,
            step => panic!("{step:?}"),
        }
    }

    #[test]
    fn bytes_and_the_end_are_held_back_and_no_shorter_for_what_comes_later() {
        let (mut flow, counts) = flow(Faults { delay: Some(10 * MS), ..Faults::none() });
        flow.take_by_plan(b"one", at(0), &counts);
        flow.take_by_plan(b"two", at(5), &counts);
        flow.end(at(6), &counts);
        assert_eq!(waits(&mut flow, at(9), &counts), at(10));
        assert_eq!(sends(&mut flow, at(10), &counts), b"one");
        assert_eq!(waits(&mut flow, at(14), &counts), at(15));
        assert_eq!(sends(&mut flow, at(15), &counts), b"two");
        assert_eq!(waits(&mut flow, at(15), &counts), at(16));
        assert!(matches!(flow.next(at(16), &counts), Step::ShutDown));
        assert!(flow.is_over() && flow.is_complete());
        assert_eq!(counts.get(Count::Delays), 3);
    }

    #[test]
    fn nothing_goes_on_before_the_other_end_is_there() {
        let (mut flow, counts) = flow(Faults { chop: Some(9), ..Faults::none() });
        flow.open = false;
        flow.take_by_plan(b"early", at(0), &counts);
        flow.end(at(0), &counts);
        assert!(matches!(flow.next(at(1), &counts), Step::Rest));
        assert!(!flow.is_over());
        flow.open();
        assert_eq!(sends(&mut flow, at(1), &counts), b"early");
    }

    #[test]
    fn pieces_are_no_longer_than_asked_for_and_kept_apart() {
        let gap = Some(7 * MS);
        let (mut flow, counts) = flow(Faults { chop: Some(4), chop_gap: gap, ..Faults::none() });
        flow.take_by_plan(b"01234", at(0), &counts);
        flow.take_by_plan(b"56789", at(0), &counts);
        assert_eq!(sends(&mut flow, at(1), &counts), b"0123");
        assert_eq!(waits(&mut flow, at(1), &counts), at(8));
        assert_eq!(sends(&mut flow, at(8), &counts), b"4567");
        assert_eq!(sends(&mut flow, at(20), &counts), b"89");
        assert_eq!(counts.get(Count::Cuts), 2);
        assert!(matches!(flow.next(at(20), &counts), Step::Rest));
    }

    #[test]
    fn a_rate_is_kept_although_timers_are_late_and_unused_time_is_lost() {
        let (mut flow, counts) = flow(Faults { rate: Some(100_000), ..Faults::none() });
        flow.take_by_plan(&[0; 100_000], at(0), &counts);
        // It has not been used for a second, which must not make it faster now.
        let (mut now, mut sent) = (at(1_000), 0);
        while sent < 100_000 {
            match flow.next(now, &counts) {
                Step::Send(_) => sent += flow.sent(),
                Step::WaitUntil(time) => now = time + 3 * MS,
                step => panic!("{step:?}"),
            }
            let elapsed = (now - at(1_000)).as_secs_f64();
            // Two sends of 20 ms each may be ahead.
            assert!(sent as f64 <= 100_000.0 * (elapsed + 0.0401), "{sent} in {elapsed}");
        }
        let took = now - at(1_000);
        assert!((950 * MS..=1_010 * MS).contains(&took), "{took:?}");
        assert_eq!(counts.get(Count::RateWaits), 49);
    }

    #[test]
    fn bytes_that_come_too_soon_for_the_rate_wait_for_it() {
        let (mut flow, counts) = flow(Faults { rate: Some(1_000), ..Faults::none() });
        for start in [0, 10, 20] {
            flow.take_by_plan(&[0; 20], at(start), &counts);
            let time = if start == 0 { at(0) } else { waits(&mut flow, at(start), &counts) };
            assert_eq!(time, at(start * 2));
            assert_eq!(sends(&mut flow, time, &counts).len(), 20);
        }
        assert_eq!(counts.get(Count::RateWaits), 2);
        // Nobody waits who comes later than that.
        flow.take_by_plan(&[0; 20], at(100), &counts);
        assert_eq!(sends(&mut flow, at(100), &counts).len(), 20);
        assert_eq!(counts.get(Count::RateWaits), 2);
    }

    #[test]
    fn a_stall_ends_in_its_time() {
        let stall = Trigger { per_kib: None, after: Some(3) };
        let faults = Faults { stall, stall_for: Some(50 * MS), ..Faults::none() };
        let (mut flow, counts) = flow(faults);
        flow.take_by_plan(b"abcdef", at(0), &counts);
        assert_eq!(sends(&mut flow, at(0), &counts), b"abc");
        assert_eq!(waits(&mut flow, at(10), &counts), at(60), "from when it is reached");
        assert_eq!(waits(&mut flow, at(59), &counts), at(60));
        assert_eq!(sends(&mut flow, at(60), &counts), b"def");
        assert_eq!(counts.get(Count::Stalls), 1);
    }

    #[test]
    fn a_stall_for_good_holds_the_end_too_and_is_over_with_its_source() {
        let stall = Trigger { per_kib: None, after: Some(3) };
        let (mut flow, counts) = flow(Faults { stall, stall_for: None, ..Faults::none() });
        flow.take_by_plan(b"abcdef", at(0), &counts);
        assert_eq!(sends(&mut flow, at(0), &counts), b"abc");
        assert!(matches!(flow.next(at(1_000_000), &counts), Step::Rest));
        assert!(!flow.is_over());
        flow.give_up_if_stuck(&counts);
        assert_eq!(flow.queue.cost(), 0, "or its source would be held back for good");
        assert_eq!(counts.get(Count::BytesDiscarded), 3);
        flow.end(at(0), &counts);
        assert!(flow.is_over() && !flow.is_complete());
    }

    #[test]
    fn a_stall_for_good_holds_nothing_for_a_reset_behind_it_either() {
        let after = |bytes| Trigger { per_kib: None, after: Some(bytes) };
        let faults = Faults { stall: after(3), reset: after(5), ..Faults::none() };
        let (mut flow, counts) = flow(faults);
        flow.take_by_plan(b"abcdef", at(0), &counts);
        assert_eq!(sends(&mut flow, at(0), &counts), b"abc");
        assert!(matches!(flow.next(at(0), &counts), Step::Rest));
        flow.give_up_if_stuck(&counts);
        assert_eq!(flow.queue.cost(), 0);
        assert_eq!(counts.get(Count::BytesDiscarded), 3);
    }

    #[test]
    fn what_ends_a_stream_comes_behind_its_bytes_and_cuts_off_the_rest() {
        let after = |bytes| Trigger { per_kib: None, after: Some(bytes) };
        for (faults, step, count) in [
            (Faults { reset: after(3), ..Faults::none() }, "Reset", Count::Resets),
            (Faults { half_close_after: Some(3), ..Faults::none() }, "ShutDown", Count::HalfCloses),
        ] {
            let (mut flow, counts) = flow(faults);
            flow.take_by_plan(b"abcdef", at(0), &counts);
            assert_eq!(sends(&mut flow, at(0), &counts), b"abc");
            assert_eq!(counts.get(count), 0, "not before it happens");
            assert_eq!(format!("{:?}", flow.next(at(0), &counts)), step);
            assert_eq!((counts.get(count), counts.get(Count::BytesDiscarded)), (1, 3));
            assert!(!flow.is_over(), "its source goes on");
            flow.end(at(0), &counts);
            assert!(matches!(flow.next(at(0), &counts), Step::Rest), "one end is enough");
        }
    }

    #[test]
    fn a_source_is_held_back_at_the_maximum_and_let_go_on_at_half_of_it() {
        let (mut flow, counts) = flow(Faults { chop: Some(1_000), ..Faults::none() });
        let mut held = 0;
        while flow.regulate(10_000).is_none() {
            flow.take_by_plan(&[0; 1_000], at(0), &counts);
            held += 1_000;
        }
        // Each run of bytes costs a little more than itself.
        assert!((9_000..=10_000).contains(&held), "{held}");
        let mut resumed = None;
        while resumed.is_none() {
            held -= sends(&mut flow, at(0), &counts).len();
            resumed = flow.regulate(10_000);
        }
        assert_eq!(resumed, Some(false));
        assert!((4_000..=5_000).contains(&held), "{held}");
    }
}
