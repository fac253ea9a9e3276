//! Workers as JSON.

use serde::{Serialize, Serializer};
use wharf::{AcceptBacklog, Histogram, Ledger, ServerHandle, Stats, Timings, WorkerReport};

/// A number of something: its name, and where it stands.
type Field<T> = (&'static str, fn(&T) -> u64);

/// Fields under their own names.
macro_rules! fields {
    ($it:ident => $of:expr; $($name:ident),*) => {
        [$((stringify!($name), |$it| $of.$name)),*]
    };
}

/// What its completion port has met.
const PORT: [Field<WorkerReport>; 10] = fields!(it => it.port;
    waits, completions, buffer_shortages, rearmed, queue_overflows, submit_refusals, short_sends,
    accepts_gone, accept_delays, ends_found
);

/// A server and its workers.
#[derive(Debug, Serialize)]
pub(crate) struct Workers<'a> {
    backend: &'static str,
    addresses: Vec<String>,
    accepting: bool,
    workers: Vec<Worker<'a>>,
}

#[derive(Debug, Serialize)]
struct Worker<'a> {
    worker: usize,
    /// Whether it has answered in time.
    answers: bool,
    /// Whether it has ended, as workers do in a drain, and answers nobody any more.
    ended: bool,
    /// As of its last turn, whether it answers or not.
    stats: Counted,
    /// How long its turns take.
    turns: Measured,
    /// How late its timers fire.
    timer_lag: Measured,
    /// What only it knows: nothing, if it has not answered.
    report: Option<Report<'a>>,
}

#[derive(Debug, Serialize)]
struct Report<'a> {
    sockets: usize,
    operations: usize,
    listeners: usize,
    queued_bytes: usize,
    inbox_bytes: usize,
    /// Nothing, if the system does not tell.
    accept_backlog: Option<Backlog>,
    buffers: Buffers,
    port: Stated<'a, WorkerReport>,
}

/// Connections in the queues of listeners.
#[derive(Debug, Serialize)]
struct Backlog {
    waiting: u32,
    max: u32,
}

/// Receive buffers, by who has them.
#[derive(Debug, Serialize)]
pub(crate) struct Buffers {
    total: usize,
    free: usize,
    leased: usize,
    kernel: usize,
}

impl<'a> Workers<'a> {
    /// What workers count and measure, and what those say that have answered.
    pub(crate) fn of(server: &ServerHandle, reports: &'a [WorkerReport]) -> Self {
        let ended = server.ended_workers();
        let counted = server.worker_stats().into_iter().zip(server.worker_timings());
        let worker = |(worker, (stats, timings)): (usize, (Stats, Timings))| {
            let report = reports.iter().find(|report| report.worker == worker);
            Worker {
                worker,
                answers: report.is_some(),
                ended: ended.contains(&worker),
                stats: Counted(stats),
                turns: Measured::of(&timings.turn),
                timer_lag: Measured::of(&timings.timer_lag),
                report: report.map(Report::of),
            }
        };
        Self {
            backend: server.backend().name(),
            addresses: server.addresses().iter().map(ToString::to_string).collect(),
            accepting: server.is_accepting(),
            workers: counted.enumerate().map(worker).collect(),
        }
    }
}

impl<'a> Report<'a> {
    fn of(report: &'a WorkerReport) -> Self {
        Self {
            sockets: report.sockets,
            operations: report.operations,
            listeners: report.listeners,
            queued_bytes: report.queued_bytes,
            inbox_bytes: report.inbox_bytes,
            accept_backlog: report
                .accept_backlog
                .map(|AcceptBacklog { waiting, max }| Backlog { waiting, max }),
            buffers: Buffers::of(report.ledger),
            port: Stated { fields: &PORT, of: report },
        }
    }
}

impl Buffers {
    pub(crate) const fn of(ledger: Ledger) -> Self {
        let Ledger { total, free, leased, kernel } = ledger;
        Self { total, free, leased, kernel }
    }
}

/// Counters of a worker.
#[derive(Debug)]
struct Counted(Stats);

impl Serialize for Counted {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter())
    }
}

/// Durations, counted by how long they are. Each is in one of the counts: that of the first bound which is not
/// below it, and in the last if there is none.
#[derive(Debug, Serialize)]
struct Measured {
    bounds_seconds: Vec<f64>,
    counts: Vec<u64>,
    sum_seconds: f64,
}

impl Measured {
    fn of(histogram: &Histogram) -> Self {
        let bounds = histogram.buckets().filter_map(|(bound, _)| bound);
        Self {
            bounds_seconds: bounds.map(|bound| bound.as_secs_f64()).collect(),
            counts: histogram.buckets().map(|(_, count)| count).collect(),
            sum_seconds: histogram.sum().as_secs_f64(),
        }
    }
}

/// Fields and where they stand.
#[derive(Debug)]
struct Stated<'a, T> {
    fields: &'a [Field<T>],
    of: &'a T,
}

impl<T> Serialize for Stated<'_, T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.fields.iter().map(|(name, value)| (name, value(self.of))))
    }
}
