//! Guests that come, send and go as chance has it: resets with answers on their way, half frames, illegal ones,
//! ends from both sides, connects that are given up. That is what kills servers whose operations outlive their
//! sockets.
//!
//! What comes back is compared whatever the ending, and of those that half-close behind whole frames all has to
//! come back.

mod illegal;
mod plan;

use wharf_port::{CompletionPort, ConnectError, SocketId, SocketOptions, Time};

use self::illegal::Illegal;
use self::plan::{Ending, Plan};
use super::Guests;
use super::report::{OfGuests, Own, StormEndings};
use crate::failure::{Exit, Failure};
use crate::load::by_slot::BySlot;
use crate::load::connect::Way;
use crate::load::connect_failures::ConnectFailures;
use crate::load::crowd::verify;
use crate::load::options::StormOptions;
use crate::load::pattern::Pattern;
use crate::load::phase::long_ago;
use crate::load::report::grouped;
use crate::load::session::Session;
use crate::load::tally::{Loss, Tally};
use crate::load::visit::{Stage, Visit};
use crate::split_mix::SplitMix64;

/// How long none is begun after a connect has failed.
const REST: std::time::Duration = std::time::Duration::from_millis(10);
/// How often it is looked for those that take too long, and for new ones.
const LOOK_INTERVAL: std::time::Duration = std::time::Duration::from_millis(100);

/// A connection of the storm.
#[derive(Debug)]
struct Guest {
    visit: Visit,
    plan: Plan,
}

/// All of them.
pub(super) struct Storm<'a> {
    options: &'a StormOptions,
    way: Way,
    pattern: Pattern,
    seed: u64,
    chance: SplitMix64,
    guests: BySlot<Guest>,
    begun: u64,
    connections: u64,
    failures: ConnectFailures,
    endings: StormEndings,
    illegal: Illegal,
    tally: Tally,
    missing: u64,
    rests_until: Time,
    look_at: Time,
    has_left: bool,
}

impl<'a> Storm<'a> {
    pub(super) fn new(options: &'a StormOptions, way: Way, seed: u64) -> Self {
        let honest = &options.guests.honest;
        let size = usize::try_from(honest.size).unwrap_or(1);
        let lanes = usize::try_from(options.guests.sessions).unwrap_or(1);
        Self {
            options,
            way,
            pattern: Pattern::new(&honest.framing, size, lanes),
            seed,
            chance: SplitMix64::new(seed),
            guests: BySlot::new(),
            begun: 0,
            connections: 0,
            failures: ConnectFailures::default(),
            endings: StormEndings::default(),
            illegal: Illegal::new(honest.framing.illegal_header()),
            tally: Tally::default(),
            missing: 0,
            rests_until: Time::ZERO,
            look_at: Time::ZERO,
            has_left: false,
        }
    }

    pub(super) const fn way(&self) -> &Way {
        &self.way
    }

    /// `dead` is why the server answers no honest session afterwards, if it answers none.
    pub(super) fn outcome(&self, dead: Option<String>) -> OfGuests {
        let answers_after = dead.is_none();
        let own = Own::Storm {
            seed: self.seed,
            connections: self.connections,
            connect_failed: self.failures.count(),
            endings: self.endings,
            answers_after,
        };
        OfGuests {
            lines: self.lines(answers_after),
            own,
            wrong: self.tally.wrong,
            missing: self.missing,
            verdicts: [self.verdict(), dead].into_iter().flatten().collect(),
            connected: was_made(self.connections, &self.failures),
        }
    }

    /// What was wrong with what came back, if anything was.
    fn verdict(&self) -> Option<String> {
        let verdict = self.tally.verdict(self.missing, self.options.guests.honest.patience)?;
        Some(format!("in the storm (--seed {}): {verdict}", self.seed))
    }

    fn lines(&self, answers_after: bool) -> String {
        let failed = self.failures.clause("not made");
        format!(
            "  storm       seed {}, {} connections{failed}\n  ends        {}\n  afterwards  the server \
             {}\n",
            self.seed,
            grouped(self.connections),
            self.endings,
            if answers_after { "answers an honest session" } else { "does not answer" }
        )
    }

    /// Draws what a connection does.
    fn draw(&mut self, socket: SocketId, options: SocketOptions, now: Time) -> Guest {
        let Self { chance, pattern, illegal, endings, .. } = self;
        let plan = Plan::draw(chance, pattern.message(), || illegal.may_be_sent(endings));
        let lanes = self.options.guests.sessions;
        let number = usize::try_from(self.begun % lanes).unwrap_or_default();
        let lane = self.pattern.lane(number);
        let visit = Visit::new(socket, (number, lane), options, now, now);
        Guest { visit, plan }
    }

    fn begin(&mut self, port: &mut CompletionPort, now: Time) {
        let options = self.way.sources.options();
        match port.connect(&self.way.address, &options) {
            Ok(socket) => {
                let mut guest = self.draw(socket, options, now);
                self.begun += 1;
                if guest.plan.ending == Ending::Abandon {
                    self.endings.abandoned += 1;
                    guest.visit.abort(port);
                }
                self.guests.insert(socket, guest);
            }
            Err(error) => self.fail(&options, error, now),
        }
    }

    fn fail(&mut self, options: &SocketOptions, error: ConnectError, now: Time) {
        if !self.way.sources.spread(options, error) {
            self.failures.add(error);
            self.rests_until = now + REST;
        }
    }

    /// Ends a connection as it had drawn.
    fn end(&mut self, port: &mut CompletionPort, socket: SocketId) {
        let Some(guest) = self.guests.get_mut(socket) else { return };
        let (count, is_reset) = match guest.plan.ending {
            Ending::Abandon => (&mut self.endings.abandoned, true),
            Ending::Reset => (&mut self.endings.reset, true),
            Ending::ResetAfterAnswers => (&mut self.endings.reset_after_answers, true),
            Ending::Close => (&mut self.endings.closed, false),
            Ending::Truncate => (&mut self.endings.truncated, false),
            Ending::HalfClose => (&mut self.endings.verified, false),
            Ending::Illegal => (&mut self.endings.refused, false),
        };
        *count += 1;
        if is_reset { guest.visit.abort(port) } else { guest.visit.close(port) }
    }

    /// Gives up those that have run out of patience.
    fn look(&mut self, port: &mut CompletionPort, now: Time) {
        let moment = long_ago(now, self.options.guests.honest.patience);
        for guest in self.guests.iter_mut().filter(|guest| guest.visit.stays_since(moment)) {
            if guest.visit.stage == Stage::Connecting {
                self.failures.add(ConnectError::TimedOut);
            } else if guest.plan.ending == Ending::Illegal {
                self.endings.tolerated += 1;
            } else {
                self.missing += guest.plan.unanswered(guest.visit.session.answered);
                self.tally.count_loss(Loss::Unanswered);
            }
            guest.visit.abort(port);
        }
    }
}

/// Bytes that are still to come back.
fn awaited(session: &Session) -> usize {
    usize::try_from(session.staged - session.received).unwrap_or(usize::MAX)
}

/// Whether there was a storm. That some of its connects fail is a part of it.
fn was_made(connections: u64, failures: &ConnectFailures) -> Result<(), Failure> {
    if connections > 0 {
        return Ok(());
    }
    let advice = "check how many the server takes, or ask for fewer --sessions";
    failures.verdict(failures.count(), "connects of the storm failed", advice)?;
    Err(Failure::new(
        Exit::NotConnected,
        "the storm made no connection before the run was over: give a longer --duration",
    ))
}

impl Guests for Storm<'_> {
    fn owns(&mut self, socket: SocketId) -> bool {
        self.guests.get_mut(socket).is_some()
    }

    fn on_connected(
        &mut self,
        port: &mut CompletionPort,
        socket: SocketId,
        result: Result<(), ConnectError>,
        now: Time,
    ) {
        let Some(guest) = self.guests.get_mut(socket) else { return };
        let Some(result) = guest.visit.connected(port, result, now) else { return };
        if let Err((options, error)) = result {
            return self.fail(&options, error, now);
        }
        self.connections += 1;
        let _ = port.receive(socket);
        let bytes = guest.plan.bytes(self.pattern.message());
        let session = &mut guest.visit.session;
        let mut segments = self.pattern.sent(session.lane, 0, bytes);
        if guest.plan.ending == Ending::Illegal {
            segments.extend(self.illegal.header());
        }
        if segments.is_empty() {
            return self.on_sent(port, socket);
        }
        session.staged = bytes;
        session.sending = true;
        let _ = port.send(socket, segments);
        // The server is to find the reset in the midst of what it does.
        if guest.plan.ending == Ending::Reset {
            self.end(port, socket);
        }
    }

    fn on_sent(&mut self, port: &mut CompletionPort, socket: SocketId) {
        let Some(guest) = self.guests.get_mut(socket) else { return };
        if guest.visit.stage != Stage::Open {
            return;
        }
        guest.visit.session.sending = false;
        match guest.plan.ending {
            Ending::HalfClose | Ending::Truncate => drop(port.shutdown(socket)),
            Ending::ResetAfterAnswers if guest.visit.session.answered < guest.plan.messages => {}
            Ending::Illegal => {}
            _ => self.end(port, socket),
        }
    }

    fn on_bytes(&mut self, port: &mut CompletionPort, socket: SocketId, bytes: &[u8]) {
        let Some(guest) = self.guests.get_mut(socket) else { return };
        if guest.visit.stage != Stage::Open {
            return;
        }
        let session = &mut guest.visit.session;
        let bytes = match guest.plan.ending {
            // Behind the answers the server may say why it ends the session.
            Ending::Illegal => &bytes[..bytes.len().min(awaited(session))],
            _ => bytes,
        };
        let verified = verify(session, session.staged, bytes, &self.pattern, &mut self.tally);
        if verified.extra > 0 {
            self.tally.count_loss(Loss::Extra);
            guest.visit.abort(port);
        } else if guest.plan.ending == Ending::ResetAfterAnswers
            && session.answered == guest.plan.messages
            && !session.sending
        {
            self.end(port, socket);
        }
    }

    fn on_ended(&mut self, port: &mut CompletionPort, socket: SocketId, loss: Loss, _: Time) {
        let Some(guest) = self.guests.get_mut(socket) else { return };
        if guest.visit.stage != Stage::Open {
            return;
        }
        let session = &guest.visit.session;
        let missing = guest.plan.unanswered(session.answered);
        let is_end = loss == Loss::EndedEarly && !session.sending;
        match guest.plan.ending {
            Ending::HalfClose if missing == 0 && is_end => self.end(port, socket),
            // These need not have their answers: the server may give them up at once.
            Ending::Truncate | Ending::Illegal => self.end(port, socket),
            _ => {
                self.missing += missing;
                self.tally.count_loss(loss);
                guest.visit.abort(port);
            }
        }
    }

    fn on_closed(&mut self, socket: SocketId) {
        if self.guests.remove(socket).is_some_and(|it| it.plan.ending == Ending::Illegal) {
            self.illegal.has_found_out();
        }
    }

    fn next_due(&self) -> Time {
        let has_room = (self.guests.len() as u64) < self.options.guests.sessions;
        if has_room { self.look_at.min(self.rests_until) } else { self.look_at }
    }

    fn act(&mut self, port: &mut CompletionPort, now: Time) {
        while !self.has_left
            && (self.guests.len() as u64) < self.options.guests.sessions
            && now >= self.rests_until
        {
            self.begin(port, now);
        }
        if now >= self.look_at {
            self.look_at = now + LOOK_INTERVAL;
            self.look(port, now);
        }
    }

    fn leave(&mut self, port: &mut CompletionPort) {
        self.has_left = true;
        for guest in self.guests.iter_mut().filter(|guest| guest.visit.stage != Stage::Over) {
            guest.visit.abort(port);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_storm_without_a_connection_was_none() {
        let mut failures = ConnectFailures::default();
        let said = |made: Result<(), Failure>| {
            let failure = made.unwrap_err();
            assert_eq!(failure.parts().0, Exit::NotConnected);
            failure.parts().1.to_owned()
        };
        assert!(said(was_made(0, &failures)).contains("made no connection"));
        failures.add(ConnectError::Refused);
        assert!(said(was_made(0, &failures)).contains("1 of 1 connects of the storm failed"));
        assert!(was_made(1, &failures).is_ok());
    }
}
