//! A server as a whole, as JSON.

use serde::{Serialize, Serializer};
use wharf::{CloseCounts, ServerHandle};

/// What is known of a server without asking its workers.
#[derive(Debug, Serialize)]
pub(crate) struct Server {
    version: &'static str,
    backend: &'static str,
    addresses: Vec<String>,
    uptime_seconds: f64,
    accepting: bool,
    draining: bool,
    workers: usize,
    sessions: usize,
    /// As many as there may be now.
    sessions_max: usize,
    groups: usize,
    rooms: usize,
    closes: Closes,
}

impl Server {
    pub(crate) fn of(server: &ServerHandle) -> Self {
        Self {
            // All crates of wharf have one version.
            version: env!("CARGO_PKG_VERSION"),
            backend: server.backend().name(),
            addresses: server.addresses().iter().map(ToString::to_string).collect(),
            uptime_seconds: server.uptime().as_secs_f64(),
            accepting: server.is_accepting(),
            draining: server.is_draining(),
            workers: server.workers(),
            sessions: server.sessions(),
            sessions_max: server.live_limits().sessions_max,
            groups: server.groups(),
            rooms: server.rooms(),
            closes: Closes(server.close_counts()),
        }
    }
}

/// Sessions that have ended, by reason; those that none has ended for, too.
#[derive(Debug)]
struct Closes(CloseCounts);

impl Serialize for Closes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter())
    }
}
