//! What a server counts, as text for Prometheus.
//!
//! Names follow Prometheus' conventions: base units, and what they count last. What a worker counts has the
//! label `worker`; a sum is the reader's.

use std::fmt;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::text::encode as encode_text;
use prometheus_client::encoding::{DescriptorEncoder, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Registry;
use wharf::{
    AcceptBacklog, Histogram, OperationCounts, ServerHandle, Stats, Timings, WorkerReport,
};

/// Of the text that is written here.
pub(crate) const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// The metrics of a server as of now. Workers that have not answered lack what only they know.
pub(crate) fn encode(
    server: &ServerHandle,
    reports: Vec<WorkerReport>,
) -> Result<String, fmt::Error> {
    let mut registry = Registry::default();
    registry.register_collector(Box::new(Scrape { server: server.clone(), reports }));
    let mut text = String::new();
    encode_text(&mut text, &registry)?;
    Ok(text)
}

#[derive(Debug)]
struct Scrape {
    server: ServerHandle,
    reports: Vec<WorkerReport>,
}

impl Collector for Scrape {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let mut out = Out(encoder);
        self.encode_counted(&mut out)?;
        self.encode_answered(&mut out)?;
        self.encode_timings(&mut out)?;
        self.encode_server(&mut out)
    }
}

/// A counter of a worker: its name, what it means, and where it stands.
type Counted<T> = (&'static str, &'static str, fn(&T) -> u64);

/// A part of something that is counted by kind: the kind, and where it stands.
type OfKind<T> = (&'static str, fn(&T) -> u64);

const COUNTERS: [Counted<Stats>; 17] = [
    ("wharf_sessions_accepted", "Connections that were accepted and became sessions", |it| {
        it.accepted
    }),
    (
        "wharf_sessions_connected",
        "Connections that this side has made and that became sessions",
        |it| it.connected,
    ),
    ("wharf_connect_failures", "Attempts to connect a target that have failed", |it| {
        it.connect_failures
    }),
    (
        "wharf_accept_delays",
        "Times that a listener had to rest for lack of descriptors or memory",
        |it| it.accept_delays,
    ),
    ("wharf_frames_received", "Frames received", |it| it.frames_in),
    ("wharf_received_bytes", "Bytes received", |it| it.bytes_in),
    ("wharf_sent_bytes", "Bytes given to the kernel to be sent", |it| it.bytes_out),
    (
        "wharf_sends",
        "Sends given to the kernel, each with all that was queued for one session",
        |it| it.sends,
    ),
    ("wharf_heartbeats", "Heartbeats among the frames sent", |it| it.heartbeats),
    (
        "wharf_sessions_throttled",
        "Times that a session had to wait since it had sent more than its rates allow",
        |it| it.throttled,
    ),
    ("wharf_frames_dropped", "Frames dropped because their receiver read too slowly", |it| {
        it.frames_dropped
    }),
    (
        "wharf_frames_coalesced",
        "Frames whose place a newer one with the same key has taken",
        |it| it.frames_coalesced,
    ),
    ("wharf_lost_bytes", "Bytes that were queued and thrown away when their session ended", |it| {
        it.bytes_lost
    }),
    ("wharf_callback_panics", "Callbacks that panicked", |it| it.panics),
    (
        "wharf_callbacks_blocked",
        "Callbacks that held up their worker for longer than the watchdog allows",
        |it| it.callbacks_blocked,
    ),
    (
        "wharf_room_ticks_skipped",
        "Ticks that rooms have missed since their worker was busy",
        |it| it.ticks_skipped,
    ),
    ("wharf_turns", "Turns of the loop", |it| it.turns),
];

const REFUSED: [OfKind<Stats>; 6] = [
    ("sessions_max", |it| it.refused_sessions_max),
    ("per_address", |it| it.refused_per_address),
    ("banned", |it| it.refused_banned),
    ("filter", |it| it.refused_by_filter),
    ("accept_rate", |it| it.refused_accept_rate),
    ("send_total", |it| it.refused_send_total),
];

const ANSWERED_COUNTERS: [Counted<WorkerReport>; 4] = [
    ("wharf_port_waits", "Waits of the completion port", |it| it.port.waits),
    ("wharf_port_completions", "Completions that those waits have brought", |it| {
        it.port.completions
    }),
    ("wharf_buffer_shortages", "Receives that found no buffer and had to wait for one", |it| {
        it.port.buffer_shortages
    }),
    ("wharf_short_sends", "Sends that the kernel took only in part at first", |it| {
        it.port.short_sends
    }),
];

const ANSWERED_GAUGES: [Counted<WorkerReport>; 4] = [
    ("wharf_queued_bytes", "Bytes in the send queues", |it| it.queued_bytes as u64),
    ("wharf_inbox_bytes", "Bytes that other threads have put into the inbox", |it| {
        it.inbox_bytes as u64
    }),
    ("wharf_operations", "Operations that have not ended, timers included", |it| {
        it.operations as u64
    }),
    ("wharf_sockets", "Sockets that the completion port holds", |it| it.sockets as u64),
];

/// Of workers of whose listeners the system tells.
const BACKLOG: [Counted<AcceptBacklog>; 2] = [
    ("wharf_accept_backlog", "Connections that wait in the system's queue to be accepted", |it| {
        it.waiting.into()
    }),
    ("wharf_accept_backlog_max", "Connections that the system lets wait to be accepted", |it| {
        it.max.into()
    }),
];

const BUFFERS: [OfKind<WorkerReport>; 3] = [
    ("free", |it| it.ledger.free as u64),
    ("leased", |it| it.ledger.leased as u64),
    ("kernel", |it| it.ledger.kernel as u64),
];

const OPERATIONS: [OfKind<OperationCounts>; 6] = [
    ("accept", |it| it.accepts as u64),
    ("connect", |it| it.connects as u64),
    ("receive", |it| it.receives as u64),
    ("send", |it| it.sends as u64),
    ("close", |it| it.closes as u64),
    ("timer", |it| it.timers as u64),
];

impl Scrape {
    /// What each worker publishes, whether it answers or not.
    fn encode_counted(&self, out: &mut Out<'_>) -> fmt::Result {
        let workers = self.server.worker_stats();
        for (name, help, value) in COUNTERS {
            let mut family = out.family(name, help, MetricType::Counter)?;
            for (worker, stats) in workers.iter().enumerate() {
                counter(family.encode_family(&[("worker", worker)])?, value(stats))?;
            }
        }
        let help = "Sessions that exist";
        let mut family = out.family("wharf_sessions", help, MetricType::Gauge)?;
        for (worker, stats) in workers.iter().enumerate() {
            gauge(family.encode_family(&[("worker", worker)])?, stats.sessions)?;
        }
        let help = "Connections that were refused, by reason";
        let mut family = out.family("wharf_connections_refused", help, MetricType::Counter)?;
        for (reason, value) in REFUSED {
            let sum = workers.iter().map(value).sum();
            counter(family.encode_family(&[("reason", reason)])?, sum)?;
        }
        Ok(())
    }

    /// What workers have said when they were asked.
    fn encode_answered(&self, out: &mut Out<'_>) -> fmt::Result {
        for (name, help, value) in ANSWERED_COUNTERS {
            let mut family = out.family(name, help, MetricType::Counter)?;
            for report in &self.reports {
                counter(family.encode_family(&[("worker", report.worker)])?, value(report))?;
            }
        }
        for (name, help, value) in ANSWERED_GAUGES {
            let mut family = out.family(name, help, MetricType::Gauge)?;
            for report in &self.reports {
                gauge(family.encode_family(&[("worker", report.worker)])?, value(report))?;
            }
        }
        for (name, help, value) in BACKLOG {
            let mut family = out.family(name, help, MetricType::Gauge)?;
            for report in &self.reports {
                if let Some(backlog) = &report.accept_backlog {
                    gauge(family.encode_family(&[("worker", report.worker)])?, value(backlog))?;
                }
            }
        }
        let help = "Receive buffers, by who has them";
        let mut family = out.family("wharf_buffers", help, MetricType::Gauge)?;
        for report in &self.reports {
            for (owner, value) in BUFFERS {
                let labels = [("worker", report.worker.to_string()), ("owner", owner.to_owned())];
                gauge(family.encode_family(&labels)?, value(report))?;
            }
        }
        let help = "Operations that have not ended, by kind";
        let mut family = out.family("wharf_port_operations", help, MetricType::Gauge)?;
        for report in &self.reports {
            let Some(holdings) = &report.holdings else { continue };
            for (kind, value) in OPERATIONS {
                let labels = [("worker", report.worker.to_string()), ("kind", kind.to_owned())];
                gauge(family.encode_family(&labels)?, value(&holdings.operations))?;
            }
        }
        let help = "Whether the worker has answered in time; nothing of one that has ended";
        let mut family = out.family("wharf_worker_answers", help, MetricType::Gauge)?;
        let ended = self.server.ended_workers();
        for worker in (0..self.server.workers()).filter(|worker| !ended.contains(worker)) {
            let answers = self.reports.iter().any(|report| report.worker == worker);
            gauge(family.encode_family(&[("worker", worker)])?, u64::from(answers))?;
        }
        Ok(())
    }

    fn encode_timings(&self, out: &mut Out<'_>) -> fmt::Result {
        type Of = fn(&Timings) -> &Histogram;
        let histograms: [(&str, &str, Of); 2] = [
            (
                "wharf_turn_seconds",
                "How long turns take, callbacks included; one in seventeen is timed",
                |it| &it.turn,
            ),
            (
                "wharf_timer_lag_seconds",
                "How late timers fire; of those of one turn, the latest",
                |it| &it.timer_lag,
            ),
        ];
        let workers = self.server.worker_timings();
        for (name, help, of) in histograms {
            let mut family = out.family(name, help, MetricType::Histogram)?;
            for (worker, timings) in workers.iter().enumerate() {
                histogram(family.encode_family(&[("worker", worker)])?, of(timings))?;
            }
        }
        Ok(())
    }

    /// What is not of one worker.
    fn encode_server(&self, out: &mut Out<'_>) -> fmt::Result {
        let help = "Sessions that have ended, by reason";
        let mut family = out.family("wharf_sessions_closed", help, MetricType::Counter)?;
        for (reason, count) in self.server.close_counts().iter() {
            counter(family.encode_family(&[("reason", reason)])?, count)?;
        }
        let groups = self.server.group_sizes();
        let gauges: [(&str, &str, u64); 6] = [
            (
                "wharf_accepting",
                "Whether connections are accepted",
                u64::from(self.server.is_accepting()),
            ),
            ("wharf_groups", "Groups with a member or a handle", groups.groups as u64),
            ("wharf_group_members", "Members of all groups", groups.members as u64),
            ("wharf_group_members_max", "Members of the largest group", groups.members_max as u64),
            ("wharf_rooms", "Rooms that are open", self.server.rooms() as u64),
            (
                "wharf_deferred_jobs",
                "Jobs that sessions have deferred and not had back",
                self.server.deferred() as u64,
            ),
        ];
        for (name, help, value) in gauges {
            gauge(out.family(name, help, MetricType::Gauge)?, value)?;
        }
        Ok(())
    }
}

struct Out<'a>(DescriptorEncoder<'a>);

impl Out<'_> {
    fn family<'s>(
        &'s mut self,
        name: &'s str,
        help: &str,
        kind: MetricType,
    ) -> Result<MetricEncoder<'s>, fmt::Error> {
        self.0.encode_descriptor(name, help, None, kind)
    }
}

fn counter(mut encoder: MetricEncoder<'_>, value: u64) -> fmt::Result {
    encoder.encode_counter::<NoLabelSet, _, u64>(&value, None)
}

fn gauge(mut encoder: MetricEncoder<'_>, value: u64) -> fmt::Result {
    encoder.encode_gauge(&value)
}

fn histogram(mut encoder: MetricEncoder<'_>, histogram: &Histogram) -> fmt::Result {
    let bound = |bound: std::time::Duration| bound.as_secs_f64();
    let buckets: Vec<_> = histogram
        .buckets()
        .map(|(longest, count)| (longest.map_or(f64::MAX, bound), count))
        .collect();
    let sum = histogram.sum().as_secs_f64();
    encoder.encode_histogram::<NoLabelSet>(sum, histogram.count(), &buckets, None)
}
