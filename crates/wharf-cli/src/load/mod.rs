//! `wharf load`: many sessions from one thread on one completion port, every byte verified.
//!
//! | module | what it does |
//! |---|---|
//! | [`options`] | what is asked for |
//! | [`framing`] | how messages are told apart |
//! | [`connect`], [`source`] | resolves, checks the limits, connects, and from where |
//! | [`pattern`] | the bytes of every session's stream, in one table |
//! | [`session`] | how far each stream has been due, sent, answered |
//! | [`schedule`] | when messages are due in an open loop |
//! | [`run`], [`crowd`], [`phase`] | what the runs of all modes have |
//! | [`stop`] | ends a run early, by a signal |
//! | [`port`] | a port, opened, waited for and shut down |
//! | [`mode`] | what a mode adds, and the steps that all take |
//! | [`mod@echo`], [`mod@chat`], [`mod@accept`], [`mod@idle`], [`guests`] | the modes |
//! | [`by_slot`], [`visit`], [`connect_failures`], [`closures`] | what modes with a loop of their own have |
//! | [`tally`] | what went wrong |
//! | [`measurement`], [`latency`], [`series`], [`cpu`] | what is measured |
//! | [`described`] | what was asked for, in the JSON |
//! | [`progress`], [`report`], [`plot`] | what is shown |

mod accept;
mod by_slot;
mod chat;
mod closures;
mod connect;
mod connect_failures;
mod cpu;
mod crowd;
mod described;
mod echo;
mod framing;
mod guests;
mod idle;
mod latency;
mod measurement;
mod mode;
mod options;
mod pattern;
mod phase;
mod plot;
mod port;
mod progress;
mod report;
mod run;
mod schedule;
mod series;
mod session;
mod source;
mod stop;
mod tally;
mod visit;

use std::fmt;

use serde::Serialize;
use wharf_port::CompletionPort;

use crate::failure::{self, Exit, Failure};
use crate::json::{JsonSink, JsonTarget};
use chat::Chat;
pub(crate) use connect::resolve;
use cpu::CpuMeter;
use described::Described;
use echo::Echo;
pub(crate) use framing::Framing;
pub(crate) use options::{
    AcceptOptions, ChatOptions, Ending, GuestOptions, IdleOptions, Length, LoadOptions, Pace,
    SlowOptions, Slowness, StormOptions,
};
use pattern::Pattern;
use plot::{Plot, PlotSink};
use progress::Progress;
use report::{Report, Summary};
use run::{Outcome, Setup};
use stop::Stop;

/// Runs `wharf load echo`.
pub(crate) fn echo(options: &LoadOptions) -> Result<(), Failure> {
    load("echo", options, Echo::execute)
}

/// Runs `wharf load chat`.
pub(crate) fn chat(options: &ChatOptions) -> Result<(), Failure> {
    load("chat", &options.load, |setup| Chat::execute(setup, options.echo_to_sender))
}

/// Runs `wharf load accept`.
pub(crate) fn accept(options: &AcceptOptions) -> Result<(), Failure> {
    accept::run(options)
}

/// Runs `wharf load idle`.
pub(crate) fn idle(options: &IdleOptions) -> Result<(), Failure> {
    idle::run(options)
}

/// Runs `wharf load slow-reader` or `wharf load slowloris`.
pub(crate) fn slow(mode: &'static str, options: &SlowOptions) -> Result<(), Failure> {
    guests::slow(mode, options)
}

/// Runs `wharf load storm`.
pub(crate) fn storm(options: &StormOptions) -> Result<(), Failure> {
    guests::storm(options)
}

fn load(
    mode: &'static str,
    options: &LoadOptions,
    execute: impl FnOnce(Setup) -> Result<Outcome, Failure>,
) -> Result<(), Failure> {
    let Started { server_cpu, mut outputs, mut port, sessions, pattern } = Started::new(options)?;
    let backend = port.backend();
    let progress = Progress::new();
    if let Some(progress) = &progress {
        progress.expect(options.sessions);
    }
    let (way, sockets) = connect::connect_all(
        &mut port,
        &options.connect,
        options.source,
        sessions,
        progress.as_ref(),
    )?;
    outputs.stop.listen()?;
    let outcome = execute(Setup {
        port,
        sockets,
        pattern,
        pace: options.pace,
        length: options.length,
        patience: options.patience,
        server_cpu,
        with_series: outputs.plot.is_wanted(),
        stop: outputs.stop.clone(),
        progress,
    })?;

    let described = Described::new(options, &way.address, backend);
    let report = Report::new(mode, options, described, &outcome);
    let summary = Summary {
        options,
        address: way.address,
        backend,
        report: &report,
        outcome: &outcome,
        bad: None,
    };
    let plot = Plot {
        title: format!("wharf load {mode}"),
        subtitle: summary.in_a_line(),
        address: &summary.address,
        unit: "messages",
        latency: &outcome.latency,
        series: &outcome.series,
    };
    outputs.write(&summary, &report, &plot)?;
    match outcome.tally.verdict(report.missing.unwrap_or_default(), options.patience) {
        None => Ok(()),
        Some(verdict) => {
            let hint = if mode == "echo" { unanswered_hint(options, &outcome) } else { None };
            Err(Failure::new(Exit::Failed, verdict + &hint.unwrap_or_default()))
        }
    }
}

/// How a verdict goes on if nothing came back, right or wrong.
fn unanswered_hint(options: &LoadOptions, outcome: &Outcome) -> Option<String> {
    let framing = &options.framing;
    (outcome.received == 0 && outcome.tally.wrong == 0).then(|| {
        format!("; nothing came back: is it an echo server, and does it have --framing {framing}?")
    })
}

/// What every run has before it connects.
struct Started {
    server_cpu: Option<CpuMeter>,
    outputs: Outputs,
    port: CompletionPort,
    sessions: usize,
    pattern: Pattern,
}

impl Started {
    fn new(options: &LoadOptions) -> Result<Self, Failure> {
        let server_cpu = options.server_pid.map(server_cpu).transpose()?;
        let json = JsonSink::open(options.json.as_ref())?;
        let plot = PlotSink::open(options.plot.as_deref())?;
        connect::check_descriptors(options.sessions)?;
        let too_large =
            |_| Failure::arguments("--size or --sessions is too large for this machine");
        let sessions = usize::try_from(options.sessions).map_err(too_large)?;
        let size = usize::try_from(options.size).map_err(too_large)?;
        let port = port::open(options)?;
        if let Some(reason) = port.fallback_reason() {
            let backend = port.backend();
            eprintln!("wharf: backend {backend}, since the best one is not to be had: {reason}");
        }
        let to_stdout = options.json == Some(JsonTarget::Stdout);
        let outputs = Outputs { to_stdout, json, plot, stop: Stop::new(&port) };
        let pattern = Pattern::new(&options.framing, size, sessions);
        Ok(Self { server_cpu, outputs, port, sessions, pattern })
    }
}

/// Where the result goes.
struct Outputs {
    to_stdout: bool,
    json: JsonSink,
    plot: PlotSink,
    /// Whether the result is that of a run that was ended early.
    stop: Stop,
}

/// The JSON of a run.
#[derive(Serialize)]
struct Written<'a, R> {
    #[serde(flatten)]
    report: &'a R,
    /// Whether a signal ended it before its time.
    ended_early: bool,
}

impl Outputs {
    /// Writes the lines for people, out of the JSON's way, the JSON and the picture.
    fn write(
        &mut self,
        summary: &impl fmt::Display,
        report: &impl Serialize,
        plot: &Plot<'_>,
    ) -> Result<(), Failure> {
        let ended_early = self.stop.is_asked();
        if ended_early {
            eprintln!("wharf: ended early, by a signal: the result is of the time until then");
        }
        if self.to_stdout {
            eprint!("{summary}");
        } else {
            failure::print(summary);
        }
        self.json.write(&Written { report, ended_early })?;
        self.plot.write(plot)
    }
}

/// The meter of the server's CPU time, which must be readable before the run.
fn server_cpu(pid: u64) -> Result<CpuMeter, Failure> {
    let meter = CpuMeter::of_process(pid);
    match meter.time() {
        Ok(_) => Ok(meter),
        Err(error) => Err(Failure::arguments(format_args!(
            "cannot read the CPU time of --server-pid {pid} from /proc: {error}; give the id of a \
             process that runs, on Linux"
        ))),
    }
}
