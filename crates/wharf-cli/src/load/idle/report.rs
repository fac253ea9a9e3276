//! What came of sessions that were kept.

use std::fmt;
use std::time::Duration;

use serde::Serialize;
use wharf_port::Backend;

use super::Counts;
use crate::args::Bytes;
use crate::failure::{Exit, Failure};
use crate::load::Outputs;
use crate::load::closures::{Closures, ClosuresReport};
use crate::load::connect::Way;
use crate::load::described::Described;
use crate::load::latency::{Latency, LatencyMicros};
use crate::load::measurement::Measurement;
use crate::load::options::{IdleOptions, Pace};
use crate::load::plot::Plot;
use crate::load::report::{Micros, Report, grouped, write_cpu, write_latency, write_messages};
use crate::load::tally::Tally;

/// The result of a run.
pub(super) struct Idled<'a> {
    pub(super) options: &'a IdleOptions,
    pub(super) way: &'a Way,
    pub(super) backend: Backend,
    pub(super) counts: &'a Counts,
    pub(super) lost: &'a Closures,
    pub(super) tally: &'a Tally,
    pub(super) connects: &'a Latency,
    pub(super) measurement: &'a Measurement,
}

/// The JSON of `wharf load idle`.
#[derive(Debug, Serialize)]
struct IdleReport {
    #[serde(flatten)]
    report: Report,
    /// Sessions that were opened.
    opened: u64,
    /// Connects that failed.
    connect_failed: u64,
    connect_us: LatencyMicros,
    /// Sessions that the server ended.
    lost: ClosuresReport,
}

/// Writes the result, and says whether all was well.
pub(super) fn write(outputs: &mut Outputs, idled: &Idled<'_>) -> Result<(), Failure> {
    let Idled { options, counts, tally, connects, measurement, .. } = idled;
    let sends = options.every.is_some();
    let plot = Plot {
        title: "wharf load idle".to_owned(),
        subtitle: format!("{}: {} lost", idled.asked(), idled.lost),
        address: &idled.way.address,
        unit: if sends { "messages" } else { "connects" },
        latency: if sends { &measurement.latency } else { connects },
        series: &measurement.series,
    };
    outputs.write(idled, &idled.report(), &plot)?;
    if let Some(verdict) = tally.verdict(counts.sent - counts.received, options.load.patience) {
        return Err(Failure::new(Exit::Failed, verdict));
    }
    let advice = "ask for fewer --sessions, or for a lower --rate";
    counts.failures.verdict(options.load.sessions, "sessions could not be opened", advice)
}

impl Idled<'_> {
    fn report(&self) -> IdleReport {
        let Self { options, counts, tally, measurement, .. } = self;
        let (load, sends) = (&options.load, options.every.is_some());
        let described = Described::of_connections(load, &self.way.address, self.backend, sends);
        let window = measurement.window();
        let rate = window.per_second().filter(|_| options.every.is_some());
        let (cpu, own_cpu) = (window.server_nanos_per_message(), window.own_nanos_per_message());
        let if_sent = |count: u64| options.every.map(|_| count);
        IdleReport {
            report: Report {
                mode: "idle",
                described,
                sessions: options.load.sessions,
                sent: if_sent(counts.sent),
                received: if_sent(counts.received),
                wrong: if_sent(tally.wrong),
                missing: if_sent(counts.sent - counts.received),
                unsent: if_sent(counts.unsent),
                per_second: rate,
                bytes_per_second: rate.map(|rate| rate * options.load.size as f64),
                drained_s: window.drained_seconds(),
                latency_us: measurement.latency.micros(),
                server_cpu_ns_per_message: cpu.filter(|_| options.every.is_some()),
                own_cpu_ns_per_message: own_cpu.filter(|_| options.every.is_some()),
            },
            opened: counts.opened,
            connect_failed: counts.failures.count(),
            connect_us: self.connects.micros(),
            lost: self.lost.report(),
        }
    }

    fn asked(&self) -> String {
        let load = &self.options.load;
        let rate = match load.pace {
            Pace::Rate { per_second, .. } => format!(", opened at {}/s", grouped(per_second)),
            Pace::Closed { .. } => String::new(),
        };
        let message = self.options.every.map_or_else(String::new, |every| {
            format!(
                ", a message of {} {} every {}",
                Bytes(load.size),
                load.framing,
                Micros(Duration::as_secs_f64(&every) * 1e6)
            )
        });
        let kept = load.length.duration().unwrap_or_default();
        let kept = Micros(kept.as_secs_f64() * 1e6);
        format!("{} sessions{rate}, kept for {kept}{message}", grouped(load.sessions))
    }
}

impl fmt::Display for Idled<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { options, way, backend, counts, lost, tally, connects, measurement } = self;
        writeln!(f, "idle {}: {}, backend {backend}", way.address, self.asked())?;
        let (opened, failed) = (grouped(counts.opened), grouped(counts.failures.count()));
        writeln!(f, "  sessions    {opened} opened, {failed} not")?;
        writeln!(f, "  lost        {lost}")?;
        if options.every.is_some() {
            write_messages(f, counts.sent, counts.received, tally.wrong)?;
            if counts.unsent > 0 {
                let unsent = grouped(counts.unsent);
                writeln!(
                    f,
                    "  behind      {unsent} more were due, and the server did not take them"
                )?;
            }
        }
        write_latency(f, "connect", connects.micros())?;
        write_latency(f, "latency", measurement.latency.micros())?;
        let what = if options.every.is_some() { "message" } else { "session" };
        write_cpu(f, what, &measurement.window(), options.load.server_pid.is_some())
    }
}
