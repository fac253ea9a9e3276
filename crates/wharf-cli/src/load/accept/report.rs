//! What came of connections that came and went.

use std::fmt;

use serde::Serialize;
use wharf_port::Backend;

use super::Counts;
use crate::args::Bytes;
use crate::failure::{Exit, Failure};
use crate::load::Outputs;
use crate::load::connect::Way;
use crate::load::described::Described;
use crate::load::latency::{Latency, LatencyMicros};
use crate::load::measurement::Measurement;
use crate::load::options::{AcceptOptions, Ending, Pace};
use crate::load::plot::Plot;
use crate::load::report::{
    Report, grouped, write_behind, write_cpu, write_latency, write_messages,
};
use crate::load::tally::Tally;

/// The result of a run.
pub(super) struct Accepted<'a> {
    pub(super) options: &'a AcceptOptions,
    pub(super) way: &'a Way,
    pub(super) backend: Backend,
    pub(super) counts: &'a Counts,
    pub(super) tally: &'a Tally,
    pub(super) connects: &'a Latency,
    pub(super) measurement: &'a Measurement,
}

/// The JSON of `wharf load accept`.
#[derive(Debug, Serialize)]
struct AcceptReport {
    #[serde(flatten)]
    report: Report,
    /// Connections that were made in the whole run.
    connections: u64,
    /// Connects that failed.
    connect_failed: u64,
    /// Connections that were due and could not be begun in time.
    unstarted: u64,
    /// Connections that had done what they were for within the measured time.
    connections_per_second: f64,
    connect_us: LatencyMicros,
    server_cpu_ns_per_connection: Option<f64>,
    own_cpu_ns_per_connection: Option<f64>,
}

/// Writes the result, and says whether all was well.
pub(super) fn write(outputs: &mut Outputs, accepted: &Accepted<'_>) -> Result<(), Failure> {
    let Accepted { options, counts, tally, connects, measurement, .. } = accepted;
    let latency = if options.echoes { &measurement.latency } else { connects };
    let rate = measurement.window().whole_per_second();
    let plot = Plot {
        title: "wharf load accept".to_owned(),
        subtitle: format!("{}: {} connections/s", accepted.asked(), grouped(rate)),
        address: &accepted.way.address,
        unit: "connections",
        latency,
        series: &measurement.series,
    };
    outputs.write(accepted, &accepted.report(), &plot)?;
    let missing = counts.sent - counts.echoed;
    if let Some(verdict) = tally.verdict(missing, options.load.patience) {
        return Err(Failure::new(Exit::Failed, verdict));
    }
    let advice = "ask for fewer --sessions at a time, or for a lower --rate";
    let all = counts.failures.count() + counts.connected;
    counts.failures.verdict(all, "connects failed", advice)
}

impl Accepted<'_> {
    fn report(&self) -> AcceptReport {
        let Self { options, counts, tally, connects, measurement, .. } = self;
        let (load, sends) = (&options.load, options.echoes);
        let described = Described::of_connections(load, &self.way.address, self.backend, sends);
        let window = measurement.window();
        let rate = window.per_second().unwrap_or(0.0);
        let (cpu, own_cpu) = (window.server_nanos_per_message(), window.own_nanos_per_message());
        let if_echoed = |count: u64| options.echoes.then_some(count);
        AcceptReport {
            report: Report {
                mode: "accept",
                described,
                sessions: options.load.sessions,
                sent: if_echoed(counts.sent),
                received: if_echoed(counts.echoed),
                wrong: if_echoed(tally.wrong),
                missing: if_echoed(counts.sent - counts.echoed),
                unsent: None,
                per_second: options.echoes.then_some(rate),
                bytes_per_second: options.echoes.then_some(rate * options.load.size as f64),
                drained_s: window.drained_seconds(),
                latency_us: measurement.latency.micros(),
                server_cpu_ns_per_message: cpu.filter(|_| options.echoes),
                own_cpu_ns_per_message: own_cpu.filter(|_| options.echoes),
            },
            connections: counts.connected,
            connect_failed: counts.failures.count(),
            unstarted: counts.unstarted,
            connections_per_second: rate,
            connect_us: connects.micros(),
            server_cpu_ns_per_connection: cpu,
            own_cpu_ns_per_connection: own_cpu,
        }
    }

    fn asked(&self) -> String {
        let load = &self.options.load;
        let at_a_time = format!("{} connections at a time", grouped(load.sessions));
        let rate = match load.pace {
            Pace::Rate { per_second, .. } => format!(", {}/s asked for", grouped(per_second)),
            Pace::Closed { .. } => String::new(),
        };
        let echo = if self.options.echoes {
            format!(", an echo of {} {}", Bytes(load.size), load.framing)
        } else {
            String::new()
        };
        let ending = match self.options.ending {
            Ending::Reset => "reset",
            Ending::Close => "closed",
        };
        format!("{at_a_time}{rate}{echo}, {ending}")
    }
}

impl fmt::Display for Accepted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { options, way, backend, counts, tally, connects, measurement } = self;
        let window = measurement.window();
        writeln!(f, "accept {}: {}, backend {backend}", way.address, self.asked())?;
        writeln!(
            f,
            "  connections {} made, {} failed",
            grouped(counts.connected),
            grouped(counts.failures.count())
        )?;
        if options.echoes {
            write_messages(f, counts.sent, counts.echoed, tally.wrong)?;
        }
        write_behind(
            f,
            ("connections", "begun"),
            options.load.pace,
            counts.begun,
            counts.unstarted,
        )?;
        writeln!(
            f,
            "  throughput  {} connections/s, over {}",
            grouped(window.whole_per_second()),
            window.micros()
        )?;
        write_latency(f, "connect", connects.micros())?;
        write_latency(f, "first echo", measurement.latency.micros())?;
        write_cpu(f, "connection", &window, options.load.server_pid.is_some())
    }
}
