//! One measurement of a server, and one count of its calls.

use std::time::Duration;

use serde_json::Value;
use wharf_models::usage::{CallCounter, Calls, Usage};

use super::child::{Server, load};

/// CPU time below this is as good as unknown: a system counts it in steps of up to 16 ms.
pub(super) const CPU_TIME_MIN: Duration = Duration::from_millis(160);

/// What a round has measured.
#[derive(Clone, Copy, Debug)]
pub(super) struct Measured {
    pub(super) per_second: f64,
    /// `None` where the system does not tell.
    pub(super) cpu_ns_per_message: Option<f64>,
    pub(super) p99_us: Option<f64>,
}

/// What was counted, for each message.
#[derive(Clone, Copy, Debug)]
pub(super) struct PerMessage {
    pub(super) calls: f64,
    pub(super) switches: f64,
}

/// Loads a server for so long.
pub(super) fn measure(
    server: &Server,
    connections: u64,
    duration: Duration,
) -> Result<Measured, String> {
    let before = Usage::of(&server.process).cpu;
    let length =
        ["--duration".to_owned(), duration.as_secs_f64().to_string(), "--warmup=0.5".to_owned()];
    let json = load(server, connections, &length)?;
    let after = Usage::of(&server.process).cpu;
    let per_second = json["per_second"].as_f64().ok_or("the load measured nothing")?;
    // Of the measured window alone where the load can tell, else of the whole run, its connects included.
    let of_window = json["server_cpu_ns_per_message"].as_f64();
    let of_run = || {
        let used = after?.checked_sub(before?).filter(|used| *used >= CPU_TIME_MIN)?;
        Some(nanos(used) / json["received"].as_f64()?)
    };
    Ok(Measured {
        per_second,
        cpu_ns_per_message: of_window.or_else(of_run),
        p99_us: json["latency_us"]["p99"].as_f64(),
    })
}

fn nanos(time: Duration) -> f64 {
    time.as_secs_f64() * 1e9
}

/// Counts calls and switches per message: the difference between a long run and a short one, so that connecting and
/// closing, which both have, do not count.
pub(super) fn count(server: &Server, connections: u64) -> Result<PerMessage, String> {
    /// Messages of the long run, about, over all connections.
    const MESSAGES: u64 = 40_000;
    let mut counter = CallCounter::attach(&server.process)?;
    let mut run = |messages: u64| -> Result<(Calls, f64), String> {
        let before = counter.read().map_err(|error| error.to_string())?;
        let length = ["--messages".to_owned(), messages.to_string()];
        let json: Value = load(server, connections, &length)?;
        let after = counter.read().map_err(|error| error.to_string())?;
        let calls = after.calls - before.calls;
        let switches = after.switches - before.switches;
        let received = json["received"].as_f64().ok_or("the load received nothing")?;
        Ok((Calls { calls, switches }, received))
    };
    let (short, few) = run(1)?;
    let (long, many) = run((MESSAGES / connections).max(8))?;
    let per_message = |long: u64, short: u64| (long as f64 - short as f64) / (many - few);
    Ok(PerMessage {
        calls: per_message(long.calls, short.calls),
        switches: per_message(long.switches, short.switches),
    })
}
