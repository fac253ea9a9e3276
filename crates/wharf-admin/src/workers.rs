//! Workers as JSON.

use serde::{Serialize, Serializer};
use wharf::{Ledger, ServerHandle, Stats, WorkerReport};

/// A number of something: its name, and where it stands.
type Field<T> = (&'static str, fn(&T) -> u64);

/// Fields under their own names.
macro_rules! fields {
    ($it:ident => $of:expr; $($name:ident),*) => {
        [$((stringify!($name), |$it| $of.$name)),*]
    };
}

/// What a worker counts.
const STATS: [Field<Stats>; 25] = fields!(it => it;
    sessions, accepted, connected, connect_failures, refused_sessions_max, refused_per_address,
    refused_banned, refused_by_filter, refused_accept_rate, refused_send_total, accept_delays,
    frames_in, bytes_in, throttled, bytes_out, sends, heartbeats, frames_dropped, frames_coalesced,
    ticks, ticks_skipped, panics, callbacks_blocked, bytes_lost, turns
);

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
    stats: Stated<'a, Stats>,
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
    buffers: Buffers,
    port: Stated<'a, WorkerReport>,
}

#[derive(Debug, Serialize)]
struct Buffers {
    total: usize,
    free: usize,
    leased: usize,
    kernel: usize,
}

impl<'a> Workers<'a> {
    /// What workers count (`stats`, of all of them) and what those say that have answered.
    pub(crate) fn of(
        server: &ServerHandle,
        stats: &'a [Stats],
        reports: &'a [WorkerReport],
    ) -> Self {
        let ended = server.ended_workers();
        let worker = |(worker, stats): (usize, &'a Stats)| {
            let report = reports.iter().find(|report| report.worker == worker);
            Worker {
                worker,
                answers: report.is_some(),
                ended: ended.contains(&worker),
                stats: Stated { fields: &STATS, of: stats },
                report: report.map(Report::of),
            }
        };
        Self {
            backend: server.backend().name(),
            addresses: server.addresses().iter().map(ToString::to_string).collect(),
            accepting: server.is_accepting(),
            workers: stats.iter().enumerate().map(worker).collect(),
        }
    }
}

impl<'a> Report<'a> {
    fn of(report: &'a WorkerReport) -> Self {
        let Ledger { total, free, leased, kernel } = report.ledger;
        Self {
            sockets: report.sockets,
            operations: report.operations,
            listeners: report.listeners,
            queued_bytes: report.queued_bytes,
            inbox_bytes: report.inbox_bytes,
            buffers: Buffers { total, free, leased, kernel },
            port: Stated { fields: &PORT, of: report },
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
