//! Starting the threads of a server, and joining them.
//!
//! A completion port stays on the thread that opened it, so each worker opens its own and reports; only
//! when all have one does any listen, and only when all listen has the server started.

use std::any::TypeId;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;

use wharf_port::{Address, Backend, Clock, CompletionPort, ListenOptions, PortOptions, Waker};

use super::{Place, Plan, ServerHandle};
use crate::admission::Admission;
use crate::arrival::Arrival;
use crate::client::{Destination, Lookups, Resolver, TargetSetup};
use crate::deferred::Pool;
use crate::error::ServerError;
use crate::framing::Framing;
use crate::gate::Gate;
use crate::heartbeat::Heartbeat;
use crate::inbox::Inbox;
use crate::limits::Limits;
use crate::live_limits::LiveLimits;
use crate::report::DrainReport;
use crate::session::Session;
use crate::shared::{Shared, SharedSetup};
use crate::watchdog::Watchdog;
use crate::worker::{Core, Setup, Worker};

/// A server whose threads run.
///
/// Dropping it stops the server at once, and waits for its threads.
#[derive(Debug)]
pub struct RunningServer {
    handle: ServerHandle,
    threads: Vec<WorkerThread>,
    /// Ends with this.
    watchdog: Option<Watchdog>,
}

type WorkerThread = JoinHandle<Result<DrainReport, ServerError>>;

/// What a worker thread reports once it has a port.
pub(super) struct Opened {
    waker: Waker,
    clock: Clock,
    backend: Backend,
    fallback_reason: Option<String>,
}

/// What every worker thread begins with.
#[derive(Clone)]
pub(super) struct Terms {
    port: PortOptions,
    framing: Framing,
    limits: Limits,
    gate: Gate,
    pins_workers: bool,
    heartbeat: Option<Heartbeat>,
    pub(super) listen: ListenOptions,
}

/// What a worker thread needs once every port is open.
struct Launch {
    shared: Arc<Shared>,
    /// What this worker listens on, and where in the list of addresses that stands.
    listens: Vec<(usize, Place)>,
}

type Listening = Result<Vec<(usize, Address)>, ServerError>;

/// The ends of one worker thread's channels.
struct Starting {
    opened: Receiver<Result<Opened, ServerError>>,
    launch: Sender<Launch>,
    listening: Receiver<Listening>,
    thread: WorkerThread,
}

pub(super) fn start<H, F>(plan: Plan, factory: F) -> Result<RunningServer, ServerError>
where
    H: Session,
    F: Fn(&Arrival) -> H + Send + Sync + 'static,
{
    let factory = Arc::new(factory);
    let terms = Terms::of(&plan);
    let mut starting = Vec::with_capacity(plan.workers);
    for index in 0..plan.workers {
        match spawn(index, terms.clone(), Arc::clone(&factory)) {
            Ok(worker) => starting.push(worker),
            Err(error) => return Err(abandon(starting, error)),
        }
    }
    let opened: Result<Vec<Opened>, _> =
        starting.iter().map(|worker| answer(&worker.opened)).collect();
    let opened = match opened {
        Ok(opened) => opened,
        Err(error) => return Err(abandon(starting, error)),
    };
    let deferred = Pool::new(plan.deferred_threads, plan.limits.deferred_max);
    let handle = make_handle(&plan, opened, TypeId::of::<H>(), deferred);
    for (index, worker) in starting.iter().enumerate() {
        let listens = plan.listens(index);
        // A worker that has died meanwhile is noticed by its missing answer.
        let _ = worker.launch.send(Launch { shared: Arc::clone(&handle.shared), listens });
    }
    let listening: Result<Vec<_>, _> =
        starting.iter().map(|worker| answer(&worker.listening)).collect();
    let threads = starting.into_iter().map(|worker| worker.thread).collect();
    let mut server = RunningServer { handle, threads, watchdog: None };
    // From here on an error drops the server, which stops and joins it.
    publish(&server.handle, listening?);
    log_start(&server.handle);
    connect_targets(&server.handle, plan.targets)?;
    if let Some(threshold) = plan.watchdog {
        let shared = Arc::clone(&server.handle.shared);
        let watchdog = Watchdog::start(shared, threshold, plan.on_blocked);
        server.watchdog = Some(watchdog.map_err(ServerError::Thread)?);
    }
    Ok(server)
}

/// One line: where it listens and on what, and why not on the best that there is.
fn log_start(handle: &ServerHandle) {
    let addresses: Vec<String> = handle.addresses().iter().map(Address::to_string).collect();
    let (addresses, backend, workers) = (addresses.join(","), handle.backend(), handle.workers());
    match handle.fallback_reason() {
        None => tracing::info!(addresses, %backend, workers, "server started"),
        Some(fallback) => {
            tracing::info!(addresses, %backend, workers, fallback, "server started");
        }
    }
}

/// Makes known where the workers listen, in the order in which the addresses were given.
pub(super) fn publish(handle: &ServerHandle, listening: Vec<Vec<(usize, Address)>>) {
    let mut addresses: Vec<(usize, Address)> = listening.into_iter().flatten().collect();
    addresses.sort_unstable_by_key(|(number, _)| *number);
    let addresses = addresses.into_iter().map(|(_, address)| address).collect();
    let _ = handle.shared.addresses.set(addresses);
}

/// Has the workers connect what was to be connected from the start. All have their places before the first
/// is tried: it may be over at once, and must not be taken for the last.
pub(super) fn connect_targets(
    handle: &ServerHandle,
    targets: Vec<Destination>,
) -> Result<(), ServerError> {
    let shared = &handle.shared;
    let targets = targets.into_iter().map(|target| shared.new_target(target, None, None));
    let targets: Result<Vec<_>, _> = targets.collect();
    for (_, target) in targets? {
        shared.put_target(target)?;
    }
    Ok(())
}

impl Plan {
    /// What the workers share about targets.
    fn target_setup(&self) -> TargetSetup {
        let simulated = self.port.simulated.is_some();
        let default = if simulated { Resolver::none } else { Resolver::system };
        let resolver = self.resolver.clone().unwrap_or_else(default);
        TargetSetup {
            lookups: Lookups::new(resolver, simulated),
            hook: self.on_connect_failed.clone(),
            ends_with_last: self.ends_with_last_target,
            targets_max: self.sessions_max,
        }
    }

    /// What a worker listens on: the addresses are dealt out in turn.
    pub(super) fn listens(&self, worker: usize) -> Vec<(usize, Place)> {
        let places = self.places.iter().cloned().enumerate();
        places.filter(|(number, _)| number % self.workers == worker).collect()
    }
}

impl Terms {
    pub(super) fn of(plan: &Plan) -> Self {
        Self {
            port: plan.port.clone(),
            framing: plan.framing.clone(),
            limits: plan.limits.clone(),
            gate: plan.gate.clone(),
            pins_workers: plan.pins_workers,
            heartbeat: plan.heartbeat.clone(),
            listen: plan.listen.clone(),
        }
    }

    /// Pins this thread, which is to be a worker, if that is wanted.
    fn pin(&self, worker: usize) -> Result<(), ServerError> {
        if self.pins_workers {
            wharf_port::pin_to_core(worker).map_err(ServerError::Pin)?;
        }
        Ok(())
    }

    /// Opens a worker's completion port, on this thread.
    pub(super) fn open(&self) -> Result<CompletionPort, ServerError> {
        Ok(CompletionPort::open(&self.port)?)
    }

    /// Sets a worker up on its port.
    pub(super) fn core(&self, index: usize, port: CompletionPort, shared: &Arc<Shared>) -> Core {
        Core::new(Setup {
            index: u16::try_from(index).unwrap_or(u16::MAX),
            port,
            framing: self.framing.clone(),
            limits: self.limits.clone(),
            heartbeat: self.heartbeat.clone(),
            socket: self.listen.accepted.clone(),
            gate: self.gate.clone(),
            shared: Arc::clone(shared),
        })
    }
}

impl Opened {
    pub(super) fn of(port: &CompletionPort) -> Self {
        Self {
            waker: port.waker(),
            clock: port.clock(),
            backend: port.backend(),
            fallback_reason: port.fallback_reason().map(str::to_owned),
        }
    }
}

pub(super) fn make_handle(
    plan: &Plan,
    opened: Vec<Opened>,
    session_type: TypeId,
    deferred: Pool,
) -> ServerHandle {
    let backend = opened.first().map_or(Backend::Auto, |first| first.backend);
    let clock = opened.first().map(|first| first.clock.clone()).unwrap_or_default();
    let fallback_reason =
        opened.iter().find_map(|worker| worker.fallback_reason.as_deref()).map(Arc::from);
    let inboxes = opened.into_iter().map(|worker| Inbox::new(worker.waker)).collect();
    let admission = Admission::new(plan.workers, plan.sessions_max, plan.limits.per_address_max);
    let shared = Arc::new(Shared::new(SharedSetup {
        inboxes,
        admission,
        listeners: plan.places.len(),
        live: LiveLimits::new(&plan.limits, plan.sessions_max),
        framing: plan.framing.clone(),
        frame_bytes_max: plan.limits.frame_bytes_max,
        session_type,
        farewell: plan.farewell.clone(),
        send_total_max: plan.limits.send_total_max,
        deferred,
        rooms_max: plan.limits.rooms_max,
        capture: plan.capture.clone(),
        targets: plan.target_setup(),
    }));
    let started = clock.now();
    ServerHandle { shared, clock, started, backend, fallback_reason }
}

/// A worker's answer; one that gives none has panicked.
fn answer<T>(from: &Receiver<Result<T, ServerError>>) -> Result<T, ServerError> {
    from.recv().unwrap_or(Err(ServerError::WorkerPanicked))
}

/// Ends workers that wait to be launched.
fn abandon(starting: Vec<Starting>, error: ServerError) -> ServerError {
    for worker in starting {
        drop(worker.launch);
        let _ = worker.thread.join();
    }
    error
}

fn spawn<H, F>(index: usize, terms: Terms, factory: Arc<F>) -> Result<Starting, ServerError>
where
    H: Session,
    F: Fn(&Arrival) -> H + Send + Sync + 'static,
{
    let (opened_sender, opened) = channel();
    let (launch, launches) = channel();
    let (listening_sender, listening) = channel();
    let body = move || {
        // Before anything is touched, so that the memory is near.
        let port = match terms.pin(index).and_then(|()| terms.open()) {
            Ok(port) => port,
            Err(error) => {
                let _ = opened_sender.send(Err(error));
                return Ok(DrainReport::default());
            }
        };
        let _ = opened_sender.send(Ok(Opened::of(&port)));
        // Without a launch another worker has failed.
        let Ok(launch) = launches.recv() else { return Ok(DrainReport::default()) };
        work(index, port, &terms, launch, factory, &listening_sender)
    };
    let thread = std::thread::Builder::new()
        .name(format!("wharf-{index}"))
        .spawn(body)
        .map_err(ServerError::Thread)?;
    Ok(Starting { opened, launch, listening, thread })
}

/// The life of a worker thread once every worker has a port.
fn work<H, F>(
    index: usize,
    port: CompletionPort,
    terms: &Terms,
    launch: Launch,
    factory: Arc<F>,
    listening: &Sender<Listening>,
) -> Result<DrainReport, ServerError>
where
    H: Session,
    F: Fn(&Arrival) -> H,
{
    let Launch { shared, listens } = launch;
    let mut core = terms.core(index, port, &shared);
    let bound = core.listen(&listens, &terms.listen);
    if let Err(error) = bound {
        shared.worker_failed();
        core.finish();
        let _ = listening.send(Err(error.into()));
        return Ok(DrainReport::default());
    }
    let _ = listening.send(bound.map_err(ServerError::from));
    let mut others = StopOthers { shared, index, armed: true };
    let report = Worker::new(core, factory).run()?;
    others.armed = false;
    Ok(report)
}

/// Stops the other workers if this one fails or panics: half a server helps nobody.
struct StopOthers {
    shared: Arc<Shared>,
    index: usize,
    armed: bool,
}

impl Drop for StopOthers {
    fn drop(&mut self) {
        if self.armed {
            self.shared.worker_failed();
            self.shared.inboxes[self.index].end();
        }
    }
}

impl RunningServer {
    /// A handle for other threads.
    pub fn handle(&self) -> ServerHandle {
        self.handle.clone()
    }

    /// Waits until the server has drained or stopped.
    ///
    /// # Errors
    /// [`ServerError`] if a completion port broke.
    pub fn join(mut self) -> Result<DrainReport, ServerError> {
        self.join_threads()
    }

    fn join_threads(&mut self) -> Result<DrainReport, ServerError> {
        let mut sum = DrainReport::default();
        let mut failure = None;
        for thread in self.threads.drain(..) {
            match thread.join() {
                Ok(Ok(report)) => sum += report,
                Ok(Err(error)) => {
                    self.handle.stop();
                    failure.get_or_insert(error);
                }
                Err(_) => {
                    self.handle.stop();
                    failure.get_or_insert(ServerError::WorkerPanicked);
                }
            }
        }
        self.watchdog = None;
        // Its jobs have nobody left to tell.
        self.handle.shared.deferred.end();
        self.handle.shared.targets.end();
        failure.map_or(Ok(sum), Err)
    }
}

impl Drop for RunningServer {
    fn drop(&mut self) {
        self.handle.stop();
        let _ = self.join_threads();
    }
}

#[cfg(test)]
mod tests {
    use crate::client::{Client, Destination, Target, TargetError};
    use crate::inbox::BYTES_MAX;
    use crate::sim::{Network, NetworkOptions};
    use crate::worker::Turn;
    use crate::{Context, Outcome, PortOptions, Session};

    struct Nobody;

    impl Session for Nobody {
        fn on_frame(&mut self, _: &mut Context<'_>, _: &[u8]) -> Outcome {
            Ok(())
        }
    }

    #[test]
    fn a_client_ends_though_its_last_target_was_refused() {
        let network = Network::new(NetworkOptions::default());
        let simulated = Some(network.clone());
        let mut client = Client::new()
            .connect("10.0.0.1:9")
            .workers(1)
            .port_options(PortOptions { simulated, ..PortOptions::default() })
            .start_stepped(|_| Nobody)
            .unwrap();
        let shared = client.handle().shared;
        let target = Target::new("10.0.0.1:9").check(|payload| shared.frame(payload));
        let target: Destination = target.unwrap();
        // It has its place when the first one is over, and its worker has no room for it.
        let (_, target) = shared.new_target(target, None, None).unwrap();
        while client.handle().targets() > 1 {
            assert_eq!(client.turn(0, Some(network.now())).unwrap(), Turn::GoOn);
            network.advance();
        }
        assert!(shared.inboxes[0].reserve(BYTES_MAX));
        let refused = shared.put_target(target);
        assert!(matches!(refused, Err(TargetError::Overloaded)), "{refused:?}");
        shared.inboxes[0].release(BYTES_MAX);
        for _ in 0..100 {
            client.turn(0, Some(network.now())).unwrap();
            network.advance();
        }
        assert!(client.is_done(), "it waits for ever");
    }
}
