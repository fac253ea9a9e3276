//! `wharf sim`: servers of the library's and their clients on simulated networks, one run for each seed.
//!
//! | module | what it does |
//! |---|---|
//! | [`options`] | what is asked for |
//! | [`campaign`] | many seeds on many threads |
//! | [`run`] | one seed: first a phase with faults |
//! | [`calm`], [`door`], [`hoarders`], [`ceiling`] | then one without |
//! | [`plan`], [`extras`] | what a seed draws first |
//! | [`service`], [`client`], [`callers`], [`wire`], [`netstring`] | the two sides |
//! | [`record`], [`groups`], [`posts`] | what was seen, and what of it breaks an invariant |
//! | [`rooms`], [`deferred`], [`group_timers`], [`deadlines`], [`marks`] | the same |
//! | [`panics`] | assertions that fail, and sessions that panic on purpose |
//! | [`report`] | what is shown |

mod callers;
mod calm;
mod campaign;
mod ceiling;
mod client;
mod deadlines;
mod deferred;
mod door;
mod extras;
mod group_timers;
mod groups;
mod hoarders;
mod marks;
mod netstring;
mod options;
mod panics;
mod plan;
mod posts;
mod record;
mod report;
mod rooms;

mod run;
mod service;
mod wire;

pub(crate) use options::{Seeds, SimOptions};

use crate::failure::{self, Exit, Failure};
use crate::json::{JsonSink, JsonTarget};
use report::Report;

/// Runs `wharf sim`.
pub(crate) fn simulate(options: &SimOptions) -> Result<(), Failure> {
    let mut json = JsonSink::open(options.json.as_ref())?;
    panics::keep_quiet();
    let findings = campaign::run(options)?;
    for line in &findings.trace {
        failure::print(format_args!("{line}\n"));
    }
    let report = Report::new(options, &findings);
    if options.json == Some(JsonTarget::Stdout) || options.trace {
        eprint!("{report}");
    } else {
        failure::print(&report);
    }
    json.write(&report)?;
    match report.verdict() {
        None => Ok(()),
        Some(verdict) => Err(Failure::new(Exit::Failed, verdict)),
    }
}
