//! What a seed draws before its run: the server, its limits, its clients, and what goes wrong.

use std::ops::RangeInclusive;
use std::time::Duration;

use fastrand::Rng;
use wharf::sim::{FaultKind, Faults, Personality};
use wharf::{Limits, OverRate, Rate, SlowReader};

use super::ceiling::CEILING;
use super::extras::Extras;
use super::wire::Wire;

/// Seats where nobody is to be turned away.
const SEATS: usize = 64;

/// One run, as its seed wants it.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    pub(super) personality: Personality,
    pub(super) faults: Faults,
    pub(super) workers: usize,
    pub(super) buffers: u16,
    pub(super) buffer_bytes: u32,
    pub(super) backlog_window: usize,
    pub(super) wire: Wire,
    pub(super) limits: Limits,
    /// Sessions send something before they are asked.
    pub(super) greets: bool,
    pub(super) extras: Extras,
    /// Descriptors that the server may have in the first phase.
    pub(super) descriptors_max: usize,
    /// Clients that may be there at a time, in the first phase.
    pub(super) clients_max: usize,
    /// Steps of the first phase.
    pub(super) steps: u32,
    /// When the server is told to end in the first phase, if it is.
    pub(super) end: Option<EndOfServer>,
    /// The drain of the second phase meets clients that do their worst.
    pub(super) drains_among_others: bool,
}

/// How a server is told to end.
#[derive(Clone, Copy, Debug)]
pub(super) struct EndOfServer {
    pub(super) at_step: u32,
    /// At once, not in order.
    pub(super) stops: bool,
}

impl Plan {
    /// Draws a run. Of the faults that are wanted, a seed has about half: what goes wrong alone is found
    /// more often than what goes wrong with everything else.
    pub(super) fn draw(dice: &mut Rng, wanted: &Faults) -> Self {
        let wire = Wire::draw(dice);
        let steps = dice.u32(200..3_000);
        let ends = dice.u8(..4) == 0;
        let end = EndOfServer { at_step: dice.u32(..steps), stops: dice.u8(..3) == 0 };
        let mut plan = Self {
            personality: Personality::ALL[dice.usize(..Personality::ALL.len())],
            faults: draw_faults(dice, wanted),
            workers: dice.usize(1..=4),
            buffers: 1 << dice.u32(1..=4),
            buffer_bytes: 64 << dice.u32(..=8),
            backlog_window: 64 << dice.u32(..=12),
            wire,
            limits: draw_limits(dice, wire),
            greets: dice.bool(),
            extras: Extras::draw(dice),
            descriptors_max: if dice.u8(..4) == 0 { dice.usize(2..=8) } else { usize::MAX },
            clients_max: dice.usize(1..=30),
            steps,
            end: ends.then_some(end),
            drains_among_others: dice.bool(),
        };
        if dice.u8(..8) == 0 {
            plan.make_room();
        }
        if plan.extras.overload {
            plan.lower_ceiling();
        }
        plan
    }

    /// So little for all queues together that some clients can fill them; nothing hides in the network.
    fn lower_ceiling(&mut self) {
        self.backlog_window = self.backlog_window.min(1 << 10);
        self.limits.send_total_max = CEILING;
        self.limits.first_frame = None;
        self.limits.frame_bytes_max = payload_max(self.wire, 1 << 10);
    }

    /// As much as there can be of everything, so that more may come for a session than it may hold.
    fn make_room(&mut self) {
        self.buffers = 16;
        self.buffer_bytes = 16 << 10;
        self.backlog_window = 256 << 10;
        self.limits.frame_bytes_max =
            payload_max(self.wire, self.limits.frame_bytes_max.max(1 << 10));
    }
}

impl Plan {
    /// How much a frame may say.
    pub(super) fn said_max(&self) -> usize {
        self.limits.frame_bytes_max - self.wire.head()
    }

    /// Whether clients may be turned away for lack of seats, or since too many come at a time.
    pub(super) fn has_few_seats(&self) -> bool {
        self.limits.sessions_max != Some(SEATS) || self.limits.accept_rate.is_some()
    }
}

/// The longest payload of this framing, so that this much can be said where it can be.
fn payload_max(wire: Wire, said: usize) -> usize {
    (said + wire.head()).min(wire.framing().payload_max())
}

fn draw_faults(dice: &mut Rng, wanted: &Faults) -> Faults {
    FaultKind::ALL.iter().fold(Faults::none(), |faults, &kind| {
        let factor = dice.u32(1..=30);
        let is_on = dice.bool();
        if is_on { faults.with(kind, wanted.ppm(kind) / 10 * factor) } else { faults }
    })
}

fn rate(dice: &mut Rng, per_second: RangeInclusive<u32>, burst: RangeInclusive<u32>) -> Rate {
    Rate { per_second: dice.u32(per_second), burst: dice.u32(burst) }
}

fn draw_limits(dice: &mut Rng, wire: Wire) -> Limits {
    let policies = [
        SlowReader::Pause,
        SlowReader::Disconnect,
        SlowReader::Refuse,
        SlowReader::DropNewest,
        SlowReader::DropOldest,
        SlowReader::Coalesce,
    ];
    let usable = if wire.has_frames() { 6 } else { 3 };
    // Not so short that an honest client in a calm network could miss it.
    let millis = |dice: &mut Rng, most: u64| Duration::from_millis(dice.u64(200..=most));
    Limits {
        send_total_max: Limits::default().send_total_max,
        sessions_max: Some(if dice.u8(..4) == 0 { dice.usize(1..=8) } else { SEATS }),
        per_address_max: (dice.u8(..4) == 0).then(|| dice.usize(1..=4)),
        accept_rate: (dice.u8(..8) == 0).then(|| rate(dice, 20..=200, 4..=64)),
        frames_per_second: (dice.u8(..4) == 0).then(|| rate(dice, 500..=5_000, 100..=600)),
        bytes_per_second: (dice.u8(..4) == 0)
            .then(|| rate(dice, 100_000..=1_000_000, 10_000..=100_000)),
        over_rate: if dice.u8(..4) == 0 { OverRate::Disconnect } else { OverRate::Throttle },
        frame_bytes_max: payload_max(wire, 8 << dice.u32(..=8)),
        first_frame: dice.bool().then(|| millis(dice, 10_000)),
        frame_deadline: dice.bool().then(|| millis(dice, 10_000)),
        // Never off: it is what ends the sessions of those who have vanished.
        idle: Some(millis(dice, 30_000)),
        send_bytes_max: Limits::SEND_BYTES_MIN << dice.u32(..=2),
        send_frames_max: if dice.u8(..4) == 0 { dice.usize(100..=400) } else { 1 << 16 },
        send_burst_bytes: if dice.bool() { 0 } else { dice.usize(1..=16 << 10) },
        send_burst_time: millis(dice, 10_000),
        send_deadline: dice.bool().then(|| millis(dice, 10_000)),
        slow_reader: policies[dice.usize(..usable)],
        groups_per_session_max: 6,
        timers_per_session_max: 4,
        rooms_max: 4,
        deferred_max: 1 << dice.u32(..=3),
        // Far beyond everything that a run takes: who needs it hangs.
        flush: Duration::from_secs(600),
        drain: millis(dice, 10_000),
    }
}
