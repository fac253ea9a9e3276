//! One sender, and members who all get what it sends, itself included.
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

mod flight;
mod meeting;

use std::time::Duration;

use wharf_port::{Completion, CompletionPort, Received, SendError, SocketId, Time};

use self::flight::Flight;
use self::meeting::{Meeting, Met};
use super::cpu::CpuMeter;
use super::latency::Latency;
use super::options::{Length, Pace};
use super::pattern::Pattern;
use super::progress::{self, Progress};
use super::report::{grouped, per_second};
use super::run::{Mark, Outcome, PATIENCE, SEND_BYTES_MAX, Setup, Window, millis};
use super::session::{Session, Sessions, State};
use super::tally::{Loss, Tally};
use crate::failure::{Exit, Failure};

/// How long it may take until every connection is a member.
const MEETING: Duration = Duration::from_secs(10);
/// After this time the first message is sent once more.
const REPEAT: Duration = Duration::from_millis(50);

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Phase {
    /// Until every connection is a member.
    Meeting {
        repeat_at: Time,
        until: Time,
    },
    WarmUp {
        until: Time,
    },
    /// Without an end when the number of messages is given.
    Measuring {
        until: Option<Time>,
    },
    Answers {
        until: Time,
    },
    Ends {
        until: Time,
    },
    Over,
}

/// A run of one sender and its members.
pub(super) struct Chat {
    port: CompletionPort,
    sessions: Sessions,
    sender: SocketId,
    pattern: Pattern,
    pace: Pace,
    length: Length,
    phase: Phase,
    meeting: Meeting,
    flight: Flight,
    /// A send of the sender's is in flight.
    sending: bool,
    /// Bytes of the stream that have been given to the port.
    staged: u64,
    /// When the timetable of an open loop began.
    began: Time,
    /// Whole messages that have come to members.
    received: u64,
    moved_at: Time,
    /// Sessions that are at work, and those that are neither ended nor lost.
    open: usize,
    living: usize,
    latency: Latency,
    tally: Tally,
    server_cpu: Option<CpuMeter>,
    own_cpu: CpuMeter,
    opened: Option<Mark>,
    window: Window,
    unsent: u64,
    progress: Option<Progress>,
    show_at: Time,
}

impl Chat {
    /// Runs from the first message to the last end of stream.
    pub(super) fn execute(setup: Setup) -> Result<Outcome, Failure> {
        let mut chat = Self::new(setup)?;
        while chat.phase != Phase::Over {
            chat.turn()?;
        }
        Ok(chat.finish())
    }

    fn new(setup: Setup) -> Result<Self, Failure> {
        let Setup { mut port, sockets, pattern, pace, length, server_cpu, progress } = setup;
        let no_sender = || Failure::new(Exit::Failed, "there is no session that could send");
        let sender = sockets.first().copied().ok_or_else(no_sender)?;
        let mut sessions = Sessions::default();
        for (number, socket) in sockets.into_iter().enumerate() {
            // All of them get the stream of the first.
            sessions.push(Session::new(socket, number, pattern.lane(0), u64::MAX));
            // What the port says about names is left alone: see `Run::start`.
            let _ = port.receive(socket);
        }
        let now = port.now();
        if let Some(progress) = &progress {
            progress.expect(sessions.len() as u64);
            progress.say("waiting until all are members");
        }
        Ok(Self {
            sender,
            pace,
            length,
            phase: Phase::Meeting { repeat_at: now, until: now + MEETING },
            meeting: Meeting::new(&pattern, sessions.len()),
            flight: Flight::new(meeting::MESSAGES),
            sending: false,
            staged: meeting::MESSAGES * pattern.message(),
            began: now,
            received: 0,
            moved_at: now,
            open: sessions.len(),
            living: sessions.len(),
            latency: Latency::new()?,
            tally: Tally::default(),
            server_cpu,
            own_cpu: CpuMeter::of_this_process(),
            opened: None,
            window: Window::default(),
            unsent: 0,
            progress,
            show_at: now,
            port,
            sessions,
            pattern,
        })
    }

    fn turn(&mut self) -> Result<(), Failure> {
        let deadline = self.deadline();
        self.port.wait(Some(deadline)).map_err(|error| Failure::new(Exit::Failed, error))?;
        let now = self.port.now();
        while let Some(completion) = self.port.take() {
            match completion {
                Completion::Received { socket, what: Received::Data(bytes) } => {
                    self.on_bytes(socket, &bytes, now);
                }
                Completion::Received { socket, what: Received::End } => self.on_end(socket),
                Completion::Received { socket, what: Received::Failed(error) } => {
                    self.lose(socket, error.into());
                }
                Completion::Sent { result, .. } => self.on_sent(result, now),
                // What is left concerns sockets that have been closed.
                _ => {}
            }
        }
        self.advance(now)?;
        self.send(now);
        self.show(now);
        Ok(())
    }

    fn deadline(&self) -> Time {
        let phase = match self.phase {
            Phase::Meeting { repeat_at, .. } => repeat_at,
            Phase::WarmUp { until }
            | Phase::Measuring { until: Some(until) }
            | Phase::Answers { until }
            | Phase::Ends { until } => until,
            Phase::Measuring { until: None } => self.moved_at + PATIENCE,
            Phase::Over => Time::ZERO,
        };
        let due = self.next_due().filter(|_| self.is_sending_on());
        let show = self.progress.as_ref().map(|_| self.show_at);
        [due, show].into_iter().flatten().fold(phase, Time::min)
    }

    const fn is_sending_on(&self) -> bool {
        matches!(self.phase, Phase::WarmUp { .. } | Phase::Measuring { .. })
    }

    /// When the next message of an open loop is due.
    fn next_due(&self) -> Option<Time> {
        let Pace::Rate { per_second, .. } = self.pace else { return None };
        let nanos = u128::from(self.flight.sent()) * 1_000_000_000 / u128::from(per_second);
        Some(self.began + Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX)))
    }

    #[inline]
    fn on_bytes(&mut self, socket: SocketId, bytes: &[u8], now: Time) {
        let Some(session) = self.sessions.get_mut(socket) else { return };
        if session.state == State::Failed {
            return;
        }
        self.moved_at = now;
        let mut bytes = bytes;
        if session.received == 0 {
            match self.meeting.met(session.number, bytes) {
                Met::NotYet => return,
                Met::All(rest) => {
                    session.received = meeting::MESSAGES * self.pattern.message();
                    session.answered = meeting::MESSAGES;
                    bytes = rest;
                }
                Met::Strange => {
                    self.tally.count_extra(&self.pattern, bytes.len());
                    return self.lose(socket, Loss::Extra);
                }
            }
        }
        self.on_stream(socket, bytes, now);
    }

    /// Compares what has come of the stream.
    #[inline]
    fn on_stream(&mut self, socket: SocketId, bytes: &[u8], now: Time) {
        let Some(session) = self.sessions.get_mut(socket) else { return };
        let awaited = self.staged - session.received;
        let (stream, extra) =
            bytes.split_at(usize::try_from(awaited).map_or(bytes.len(), |n| n.min(bytes.len())));
        if !self.pattern.matches(session.lane, session.received, stream) {
            self.tally.count_wrong(&self.pattern, session, stream);
        }
        session.received += stream.len() as u64;
        let before = session.answered;
        session.answered = session.received / self.pattern.message();
        self.received += session.answered - before;
        for message in before..session.answered {
            let due = self.flight.delivered(message);
            self.latency.record(due, now, 1);
        }
        if !extra.is_empty() {
            self.tally.count_extra(&self.pattern, extra.len());
            self.lose(socket, Loss::Extra);
        }
    }

    fn on_sent(&mut self, result: Result<(), SendError>, now: Time) {
        self.moved_at = now;
        self.sending = false;
        if let Err(error) = result {
            self.lose(self.sender, error.into());
        }
    }

    fn on_end(&mut self, socket: SocketId) {
        let Some(session) = self.sessions.get_mut(socket) else { return };
        match session.state {
            State::HalfClosed => {
                session.state = State::Ended;
                self.living -= 1;
                let _ = self.port.close(socket);
            }
            State::Sending | State::Finishing => self.lose(socket, Loss::EndedEarly),
            State::Ended | State::Failed => {}
        }
    }

    #[cold]
    fn lose(&mut self, socket: SocketId, loss: Loss) {
        let Some(session) = self.sessions.get_mut(socket) else { return };
        if matches!(session.state, State::Ended | State::Failed) {
            return;
        }
        if session.is_open() {
            self.open -= 1;
            self.flight.lost_member(session.answered.max(meeting::MESSAGES));
            self.meeting.lost(session.number);
        }
        self.living -= 1;
        session.state = State::Failed;
        self.tally.count_loss(loss);
        let _ = self.port.abort(socket);
    }

    /// Sends what is due: in the meeting the first messages, then the stream.
    fn send(&mut self, now: Time) {
        self.make_due(now);
        let sender = self.sessions.get_mut(self.sender);
        if self.sending || !sender.is_some_and(|sender| sender.is_open()) {
            return;
        }
        let message = self.pattern.message();
        let (from, bytes) = match &mut self.phase {
            Phase::Meeting { repeat_at, .. } if *repeat_at <= now => {
                *repeat_at = now + REPEAT;
                match self.meeting.next_message() {
                    Some(number) => (number * message, message),
                    None => return,
                }
            }
            Phase::Meeting { .. } => return,
            _ => {
                let due = self.flight.end() * message;
                let bytes = (due - self.staged).min(SEND_BYTES_MAX);
                let from = self.staged;
                self.staged += bytes;
                (from, bytes)
            }
        };
        if bytes > 0 {
            let mut segments = Vec::new();
            let len = usize::try_from(bytes).unwrap_or(usize::MAX);
            self.pattern.segments(self.pattern.lane(0), from, len, &mut segments);
            self.sending = self.port.send(self.sender, segments).is_ok();
        }
    }

    /// Puts into flight what is due, as far as the depth allows.
    fn make_due(&mut self, now: Time) {
        if !self.is_sending_on() {
            return;
        }
        let members = self.open as u64;
        let most = match self.length {
            Length::Messages(count) => count,
            Length::Time { .. } => u64::MAX,
        };
        while self.flight.len() < self.pace.depth() && self.flight.sent() < most {
            match self.next_due() {
                Some(due) if due > now => return,
                due => self.flight.begin(due.unwrap_or(now), members),
            }
        }
    }

    /// Moves on to the next phase when its time has come.
    fn advance(&mut self, now: Time) -> Result<(), Failure> {
        loop {
            let next = match self.phase {
                Phase::Meeting { until, .. } => match self.meet(now, until)? {
                    Some(next) => next,
                    None => return Ok(()),
                },
                Phase::WarmUp { .. } if self.open == 0 => Phase::Ends { until: now + PATIENCE },
                Phase::WarmUp { until } if until <= now => {
                    self.latency.count_from(now);
                    self.opened = Some(self.mark(now));
                    let duration = match self.length {
                        Length::Time { duration, .. } => Some(duration),
                        Length::Messages(_) => None,
                    };
                    Phase::Measuring { until: duration.map(|duration| now + duration) }
                }
                Phase::Measuring { until } if self.has_measured(until, now) => {
                    self.close_window(now);
                    self.stop_sending();
                    Phase::Answers { until: now + PATIENCE }
                }
                Phase::Answers { until } => {
                    let all = self.flight.is_over() && !self.sending;
                    if !all && until > now && self.open > 0 {
                        return Ok(());
                    }
                    if !all {
                        self.lose_those_behind();
                    }
                    self.end_streams();
                    Phase::Ends { until: now + PATIENCE }
                }
                Phase::Ends { until } if self.living == 0 || until <= now => {
                    self.lose_all(Loss::NotEnded, |session| session.state == State::HalfClosed);
                    Phase::Over
                }
                _ => return Ok(()),
            };
            self.phase = next;
        }
    }

    /// What comes when the members have met.
    fn meet(&mut self, now: Time, until: Time) -> Result<Option<Phase>, Failure> {
        if self.open == 0 {
            return Ok(Some(Phase::Ends { until: now + PATIENCE }));
        }
        if self.meeting.is_over() && !self.sending {
            self.began = now;
            let warmup = match self.length {
                Length::Time { warmup, .. } => warmup,
                Length::Messages(_) => Duration::ZERO,
            };
            if let Some(progress) = &self.progress {
                progress.expect(match self.length {
                    Length::Time { duration, .. } => millis(duration),
                    Length::Messages(count) => count.saturating_mul(self.open as u64),
                });
            }
            return Ok(Some(Phase::WarmUp { until: now + warmup }));
        }
        if until <= now {
            return Err(Failure::new(
                Exit::Failed,
                format_args!(
                    "{} of {} sessions have got nothing of what one of them sends within {} s: is it \
                     a chat server, and does it have the same --framing?",
                    grouped(self.meeting.missing() as u64),
                    grouped(self.sessions.len() as u64),
                    MEETING.as_secs(),
                ),
            ));
        }
        Ok(None)
    }

    fn has_measured(&self, until: Option<Time>, now: Time) -> bool {
        let give_up_at = until.unwrap_or(self.moved_at + PATIENCE);
        let all = match self.length {
            Length::Messages(count) => self.flight.sent() == count && self.flight.is_over(),
            Length::Time { .. } => false,
        };
        all || self.open == 0 || give_up_at <= now
    }

    /// Forgets what is due and not begun.
    fn stop_sending(&mut self) {
        let begun = self.staged.div_ceil(self.pattern.message());
        let unsent = self.flight.forget_from(begun);
        if matches!(self.pace, Pace::Rate { .. }) {
            self.unsent = unsent;
        }
    }

    fn lose_those_behind(&mut self) {
        let end = self.flight.end();
        self.lose_all(Loss::Unanswered, |session| session.is_open() && session.answered < end);
    }

    /// Ends the streams of all that are at work.
    fn end_streams(&mut self) {
        for session in self.sessions.iter_mut().filter(|session| session.is_open()) {
            session.state = State::HalfClosed;
            let _ = self.port.shutdown(session.socket);
        }
        self.open = 0;
    }

    fn lose_all(&mut self, loss: Loss, which: impl Fn(&Session) -> bool) {
        let lost = self.sessions.iter().filter(|session| which(session));
        let lost: Vec<SocketId> = lost.map(|session| session.socket).collect();
        lost.into_iter().for_each(|socket| self.lose(socket, loss));
    }

    fn close_window(&mut self, now: Time) {
        if let Some(opened) = self.opened {
            self.window = Window::between(&opened, &self.mark(now));
        }
    }

    fn mark(&self, at: Time) -> Mark {
        Mark::new(at, self.received, self.server_cpu.as_ref(), &self.own_cpu)
    }

    fn show(&mut self, now: Time) {
        let Some(progress) = &self.progress else { return };
        if now < self.show_at {
            return;
        }
        self.show_at = now + progress::INTERVAL;
        match (self.phase, self.opened) {
            (Phase::Measuring { until }, Some(opened)) => {
                let elapsed = now - opened.at;
                let per_second = per_second(self.received - opened.received, elapsed);
                let done = if until.is_some() { millis(elapsed) } else { self.received };
                progress.show(done, format!("{} deliveries/s", grouped(per_second)));
            }
            (Phase::Meeting { .. }, _) => progress.say("waiting until all are members"),
            (Phase::WarmUp { .. }, _) => progress.say("warming up"),
            _ => progress.say("waiting for the last deliveries"),
        }
    }

    fn finish(mut self) -> Outcome {
        drop(self.progress.take());
        if let Err(error) = self.port.shut_down(PATIENCE) {
            eprintln!("wharf: {error}");
        }
        Outcome {
            // Each member is owed each message.
            sent: self.flight.sent() * self.sessions.len() as u64,
            received: self.received,
            unsent: self.unsent,
            window: self.window,
            latency: self.latency,
            tally: self.tally,
        }
    }
}
