//! What a run measures: the messages that come back, how long they took, and what CPU time that was.

use std::time::Duration;

use wharf_port::Time;

use super::cpu::CpuMeter;
use super::latency::Latency;
use super::series::Series;
use crate::failure::Failure;

/// The measurement of a run.
#[derive(Debug)]
pub(super) struct Measurement {
    pub(super) latency: Latency,
    pub(super) series: Series,
    /// Whole messages that have come back, outside of the window as well.
    pub(super) received: u64,
    server_cpu: Option<CpuMeter>,
    own_cpu: CpuMeter,
    opened: Option<Mark>,
    window: Window,
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
struct Mark {
    at: Time,
    received: u64,
    server_cpu: Option<u64>,
    own_cpu: Option<u64>,
}

impl Measurement {
    /// Nothing is measured yet; `with_series` as the throughput over time is wanted.
    pub(super) fn new(server_cpu: Option<CpuMeter>, with_series: bool) -> Result<Self, Failure> {
        Ok(Self {
            latency: Latency::new()?,
            series: Series::new(with_series),
            received: 0,
            server_cpu,
            own_cpu: CpuMeter::of_this_process(),
            opened: None,
            window: Window::default(),
        })
    }

    /// Opens the window.
    pub(super) fn open(&mut self, now: Time) {
        self.latency.count_from(now);
        self.series.begin(now, self.received);
        self.opened = Some(self.mark(now));
    }

    /// Closes the window.
    pub(super) fn close(&mut self, now: Time) {
        if let Some(opened) = self.opened {
            self.window = Window::between(&opened, &self.mark(now));
            self.series.end(now, self.received);
        }
    }

    /// Marks how far it is, if the time for that has come. Once in a turn.
    #[inline]
    pub(super) fn sample(&mut self, now: Time) {
        self.series.sample(now, self.received);
    }

    /// Since the window was opened: the time, and the messages that have come back.
    pub(super) fn since_opened(&self, now: Time) -> Option<(Duration, u64)> {
        self.opened.map(|opened| (now - opened.at, self.received - opened.received))
    }

    pub(super) const fn window(&self) -> Window {
        self.window
    }

    fn mark(&self, at: Time) -> Mark {
        Mark {
            at,
            received: self.received,
            server_cpu: self.server_cpu.as_ref().and_then(|cpu| cpu.nanos().ok()),
            own_cpu: self.own_cpu.nanos().ok(),
        }
    }
}

impl Window {
    fn between(opened: &Mark, closed: &Mark) -> Self {
        let cpu = |from: Option<u64>, to: Option<u64>| to?.checked_sub(from?);
        Self {
            nanos: closed.at.as_nanos() - opened.at.as_nanos(),
            received: closed.received - opened.received,
            server_cpu: cpu(opened.server_cpu, closed.server_cpu),
            own_cpu: cpu(opened.own_cpu, closed.own_cpu),
        }
    }
}
