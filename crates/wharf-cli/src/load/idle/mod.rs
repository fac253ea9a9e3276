//! Sessions that are opened, kept and counted: how many the server keeps, and when it loses the others.

mod report;

use std::collections::VecDeque;
use std::time::Duration;

use wharf_port::{Completion, CompletionPort, ConnectError, Received, SocketId, Time};

use super::by_slot::BySlot;
use super::closures::Closures;
use super::connect::{self, Way};
use super::connect_failures::ConnectFailures;
use super::crowd::verify;
use super::latency::Latency;
use super::measurement::Measurement;
use super::options::{IdleOptions, Pace};
use super::pattern::Pattern;
use super::phase::long_ago;
use super::port;
use super::progress::{LiveLine, Progress, Words, millis};
use super::run::SEND_BYTES_MAX;
use super::schedule::Schedule;
use super::stop::Stop;
use super::tally::Tally;
use super::visit::{Stage, Visit};
use super::{Outputs, Started};
use crate::failure::Failure;

const WORDS: Words = Words { unit: "sessions", last: "keeping them" };
/// Connects under way at a time.
const IN_FLIGHT_MAX: u64 = 256;
/// How often it is looked for connects that take too long.
const LOOK_INTERVAL: Duration = Duration::from_millis(250);

/// Runs `wharf load idle`.
pub(super) fn run(options: &IdleOptions) -> Result<(), Failure> {
    let Started { server_cpu, mut outputs, mut port, pattern, sessions } =
        Started::new(&options.load)?;
    let load = &options.load;
    let (way, first) = connect::find(&mut port, &load.connect, load.source, sessions)?;
    let _ = port.abort(first);
    let measurement = Measurement::new(server_cpu, outputs.plot.is_wanted())?;
    let mut idle = Idle::new(options, port, way, pattern, measurement)?;
    outputs.stop.listen()?;
    idle.work(&outputs.stop)?;
    idle.finish(&mut outputs)
}

/// What came of the sessions.
#[derive(Debug, Default)]
struct Counts {
    opened: u64,
    failures: ConnectFailures,
    sent: u64,
    received: u64,
    /// Messages that were due and could not be sent.
    unsent: u64,
}

impl Counts {
    /// Connects that have come to an end, good or bad.
    const fn ended_connects(&self) -> u64 {
        self.opened + self.failures.count()
    }
}

/// So many times a distance.
fn nth(distance: Duration, count: u64) -> Duration {
    let nanos = distance.as_nanos() * u128::from(count);
    Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
}

struct Idle<'a> {
    options: &'a IdleOptions,
    port: CompletionPort,
    way: Way,
    pattern: Pattern,
    sessions: BySlot<Visit>,
    schedule: Option<Schedule>,
    /// Connects that were begun, and that have been due.
    begun: u64,
    due: u64,
    look_at: Time,
    /// When sessions send their next message. All have the same distance: the order stays.
    next_messages: VecDeque<(Time, SocketId)>,
    counts: Counts,
    lost: Closures,
    tally: Tally,
    connects: Latency,
    /// What it counts as received are messages, or sessions that were opened if none are sent.
    measurement: Measurement,
    live_line: LiveLine,
}

impl<'a> Idle<'a> {
    fn new(
        options: &'a IdleOptions,
        port: CompletionPort,
        way: Way,
        pattern: Pattern,
        measurement: Measurement,
    ) -> Result<Self, Failure> {
        let now = port.now();
        Ok(Self {
            options,
            port,
            way,
            pattern,
            sessions: BySlot::new(),
            schedule: None,
            begun: 0,
            due: 0,
            look_at: now,
            next_messages: VecDeque::new(),
            counts: Counts::default(),
            lost: Closures::default(),
            tally: Tally::default(),
            connects: Latency::new()?,
            measurement,
            live_line: LiveLine::new(Progress::new(), &WORDS, now),
        })
    }

    /// Opens them all, keeps them for the duration, and waits for the last answers.
    fn work(&mut self, stop: &Stop) -> Result<(), Failure> {
        // This wait does not wait: it asks for the time.
        let start = self.wait(Time::ZERO)?;
        let wanted = self.options.load.sessions;
        if let Pace::Rate { per_second, .. } = self.options.load.pace {
            self.schedule = Some(Schedule::new(start, per_second, 1, wanted));
        } else {
            self.due = wanted;
        }
        self.live_line.expect(wanted);
        self.measurement.open(start);
        self.connects.count_from(start);
        let mut now = start;
        let mut until = None;
        while until.is_none_or(|until| now < until) && !stop.is_asked() {
            self.begin_due(now);
            self.send_due(now);
            if until.is_none() && self.counts.ended_connects() == wanted {
                let duration = self.options.load.length.duration();
                until = Some(now + duration.unwrap_or_default());
                self.live_line.expect(duration.map_or(0, millis));
            }
            now = self.wait(self.deadline(until))?;
            self.give_up_connects(now);
            self.measurement.sample(now);
            self.show(now, until);
        }
        self.measurement.close(now);
        self.stop_sending();
        let last = now + self.options.load.patience;
        while self.counts.received < self.counts.sent && self.has_unanswered() && now < last {
            now = self.wait(last)?;
        }
        self.measurement.drained(now);
        Ok(())
    }

    fn deadline(&self, until: Option<Time>) -> Time {
        let next = self.schedule.as_ref().and_then(Schedule::next_due);
        let message = self.next_messages.front().map(|(due, _)| *due);
        let dues = [next, message, until, self.live_line.due()].into_iter().flatten();
        dues.chain([self.measurement.series.next()]).fold(self.look_at, Time::min)
    }

    /// Shows how many are open; and when all are, how long of the time `until` which they are kept is over.
    fn show(&mut self, now: Time, until: Option<Time>) {
        if !self.live_line.is_due(now) {
            return;
        }
        if let Some(until) = until {
            let duration = self.options.load.length.duration().unwrap_or_default();
            let left = until.as_nanos().saturating_sub(now.as_nanos());
            self.live_line.show_last(millis(duration.saturating_sub(Duration::from_nanos(left))));
        } else if let Some((elapsed, _)) = self.measurement.since_opened(now) {
            self.live_line.show(self.counts.opened, self.counts.opened, elapsed);
        }
    }

    fn begin_due(&mut self, now: Time) {
        if let Some(schedule) = &mut self.schedule {
            self.due += schedule.take_all_due(now);
        }
        while self.begun < self.due && self.begun - self.counts.ended_connects() < IN_FLIGHT_MAX {
            let due = self.schedule.as_ref().map_or(now, |schedule| schedule.due(0, self.begun));
            self.begin(due, now);
        }
    }

    fn begin(&mut self, due: Time, now: Time) {
        let options = self.way.sources.options();
        match self.port.connect(&self.way.address, &options) {
            Ok(socket) => {
                let number = usize::try_from(self.begun).unwrap_or_default();
                let lane = self.pattern.lane(number);
                self.begun += 1;
                let visit = Visit::new(socket, (number, lane), options, due, now);
                self.sessions.insert(socket, visit);
            }
            Err(error) if self.way.sources.spread(&options, error) => {}
            Err(error) => {
                self.begun += 1;
                self.counts.failures.add(error);
            }
        }
    }

    fn wait(&mut self, deadline: Time) -> Result<Time, Failure> {
        let now = port::wait(&mut self.port, deadline)?;
        while let Some(completion) = self.port.take() {
            match completion {
                Completion::Connected { socket, result } => self.on_connected(socket, result, now),
                Completion::Received { socket, what: Received::Data(bytes) } => {
                    self.on_bytes(socket, &bytes, now);
                }
                Completion::Received { socket, what: Received::End } => {
                    self.lose(socket, false, now);
                }
                Completion::Received { socket, what: Received::Failed(_) }
                | Completion::Sent { socket, result: Err(_), .. } => self.lose(socket, true, now),
                Completion::Sent { socket, .. } => {
                    if let Some(visit) = self.sessions.get_mut(socket) {
                        visit.session.sending = false;
                    }
                    self.send(socket);
                }
                Completion::Closed { socket } => drop(self.sessions.remove(socket)),
                _ => {}
            }
        }
        Ok(now)
    }

    fn on_connected(&mut self, socket: SocketId, result: Result<(), ConnectError>, now: Time) {
        let Some(visit) = self.sessions.get_mut(socket) else { return };
        let Some(result) = visit.connected(&mut self.port, result, now) else { return };
        if let Err((options, error)) = result {
            if self.way.sources.spread(&options, error) {
                // The timetable is about how many have been begun, not about which.
                self.begun -= 1;
            } else {
                self.counts.failures.add(error);
            }
            return;
        }
        self.counts.opened += 1;
        self.connects.record(visit.due, now, 1);
        let _ = self.port.receive(socket);
        match self.options.every {
            Some(every) => self.next_messages.push_back((now + every, socket)),
            None => self.measurement.received += 1,
        }
    }

    /// Sends the messages whose time has come, whether or not the ones before them are answered.
    fn send_due(&mut self, now: Time) {
        let Some(every) = self.options.every else { return };
        while let Some((due, socket)) = self.next_messages.front().copied()
            && due <= now
        {
            self.next_messages.pop_front();
            let Some(visit) = self.sessions.get_mut(socket) else { continue };
            if visit.stage != Stage::Open {
                continue;
            }
            self.next_messages.push_back((due + every, socket));
            visit.session.make_due(1);
            self.send(socket);
        }
    }

    /// Sends what is due to a session that is not sending, whole messages alone.
    fn send(&mut self, socket: SocketId) {
        let message = self.pattern.message();
        let Some(visit) = self.sessions.get_mut(socket) else { return };
        let session = &mut visit.session;
        let due = session.unsent_bytes(message, u64::MAX) / message;
        let count = due.min((SEND_BYTES_MAX / message).max(1));
        if count == 0 || session.sending || visit.stage != Stage::Open {
            return;
        }
        let bytes = count * message;
        let segments = self.pattern.sent(session.lane, session.staged, bytes);
        session.sending = true;
        session.staged += bytes;
        self.counts.sent += count;
        let _ = self.port.send(socket, segments);
    }

    /// Forgets what is due and not begun, and counts it.
    fn stop_sending(&mut self) {
        let message = self.pattern.message();
        for visit in self.sessions.iter_mut().filter(|visit| visit.stage == Stage::Open) {
            self.counts.unsent += visit.session.stop(message);
        }
    }

    fn on_bytes(&mut self, socket: SocketId, bytes: &[u8], now: Time) {
        if self.options.every.is_none() {
            // Nothing is asked, so nothing that is said can be wrong.
            return;
        }
        let Some(visit) = self.sessions.get_mut(socket) else { return };
        if visit.stage != Stage::Open {
            return;
        }
        let (session, every) = (&mut visit.session, self.options.every.unwrap_or_default());
        let verified = verify(session, session.staged, bytes, &self.pattern, &mut self.tally);
        let messages = verified.messages.end - verified.messages.start;
        self.counts.received += messages;
        self.measurement.received += messages;
        for message in verified.messages {
            let due = visit.since + nth(every, message + 1);
            self.measurement.latency.record(due, now, 1);
        }
        if verified.extra > 0 {
            self.tally.count_loss(session.loss_by_extra());
            visit.abort(&mut self.port);
        }
    }

    fn lose(&mut self, socket: SocketId, was_reset: bool, now: Time) {
        let Some(visit) = self.sessions.get_mut(socket) else { return };
        if visit.stage == Stage::Open {
            self.lost.count(now - visit.since, was_reset);
            visit.abort(&mut self.port);
        }
    }

    fn give_up_connects(&mut self, now: Time) {
        if now < self.look_at {
            return;
        }
        self.look_at = now + LOOK_INTERVAL;
        let moment = long_ago(now, self.options.load.patience);
        for visit in self.sessions.iter_mut().filter(|visit| visit.connects_since(moment)) {
            visit.abort(&mut self.port);
            self.counts.failures.add(ConnectError::TimedOut);
        }
    }

    /// Whether a session that is still there has an answer to come.
    fn has_unanswered(&self) -> bool {
        self.sessions.iter().any(|visit| {
            visit.stage == Stage::Open && visit.session.received < visit.session.staged
        })
    }

    fn finish(self, outputs: &mut Outputs) -> Result<(), Failure> {
        drop(self.live_line);
        let backend = self.port.backend();
        port::shut_down(self.port);
        report::write(
            outputs,
            &report::Idled {
                options: self.options,
                way: &self.way,
                backend,
                counts: &self.counts,
                lost: &self.lost,
                tally: &self.tally,
                connects: &self.connects,
                measurement: &self.measurement,
            },
        )
    }
}
