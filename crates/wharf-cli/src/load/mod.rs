//! `wharf load`: many sessions from one thread on one completion port, every byte verified.
//!
//! | module | what it does |
//! |---|---|
//! | [`options`] | what is asked for |
//! | [`framing`] | how messages are told apart |
//! | [`connect`] | resolves, checks the limits, connects |
//! | [`pattern`] | the bytes of every session's stream, in one table |
//! | [`session`] | how far each stream has been due, sent, answered |
//! | [`schedule`] | when messages are due in an open loop |
//! | [`run`], [`crowd`], [`phase`] | what the runs of all modes have |
//! | [`mode`] | what a mode adds, and the steps that all take |
//! | [`mod@echo`], [`mod@chat`] | the modes |
//! | [`tally`] | what went wrong |
//! | [`measurement`], [`latency`], [`series`], [`cpu`] | what is measured |
//! | [`progress`], [`report`], [`plot`] | what is shown |

mod chat;
mod connect;
mod cpu;
mod crowd;
mod echo;
mod framing;
mod latency;
mod measurement;
mod mode;
mod options;
mod pattern;
mod phase;
mod plot;
mod progress;
mod report;
mod run;
mod schedule;
mod series;
mod session;
mod tally;

use wharf_port::{CompletionPort, PortOptions};

use crate::failure::{self, Exit, Failure};
use crate::json::{JsonSink, JsonTarget};
use chat::Chat;
use cpu::CpuMeter;
use echo::Echo;
pub(crate) use framing::Framing;
pub(crate) use options::{Length, LoadOptions, Pace};
use pattern::Pattern;
use plot::{Plot, PlotSink};
use progress::Progress;
use report::{Report, Summary};
use run::{Outcome, Setup};

/// Runs `wharf load echo`.
pub(crate) fn echo(options: &LoadOptions) -> Result<(), Failure> {
    load("echo", options, Echo::execute)
}

/// Runs `wharf load chat`.
pub(crate) fn chat(options: &LoadOptions) -> Result<(), Failure> {
    load("chat", options, Chat::execute)
}

fn load(
    mode: &'static str,
    options: &LoadOptions,
    execute: impl FnOnce(Setup) -> Result<Outcome, Failure>,
) -> Result<(), Failure> {
    let server_cpu = options.server_pid.map(server_cpu).transpose()?;
    let mut json = JsonSink::open(options.json.as_ref())?;
    let plot = PlotSink::open(options.plot.as_deref())?;
    connect::check_descriptors(options.sessions)?;
    let too_large = |_| Failure::arguments("--size or --sessions is too large for this machine");
    let sessions = usize::try_from(options.sessions).map_err(too_large)?;
    let size = usize::try_from(options.size).map_err(too_large)?;

    let addresses = connect::resolve(&options.connect)?;
    let port_options = PortOptions { backend: options.backend, ..PortOptions::default() };
    let mut port =
        CompletionPort::open(&port_options).map_err(|error| Failure::new(Exit::Failed, error))?;
    let backend = port.backend();
    if let Some(reason) = port.fallback_reason() {
        eprintln!("wharf: backend {backend}, since the best one is not to be had: {reason}");
    }
    let pattern = Pattern::new(&options.framing, size, sessions);

    let progress = Progress::new();
    if let Some(progress) = &progress {
        progress.expect(options.sessions);
    }
    let (address, sockets) =
        connect::connect_all(&mut port, &options.connect, &addresses, sessions, progress.as_ref())?;
    let outcome = execute(Setup {
        port,
        sockets,
        pattern,
        pace: options.pace,
        length: options.length,
        server_cpu,
        with_series: plot.is_wanted(),
        progress,
    })?;

    let report = Report::new(mode, options, &outcome);
    let summary = Summary { options, address, backend, report: &report, outcome: &outcome };
    if options.json == Some(JsonTarget::Stdout) {
        eprint!("{summary}");
    } else {
        failure::print(&summary);
    }
    json.write(&report)?;
    plot.write(&Plot {
        title: format!("wharf load {mode}"),
        subtitle: summary.in_a_line(),
        unit: "messages",
        latency: &outcome.latency,
        series: &outcome.series,
    })?;
    match outcome.tally.verdict(report.missing, phase::PATIENCE) {
        None => Ok(()),
        Some(verdict) => Err(Failure::new(Exit::Failed, verdict)),
    }
}

/// The meter of the server's CPU time, which must be readable before the run.
fn server_cpu(pid: u64) -> Result<CpuMeter, Failure> {
    let meter = CpuMeter::of_process(pid);
    match meter.nanos() {
        Ok(_) => Ok(meter),
        Err(error) => Err(Failure::arguments(format_args!(
            "cannot read the CPU time of --server-pid {pid} from /proc: {error}; give the id of a \
             process that runs, on Linux"
        ))),
    }
}
