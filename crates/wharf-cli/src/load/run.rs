//! What the runs of all modes have: a crowd of sessions, a phase, a measurement and a live line.

use std::time::Duration;

use wharf_port::{CompletionPort, SocketId, Time};

use super::cpu::CpuMeter;
use super::crowd::Crowd;
use super::latency::Latency;
use super::measurement::{Measurement, Window};
use super::options::{Length, Pace};
use super::pattern::Pattern;
use super::phase::Phase;
use super::port;
use super::progress::{LiveLine, Progress, Words, millis};
use super::series::Series;
use super::session::{Session, Sessions};
use super::stop::Stop;
use super::tally::Tally;
use crate::failure::Failure;

/// Bytes of one send. More would hold more of the kernel's memory and bring nothing.
pub(super) const SEND_BYTES_MAX: u64 = 256 << 10;

/// What a run is made of.
pub(super) struct Setup {
    pub(super) port: CompletionPort,
    pub(super) sockets: Vec<SocketId>,
    pub(super) pattern: Pattern,
    pub(super) pace: Pace,
    pub(super) length: Length,
    pub(super) patience: Duration,
    pub(super) server_cpu: Option<CpuMeter>,
    /// Whether the throughput over time is wanted.
    pub(super) with_series: bool,
    pub(super) stop: Stop,
    pub(super) progress: Option<Progress>,
}

/// What came of a run.
#[derive(Debug)]
pub(super) struct Outcome {
    pub(super) sent: u64,
    pub(super) received: u64,
    /// Messages of the timetable of an open loop that were sent, and that were due in time and not sent. In a chat
    /// each of them counts as many times for `sent` as there are sessions.
    pub(super) begun: u64,
    pub(super) unsent: u64,
    pub(super) copies: u64,
    pub(super) window: Window,
    pub(super) latency: Latency,
    pub(super) series: Series,
    pub(super) tally: Tally,
}

/// A run of any mode.
pub(super) struct Run {
    pub(super) crowd: Crowd,
    pub(super) pattern: Pattern,
    pub(super) pace: Pace,
    pub(super) length: Length,
    pub(super) patience: Duration,
    pub(super) phase: Phase,
    pub(super) measurement: Measurement,
    pub(super) unsent: u64,
    pub(super) live_line: LiveLine,
    pub(super) stop: Stop,
}

impl Run {
    /// A run that begins with the warm-up. `lane` tells the lane of a session by its number.
    pub(super) fn new(
        setup: Setup,
        words: &'static Words,
        lane: impl Fn(&Pattern, usize) -> usize,
    ) -> Result<Self, Failure> {
        let Setup { port, sockets, pattern, pace, length, patience, .. } = setup;
        let Setup { server_cpu, with_series, stop, progress, .. } = setup;
        let mut sessions = Sessions::default();
        for (number, socket) in sockets.into_iter().enumerate() {
            let lane = lane(&pattern, number);
            sessions.push(Session::new(socket, number, lane, length.messages_max()));
        }
        let now = port.now();
        Ok(Self {
            crowd: Crowd::new(port, sessions),
            pattern,
            pace,
            length,
            patience,
            phase: Phase::WarmUp { until: now + length.warmup() },
            measurement: Measurement::new(server_cpu, with_series)?,
            unsent: 0,
            live_line: LiveLine::new(progress, words, now),
            stop,
        })
    }

    /// When the next turn has to begin even if nothing has come back; `due` is when the next message is.
    pub(super) fn deadline(&self, due: Option<Time>) -> Time {
        let due = due.filter(|_| self.phase.sends());
        let phase = self.phase.deadline(self.crowd.moved_at, self.patience);
        let until = phase.min(self.measurement.series.next());
        [due, self.live_line.due(), self.gives_up_at()].into_iter().flatten().fold(until, Time::min)
    }

    /// When a closed loop is given up to which nothing has ever come back: nothing is sent before an answer either.
    pub(super) fn gives_up_at(&self) -> Option<Time> {
        let waits = self.phase.sends()
            && self.measurement.received == 0
            && matches!(self.pace, Pace::Closed { .. });
        waits.then(|| self.crowd.moved_at + self.patience)
    }

    /// Tells the live line how much there is to measure, with so many sessions that get messages.
    pub(super) fn expect(&self, sessions: usize) {
        let messages = || self.length.messages_max().saturating_mul(sessions as u64);
        self.live_line.expect(self.length.duration().map_or_else(messages, millis));
    }

    /// Begins the measured window, and the phase that goes with it.
    pub(super) fn open_window(&mut self, now: Time) -> Phase {
        self.measurement.open(now);
        // From now and not from the end of the warm-up: a turn that came late must not shorten it.
        Phase::Measuring { until: self.length.duration().map(|duration| now + duration) }
    }

    /// Marks and shows how far it is.
    pub(super) fn show(&mut self, now: Time) {
        self.measurement.sample(now);
        if !self.live_line.is_due(now) {
            return;
        }
        match (self.phase, self.measurement.since_opened(now)) {
            (Phase::Measuring { until }, Some((elapsed, received))) => {
                let done =
                    if until.is_some() { millis(elapsed) } else { self.measurement.received };
                self.live_line.show(done, received, elapsed);
            }
            (Phase::WarmUp { .. }, _) => self.live_line.say("warming up"),
            _ => self.live_line.say_last(),
        }
    }

    /// Closes what is left, when so many messages were `begun`; each of them was to come back in `copies`.
    pub(super) fn finish(self, begun: u64, copies: u64) -> Outcome {
        drop(self.live_line);
        let Crowd { port, tally, .. } = self.crowd;
        port::shut_down(port);
        Outcome {
            sent: begun * copies,
            received: self.measurement.received,
            begun,
            unsent: self.unsent,
            copies,
            window: self.measurement.window(),
            latency: self.measurement.latency,
            series: self.measurement.series,
            tally,
        }
    }
}
