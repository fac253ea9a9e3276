//! The result: JSON for scripts, a few lines for people.

use std::fmt::{self, Write};
use std::time::Duration;

use serde::Serialize;
use wharf_port::{Address, Backend};

use super::described::Described;
use super::latency::LatencyMicros;
use super::measurement::Window;
use super::options::{Length, LoadOptions, Pace};
use super::run::Outcome;
use crate::args::Bytes;

/// The JSON of `wharf load`. Scripts rely on the names.
///
/// `sent`, `received`, `wrong` and `missing` count the messages of the whole run, warm-up and
/// stragglers included; the others are of the measured window. What means nothing
/// in a mode is null.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    pub(super) mode: &'static str,
    #[serde(flatten)]
    pub(super) described: Described,
    pub(super) sessions: u64,
    pub(super) sent: Option<u64>,
    /// Messages that came back whole, right or wrong.
    pub(super) received: Option<u64>,
    /// Messages with a wrong byte.
    pub(super) wrong: Option<u64>,
    /// Messages that were sent, at least in part, and did not come back whole.
    pub(super) missing: Option<u64>,
    /// Messages that were due, and of which nothing could be sent before the time was over.
    pub(super) unsent: Option<u64>,
    /// Messages that came back.
    pub(super) per_second: Option<f64>,
    /// Payload that came back.
    pub(super) bytes_per_second: Option<f64>,
    /// Seconds from the end of the measured window until all answers were there, or were given up.
    pub(super) drained_s: Option<f64>,
    pub(super) latency_us: LatencyMicros,
    pub(super) server_cpu_ns_per_message: Option<f64>,
    /// Of `wharf load` itself.
    pub(super) own_cpu_ns_per_message: Option<f64>,
}

impl Report {
    pub(super) fn new(
        mode: &'static str,
        options: &LoadOptions,
        described: Described,
        outcome: &Outcome,
    ) -> Self {
        let window = &outcome.window;
        let per_second = window.per_second().unwrap_or(0.0);
        Self {
            mode,
            described,
            sessions: options.sessions,
            sent: Some(outcome.sent),
            received: Some(outcome.received),
            wrong: Some(outcome.tally.wrong),
            missing: Some(outcome.sent - outcome.received),
            unsent: Some(outcome.unsent * outcome.copies),
            per_second: Some(per_second),
            bytes_per_second: Some(per_second * options.size as f64),
            drained_s: window.drained_seconds(),
            latency_us: outcome.latency.micros(),
            server_cpu_ns_per_message: window.server_nanos_per_message(),
            own_cpu_ns_per_message: window.own_nanos_per_message(),
        }
    }
}

/// The result for people, in a few lines.
pub(super) struct Summary<'a> {
    pub(super) options: &'a LoadOptions,
    pub(super) address: Address,
    pub(super) backend: Backend,
    pub(super) report: &'a Report,
    pub(super) outcome: &'a Outcome,
    /// Sessions that do no good beside those that are measured, in the modes that have them.
    pub(super) bad: Option<u64>,
}

impl Summary<'_> {
    /// What was asked for, and what came of it.
    pub(super) fn in_a_line(&self) -> String {
        let mut line = String::new();
        let _ = self.write_asked(&mut line);
        let window = &self.outcome.window;
        line + &format!(
            ": {} messages/s over {}, {} wrong, {} missing",
            grouped(window.whole_per_second()),
            window.micros(),
            grouped(self.outcome.tally.wrong),
            grouped(self.outcome.sent - self.outcome.received)
        )
    }

    fn write_asked(&self, f: &mut impl Write) -> fmt::Result {
        let options = self.options;
        match self.bad {
            None => write!(f, "{} sessions", grouped(options.sessions))?,
            Some(bad) => {
                let honest = grouped(options.sessions);
                write!(f, "{} bad sessions beside {honest} honest", grouped(bad))?;
            }
        }
        match options.pace {
            Pace::Closed { depth } => write!(f, ", depth {depth}")?,
            Pace::Rate { per_second, depth } => {
                write!(f, ", {} messages/s asked for", grouped(per_second))?;
                if let Some(depth) = depth {
                    write!(f, ", depth at most {depth}")?;
                }
            }
        }
        write!(f, ", {} {}", Bytes(options.size), options.framing)
    }
}

impl fmt::Display for Summary<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { options, address, backend, report, outcome, .. } = self;
        let window = &outcome.window;
        write!(f, "{} {address}: ", report.mode)?;
        self.write_asked(f)?;
        writeln!(f, ", backend {backend}")?;
        write_messages(f, outcome.sent, outcome.received, outcome.tally.wrong)?;
        write_behind(f, ("messages", "sent"), options.pace, outcome.begun, outcome.unsent)?;
        let warmed_up = matches!(options.length, Length::Time { warmup, .. } if !warmup.is_zero());
        let mib = report.bytes_per_second.unwrap_or_default() / f64::from(1 << 20);
        writeln!(
            f,
            "  throughput  {} messages/s, {mib:.1} MiB/s, over {}{}",
            grouped(window.whole_per_second()),
            window.micros(),
            if warmed_up { " after the warm-up" } else { "" }
        )?;
        write_latency(f, "latency", report.latency_us)?;
        write_cpu(f, "message", window, options.server_pid.is_some())
    }
}

/// Lines of the CPU time, for each of what the window counts.
pub(super) fn write_cpu(
    f: &mut fmt::Formatter<'_>,
    what: &str,
    window: &Window,
    is_asked: bool,
) -> fmt::Result {
    if let Some(nanos) = window.whole_server_nanos_per_message() {
        writeln!(f, "  server CPU  {} ns per {what}", grouped(nanos))?;
    } else if is_asked {
        writeln!(f, "  server CPU  not measured: the server ended, or nothing came back")?;
    }
    // Who looks for the server's limit must see when it is this program's own.
    if let Some((nanos, percent)) = window.whole_own_nanos_per_message() {
        writeln!(f, "  own CPU     {} ns per {what}, {percent} % of a core", grouped(nanos))?;
        if let Some(warning) = pace_warning(percent) {
            writeln!(f, "  {warning}")?;
        }
    }
    Ok(())
}

/// What to say if this program, which has one thread, has taken so many hundredths of a core.
fn pace_warning(percent: u128) -> Option<&'static str> {
    (percent > 95).then_some(
        "the generator, not the server, sets the pace: run several at a time for more load",
    )
}

/// A line of the messages of a whole run.
pub(super) fn write_messages(
    f: &mut fmt::Formatter<'_>,
    sent: u64,
    received: u64,
    wrong: u64,
) -> fmt::Result {
    let [sent, received, wrong, missing] = [sent, received, wrong, sent - received].map(grouped);
    writeln!(f, "  messages    {sent} sent, {received} received, {wrong} wrong, {missing} missing")
}

/// A line of what was due by a timetable and not begun, if there is any, and of the rate that was kept instead.
pub(super) fn write_behind(
    f: &mut fmt::Formatter<'_>,
    (what, done): (&str, &str),
    pace: Pace,
    begun: u64,
    unbegun: u64,
) -> fmt::Result {
    let Pace::Rate { per_second, .. } = pace else { return Ok(()) };
    if unbegun == 0 {
        return Ok(());
    }
    let kept = u128::from(per_second) * u128::from(begun) / u128::from(begun + unbegun);
    let kept = u64::try_from(kept).unwrap_or(u64::MAX);
    let [per_second, kept, unbegun] = [per_second, kept, unbegun].map(grouped);
    writeln!(
        f,
        "  behind      of {per_second} {what}/s asked for, {kept} were {done}; {unbegun} that were due could not be"
    )
}

/// A line of latencies, if any were measured.
pub(super) fn write_latency(
    f: &mut fmt::Formatter<'_>,
    name: &str,
    latency: LatencyMicros,
) -> fmt::Result {
    let LatencyMicros { p50, p90, p99, p999, max } = latency;
    if let (Some(p50), Some(p90), Some(p99), Some(p999), Some(max)) = (p50, p90, p99, p999, max) {
        let [p50, p90, p99, p999, max] = [p50, p90, p99, p999, max].map(Micros);
        writeln!(f, "  {name:10}  p50 {p50}, p90 {p90}, p99 {p99}, p99.9 {p999}, max {max}")?;
    }
    Ok(())
}

/// A time, in the unit that suits it.
pub(super) struct Micros(pub(super) f64);

impl fmt::Display for Micros {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            micros if micros < 1_000.0 => write!(f, "{micros:.0} us"),
            micros if micros < 1_000_000.0 => write!(f, "{:.2} ms", micros / 1_000.0),
            micros => write!(f, "{:.2} s", micros / 1_000_000.0),
        }
    }
}

/// How many a second, if so many came within `time`.
pub(super) fn per_second(count: u64, time: Duration) -> u64 {
    let nanos = time.as_nanos().max(1);
    u64::try_from(u128::from(count) * 1_000_000_000 / nanos).unwrap_or(u64::MAX)
}

/// A number with commas between thousands.
pub(super) const fn grouped(number: u64) -> Grouped {
    Grouped(number)
}

/// See [`grouped`].
pub(super) struct Grouped(pub(super) u64);

impl fmt::Display for Grouped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = self.0.to_string();
        for (at, digit) in digits.chars().enumerate() {
            if at > 0 && (digits.len() - at).is_multiple_of(3) {
                f.write_str(",")?;
            }
            write!(f, "{digit}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_has_no_time_to_spare_says_so() {
        assert_eq!([0, 95].map(pace_warning), [None; 2]);
        assert!(pace_warning(96).is_some_and(|said| said.contains("not the server")));
    }

    #[test]
    fn numbers_are_grouped_from_the_right() {
        let text: Vec<String> =
            [0, 7, 999, 1_000, 12_345, 1_234_567].map(|n| grouped(n).to_string()).into();
        assert_eq!(text, ["0", "7", "999", "1,000", "12,345", "1,234,567"]);
    }
}
