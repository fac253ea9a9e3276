//! What workers hold, by kind and owner, as JSON.

use serde::Serialize;
use wharf::{Holdings, OperationCounts, ServerHandle, SessionCounts, WorkerReport};

use crate::workers::Buffers;

/// What all workers hold.
#[derive(Debug, Serialize)]
pub(crate) struct Ledger {
    workers: Vec<Worker>,
}

#[derive(Debug, Serialize)]
struct Worker {
    worker: usize,
    /// Whether it has answered in time.
    answers: bool,
    /// Whether it has ended, as workers do in a drain, and answers nobody any more.
    ended: bool,
    /// Nothing, if it has not answered.
    ledger: Option<Books>,
}

#[derive(Debug, Serialize)]
struct Books {
    buffers: Buffers,
    operations: Operations,
    sockets: usize,
    listeners: usize,
    sessions: Sessions,
    queued_bytes: usize,
    inbox_bytes: usize,
}

#[derive(Debug, Serialize)]
struct Operations {
    /// As they were counted when they started and ended; the others are counted in the tables, so that their sum
    /// says whether both agree.
    total: usize,
    accepts: usize,
    connects: usize,
    receives: usize,
    sends: usize,
    closes: usize,
    timers: usize,
}

#[derive(Debug, Serialize)]
struct Sessions {
    announcing: usize,
    open: usize,
    flushing: usize,
    half_closed: usize,
    terminating: usize,
}

impl Ledger {
    /// What those say that have answered.
    pub(crate) fn of(server: &ServerHandle, reports: &[WorkerReport]) -> Self {
        let ended = server.ended_workers();
        let worker = |worker| {
            let report = reports.iter().find(|report| report.worker == worker);
            Worker {
                worker,
                answers: report.is_some(),
                ended: ended.contains(&worker),
                ledger: report.and_then(Books::of),
            }
        };
        Self { workers: (0..server.workers()).map(worker).collect() }
    }
}

impl Books {
    /// `None` of a report of which no holdings were asked for.
    fn of(report: &WorkerReport) -> Option<Self> {
        let Holdings { operations, sessions, .. } = report.holdings?;
        Some(Self {
            buffers: Buffers::of(report.ledger),
            operations: Operations::of(report.operations, operations),
            sockets: report.sockets,
            listeners: report.listeners,
            sessions: Sessions::of(sessions),
            queued_bytes: report.queued_bytes,
            inbox_bytes: report.inbox_bytes,
        })
    }
}

impl Operations {
    const fn of(total: usize, counts: OperationCounts) -> Self {
        let OperationCounts { accepts, connects, receives, sends, closes, timers, .. } = counts;
        Self { total, accepts, connects, receives, sends, closes, timers }
    }
}

impl Sessions {
    const fn of(counts: SessionCounts) -> Self {
        let SessionCounts { announcing, open, flushing, half_closed, terminating, .. } = counts;
        Self { announcing, open, flushing, half_closed, terminating }
    }
}
