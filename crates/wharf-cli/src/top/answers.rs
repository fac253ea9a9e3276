//! What the endpoint answers, as far as it is shown. Fields that are not known are skipped, so that a server may
//! be newer than this program.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// `/api/v1/server`.
#[derive(Clone, PartialEq, Debug, Deserialize)]
pub(super) struct Server {
    pub(super) version: String,
    pub(super) backend: String,
    pub(super) addresses: Vec<String>,
    pub(super) uptime_seconds: f64,
    pub(super) accepting: bool,
    pub(super) draining: bool,
    pub(super) sessions: u64,
    /// As many as there may be.
    #[serde(default)]
    pub(super) sessions_max: Option<u64>,
    pub(super) groups: u64,
    pub(super) rooms: u64,
    /// How many sessions have ended for each reason.
    pub(super) closes: BTreeMap<String, u64>,
}

/// `/api/v1/workers`.
#[derive(Clone, PartialEq, Debug, Deserialize)]
pub(super) struct Workers {
    pub(super) workers: Vec<Worker>,
}

#[derive(Clone, PartialEq, Debug, Deserialize)]
pub(super) struct Worker {
    pub(super) worker: usize,
    pub(super) answers: bool,
    pub(super) ended: bool,
    pub(super) stats: Stats,
    /// How long turns of its loop took: one in seventeen.
    pub(super) turns: Histogram,
    /// How late its timers fired.
    pub(super) timer_lag: Histogram,
    /// Nothing, if it has not answered.
    pub(super) report: Option<Report>,
}

/// What the counters of refused connections begin with; the rest is why.
const REFUSED: &str = "refused_";

#[derive(Clone, PartialEq, Default, Debug, Deserialize)]
pub(super) struct Stats {
    pub(super) sessions: u64,
    pub(super) frames_in: u64,
    pub(super) bytes_in: u64,
    pub(super) bytes_out: u64,
    pub(super) turns: u64,
    #[serde(flatten)]
    pub(super) others: BTreeMap<String, Value>,
}

impl Stats {
    /// How many connections were reset at once, by reason.
    pub(super) fn refused(&self) -> impl Iterator<Item = (&str, u64)> {
        self.others
            .iter()
            .filter_map(|(name, value)| Some((name.strip_prefix(REFUSED)?, value.as_u64()?)))
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize)]
pub(super) struct Report {
    pub(super) queued_bytes: u64,
    /// Nothing, if the system does not tell.
    #[serde(default)]
    pub(super) accept_backlog: Option<Backlog>,
}

/// Connections in the queues of the system's that wait to be accepted, and how many may.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) struct Backlog {
    pub(super) waiting: u64,
    pub(super) max: u64,
}

/// Durations in buckets. Each counts its own; the last is beyond all bounds.
#[derive(Clone, PartialEq, Default, Debug, Deserialize)]
pub(super) struct Histogram {
    pub(super) bounds_seconds: Vec<f64>,
    pub(super) counts: Vec<u64>,
    pub(super) sum_seconds: f64,
}

/// `/api/v1/sessions`.
#[derive(Clone, PartialEq, Debug, Deserialize)]
pub(super) struct Page {
    pub(super) sessions: Vec<Session>,
}

#[derive(Clone, PartialEq, Debug, Deserialize)]
pub(super) struct Session {
    /// What its path is made of.
    pub(super) id: String,
    /// What logs call it.
    pub(super) name: String,
    pub(super) worker: usize,
    pub(super) peer: String,
    pub(super) age_seconds: f64,
    pub(super) silent_seconds: f64,
    pub(super) queued_bytes: u64,
    pub(super) received_bytes: u64,
    pub(super) sent_bytes: u64,
    /// Of late, as the server counts it.
    pub(super) received_per_second: u64,
    pub(super) sent_per_second: u64,
    /// Nothing is received from it for now.
    #[serde(default)]
    pub(super) held_back: bool,
    #[serde(default)]
    pub(super) closing: bool,
    pub(super) groups: Vec<String>,
}
