//! What a run was asked for, as the JSON tells it: a result that is kept has to say what it is a result of.

use std::time::Duration;

use serde::Serialize;
use wharf_port::{Address, Backend};

use super::options::{Length, LoadOptions, Pace};

/// What a run was asked for; what means nothing to it is null.
#[derive(Debug, Serialize)]
pub(super) struct Described {
    /// That of this program.
    version: &'static str,
    /// The address that answered.
    address: String,
    backend: String,
    framing: String,
    /// Bytes of a message's payload.
    size: Option<u64>,
    /// Messages that a session has in flight at most.
    depth: Option<u64>,
    /// Messages a second, or connections if the mode is about them.
    rate: Option<u64>,
    duration_s: Option<f64>,
    warmup_s: Option<f64>,
}

impl Described {
    /// A run of sessions that send messages.
    pub(super) fn new(options: &LoadOptions, address: &Address, backend: Backend) -> Self {
        let (rate, depth) = match options.pace {
            Pace::Closed { depth } => (None, Some(depth)),
            Pace::Rate { per_second, depth } => (Some(per_second), depth),
        };
        let warmup = match options.length {
            Length::Time { warmup, .. } => Some(warmup),
            Length::Messages(_) => None,
        };
        Self {
            version: env!("CARGO_PKG_VERSION"),
            address: address.to_string(),
            backend: backend.to_string(),
            framing: options.framing.to_string(),
            size: Some(options.size),
            depth,
            rate,
            duration_s: options.length.duration().as_ref().map(Duration::as_secs_f64),
            warmup_s: warmup.as_ref().map(Duration::as_secs_f64),
        }
    }

    /// A run that is about connections, whether or not they send a message.
    pub(super) fn of_connections(
        options: &LoadOptions,
        address: &Address,
        backend: Backend,
        sends: bool,
    ) -> Self {
        let described = Self::new(options, address, backend);
        Self { size: described.size.filter(|_| sends), depth: None, ..described }
    }
}
