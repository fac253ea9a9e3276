//! Guests that are slow: readers that take little or nothing of what they are sent, and those that drip
//! their frames byte by byte.

use std::collections::VecDeque;
use std::time::Duration;

use wharf_port::{CompletionPort, ConnectError, SocketId, SocketOptions, Time};

use super::Guests;
use super::rate::{Rate, Reading, TICK};
use super::report::{OfGuests, Own};
use crate::failure::{Exit, Failure};
use crate::load::by_slot::BySlot;
use crate::load::closures::Closures;
use crate::load::connect::Way;
use crate::load::connect_failures::ConnectFailures;
use crate::load::crowd::verify;
use crate::load::options::{SlowOptions, Slowness};
use crate::load::pattern::Pattern;
use crate::load::phase::long_ago;
use crate::load::report::grouped;
use crate::load::tally::{Loss, Tally};
use crate::load::visit::{Stage, Visit};

/// Connects under way at a time.
const IN_FLIGHT_MAX: u64 = 256;
/// What a slow reader's kernel buffers for it: little, so that the server soon feels it.
const RECEIVE_BUFFER_BYTES: u32 = 16 << 10;
/// The payload of a frame that is dripped, where the framing allows it: nobody finishes one.
const FRAME_BYTES: u64 = 60_000;

/// One of them.
#[derive(Debug)]
struct Guest {
    visit: Visit,
    /// How it reads, if that has a rate.
    reading: Option<Reading>,
    /// How it sends, if that has a rate.
    sending: Option<Rate>,
}

/// All of them.
pub(super) struct Slow<'a> {
    options: &'a SlowOptions,
    way: Way,
    pattern: Pattern,
    period: Duration,
    sessions: BySlot<Guest>,
    begun: u64,
    opened: u64,
    failures: ConnectFailures,
    closed: Closures,
    /// What was wrong with what came back.
    tally: Tally,
    /// When each has its next turn. All have the same distance: the order stays.
    turns: VecDeque<(Time, SocketId)>,
    look_at: Time,
}

impl<'a> Slow<'a> {
    pub(super) fn new(options: &'a SlowOptions, way: Way) -> Self {
        let honest = &options.guests.honest;
        let framing = &honest.framing;
        let (size, period) = match options.slowness {
            Slowness::Reader { .. } => (honest.size, TICK),
            Slowness::Dripper { every } => {
                (FRAME_BYTES.clamp(framing.payload_min().max(1), framing.payload_max()), every)
            }
        };
        let size = usize::try_from(size).unwrap_or(1);
        Self {
            options,
            way,
            pattern: Pattern::new(framing, size, 1),
            period,
            sessions: BySlot::new(),
            begun: 0,
            opened: 0,
            failures: ConnectFailures::default(),
            closed: Closures::default(),
            tally: Tally::default(),
            turns: VecDeque::new(),
            look_at: Time::ZERO,
        }
    }

    pub(super) fn outcome(&self) -> OfGuests {
        let own = Own::Slow {
            opened: self.opened,
            connect_failed: self.failures.count(),
            closed_by_server: self.closed.report(),
        };
        let verdict = self.tally.verdict(0, self.options.guests.honest.patience);
        OfGuests {
            lines: self.lines(),
            own,
            wrong: self.tally.wrong,
            missing: 0,
            verdicts: verdict.map(|it| format!("of the slow sessions: {it}")).into_iter().collect(),
            connected: self.all_opened(),
        }
    }

    /// Whether all were there: a run with fewer of them says less than was asked.
    fn all_opened(&self) -> Result<(), Failure> {
        let wanted = self.options.guests.sessions;
        let advice = "check how many the server takes, or ask for fewer --sessions";
        self.failures.verdict(wanted, "slow sessions could not be opened", advice)?;
        if self.opened == wanted {
            return Ok(());
        }
        Err(Failure::new(
            Exit::NotConnected,
            format_args!(
                "{} of {} slow sessions were not open when the run was over: give a longer \
                 --duration, or ask for fewer --sessions",
                grouped(wanted - self.opened),
                grouped(wanted),
            ),
        ))
    }

    fn lines(&self) -> String {
        let how = match self.options.slowness {
            Slowness::Reader { read_rate: None, .. } => "that read nothing".to_owned(),
            Slowness::Reader { read_rate: Some(rate), .. } => {
                format!("that read {} bytes/s", grouped(rate))
            }
            Slowness::Dripper { every } => {
                format!("that send a byte every {} s", every.as_secs_f64())
            }
        };
        let failed = self.failures.clause("could not be opened");
        format!(
            "  beside      {} sessions {how}{failed}\n  closed      by the server: {}\n",
            grouped(self.opened),
            self.closed
        )
    }

    fn begin(&mut self, port: &mut CompletionPort, now: Time) {
        let mut options = self.way.sources.options();
        if let Slowness::Reader { .. } = self.options.slowness {
            options.receive_buffer_bytes = Some(RECEIVE_BUFFER_BYTES);
        }
        match port.connect(&self.way.address, &options) {
            Ok(socket) => {
                let number = usize::try_from(self.begun).unwrap_or_default();
                let lane = self.pattern.lane(number);
                let visit = Visit::new(socket, (number, lane), options, now, now);
                let (reading, sending) = match self.options.slowness {
                    Slowness::Reader { read_rate, send_rate } => {
                        (read_rate.map(Reading::new), Some(Rate::new(send_rate)))
                    }
                    Slowness::Dripper { .. } => (None, None),
                };
                self.sessions.insert(socket, Guest { visit, reading, sending });
                self.begun += 1;
            }
            Err(error) => self.fail(&options, error, true),
        }
    }

    /// A connect has failed; `is_new` as it was not counted as begun.
    fn fail(&mut self, options: &SocketOptions, error: ConnectError, is_new: bool) {
        if self.way.sources.spread(options, error) {
            self.begun -= u64::from(!is_new);
            return;
        }
        self.begun += u64::from(is_new);
        self.failures.add(error);
    }

    /// A session's turn: it sends a little, and may read a little again.
    fn take_turn(&mut self, port: &mut CompletionPort, socket: SocketId) -> bool {
        let Some(guest) = self.sessions.get_mut(socket) else { return false };
        if guest.visit.stage != Stage::Open {
            return false;
        }
        if guest.reading.as_mut().is_some_and(Reading::tick) {
            let _ = port.resume_receive(socket);
        }
        let bytes = guest.sending.as_mut().map_or(1, Rate::tick);
        let session = &mut guest.visit.session;
        if bytes > 0 && !session.sending {
            let segments = self.pattern.sent(session.lane, session.staged, bytes);
            session.staged += bytes;
            session.sending = true;
            let _ = port.send(socket, segments);
        }
        true
    }
}

impl Guests for Slow<'_> {
    fn owns(&mut self, socket: SocketId) -> bool {
        self.sessions.get_mut(socket).is_some()
    }

    fn on_connected(
        &mut self,
        port: &mut CompletionPort,
        socket: SocketId,
        result: Result<(), ConnectError>,
        now: Time,
    ) {
        let Some(guest) = self.sessions.get_mut(socket) else { return };
        let Some(result) = guest.visit.connected(port, result, now) else { return };
        if let Err((options, error)) = result {
            return self.fail(&options, error, false);
        }
        self.opened += 1;
        // Who reads nothing at all notices a reset by its sends.
        if !matches!(self.options.slowness, Slowness::Reader { read_rate: None, .. }) {
            let _ = port.receive(socket);
        }
        self.turns.push_back((now, socket));
    }

    /// Compares what has come back with what was sent.
    fn on_bytes(&mut self, port: &mut CompletionPort, socket: SocketId, bytes: &[u8]) {
        let Some(guest) = self.sessions.get_mut(socket) else { return };
        if guest.visit.stage != Stage::Open {
            return;
        }
        let session = &mut guest.visit.session;
        let verified = verify(session, session.staged, bytes, &self.pattern, &mut self.tally);
        if verified.extra > 0 {
            self.tally.count_loss(Loss::Extra);
            guest.visit.abort(port);
        } else if guest.reading.as_mut().is_some_and(|reading| reading.took(bytes.len())) {
            let _ = port.pause_receive(socket);
        }
    }

    fn on_sent(&mut self, _: &mut CompletionPort, socket: SocketId) {
        if let Some(guest) = self.sessions.get_mut(socket) {
            guest.visit.session.sending = false;
        }
    }

    fn on_ended(&mut self, port: &mut CompletionPort, socket: SocketId, loss: Loss, now: Time) {
        let Some(guest) = self.sessions.get_mut(socket) else { return };
        if guest.visit.stage == Stage::Open {
            self.closed.count(now - guest.visit.since, loss != Loss::EndedEarly);
            guest.visit.abort(port);
        }
    }

    fn on_closed(&mut self, socket: SocketId) {
        drop(self.sessions.remove(socket));
    }

    fn next_due(&self) -> Time {
        let turn = self.turns.front().map(|(due, _)| *due);
        turn.into_iter().fold(self.look_at, Time::min)
    }

    fn act(&mut self, port: &mut CompletionPort, now: Time) {
        while self.begun < self.options.guests.sessions
            && self.begun - self.opened - self.failures.count() < IN_FLIGHT_MAX
        {
            self.begin(port, now);
        }
        while let Some((due, socket)) = self.turns.front().copied()
            && due <= now
        {
            self.turns.pop_front();
            if self.take_turn(port, socket) {
                // From now: who was held up does not make up for it.
                self.turns.push_back((now + self.period, socket));
            }
        }
        if now >= self.look_at {
            self.look_at = now + TICK;
            let moment = long_ago(now, self.options.guests.honest.patience);
            let is_late = |guest: &&mut Guest| guest.visit.connects_since(moment);
            for guest in self.sessions.iter_mut().filter(is_late) {
                guest.visit.abort(port);
                self.failures.add(ConnectError::TimedOut);
            }
        }
    }

    fn leave(&mut self, port: &mut CompletionPort) {
        for guest in self.sessions.iter_mut().filter(|guest| guest.visit.stage != Stage::Over) {
            guest.visit.abort(port);
        }
    }
}
