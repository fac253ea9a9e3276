//! What a run measures: the messages that come back, how long they took, and what CPU time that was.

use std::time::Duration;

use wharf_port::Time;

use super::cpu::{CpuMeter, CpuTime};
use super::latency::Latency;
use super::report::{Micros, per_second};
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
    nanos: u64,
    /// How long after it the last answer was there, or given up.
    drained: Option<u64>,
    /// Messages that came back.
    received: u64,
    /// CPU time of the server, in nanoseconds.
    server_cpu: Option<u64>,
    /// CPU time of this process.
    own_cpu: Option<u64>,
}

/// A moment at an edge of the window.
#[derive(Clone, Copy, Debug)]
struct Mark {
    at: Time,
    received: u64,
    server_cpu: Option<CpuTime>,
    own_cpu: Option<CpuTime>,
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

    /// All answers are there, or are given up.
    pub(super) fn drained(&mut self, now: Time) {
        let closed = self.opened.map(|opened| opened.at.as_nanos() + self.window.nanos);
        self.window.drained = closed.map(|closed| now.as_nanos().saturating_sub(closed));
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
            server_cpu: self.server_cpu.as_ref().and_then(|cpu| cpu.time().ok()),
            own_cpu: self.own_cpu.time().ok(),
        }
    }
}

impl Window {
    fn between(opened: &Mark, closed: &Mark) -> Self {
        let cpu = |from: Option<CpuTime>, to: Option<CpuTime>| Some(to?.since(from?));
        Self {
            drained: None,
            nanos: closed.at.as_nanos() - opened.at.as_nanos(),
            received: closed.received - opened.received,
            server_cpu: cpu(opened.server_cpu, closed.server_cpu),
            own_cpu: cpu(opened.own_cpu, closed.own_cpu),
        }
    }

    /// How long it was open.
    pub(super) const fn micros(&self) -> Micros {
        Micros(self.nanos as f64 / 1_000.0)
    }

    /// Seconds from its end until the last answer was there, or given up.
    pub(super) fn drained_seconds(&self) -> Option<f64> {
        self.drained.map(|nanos| Duration::from_nanos(nanos).as_secs_f64())
    }

    /// Messages a second, with one decimal; `None` if it was not open for any time.
    pub(super) fn per_second(&self) -> Option<f64> {
        ratio(u128::from(self.received) * 1_000_000_000, self.nanos.into())
    }

    /// Whole messages a second.
    pub(super) fn whole_per_second(&self) -> u64 {
        per_second(self.received, Duration::from_nanos(self.nanos))
    }

    /// Nanoseconds of the server's CPU time for each message, with one decimal; `None` if they are not known
    /// or nothing came back.
    pub(super) fn server_nanos_per_message(&self) -> Option<f64> {
        ratio(self.server_cpu?.into(), self.received.into())
    }

    /// The same in whole nanoseconds.
    pub(super) fn whole_server_nanos_per_message(&self) -> Option<u64> {
        self.server_cpu?.checked_div(self.received)
    }

    /// Nanoseconds of this process's CPU time for each message, as of the server's.
    pub(super) fn own_nanos_per_message(&self) -> Option<f64> {
        ratio(self.own_cpu?.into(), self.received.into())
    }

    /// The same in whole nanoseconds, and how many hundredths of a core that was.
    pub(super) fn whole_own_nanos_per_message(&self) -> Option<(u64, u128)> {
        let nanos = self.own_cpu?;
        let percent = u128::from(nanos) * 100 / u128::from(self.nanos.max(1));
        Some((nanos.checked_div(self.received)?, percent))
    }
}

/// With one decimal; `None` if nothing was there to divide by.
fn ratio(of: u128, to: u128) -> Option<f64> {
    let tenths = (of * 10).checked_div(to)?;
    Some(tenths as f64 / 10.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_window_comes_to_is_told_whole_and_with_a_decimal() {
        let nanos = 1_500_000_000;
        let window = Window {
            nanos,
            received: 4,
            server_cpu: Some(10),
            own_cpu: Some(nanos / 2 + 1),
            ..Window::default()
        };
        assert_eq!((window.per_second(), window.whole_per_second()), (Some(2.6), 2));
        assert_eq!(window.server_nanos_per_message(), Some(2.5));
        assert_eq!(window.whole_server_nanos_per_message(), Some(2));
        assert_eq!(window.own_nanos_per_message(), Some(187_500_000.2));
        assert_eq!(window.whole_own_nanos_per_message(), Some((187_500_000, 50)));
        assert_eq!(window.micros().to_string(), "1.50 s");
    }

    #[test]
    fn a_ratio_to_nothing_is_none() {
        let window = Window { server_cpu: Some(5), own_cpu: Some(5), ..Window::default() };
        assert_eq!((window.per_second(), window.whole_per_second()), (None, 0));
        assert_eq!(window.server_nanos_per_message(), None);
        assert_eq!(window.whole_server_nanos_per_message(), None);
        assert_eq!(window.own_nanos_per_message(), None);
        assert_eq!(window.whole_own_nanos_per_message(), None);
    }
}
