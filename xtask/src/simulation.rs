//! The simulation as CI runs it: many seeds in a bounded time, in which every kind of fault comes and
//! everything is met that a session layer has to deal with.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use serde_json::Value;

use crate::checks::{Checks, ensure, grouped};
use crate::totals::Totals;
use crate::workspace::{self, Profile};
use crate::{Result, process};

/// What CI runs, by the program as the tests have built it: that takes half a minute, and to compile one
/// that is faster takes two.
const SEEDS: u64 = 1_000;
const WITHIN: Duration = Duration::from_secs(300);
/// What a person runs before a large change; each kind of fault comes this often then.
const MANY_SEEDS: u64 = 100_000;
const MANY_WITHIN: Duration = Duration::from_secs(3_600);
const EACH_FAULT: u64 = 1_000;
const REPLAYS_WITHIN: Duration = Duration::from_secs(60);
/// Kinds of faults that there are, at least.
const FAULT_KINDS: usize = 20;
/// What must be met: every reason to end, every outcome of a send, every way to be turned away, and both
/// ends of a drain. A simulation that no longer gets there proves nothing about it.
const MET: [&str; 70] = [
    "peer_closed",
    "truncated",
    "peer_reset",
    "connection_failed",
    "closed",
    "idle",
    "first_frame_late",
    "frame_late",
    "bad_frame",
    "slow_reader",
    "send_too_long",
    "drain",
    "stop",
    "failed",
    "callback panicked",
    "send queued",
    "send dropped",
    "send dropped the oldest",
    "send refused: closed",
    "note delivered",
    "note refused: closed",
    "writable again",
    "refused: sessions",
    "refused: address",
    "accept delayed",
    "honest among others",
    "message delivered",
    "message refused: closed",
    "inbox filled",
    "farewell heard",
    "group timer heard",
    "group timer stopped",
    "group timer was due to",
    "accepting paused",
    "honest after a pause",
    "target connected",
    "target reconnected",
    "target stopped",
    "target given up",
    "connect failed",
    "opener told of a failure",
    "heartbeat heard",
    "all targets have come through",
    "client ends with its last target",
    "room opened",
    "room entered",
    "room spoken to",
    "room left",
    "room closed",
    "room panicked",
    "room tick",
    "room ticks skipped",
    "room ticked in calm",
    "room broadcast",
    "job panicked",
    "result delivered",
    "result dropped",
    "result was due to",
    "overload",
    "overload: refused",
    "overload: fullest closed",
    "framing: raw",
    "framing: lines",
    "framing: delimiter",
    "framing: length",
    "framing: length inside",
    "framing: game",
    "framing: own codec",
    "session drained",
    "session forced",
];

/// Runs the seeds of CI; or as many as the proof asks for: each kind of fault met often, and a hundred
/// seeds twice.
pub(crate) fn run(many: bool) -> Result<Totals> {
    let mut checks = Checks::default();
    if many {
        let name = format!("{} seeds", grouped(MANY_SEEDS));
        let wharf = workspace::wharf(Profile::Sim)?;
        checks.check(name, || campaign(&wharf, MANY_SEEDS, 1, MANY_WITHIN, EACH_FAULT));
        checks.check("100 seeds, each twice", || campaign(&wharf, 100, 100, REPLAYS_WITHIN, 0));
    } else {
        let wharf = workspace::wharf(Profile::Dev)?;
        checks.check(format!("{} seeds", grouped(SEEDS)), || campaign(&wharf, SEEDS, 1, WITHIN, 1));
    }
    Ok(checks.totals())
}

/// Runs seeds; every fault must have come at least so often.
fn campaign(
    wharf: &Path,
    seeds: u64,
    replays: u64,
    within: Duration,
    each_fault: u64,
) -> Result<String> {
    let mut sim = Command::new(wharf);
    let (seeds, replays) = (seeds.to_string(), replays.to_string());
    sim.args(["sim", "--json", "-", "--seeds", &seeds, "--replays", &replays]);
    let ended = process::run(&mut sim, within)?;
    ensure(ended.code == Some(0), || ended.stderr.clone())?;
    let report: Value = serde_json::from_str(&ended.stdout)?;
    let faults = report["faults"].as_object().map(|faults| faults.keys().collect::<Vec<_>>());
    let faults = faults.filter(|faults| faults.len() >= FAULT_KINDS);
    let faults = faults.ok_or("the report names too few kinds of faults")?;
    let faults = faults.into_iter().map(|name| ("faults", name.as_str(), each_fault));
    let marks = MET.iter().map(|name| ("marks", *name, 1));
    let rare: Vec<String> = faults
        .chain(marks)
        .map(|(group, name, least)| (name, report[group][name].as_u64().unwrap_or(0), least))
        .filter(|(_, count, least)| count < least)
        .map(|(name, count, least)| format!("{name} ({count} of {least})"))
        .collect();
    ensure(rare.is_empty(), || format!("what came too seldom: {}", rare.join(", ")))?;
    Ok(format!(
        "{} steps, {} a second, {} seeds twice",
        grouped(report["steps"].as_u64().unwrap_or(0)),
        grouped(report["steps_per_second"].as_u64().unwrap_or(0)),
        report["replayed"],
    ))
}
