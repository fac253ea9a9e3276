//! Connections that come and go: connect, one echo if there is a size, reset or close, and again.
//!
//! At most as many are under way as there are sessions. In a closed loop the next begins when one is closed;
//! at a rate, when it is due, and its latencies count from then.

mod report;

use std::time::Duration;

use wharf_port::{Completion, CompletionPort, ConnectError, Received, SocketId, Time};

use super::by_slot::BySlot;
use super::connect::{self, Way};
use super::connect_failures::ConnectFailures;
use super::crowd::verify;
use super::latency::Latency;
use super::measurement::Measurement;
use super::options::{AcceptOptions, Ending, Pace};
use super::pattern::Pattern;
use super::phase::long_ago;
use super::port;
use super::progress::{LiveLine, Progress, Words, millis};
use super::schedule::Schedule;
use super::stop::Stop;
use super::tally::{Loss, Tally};
use super::visit::{Stage, Visit};
use super::{Outputs, Started};
use crate::failure::Failure;

const WORDS: Words = Words { unit: "connections", last: "waiting for the last connections" };
/// How long none is begun after one has failed: who listens no more must not be asked all the time.
const REST: Duration = Duration::from_millis(10);
/// How often it is looked for those that take too long.
const LOOK_INTERVAL: Duration = Duration::from_millis(250);

/// Runs `wharf load accept`.
pub(super) fn run(options: &AcceptOptions) -> Result<(), Failure> {
    let Started { server_cpu, mut outputs, mut port, sessions, pattern } =
        Started::new(&options.load)?;
    let load = &options.load;
    // Nothing is measured if nobody is there.
    let (way, first) = connect::find(&mut port, &load.connect, load.source, sessions)?;
    let _ = port.abort(first);
    let measurement = Measurement::new(server_cpu, outputs.plot.is_wanted())?;
    let mut accept = Accept::new(options, port, way, sessions, pattern, measurement)?;
    outputs.stop.listen()?;
    accept.work(&outputs.stop)?;
    accept.finish(&mut outputs)
}

/// What came of the connections.
#[derive(Debug, Default)]
struct Counts {
    connected: u64,
    failures: ConnectFailures,
    /// Messages that were sent.
    sent: u64,
    /// Messages that came back.
    echoed: u64,
    /// Connections of the whole run that were begun.
    begun: u64,
    /// Connections that were due and could not be begun in time.
    unstarted: u64,
}

struct Accept<'a> {
    options: &'a AcceptOptions,
    port: CompletionPort,
    way: Way,
    pattern: Pattern,
    places: usize,
    visits: BySlot<Visit>,
    /// The timetable, and how many have been due that are not begun, the oldest of them being `begun`.
    schedule: Option<Schedule>,
    begun: u64,
    due: u64,
    rests_until: Time,
    look_at: Time,
    counts: Counts,
    tally: Tally,
    connects: Latency,
    /// What it counts as received are the connections that have done what they were for.
    measurement: Measurement,
    live_line: LiveLine,
}

impl<'a> Accept<'a> {
    fn new(
        options: &'a AcceptOptions,
        port: CompletionPort,
        way: Way,
        places: usize,
        pattern: Pattern,
        measurement: Measurement,
    ) -> Result<Self, Failure> {
        let now = port.now();
        Ok(Self {
            options,
            port,
            way,
            pattern,
            places,
            visits: BySlot::new(),
            schedule: None,
            begun: 0,
            due: 0,
            rests_until: Time::ZERO,
            look_at: now,
            counts: Counts::default(),
            tally: Tally::default(),
            connects: Latency::new()?,
            measurement,
            live_line: LiveLine::new(Progress::new(), &WORDS, now),
        })
    }

    /// Begins connections for the whole of the duration, then waits for those under way.
    fn work(&mut self, stop: &Stop) -> Result<(), Failure> {
        // This wait does not wait: it ends the connection that found the way, and asks for the time.
        let start = self.wait(Time::ZERO)?;
        if let Pace::Rate { per_second, .. } = self.options.load.pace {
            self.schedule = Some(Schedule::new(start, per_second, 1, u64::MAX));
        }
        let length = self.options.load.length;
        let duration = length.duration().unwrap_or_default();
        self.live_line.expect(millis(duration));
        let mut now = self.begin_until(start + length.warmup(), start, stop)?;
        if !stop.is_asked() {
            self.measurement.open(now);
            self.connects.count_from(now);
            now = self.begin_until(now + duration, now, stop)?;
        }
        self.measurement.close(now);
        if let Some(schedule) = &mut self.schedule {
            // While there was no room for any, nobody has looked.
            self.due += schedule.take_all_due(now);
        }
        self.counts.begun = self.begun;
        self.counts.unstarted = self.due - self.begun.min(self.due);
        self.live_line.say_last();
        let last = now + self.options.load.patience;
        while self.visits.len() > 0 && now < last {
            now = self.wait(last.min(now + LOOK_INTERVAL))?;
            self.look(now);
        }
        for visit in self.visits.iter_mut().filter(|visit| visit.stage != Stage::Over) {
            self.tally.count_loss(Loss::Unanswered);
            visit.abort(&mut self.port);
        }
        self.measurement.drained(now);
        Ok(())
    }

    /// Begins connections until `end`, or until a signal comes.
    fn begin_until(&mut self, end: Time, start: Time, stop: &Stop) -> Result<Time, Failure> {
        let mut now = start;
        while now < end && !stop.is_asked() {
            self.begin_due(now);
            now = self.wait(self.deadline(end))?;
            self.look(now);
            self.measurement.sample(now);
            if self.live_line.is_due(now) {
                match self.measurement.since_opened(now) {
                    Some((elapsed, done)) => self.live_line.show(millis(elapsed), done, elapsed),
                    None => self.live_line.say("warming up"),
                }
            }
        }
        Ok(now)
    }

    fn deadline(&self, end: Time) -> Time {
        let has_room = self.visits.len() < self.places;
        let next = has_room.then(|| match self.schedule.as_ref().and_then(Schedule::next_due) {
            Some(due) if self.begun == self.due => due,
            // There is something to begin, and it rests.
            _ => self.rests_until,
        });
        let looks = [self.look_at, self.measurement.series.next()];
        let all = looks.into_iter().chain(next).chain(self.live_line.due());
        all.fold(end, Time::min)
    }

    /// Begins as many as there is room for, and as are due.
    fn begin_due(&mut self, now: Time) {
        if let Some(schedule) = &mut self.schedule {
            self.due += schedule.take_all_due(now);
        }
        while self.visits.len() < self.places && now >= self.rests_until {
            let due = match &self.schedule {
                Some(_) if self.begun == self.due => return,
                Some(schedule) => schedule.due(0, self.begun),
                None => now,
            };
            self.begin(due, now);
        }
    }

    fn begin(&mut self, due: Time, now: Time) {
        if self.connect(due, now) {
            self.begun += 1;
        }
    }

    /// Connects for what was due; whether that is under way.
    fn connect(&mut self, due: Time, now: Time) -> bool {
        let options = self.way.sources.options();
        match self.port.connect(&self.way.address, &options) {
            Ok(socket) => {
                let number = usize::try_from(self.begun).unwrap_or_default();
                let lane = self.pattern.lane(number % self.places);
                self.visits.insert(socket, Visit::new(socket, (0, lane), options, due, now));
                return true;
            }
            Err(error) if self.way.sources.spread(&options, error) => {}
            Err(error) => self.fail(error, now),
        }
        false
    }

    /// A connect has failed, and not for want of a port that another address has.
    fn fail(&mut self, error: ConnectError, now: Time) {
        self.counts.failures.add(error);
        self.rests_until = now + REST;
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
                    self.lose(socket, Loss::EndedEarly);
                }
                Completion::Received { socket, what: Received::Failed(error) } => {
                    self.lose(socket, error.into());
                }
                Completion::Sent { socket, result: Err(error), .. } => {
                    self.lose(socket, error.into());
                }
                Completion::Closed { socket } => drop(self.visits.remove(socket)),
                _ => {}
            }
        }
        Ok(now)
    }

    fn on_connected(&mut self, socket: SocketId, result: Result<(), ConnectError>, now: Time) {
        let Some(visit) = self.visits.get_mut(socket) else { return };
        let Some(result) = visit.connected(&mut self.port, result, now) else { return };
        let due = visit.due;
        if let Err((options, error)) = result {
            if self.way.sources.spread(&options, error) {
                // It counts as begun: another one takes its place, and is as old.
                self.connect(due, now);
            } else {
                self.fail(error, now);
            }
            return;
        }
        self.counts.connected += 1;
        self.connects.record(due, now, 1);
        if !self.options.echoes {
            return self.done(socket);
        }
        let bytes = self.pattern.message();
        let segments = self.pattern.sent(visit.session.lane, 0, bytes);
        visit.session.staged = bytes;
        self.counts.sent += 1;
        let _ = self.port.receive(socket);
        let _ = self.port.send(socket, segments);
    }

    fn on_bytes(&mut self, socket: SocketId, bytes: &[u8], now: Time) {
        let Some(visit) = self.visits.get_mut(socket) else { return };
        if visit.stage != Stage::Open {
            return;
        }
        let (session, due) = (&mut visit.session, visit.due);
        let verified = verify(session, session.staged, bytes, &self.pattern, &mut self.tally);
        if verified.extra > 0 {
            return self.lose(socket, Loss::Extra);
        }
        if session.answered == 1 {
            self.counts.echoed += 1;
            self.measurement.latency.record(due, now, 1);
            self.done(socket);
        }
    }

    /// A connection has done what it was for.
    fn done(&mut self, socket: SocketId) {
        self.measurement.received += 1;
        let Some(visit) = self.visits.get_mut(socket) else { return };
        match self.options.ending {
            Ending::Reset => visit.abort(&mut self.port),
            Ending::Close => visit.close(&mut self.port),
        }
    }

    fn lose(&mut self, socket: SocketId, loss: Loss) {
        let Some(visit) = self.visits.get_mut(socket) else { return };
        if visit.stage != Stage::Over {
            self.tally.count_loss(loss);
            visit.abort(&mut self.port);
        }
    }

    /// Gives up those that take too long.
    fn look(&mut self, now: Time) {
        if now < self.look_at {
            return;
        }
        self.look_at = now + LOOK_INTERVAL;
        let moment = long_ago(now, self.options.load.patience);
        for visit in self.visits.iter_mut().filter(|visit| visit.stays_since(moment)) {
            if visit.stage == Stage::Connecting {
                // Its completion may come yet: it was asked to close, and is no failure then.
                self.counts.failures.add(ConnectError::TimedOut);
            } else {
                self.tally.count_loss(Loss::Unanswered);
            }
            visit.abort(&mut self.port);
        }
    }

    fn finish(self, outputs: &mut Outputs) -> Result<(), Failure> {
        drop(self.live_line);
        let backend = self.port.backend();
        port::shut_down(self.port);
        report::write(
            outputs,
            &report::Accepted {
                options: self.options,
                way: &self.way,
                backend,
                counts: &self.counts,
                tally: &self.tally,
                connects: &self.connects,
                measurement: &self.measurement,
            },
        )
    }
}
