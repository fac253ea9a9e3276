//! One sender, and members who all get what it sends, itself included if the server does so.
//!
//! ```text
//! meeting -> warm-up -> measuring -> answers -> ends -> over
//! until all are
//! members
//! ```
//!
//! A server makes a connection a member at a time that no client sees, and what was sent before it does
//! not get. So the sender repeats its first message until every member has got it, then sends the second
//! one, once; from the third on all of them get the same stream.

mod assembling;
mod flight;
mod meeting;

use std::time::Duration;

use wharf_port::{Segment, SendError, SocketId, Time};

use self::flight::Flight;
use self::meeting::{Meeting, Met};
use super::crowd::{Lost, verify};
use super::mode::Mode;
use super::options::{Length, Pace};
use super::phase::Phase;
use super::progress::Words;
use super::run::{Outcome, Run, SEND_BYTES_MAX, Setup};
use super::session::{Session, State};
use super::tally::Loss;
use crate::failure::{Exit, Failure};

const WORDS: Words = Words { unit: "deliveries", last: "waiting for the last deliveries" };

/// The number of the session that sends.
const SENDER: usize = 0;

/// A run of one sender and its members.
pub(super) struct Chat {
    run: Run,
    sender: SocketId,
    /// Whether the sender gets what it sends.
    echo_to_sender: bool,
    meeting: Meeting,
    flight: Flight,
    /// A send of the sender's is in flight.
    sending: bool,
    /// Bytes of the stream that have been given to the port.
    staged: u64,
    /// When the timetable of an open loop began.
    began: Time,
}

impl Chat {
    /// Runs from the first message to the last end of stream.
    pub(super) fn execute(setup: Setup, echo_to_sender: bool) -> Result<Outcome, Failure> {
        let mut chat = Self::new(setup, echo_to_sender)?;
        let now = chat.meet()?;
        chat.go_on(now);
        while chat.run.phase != Phase::Over {
            let now = chat.wait(chat.run.deadline(chat.next_due()))?;
            chat.go_on(now);
        }
        // Each member is owed each message.
        let members = chat.members(chat.run.crowd.sessions.len());
        Ok(chat.run.finish(chat.flight.sent(), members))
    }

    fn new(setup: Setup, echo_to_sender: bool) -> Result<Self, Failure> {
        let no_sender = || Failure::new(Exit::Failed, "there is no session that could send");
        let sender = setup.sockets.get(SENDER).copied().ok_or_else(no_sender)?;
        // All of them get the stream of the first.
        let mut run = Run::new(setup, &WORDS, |pattern, _| pattern.lane(0))?;
        run.crowd.receive();
        let mut meeting = Meeting::new(&run.pattern, run.crowd.sessions.len());
        if !echo_to_sender {
            meeting.lost(SENDER);
        }
        Ok(Self {
            sender,
            echo_to_sender,
            meeting,
            flight: Flight::new(meeting::MESSAGES),
            sending: false,
            staged: meeting::MESSAGES * run.pattern.message(),
            began: run.crowd.moved_at,
            run,
        })
    }

    /// The rest of a turn, when what has come has been taken.
    fn go_on(&mut self, now: Time) {
        self.advance(now);
        self.make_due(now);
        self.send_stream();
        self.run.show(now);
    }

    /// How many of so many sessions get what is sent.
    const fn members(&self, sessions: usize) -> u64 {
        sessions.saturating_sub(!self.echo_to_sender as usize) as u64
    }

    /// When the next message of an open loop is due.
    fn next_due(&self) -> Option<Time> {
        let Pace::Rate { per_second, .. } = self.run.pace else { return None };
        let nanos = u128::from(self.flight.sent()) * 1_000_000_000 / u128::from(per_second);
        Some(self.began + Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX)))
    }

    /// Puts into flight what is due, as far as the depth allows.
    fn make_due(&mut self, now: Time) {
        let members = self.members(self.run.crowd.open());
        if !self.run.phase.sends() || members == 0 {
            return;
        }
        let (depth, most) = (self.run.pace.depth(), self.run.length.messages_max());
        while self.flight.len() < depth && self.flight.sent() < most {
            match self.next_due() {
                Some(due) if due > now => return,
                due => self.flight.begin(due.unwrap_or(now), members),
            }
        }
    }

    /// Sends what is in flight and has not been sent.
    fn send_stream(&mut self) {
        let due = self.flight.end() * self.run.pattern.message();
        let bytes = (due - self.staged).min(SEND_BYTES_MAX);
        if bytes > 0 && self.can_send() {
            self.send(self.staged, bytes);
            self.staged += bytes;
        }
    }

    fn can_send(&mut self) -> bool {
        let sender = self.run.crowd.sessions.get_mut(self.sender);
        !self.sending && sender.is_some_and(|sender| sender.is_open())
    }

    /// Sends bytes of the stream.
    fn send(&mut self, from: u64, bytes: u64) {
        let Run { crowd, pattern, .. } = &mut self.run;
        let segments = pattern.sent(pattern.lane(0), from, bytes);
        self.sending = crowd.port.send(self.sender, segments).is_ok();
    }

    fn half_close_all(&mut self) {
        for socket in self.run.crowd.sockets(Session::is_open) {
            self.run.crowd.half_close(socket);
        }
    }

    /// Compares what has come of the stream.
    #[inline]
    fn on_stream(&mut self, socket: SocketId, bytes: &[u8], now: Time) {
        let Run { crowd, pattern, measurement, .. } = &mut self.run;
        let Some(session) = crowd.sessions.get_mut(socket) else { return };
        let verified = verify(session, self.staged, bytes, pattern, &mut crowd.tally);
        measurement.received += verified.messages.end - verified.messages.start;
        for message in verified.messages {
            let due = self.flight.delivered(message);
            measurement.latency.record(due, now, 1);
        }
        if verified.extra > 0 {
            self.lose(socket, Loss::Extra);
        }
    }
}

impl Mode for Chat {
    #[inline]
    fn run(&self) -> &Run {
        &self.run
    }

    #[inline]
    fn run_mut(&mut self) -> &mut Run {
        &mut self.run
    }

    #[inline]
    fn on_bytes(&mut self, socket: SocketId, bytes: &[u8], now: Time) {
        let Run { crowd, pattern, .. } = &mut self.run;
        let Some(session) = crowd.sessions.get_mut(socket) else { return };
        if session.state == State::Failed {
            return;
        }
        crowd.moved_at = now;
        if !self.echo_to_sender && session.number == SENDER {
            crowd.tally.count_extra(pattern, bytes.len());
            return self.lose(socket, Loss::Extra);
        }
        let mut bytes = bytes;
        if session.received == 0 {
            match self.meeting.met(session.number, bytes) {
                Met::NotYet => return,
                Met::All(rest) => {
                    session.received = meeting::MESSAGES * pattern.message();
                    session.answered = meeting::MESSAGES;
                    bytes = rest;
                }
                Met::Strange => {
                    crowd.tally.count_extra(pattern, bytes.len());
                    return self.lose(socket, Loss::Extra);
                }
            }
        }
        self.on_stream(socket, bytes, now);
    }

    /// Only the sender has sends.
    fn on_sent(
        &mut self,
        socket: SocketId,
        _segments: Vec<Segment>,
        result: Result<(), SendError>,
        now: Time,
    ) {
        self.run.crowd.moved_at = now;
        self.sending = false;
        if let Err(error) = result {
            self.lose(socket, error.into());
        }
    }

    fn on_lost(&mut self, lost: Lost) {
        self.run.crowd.tally.sender_lost |= lost.number == SENDER && self.run.phase.sends();
        if self.echo_to_sender || lost.number != SENDER {
            self.flight.lost_member(lost.answered.max(meeting::MESSAGES));
        }
        self.meeting.lost(lost.number);
    }

    fn is_measured(&self) -> bool {
        match self.run.length {
            Length::Messages(count) => self.flight.sent() == count && self.flight.is_over(),
            Length::Time { .. } => false,
        }
    }

    /// Without its sender a chat has nothing more to come, nor without anybody who gets it.
    fn is_stopped(&self) -> bool {
        let Run { stop, crowd, .. } = &self.run;
        stop.is_asked() || crowd.tally.sender_lost || self.members(crowd.open()) == 0
    }

    fn stop_sending(&mut self, now: Time) -> Time {
        let begun = self.staged.div_ceil(self.run.pattern.message());
        let unsent = self.flight.forget_from(begun);
        if matches!(self.run.pace, Pace::Rate { .. }) {
            self.run.unsent = unsent;
        }
        now + self.run.patience
    }

    fn is_answered(&self) -> bool {
        self.flight.is_over() && !self.sending
    }

    fn end_streams(&mut self) {
        if !self.is_answered() {
            let (end, echo_to_sender) = (self.flight.end(), self.echo_to_sender);
            let is_owed = |session: &Session| echo_to_sender || session.number != SENDER;
            let lacks = |session: &Session| session.answered < end && is_owed(session);
            self.lose_all(Loss::Unanswered, |session| session.is_open() && lacks(session));
        }
        self.half_close_all();
    }
}
