//! A server whose turns the caller makes.

use std::any::TypeId;
use std::sync::Arc;

use wharf_port::{Ledger, Time, WaitError};

use super::start::{Opened, Terms, connect_targets, make_handle, publish};
use super::{Plan, ServerHandle};
use crate::arrival::Arrival;
use crate::deferred::Pool;
use crate::error::ServerError;
use crate::holdings::Holdings;
use crate::inbox::Inbox;
use crate::report::DrainReport;
use crate::session::Session;
use crate::worker::{Turn, Worker};

/// A server on one thread, whose turns the caller makes: with a simulated network, a test that decides
/// what happens when, and repeats it.
///
/// ```
/// use wharf::sim::{Network, NetworkOptions};
/// use wharf::{Context, Outcome, PortOptions, Server, Session};
///
/// struct Echo;
///
/// impl Session for Echo {
///     fn on_frame(&mut self, ctx: &mut Context<'_>, frame: &[u8]) -> Outcome {
///         ctx.send(frame);
///         Ok(())
///     }
/// }
///
/// let network = Network::new(NetworkOptions { seed: 7, ..NetworkOptions::default() });
/// let simulated = Some(network.clone());
/// let mut server = Server::bind("10.0.0.1:7777")
///     .workers(2)
///     .port_options(PortOptions { simulated, ..PortOptions::default() })
///     .start_stepped(|_| Echo)?;
/// let mut client = network.connect(&server.handle().addresses()[0]);
/// let mut echo = [0; 9];
/// while client.readable_bytes() < echo.len() {
///     for worker in 0..server.workers() {
///         server.turn(worker, Some(network.now()))?;
///     }
///     if client.is_connected() && network.steps() < 100 {
///         let _ = client.try_write(b"\x05\0\0\0hello");
///     }
///     network.advance();
/// }
/// client.try_read(&mut echo)?;
/// assert_eq!(&echo, b"\x05\0\0\0hello");
///
/// server.handle().drain();
/// drop(client);
/// while !server.is_done() {
///     for worker in 0..server.workers() {
///         server.turn(worker, Some(network.now()))?;
///     }
///     network.advance();
/// }
/// assert_eq!(server.report().forced, 0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct SteppedServer<H, F> {
    handle: ServerHandle,
    /// `None` for those that are done.
    workers: Vec<Option<Worker<H, F>>>,
    report: DrainReport,
    leaked: usize,
}

/// What can be seen of a worker between two turns.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct WorkerView {
    /// Sessions that live there.
    pub sessions: usize,
    /// Sockets that its completion port holds: a session's is closed before the session ends.
    pub sockets: usize,
    /// Operations of its port that have not ended: of sockets, timers (one for each session, and one
    /// when there is none) and listeners.
    pub operations: usize,
    /// Listeners that it has not been told to stop.
    pub listeners: usize,
    /// Who has its receive buffers.
    pub ledger: Ledger,
    /// The bytes of the fullest send queue.
    pub queued_bytes_max: usize,
    /// The bytes of all send queues: what counts towards
    /// [`Limits::send_total_max`](crate::Limits::send_total_max).
    pub queued_bytes: usize,
    /// It has work left over for its next turn, which will not sleep.
    pub is_busy: bool,
    /// Bytes that wait in its inbox.
    pub inbox_bytes: usize,
}

pub(super) fn start<H, F>(plan: Plan, factory: F) -> Result<SteppedServer<H, F>, ServerError>
where
    H: Session,
    F: Fn(&Arrival) -> H,
{
    let factory = Arc::new(factory);
    let terms = Terms::of(&plan);
    let ports: Result<Vec<_>, _> = (0..plan.workers).map(|_| terms.open()).collect();
    let ports = ports?;
    let opened = ports.iter().map(Opened::of).collect();
    let deferred = Pool::new(0, plan.limits.deferred_max);
    let handle = make_handle(&plan, opened, TypeId::of::<H>(), deferred);
    let mut listening = Vec::with_capacity(plan.workers);
    let mut workers = Vec::with_capacity(plan.workers);
    for (index, port) in ports.into_iter().enumerate() {
        let mut core = terms.core(index, port, &handle.shared);
        listening.push(core.listen(&plan.listens(index), &terms.listen)?);
        workers.push(Some(Worker::new(core, Arc::clone(&factory))));
    }
    publish(&handle, listening);
    connect_targets(&handle, plan.targets)?;
    Ok(SteppedServer { handle, workers, report: DrainReport::default(), leaked: 0 })
}

impl<H: Session, F: Fn(&Arrival) -> H> SteppedServer<H, F> {
    /// Makes one turn of a worker, which waits no longer than until `deadline`. One that is done is
    /// taken down, and does nothing from then on.
    ///
    /// # Errors
    /// [`WaitError`] if its completion port is broken, or would wait for what can never come: the
    /// worker is taken down, and the others stop.
    ///
    /// # Panics
    /// If there is no such worker.
    pub fn turn(&mut self, worker: usize, deadline: Option<Time>) -> Result<Turn, WaitError> {
        let Some(running) = &mut self.workers[worker] else { return Ok(Turn::Done) };
        let turn = running.turn(deadline);
        if turn.is_err() {
            self.handle.shared.worker_failed();
        }
        if !matches!(turn, Ok(Turn::GoOn))
            && let Some(done) = self.workers[worker].take()
        {
            let (report, leaked) = done.finish();
            self.report += report;
            self.leaked += leaked;
        }
        if self.is_done() {
            self.handle.shared.targets.end();
        }
        turn
    }

    /// How many workers it has.
    pub fn workers(&self) -> usize {
        self.workers.len()
    }

    /// Whether all workers are done: the server has drained or stopped, and nothing is left of it.
    pub fn is_done(&self) -> bool {
        self.workers.iter().all(Option::is_none)
    }

    /// A worker as it is now; `None` if it is done.
    ///
    /// # Panics
    /// If there is no such worker, or its buffer ledger does not balance.
    pub fn worker(&self, worker: usize) -> Option<WorkerView> {
        self.workers[worker].as_ref().map(Worker::view)
    }

    /// What a worker holds now, by kind: it looks at all of its sessions and sockets for that. `None` if it is done.
    ///
    /// # Panics
    /// If there is no such worker.
    pub fn holdings(&self, worker: usize) -> Option<Holdings> {
        self.workers[worker].as_ref().map(Worker::holdings)
    }

    /// Jobs that sessions have [deferred](crate::Context::defer) and that have not run. A stepped server
    /// has no threads for them.
    pub fn deferred(&self) -> usize {
        self.handle.shared.deferred.waiting()
    }

    /// Runs one of those jobs on this thread, by its place in the order in which they were deferred; its
    /// result waits for a turn of the session's worker. False if there is none at this place.
    pub fn run_deferred(&self, index: usize) -> bool {
        self.handle.shared.deferred.run(index)
    }

    /// A handle, as a running server has it.
    pub fn handle(&self) -> ServerHandle {
        self.handle.clone()
    }

    /// Operations of workers that are done which never came back: none, unless a completion port is
    /// broken.
    pub const fn leaked_operations(&self) -> usize {
        self.leaked
    }

    /// What has become of the sessions of the workers that are done.
    pub const fn report(&self) -> DrainReport {
        self.report
    }
}

impl<H, F> Drop for SteppedServer<H, F> {
    /// Nothing more can be asked of workers that were not done, and their rooms are closed.
    fn drop(&mut self) {
        self.handle.shared.inboxes.iter().for_each(Inbox::end);
        self.handle.shared.deferred.end();
        self.handle.shared.targets.end();
    }
}

impl<H, F> std::fmt::Debug for SteppedServer<H, F> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SteppedServer").field("workers", &self.workers).finish_non_exhaustive()
    }
}
