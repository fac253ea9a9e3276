//! What is logged of a server that runs.

use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;

use wharf::ServerHandle;

/// Logs the counters each minute, until the other end of the channel is dropped.
pub fn log_each_minute(server: &ServerHandle, end: &Receiver<()>) {
    while end.recv_timeout(Duration::from_secs(60)) == Err(RecvTimeoutError::Timeout) {
        let stats = server.stats();
        tracing::info!(
            sessions = stats.sessions,
            refused = stats.refused_sessions_max + stats.refused_per_address,
            throttled = stats.throttled,
            blocked = stats.callbacks_blocked,
            ended = %server.close_counts(),
            "a minute"
        );
    }
}
