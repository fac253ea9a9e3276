//! The run: what is due is sent, what comes back is compared, until all has come back.
//!
//! One turn is one wait, then all of its completions, then one send for each session that has
//! something to send. Time is read once per turn; nothing is allocated, looked up by hash or asked of
//! the kernel per message.
//!
//! ```text
//! warm-up -> measuring -> answers -> ends -> over
//!            the window   nothing    each session
//!                         new is     half-closes once all is
//!                         sent       answered; the server ends it
//! ```

use std::time::Duration;

use wharf_port::{Completion, CompletionPort, Received, Segment, SendError, SocketId, Time};

use super::cpu::CpuMeter;
use super::latency::Latency;
use super::options::{Length, Pace};
use super::pattern::Pattern;
use super::progress::{self, Progress};
use super::report::{grouped, per_second};
use super::schedule::Schedule;
use super::session::{Session, Sessions, State};
use super::tally::{Loss, Tally};
use crate::failure::{Exit, Failure};

/// How long the server has for the answers that are due when sending stops, and again for its ends
/// of stream. When the number of messages is given instead of a time: how long nothing at all may
/// come back.
pub(super) const PATIENCE: Duration = Duration::from_secs(5);
/// Bytes of one send. More would hold more of the kernel's memory and bring nothing.
pub(super) const SEND_BYTES_MAX: u64 = 256 << 10;

/// What a run is made of.
pub(super) struct Setup {
    pub(super) port: CompletionPort,
    pub(super) sockets: Vec<SocketId>,
    pub(super) pattern: Pattern,
    pub(super) pace: Pace,
    pub(super) length: Length,
    pub(super) server_cpu: Option<CpuMeter>,
    pub(super) progress: Option<Progress>,
}

/// What came of a run.
#[derive(Debug)]
pub(super) struct Outcome {
    pub(super) sent: u64,
    pub(super) received: u64,
    /// Messages of an open loop that were due in time and not sent.
    pub(super) unsent: u64,
    pub(super) window: Window,
    pub(super) latency: Latency,
    pub(super) tally: Tally,
}

/// What was measured: between the end of the warm-up and the end of sending.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Window {
    pub(super) nanos: u64,
    /// Messages that came back.
    pub(super) received: u64,
    /// CPU time of the server.
    pub(super) server_cpu: Option<u64>,
    /// CPU time of this process.
    pub(super) own_cpu: Option<u64>,
}

/// A moment at an edge of the window.
#[derive(Clone, Copy, Debug)]
pub(super) struct Mark {
    pub(super) at: Time,
    pub(super) received: u64,
    server_cpu: Option<u64>,
    own_cpu: Option<u64>,
}

impl Mark {
    pub(super) fn new(
        at: Time,
        received: u64,
        server_cpu: Option<&CpuMeter>,
        own_cpu: &CpuMeter,
    ) -> Self {
        let server_cpu = server_cpu.and_then(|cpu| cpu.nanos().ok());
        Self { at, received, server_cpu, own_cpu: own_cpu.nanos().ok() }
    }
}

impl Window {
    pub(super) fn between(opened: &Mark, closed: &Mark) -> Self {
        let cpu = |from: Option<u64>, to: Option<u64>| to?.checked_sub(from?);
        Self {
            nanos: closed.at.as_nanos() - opened.at.as_nanos(),
            received: closed.received - opened.received,
            server_cpu: cpu(opened.server_cpu, closed.server_cpu),
            own_cpu: cpu(opened.own_cpu, closed.own_cpu),
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Phase {
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

pub(super) struct Run {
    port: CompletionPort,
    sessions: Sessions,
    pattern: Pattern,
    /// Bytes of a message.
    message: u64,
    pace: Pace,
    /// Messages that a session may have in flight.
    depth: u64,
    /// Messages that a session sends at most.
    messages_max: u64,
    warmup: Duration,
    /// How long to measure; without, until all messages are answered.
    duration: Option<Duration>,
    /// The timetable of an open loop.
    schedule: Option<Schedule>,
    phase: Phase,
    /// Whole messages that have come back.
    received: u64,
    /// When bytes last came or went.
    moved_at: Time,
    /// Sessions that are at work.
    open: usize,
    /// Sessions that are neither ended nor lost.
    living: usize,
    /// Sessions that have something to send.
    queue: Vec<SocketId>,
    /// Lists of segments, for use again.
    lists: Vec<Vec<Segment>>,
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

impl Run {
    /// Runs from the first message to the last end of stream.
    pub(super) fn execute(setup: Setup) -> Result<Outcome, Failure> {
        let mut run = Self::new(setup)?;
        run.start()?;
        while run.phase != Phase::Over {
            run.turn()?;
        }
        Ok(run.finish())
    }

    fn new(setup: Setup) -> Result<Self, Failure> {
        let Setup { port, sockets, pattern, pace, length, server_cpu, progress } = setup;
        let (warmup, duration, messages_max) = match length {
            Length::Time { warmup, duration } => (warmup, Some(duration), u64::MAX),
            Length::Messages(count) => (Duration::ZERO, None, count),
        };
        let mut sessions = Sessions::default();
        for (number, socket) in sockets.into_iter().enumerate() {
            sessions.push(Session::new(socket, number, pattern.lane(number), messages_max));
        }
        let now = port.now();
        Ok(Self {
            message: pattern.message(),
            pace,
            depth: pace.depth(),
            messages_max,
            warmup,
            duration,
            schedule: None,
            phase: Phase::WarmUp { until: now + warmup },
            received: 0,
            moved_at: now,
            open: sessions.len(),
            living: sessions.len(),
            queue: Vec::with_capacity(sessions.len()),
            lists: Vec::with_capacity(sessions.len()),
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

    /// Starts to receive on all sessions, then makes the first messages due.
    ///
    /// Here and below, what the port says about names of sockets is left alone: a name is void only
    /// once its socket has been closed, and then its session is no longer open.
    fn start(&mut self) -> Result<(), Failure> {
        for session in self.sessions.iter() {
            let _ = self.port.receive(session.socket);
        }
        // This wait does not wait: it starts the receives and asks for the time.
        let now = self.wait(Time::ZERO)?;
        match self.pace {
            Pace::Rate { per_second, .. } => {
                let sessions = self.sessions.len();
                self.schedule = Some(Schedule::new(now, per_second, sessions, self.messages_max));
            }
            Pace::Closed { depth } => {
                for session in self.sessions.iter_mut().filter(|session| session.is_open()) {
                    session.make_due_at(now, depth);
                    session.queued = true;
                    self.queue.push(session.socket);
                }
            }
        }
        if let Some(progress) = &self.progress {
            let messages = self.messages_max.saturating_mul(self.sessions.len() as u64);
            progress.expect(self.duration.map_or(messages, millis));
        }
        self.phase = Phase::WarmUp { until: now + self.warmup };
        self.moved_at = now;
        self.advance(now);
        self.flush();
        Ok(())
    }

    fn turn(&mut self) -> Result<(), Failure> {
        let now = self.wait(self.deadline())?;
        self.take_due(now);
        self.flush();
        if self.advance(now) {
            self.flush();
        }
        self.show(now);
        Ok(())
    }

    /// Waits until something has come or `deadline`, and takes what has come.
    fn wait(&mut self, deadline: Time) -> Result<Time, Failure> {
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
                Completion::Sent { socket, segments, result } => {
                    self.on_sent(socket, segments, result, now);
                }
                // What is left concerns sockets that have been closed.
                _ => {}
            }
        }
        Ok(now)
    }

    /// When the next turn has to begin even if nothing has come back.
    fn deadline(&self) -> Time {
        let phase = match self.phase {
            Phase::WarmUp { until }
            | Phase::Measuring { until: Some(until) }
            | Phase::Answers { until }
            | Phase::Ends { until } => until,
            Phase::Measuring { until: None } => self.moved_at + PATIENCE,
            Phase::Over => Time::ZERO,
        };
        let due = self.schedule.as_ref().filter(|_| self.sends()).and_then(Schedule::next_due);
        let show = self.progress.as_ref().map(|_| self.show_at);
        [due, show].into_iter().flatten().fold(phase, Time::min)
    }

    /// Whether messages become due.
    const fn sends(&self) -> bool {
        matches!(self.phase, Phase::WarmUp { .. } | Phase::Measuring { .. })
    }

    /// Compares what has come back, and makes as many messages due as have come back.
    #[inline]
    fn on_bytes(&mut self, socket: SocketId, bytes: &[u8], now: Time) {
        let Some(session) = self.sessions.get_mut(socket) else { return };
        if session.state == State::Failed {
            return;
        }
        self.moved_at = now;
        let awaited = session.staged - session.received;
        let (answer, extra) =
            bytes.split_at(usize::try_from(awaited).map_or(bytes.len(), |n| n.min(bytes.len())));
        if !self.pattern.matches(session.lane, session.received, answer) {
            self.tally.count_wrong(&self.pattern, session, answer);
        }
        session.received += answer.len() as u64;
        let before = session.answered;
        session.answered = session.received / self.message;
        let count = session.answered - before;
        self.received += count;
        if let Some(schedule) = &self.schedule {
            for message in before..session.answered {
                self.latency.record(schedule.due(session.number, message), now, 1);
            }
        } else {
            let latency = &mut self.latency;
            session.take_due_times(count, |due, messages| latency.record(due, now, messages));
            session.make_due_at(now, count);
        }
        if count > 0 && !session.queued {
            session.queued = true;
            self.queue.push(socket);
        }
        if !extra.is_empty() {
            self.tally.count_extra(&self.pattern, extra.len());
            self.lose(socket, Loss::Extra);
        }
    }

    /// Takes back the list of segments.
    #[inline]
    fn on_sent(
        &mut self,
        socket: SocketId,
        mut segments: Vec<Segment>,
        result: Result<(), SendError>,
        now: Time,
    ) {
        segments.clear();
        self.lists.push(segments);
        self.moved_at = now;
        let Some(session) = self.sessions.get_mut(socket) else { return };
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

    /// The server has ended its stream.
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

    /// Gives a session up.
    #[cold]
    fn lose(&mut self, socket: SocketId, loss: Loss) {
        let Some(session) = self.sessions.get_mut(socket) else { return };
        if matches!(session.state, State::Ended | State::Failed) {
            return;
        }
        self.open -= usize::from(session.is_open());
        self.living -= 1;
        session.state = State::Failed;
        self.tally.count_loss(loss);
        let _ = self.port.abort(socket);
    }

    /// Makes the messages of an open loop due whose time has come.
    fn take_due(&mut self, now: Time) {
        if !self.sends() {
            return;
        }
        let Some(schedule) = &mut self.schedule else { return };
        while let Some(number) = schedule.take_due(now) {
            let Some(session) = self.sessions.by_number_mut(number) else { continue };
            if session.make_due(1) > 0 && !session.queued {
                session.queued = true;
                self.queue.push(session.socket);
            }
        }
    }

    /// Sends what is due, one send per session, and half-closes the sessions that are done.
    fn flush(&mut self) {
        let mut queue = std::mem::take(&mut self.queue);
        for socket in queue.drain(..) {
            let Some(session) = self.sessions.get_mut(socket) else { continue };
            session.queued = false;
            if !session.is_open() || session.sending {
                continue;
            }
            let bytes = session.unsent_bytes(self.message, self.depth).min(SEND_BYTES_MAX);
            if bytes > 0 {
                let mut segments = self.lists.pop().unwrap_or_default();
                let len = usize::try_from(bytes).unwrap_or(usize::MAX);
                self.pattern.segments(session.lane, session.staged, len, &mut segments);
                session.staged += bytes;
                session.sending = true;
                let _ = self.port.send(socket, segments);
            } else if session.state == State::Finishing && session.is_quiet(self.message) {
                session.state = State::HalfClosed;
                self.open -= 1;
                let _ = self.port.shutdown(socket);
            }
        }
        self.queue = queue;
    }

    /// Moves on to the next phase when its time has come; whether it has.
    fn advance(&mut self, now: Time) -> bool {
        let before = self.phase;
        loop {
            let next = match self.phase {
                Phase::WarmUp { until } if until <= now => {
                    self.open_window(now);
                    // From now and not from `until`: a turn that came late must not shorten it.
                    Phase::Measuring { until: self.duration.map(|duration| now + duration) }
                }
                // All lost before anything was measured.
                Phase::WarmUp { .. } if self.open == 0 => Phase::Ends { until: now + PATIENCE },
                Phase::Measuring { until } => {
                    let give_up_at = until.unwrap_or(self.moved_at + PATIENCE);
                    if self.open > 0 && now < give_up_at {
                        break;
                    }
                    self.close_window(now);
                    self.stop_sending();
                    let grace = if until.is_some() { PATIENCE } else { Duration::ZERO };
                    Phase::Answers { until: now + grace }
                }
                Phase::Answers { until } if self.open == 0 || until <= now => {
                    self.lose_all(Loss::Unanswered, Session::is_open);
                    Phase::Ends { until: now + PATIENCE }
                }
                Phase::Ends { until } if self.living == 0 || until <= now => {
                    self.lose_all(Loss::NotEnded, |session| session.state == State::HalfClosed);
                    Phase::Over
                }
                _ => break,
            };
            self.phase = next;
        }
        self.phase != before
    }

    fn open_window(&mut self, now: Time) {
        self.latency.count_from(now);
        self.opened = Some(self.mark(now));
    }

    fn close_window(&mut self, now: Time) {
        let Some(opened) = self.opened else { return };
        self.window = Window::between(&opened, &self.mark(now));
    }

    fn mark(&self, at: Time) -> Mark {
        Mark::new(at, self.received, self.server_cpu.as_ref(), &self.own_cpu)
    }

    /// Forgets what is due and not begun.
    fn stop_sending(&mut self) {
        for session in self.sessions.iter_mut().filter(|session| session.is_open()) {
            let unsent = session.stop(self.message);
            // In a closed loop that is the next message of each session: nothing is behind there.
            if self.schedule.is_some() {
                self.unsent += unsent;
            }
            if !session.queued {
                session.queued = true;
                self.queue.push(session.socket);
            }
        }
    }

    fn lose_all(&mut self, loss: Loss, which: impl Fn(&Session) -> bool) {
        let lost: Vec<SocketId> = self
            .sessions
            .iter()
            .filter(|session| which(session))
            .map(|session| session.socket)
            .collect();
        for socket in lost {
            self.lose(socket, loss);
        }
    }

    fn show(&mut self, now: Time) {
        let Some(progress) = &self.progress else { return };
        if now < self.show_at {
            return;
        }
        self.show_at = now + progress::INTERVAL;
        match (self.phase, self.opened) {
            (Phase::Measuring { .. }, Some(opened)) => {
                let elapsed = now - opened.at;
                let per_second = per_second(self.received - opened.received, elapsed);
                let done = if self.duration.is_some() { millis(elapsed) } else { self.received };
                progress.show(done, format!("{} messages/s", grouped(per_second)));
            }
            (Phase::WarmUp { .. }, _) => progress.say("warming up"),
            _ => progress.say("waiting for the last answers"),
        }
    }

    fn finish(mut self) -> Outcome {
        let message = self.message;
        let sent = self.sessions.iter().map(|session| session.sent(message)).sum();
        drop(self.progress.take());
        if let Err(error) = self.port.shut_down(PATIENCE) {
            eprintln!("wharf: {error}");
        }
        Outcome {
            sent,
            received: self.received,
            unsent: self.unsent,
            window: self.window,
            latency: self.latency,
            tally: self.tally,
        }
    }
}

pub(super) fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
