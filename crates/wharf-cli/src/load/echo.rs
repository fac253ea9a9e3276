//! An echo: what is due is sent, what comes back is compared, until all has come back.
//!
//! There is one send in a turn for each session that has something to send. Nothing is allocated, looked
//! up by hash or asked of the kernel per message. A session half-closes once all is answered.

use wharf_port::{Segment, SendError, SocketId, Time};

use super::crowd::verify;
use super::mode::Mode;
use super::options::Pace;
use super::pattern::Pattern;
use super::phase::Phase;
use super::progress::Words;
use super::run::{Outcome, Run, SEND_BYTES_MAX, Setup};
use super::schedule::Schedule;
use super::session::{Session, State};
use super::tally::Loss;
use crate::failure::Failure;

const WORDS: Words = Words { unit: "messages", last: "waiting for the last answers" };

/// A run of sessions that get back what they send.
pub(super) struct Echo {
    run: Run,
    /// Bytes of a message.
    message: u64,
    /// Messages that a session may have in flight.
    depth: u64,
    /// The timetable of an open loop.
    schedule: Option<Schedule>,
    /// Sessions that have something to send.
    queue: Vec<SocketId>,
    /// Lists of segments, for use again.
    lists: Vec<Vec<Segment>>,
}

impl Echo {
    /// Runs from the first message to the last end of stream.
    pub(super) fn execute(setup: Setup) -> Result<Outcome, Failure> {
        let mut echo = Self::new(setup)?;
        echo.start()?;
        while echo.run.phase != Phase::Over {
            echo.turn()?;
        }
        Ok(echo.finish())
    }

    pub(super) fn new(setup: Setup) -> Result<Self, Failure> {
        let run = Run::new(setup, &WORDS, Pattern::lane)?;
        let sessions = run.crowd.sessions.len();
        Ok(Self {
            message: run.pattern.message(),
            depth: run.pace.depth(),
            schedule: None,
            queue: Vec::with_capacity(sessions),
            lists: Vec::with_capacity(sessions),
            run,
        })
    }

    /// Closes what is left.
    pub(super) fn finish(self) -> Outcome {
        let sessions = self.run.crowd.sessions.iter();
        let sent = sessions.map(|session| session.sent(self.message)).sum();
        self.run.finish(sent, 1)
    }

    /// Starts to receive on all sessions, then makes the first messages due.
    pub(super) fn start(&mut self) -> Result<(), Failure> {
        self.run.crowd.receive();
        // This wait does not wait: it starts the receives and asks for the time.
        let now = self.wait(Time::ZERO)?;
        let crowd = &mut self.run.crowd;
        let sessions = crowd.sessions.len();
        match self.run.pace {
            Pace::Rate { per_second, .. } => {
                let messages_max = self.run.length.messages_max();
                self.schedule = Some(Schedule::new(now, per_second, sessions, messages_max));
            }
            Pace::Closed { depth } => {
                for session in crowd.sessions.iter_mut().filter(|session| session.is_open()) {
                    session.make_due_at(now, depth);
                    session.queued = true;
                    self.queue.push(session.socket);
                }
            }
        }
        crowd.moved_at = now;
        self.run.expect(sessions);
        self.run.phase = Phase::WarmUp { until: now + self.run.length.warmup() };
        self.advance(now);
        self.flush();
        Ok(())
    }

    fn turn(&mut self) -> Result<(), Failure> {
        let now = self.wait(self.run.deadline(self.next_due()))?;
        self.send_due(now);
        if self.advance(now) {
            self.flush();
        }
        self.run.show(now);
        Ok(())
    }

    /// When the next message of an open loop is due.
    pub(super) fn next_due(&self) -> Option<Time> {
        self.schedule.as_ref().and_then(Schedule::next_due)
    }

    /// Sends what is due.
    pub(super) fn send_due(&mut self, now: Time) {
        self.take_due(now);
        self.flush();
    }

    /// Makes the messages of an open loop due whose time has come.
    fn take_due(&mut self, now: Time) {
        if !self.run.phase.sends() {
            return;
        }
        let Some(schedule) = &mut self.schedule else { return };
        while let Some(number) = schedule.take_due(now) {
            let Some(session) = self.run.crowd.sessions.by_number_mut(number) else { continue };
            if session.make_due(1) > 0 && !session.queued {
                session.queued = true;
                self.queue.push(session.socket);
            }
        }
    }

    /// Sends what is due, one send per session, and half-closes the sessions that are done.
    pub(super) fn flush(&mut self) {
        let crowd = &mut self.run.crowd;
        for socket in self.queue.drain(..) {
            let Some(session) = crowd.sessions.get_mut(socket) else { continue };
            session.queued = false;
            if !session.is_open() || session.sending {
                continue;
            }
            let bytes = session.unsent_bytes(self.message, self.depth).min(SEND_BYTES_MAX);
            if bytes > 0 {
                let mut segments = self.lists.pop().unwrap_or_default();
                let len = usize::try_from(bytes).unwrap_or(usize::MAX);
                self.run.pattern.segments(session.lane, session.staged, len, &mut segments);
                session.staged += bytes;
                session.sending = true;
                let _ = crowd.port.send(socket, segments);
            } else if session.state == State::Finishing && session.is_quiet(self.message) {
                crowd.half_close(socket);
            }
        }
    }
}

impl Mode for Echo {
    #[inline]
    fn run(&self) -> &Run {
        &self.run
    }

    #[inline]
    fn run_mut(&mut self) -> &mut Run {
        &mut self.run
    }

    /// Compares what has come back, and makes as many messages due as have come back.
    // It has a second caller in runs with guests, and would be a call per message for that.
    #[inline(always)]
    fn on_bytes(&mut self, socket: SocketId, bytes: &[u8], now: Time) {
        let Run { crowd, pattern, measurement, .. } = &mut self.run;
        let Some(session) = crowd.sessions.get_mut(socket) else { return };
        if session.state == State::Failed {
            return;
        }
        crowd.moved_at = now;
        let verified = verify(session, session.staged, bytes, pattern, &mut crowd.tally);
        let count = verified.messages.end - verified.messages.start;
        measurement.received += count;
        let latency = &mut measurement.latency;
        if let Some(schedule) = &self.schedule {
            for message in verified.messages {
                latency.record(schedule.due(session.number, message), now, 1);
            }
        } else {
            session.take_due_times(count, |due, messages| latency.record(due, now, messages));
            session.make_due_at(now, count);
        }
        if count > 0 && !session.queued {
            session.queued = true;
            self.queue.push(socket);
        }
        if verified.extra > 0 {
            let loss = session.loss_by_extra();
            self.lose(socket, loss);
        }
    }

    /// Takes back the list of segments.
    #[inline(always)]
    fn on_sent(
        &mut self,
        socket: SocketId,
        mut segments: Vec<Segment>,
        result: Result<(), SendError>,
        now: Time,
    ) {
        segments.clear();
        self.lists.push(segments);
        let crowd = &mut self.run.crowd;
        crowd.moved_at = now;
        let Some(session) = crowd.sessions.get_mut(socket) else { return };
        session.sending = false;
        if let Err(error) = result {
            return self.lose(socket, error.into());
        }
        let idle = session.unsent_bytes(self.message, self.depth) == 0;
        if !session.queued && (!idle || session.state == State::Finishing) {
            session.queued = true;
            self.queue.push(socket);
        }
    }

    fn stop_sending(&mut self, now: Time) -> Time {
        for session in self.run.crowd.sessions.iter_mut().filter(|session| session.is_open()) {
            let unsent = session.stop(self.message);
            // In a closed loop that is the next message of each session: nothing is behind there.
            if self.schedule.is_some() {
                self.run.unsent += unsent;
            }
            if !session.queued {
                session.queued = true;
                self.queue.push(session.socket);
            }
        }
        // With a number of messages, the wait for answers is what has just ended.
        let has_waited = self.run.length.duration().is_none() && !self.run.stop.is_asked();
        if has_waited { now } else { now + self.run.patience }
    }

    fn end_streams(&mut self) {
        self.lose_all(Loss::Unanswered, Session::is_open);
    }
}
