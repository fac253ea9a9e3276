//! Sessions that do a server no good, beside honest ones that are measured.
//!
//! | module | what it does |
//! |---|---|
//! | [`beside`] | a run of honest sessions with guests on the same port |
//! | [`mod@slow`] | guests that read slowly, and guests that drip their frames |
//! | [`mod@storm`] | guests that come, send and go as chance has it |
//! | [`rate`] | how fast they send and read |
//! | [`report`] | what came of them |

mod beside;
mod rate;
mod report;
mod slow;
mod storm;

use wharf_port::{Completion, CompletionPort, ConnectError, Received, SocketId, Time};

use super::connect::{self, Way};
use super::options::{GuestOptions, Length, Pace, SlowOptions, StormOptions};
use super::pattern::Pattern;
use super::port;
use super::progress::Progress;
use super::run::Setup;
use super::stop::Stop;
use super::tally::Loss;
use super::{Echo, Outputs, Started};
use crate::args::Target;
use crate::failure::Failure;
use beside::Beside;
use report::OfHonest;
use slow::Slow;
use storm::Storm;

/// Sessions that are not measured. They are told what comes of their sockets, and act in turns.
trait Guests {
    /// Whether a socket is one of theirs.
    fn owns(&mut self, socket: SocketId) -> bool;

    /// What came of one of their sockets.
    fn on_completion(&mut self, port: &mut CompletionPort, completion: Completion, now: Time) {
        match completion {
            Completion::Connected { socket, result } => {
                self.on_connected(port, socket, result, now);
            }
            Completion::Received { socket, what: Received::Data(bytes) } => {
                self.on_bytes(port, socket, &bytes);
            }
            Completion::Received { socket, what: Received::End } => {
                self.on_ended(port, socket, Loss::EndedEarly, now);
            }
            Completion::Received { socket, what: Received::Failed(error) } => {
                self.on_ended(port, socket, error.into(), now);
            }
            Completion::Sent { socket, result: Err(error), .. } => {
                self.on_ended(port, socket, error.into(), now);
            }
            Completion::Sent { socket, .. } => self.on_sent(port, socket),
            Completion::Closed { socket } => self.on_closed(socket),
            _ => {}
        }
    }

    fn on_connected(
        &mut self,
        port: &mut CompletionPort,
        socket: SocketId,
        result: Result<(), ConnectError>,
        now: Time,
    );

    fn on_bytes(&mut self, port: &mut CompletionPort, socket: SocketId, bytes: &[u8]);

    /// All that was to be sent has been.
    fn on_sent(&mut self, port: &mut CompletionPort, socket: SocketId);

    /// The server has ended a connection, as it should or not.
    fn on_ended(&mut self, port: &mut CompletionPort, socket: SocketId, loss: Loss, now: Time);

    /// A socket is gone.
    fn on_closed(&mut self, socket: SocketId);

    /// When they act next without anything having come.
    fn next_due(&self) -> Time;

    /// Does what is due.
    fn act(&mut self, port: &mut CompletionPort, now: Time);

    /// The honest ones are done sending: all go.
    fn leave(&mut self, port: &mut CompletionPort);
}

/// Runs `wharf load slow-reader` or `wharf load slowloris`.
pub(super) fn slow(mode: &'static str, options: &SlowOptions) -> Result<(), Failure> {
    let (honest, slow) = run(mode, &options.guests, |way, _| Slow::new(options, way))?;
    honest.write(slow.outcome())
}

/// Runs `wharf load storm`.
pub(super) fn storm(options: &StormOptions) -> Result<(), Failure> {
    let guests = &options.guests;
    let (honest, storm) = run("storm", guests, |way, random| {
        let seed = options.seed.unwrap_or(random).max(1);
        eprintln!("wharf: storm seed={seed}");
        Storm::new(options, way, seed)
    })?;
    let dead = still_answers(guests, storm.way())?;
    honest.write(storm.outcome(dead))
}

/// Has honest sessions and guests at a server until the honest ones are through.
fn run<'a, G: Guests>(
    mode: &'static str,
    options: &'a GuestOptions,
    guests: impl FnOnce(Way, u64) -> G,
) -> Result<(OfHonest<'a>, G), Failure> {
    connect::check_descriptors(options.honest.sessions + options.sessions)?;
    let Started { server_cpu, outputs, mut port, sessions, pattern } =
        Started::new(&options.honest)?;
    let backend = port.backend();
    let progress = Progress::new();
    let honest = &options.honest;
    let (way, sockets) = connect::connect_all(
        &mut port,
        &honest.connect,
        honest.source,
        sessions,
        progress.as_ref(),
    )?;
    let mut guests = guests(way.clone(), port.random());
    outputs.stop.listen()?;
    let setup = Setup {
        port,
        sockets,
        pattern,
        pace: honest.pace,
        length: honest.length,
        patience: honest.patience,
        server_cpu,
        with_series: outputs.plot.is_wanted(),
        stop: outputs.stop.clone(),
        progress,
    };
    let outcome = Beside::execute(setup, &mut guests)?;
    Ok((OfHonest { mode, options, outputs, address: way.address, backend, outcome }, guests))
}

/// Why an honest session gets no answer from a server after all that, if it gets none.
fn still_answers(options: &GuestOptions, way: &Way) -> Result<Option<String>, Failure> {
    let honest = &options.honest;
    let dead = |why: &str| format!("after the storm the server answers no honest session: {why}");
    let mut port = port::open(honest)?;
    let target = Target::Address(way.address.clone());
    let connected = connect::connect_all(&mut port, &target, honest.source, 1, None);
    let sockets = match connected {
        Ok((_, sockets)) => sockets,
        Err(failure) => return Ok(Some(dead(failure.reason()))),
    };
    let size = usize::try_from(honest.size).unwrap_or(usize::MAX);
    let outcome = Echo::execute(Setup {
        stop: Stop::new(&port),
        port,
        sockets,
        pattern: Pattern::new(&honest.framing, size, 1),
        pace: Pace::Closed { depth: 1 },
        length: Length::Messages(1),
        patience: honest.patience,
        server_cpu: None,
        with_series: false,
        progress: None,
    })?;
    let verdict = outcome.tally.verdict(outcome.sent - outcome.received, honest.patience);
    Ok(verdict.map(|verdict| dead(&verdict)))
}
