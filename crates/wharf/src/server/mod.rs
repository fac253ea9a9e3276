//! The server: what it listens on, how many workers it has, and how it starts.

mod handle;
mod place;
mod start;
mod stepped;

use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::Arc;
use std::time::Duration;

use ipnet::IpNet;
#[cfg(unix)]
use wharf_port::ReadyListener;
use wharf_port::{Address, Backend, ListenOptions, PortOptions, SocketOptions};

pub use self::handle::ServerHandle;
use self::place::Asked;
pub(crate) use self::place::Place;
pub use self::start::RunningServer;
pub use self::stepped::{SteppedServer, WorkerView};

use crate::arrival::Arrival;
use crate::bans::canonical;
use crate::capture::CaptureOptions;
use crate::client::{
    ConnectFailure, Destination, Endpoint, FailureHook, NoEndpoint, Resolver, Target, TargetError,
};
use crate::error::ServerError;
use crate::framing::Framing;
use crate::gate::{AcceptFilter, Gate, Incoming, Verdict};
use crate::heartbeat::{Heartbeat, HeartbeatTerms};
use crate::limits::Limits;
use crate::report::DrainReport;
use crate::session::Session;
use crate::session_id::SessionId;
use crate::shared_frame::SharedFrame;
use crate::watchdog::{Blocked, Hook};

/// A server that is being set up.
///
/// ```no_run
/// use wharf::{Context, Framing, Limits, Outcome, Server, Session};
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
/// let report = Server::bind("0.0.0.0:7777")
///     .framing(Framing::U32_LE)
///     .workers(4)
///     .limits(Limits { frame_bytes_max: 1 << 20, ..Limits::default() })
///     .run(|_| Echo)?;
/// println!("{report}");
/// # Ok::<(), wharf::ServerError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Server {
    places: Vec<Asked>,
    framing: Framing,
    workers: Option<usize>,
    deferred_threads: Option<usize>,
    limits: Limits,
    port: PortOptions,
    listen: ListenOptions,
    farewell: Option<Box<[u8]>>,
    heartbeat: Option<HeartbeatTerms>,
    targets: Vec<Target>,
    ends_with_last_target: bool,
    on_connect_failed: Option<FailureHook>,
    resolver: Option<Resolver>,
    watchdog: Option<Duration>,
    on_blocked: Option<Hook>,
    gate: Gate,
    pins_workers: bool,
    capture: Option<CaptureOptions>,
}

impl Server {
    /// A server on an address: `IP:PORT`, `[IPv6]:PORT` or `NAME:PORT`, where port 0 takes any that is free;
    /// or a Unix socket, `unix:/path` or on Linux `unix:@name` ([`Address`]). It is looked at when the server
    /// starts.
    pub fn bind(address: impl Into<String>) -> Self {
        Self::without_listener().and_bind(address).ends_with_last_target(false)
    }

    /// What a [`Client`](crate::Client) is underneath.
    pub(crate) fn without_listener() -> Self {
        Self {
            places: Vec::new(),
            framing: Framing::U32_LE,
            workers: None,
            deferred_threads: None,
            limits: Limits::default(),
            port: PortOptions::default(),
            listen: ListenOptions::default(),
            farewell: None,
            heartbeat: None,
            targets: Vec::new(),
            ends_with_last_target: true,
            on_connect_failed: None,
            resolver: None,
            watchdog: Some(Duration::from_millis(100)),
            on_blocked: None,
            gate: Gate::default(),
            pins_workers: false,
            capture: None,
        }
    }

    /// Keeps what chosen sessions receive and send, for
    /// [`ServerHandle::captured`](crate::ServerHandle::captured); default nothing. See [`capture`](crate::capture).
    #[must_use]
    pub fn capture(mut self, options: CaptureOptions) -> Self {
        self.capture = Some(options);
        self
    }

    /// Sends this frame to each session that has been sent nothing else for so long, 1 ms and up; default
    /// none. It keeps the peer from taking this side for gone, and the way there from being forgotten by
    /// what lies between. The peer gets it as any other frame. That a peer is gone is seen by
    /// [`Limits::idle`] if it has a heartbeat, too: every third of that time is a good one.
    #[must_use]
    pub fn heartbeat(mut self, every: Duration, payload: &[u8]) -> Self {
        self.heartbeat = Some(HeartbeatTerms { every, payload: payload.into() });
        self
    }

    /// Connects a target besides, from the start. Sessions are made by the same factory, which
    /// [tells](Arrival::outgoing) them apart.
    #[must_use]
    pub fn and_connect(mut self, target: impl Into<Target>) -> Self {
        self.targets.push(target.into());
        self
    }

    /// Whether it drains when its last target is over.
    pub(crate) const fn ends_with_last_target(mut self, ends: bool) -> Self {
        self.ends_with_last_target = ends;
        self
    }

    /// Is told of each attempt to connect a target that has failed. On the worker's thread: it must not
    /// block.
    #[must_use]
    pub fn on_connect_failed(
        mut self,
        hook: impl Fn(&ConnectFailure) + Send + Sync + 'static,
    ) -> Self {
        self.on_connect_failed = Some(FailureHook::of(hook));
        self
    }

    /// Looks the names of targets up: given host and port, it returns the addresses, the best first. It
    /// may block: it runs on threads of its own, up to four, that end when there is nothing to look up;
    /// on a [simulated](PortOptions::simulated) network on the worker's thread. Default the system's
    /// resolver, or on a simulated network none.
    #[must_use]
    pub fn resolver(
        mut self,
        resolve: impl Fn(&str, u16) -> std::io::Result<Vec<SocketAddr>> + Send + Sync + 'static,
    ) -> Self {
        self.resolver = Some(Resolver::of(resolve));
        self
    }

    /// Listens on one more address.
    #[must_use]
    pub fn and_bind(mut self, address: impl Into<String>) -> Self {
        self.places.push(Asked::Text(address.into()));
        self
    }

    /// A server on a socket that listens already, such as a service manager hands over. What
    /// [`backlog`](Self::backlog), [`dual_stack`](Self::dual_stack) and [`unix_mode`](Self::unix_mode) say is
    /// not for it: whoever has opened it has chosen, and may have it still. Then who connects while no server
    /// runs waits in its queue.
    #[cfg(unix)]
    pub fn on(listener: impl Into<ReadyListener>) -> Self {
        Self::without_listener().and_on(listener).ends_with_last_target(false)
    }

    /// Listens on one more socket that listens already; see [`on`](Self::on).
    #[cfg(unix)]
    #[must_use]
    pub fn and_on(mut self, listener: impl Into<ReadyListener>) -> Self {
        self.places.push(Asked::Ready(listener.into()));
        self
    }

    /// Where a frame begins and ends; default [`Framing::U32_LE`].
    #[must_use]
    pub fn framing(mut self, framing: Framing) -> Self {
        self.framing = framing;
        self
    }

    /// Worker threads: 1 to 1,024; default as many as there are cores.
    #[must_use]
    pub const fn workers(mut self, workers: usize) -> Self {
        self.workers = Some(workers);
        self
    }

    /// Threads that run what sessions [defer](crate::Context::defer): 1 to 1,024; default as many as there
    /// are cores, and four at least. Each is started when a job finds no other free.
    #[must_use]
    pub const fn deferred_threads(mut self, threads: usize) -> Self {
        self.deferred_threads = Some(threads);
        self
    }

    /// Whether each worker stays on a core of its own among those that the process may use; default
    /// false: the system moves them as it sees fit. More workers than cores share them. A
    /// [stepped](Self::start_stepped) server has no threads to pin.
    #[must_use]
    pub const fn pin_workers(mut self, pins: bool) -> Self {
        self.pins_workers = pins;
        self
    }

    /// Every maximum.
    #[must_use]
    pub const fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// A frame that each session is sent last when the server drains; default none. It is queued whatever
    /// waits before it, and only sessions that are open get it.
    #[must_use]
    pub fn farewell(mut self, payload: &[u8]) -> Self {
        self.farewell = Some(payload.into());
        self
    }

    /// How long a callback may take before the server says in its log which one holds up its worker, with
    /// its session: 1 ms and up, default 100 ms; `None` switches it off. It is told while it goes on, which a
    /// deadlock does for ever, and once more when it is over.
    ///
    /// A thread looks at the workers this often, and sees a callback that it sees twice; a callback costs
    /// its worker three stores for it. A [stepped](Self::start_stepped) server has none.
    #[must_use]
    pub const fn watchdog(mut self, threshold: Option<Duration>) -> Self {
        self.watchdog = threshold;
        self
    }

    /// Also tells `hook` of callbacks that hold up their workers, on the watchdog's thread.
    #[must_use]
    pub fn on_blocked(mut self, hook: impl Fn(&Blocked) + Send + Sync + 'static) -> Self {
        self.on_blocked = Some(Hook(Arc::new(hook)));
        self
    }

    /// Asks about each connection before it takes a session's place: who is denied is reset at once, and
    /// counted. It is asked on the thread of the worker that accepts, behind the
    /// [bans](ServerHandle::ban) and before all limits; it must not block, and a panic denies.
    ///
    /// ```
    /// use wharf::{Server, Verdict};
    ///
    /// let server = Server::bind("0.0.0.0:7777").accept_filter(|incoming| {
    ///     let from_outside = incoming.peer.ip().is_some_and(|ip| !ip.is_loopback());
    ///     if from_outside { Verdict::Deny } else { Verdict::Allow }
    /// });
    /// ```
    #[must_use]
    pub fn accept_filter(
        mut self,
        filter: impl Fn(&Incoming) -> Verdict + Send + Sync + 'static,
    ) -> Self {
        self.gate.filter = Some(AcceptFilter::new(filter));
        self
    }

    /// Connections from these networks come from proxies and begin with a header of the PROXY protocol,
    /// version 1 or 2, that says whose they are: that address is what limits, bans, the accept filter and
    /// [`Arrival::peer`] see. Default none: then such a header is what anything else is, data.
    ///
    /// The header has to come within [`Limits::first_frame`], or 5 s if that is off, and to be no longer
    /// than 4 KiB; until then the connection has a place among the sessions and no session. One without a
    /// header is reset, and counted as `bad_proxy_header`; one of the proxy's own (`LOCAL`, `UNKNOWN`) is
    /// a session with the proxy's address, to which the limit per address does not apply.
    #[must_use]
    pub fn proxies(mut self, networks: impl IntoIterator<Item = IpNet>) -> Self {
        self.gate.proxies = networks.into_iter().map(canonical).collect();
        self
    }

    /// All that comes over Unix sockets comes from [proxies](Self::proxies), and begins with their header;
    /// default false. Their socket should be open to them alone ([`unix_mode`](Self::unix_mode)): whoever can
    /// connect can say whose connection it is.
    #[must_use]
    pub const fn unix_proxies(mut self, are_proxies: bool) -> Self {
        self.gate.unix_proxies = are_proxies;
        self
    }

    /// The permission bits of the files of Unix sockets that it listens on, 0 to 0o777; default those that
    /// the process's mask leaves. Who is to connect needs the right to write. See
    /// [`ListenOptions::unix_mode`].
    #[must_use]
    pub const fn unix_mode(mut self, mode: u32) -> Self {
        self.listen.unix_mode = Some(mode);
        self
    }

    /// What finishes the I/O; default [`Backend::Auto`].
    #[must_use]
    pub const fn backend(mut self, backend: Backend) -> Self {
        self.port.backend = backend;
        self
    }

    /// How long a worker that has nothing to do looks for something before it sleeps: up to a second;
    /// default zero. It keeps a core busy for as long, and answers who speaks within that time without
    /// being woken first: see the tuning guide in `docs/performance.md` for what that gains and costs. The
    /// same as [`PortOptions::spin`].
    #[must_use]
    pub const fn spin(mut self, time: Duration) -> Self {
        self.port.spin = time;
        self
    }

    /// How the completion ports are set up, the backend included.
    #[must_use]
    pub fn port_options(mut self, options: PortOptions) -> Self {
        self.port = options;
        self
    }

    /// How accepted sockets are set up, and connecting ones.
    #[must_use]
    pub const fn socket_options(mut self, options: SocketOptions) -> Self {
        self.listen.accepted = options;
        self
    }

    /// Whether a listener on an IPv6 address takes IPv4 as well; default false. See
    /// [`ListenOptions::dual_stack`].
    #[must_use]
    pub const fn dual_stack(mut self, dual_stack: bool) -> Self {
        self.listen.dual_stack = dual_stack;
        self
    }

    /// Connections that may wait to be accepted: 0 to 65,535; default 4,096. See
    /// [`ListenOptions::backlog`].
    #[must_use]
    pub const fn backlog(mut self, connections: u32) -> Self {
        self.listen.backlog = connections;
        self
    }

    /// Runs the server on its threads until it has drained or stopped. `factory` makes the user's side
    /// of each session, on the thread that the session then lives on.
    ///
    /// When this returns, nothing of the server's is left: no thread, socket, buffer or timer.
    ///
    /// # Errors
    /// [`ServerError`] if the server does not start, or a completion port breaks.
    pub fn run<H, F>(self, factory: F) -> Result<DrainReport, ServerError>
    where
        H: Session,
        F: Fn(&Arrival) -> H + Send + Sync + 'static,
    {
        self.start(factory)?.join()
    }

    /// Starts the server and returns once it accepts. See [`run`](Self::run).
    ///
    /// # Errors
    /// [`ServerError`] if the server does not start; nothing is left of it then.
    pub fn start<H, F>(self, factory: F) -> Result<RunningServer, ServerError>
    where
        H: Session,
        F: Fn(&Arrival) -> H + Send + Sync + 'static,
    {
        let plan = self.plan()?;
        start::start(plan, factory)
    }

    /// Starts the server on this thread, and leaves its turns to the caller: for tests that decide when
    /// each worker runs. See [`SteppedServer`].
    ///
    /// # Errors
    /// [`ServerError`] if the server does not start; nothing is left of it then.
    pub fn start_stepped<H, F>(self, factory: F) -> Result<SteppedServer<H, F>, ServerError>
    where
        H: Session,
        F: Fn(&Arrival) -> H,
    {
        stepped::start(self.plan()?, factory)
    }

    /// Checks everything that can be checked before a thread exists.
    fn plan(mut self) -> Result<Plan, ServerError> {
        if let Some(problem) = self.limits.problem() {
            return Err(ServerError::Options(problem));
        }
        if let Some(problem) = self.listen.problem() {
            return Err(ServerError::Options(problem.to_owned()));
        }
        if let Some(problem) = self.capture.as_ref().and_then(CaptureOptions::problem) {
            return Err(ServerError::Options(problem));
        }
        let (payload_min, payload_max) = (self.framing.payload_min(), self.framing.payload_max());
        let frame_bytes_max = &mut self.limits.frame_bytes_max;
        if *frame_bytes_max == Limits::default().frame_bytes_max {
            // Nobody has chosen it: what the framing can express is as good.
            let needed = payload_min.min(Limits::FRAME_BYTES_MAX);
            *frame_bytes_max = (*frame_bytes_max).max(needed).min(payload_max);
        }
        if *frame_bytes_max > payload_max {
            return Err(ServerError::Options(format!(
                "frame_bytes_max is {frame_bytes_max} and {} cannot express more than {payload_max}",
                self.framing,
            )));
        }
        if *frame_bytes_max < payload_min {
            return Err(ServerError::Options(format!(
                "frame_bytes_max is {frame_bytes_max} and every frame of {} has {payload_min} bytes or \
                 more",
                self.framing,
            )));
        }
        if self.limits.slow_reader.drops() && !self.framing.has_frames() {
            return Err(ServerError::Options(format!(
                "{} needs frames, and the framing is raw: choose pause, disconnect or refuse",
                self.limits.slow_reader.name(),
            )));
        }
        let max = self.limits.frame_bytes_max;
        let encode = |payload: &[u8]| SharedFrame::encode(&self.framing, payload, max);
        let farewell = self.farewell.as_deref().map(encode).transpose().map_err(|error| {
            ServerError::Options(format!("the farewell is no frame of this server: {error}"))
        })?;
        let heartbeat = self.heartbeat.map(|terms| terms.check(encode)).transpose();
        let heartbeat = heartbeat.map_err(|problem| ServerError::Options(problem.to_string()))?;
        let workers = self.workers.unwrap_or_else(cores);
        if !(1..=SessionId::WORKERS_MAX).contains(&workers) {
            return Err(ServerError::Options(format!("workers is {workers}: 1 to 1,024")));
        }
        let deferred_threads = self.deferred_threads.unwrap_or_else(|| cores().max(4));
        if !(1..=1024).contains(&deferred_threads) {
            let problem = format!("deferred_threads is {deferred_threads}: 1 to 1,024");
            return Err(ServerError::Options(problem));
        }
        if self.ends_with_last_target && self.targets.is_empty() {
            return Err(ServerError::Options(
                "a client without a target ends at once: connect one, or keep_running".to_owned(),
            ));
        }
        let targets = self.targets.into_iter().map(|target| target.check(encode));
        let targets: Result<Vec<_>, _> = targets.collect();
        let targets = targets?;
        if self.watchdog.is_some_and(|threshold| threshold < WATCHDOG_MIN) {
            let problem = "watchdog is less than 1 ms: any longer time, or None";
            return Err(ServerError::Options(problem.to_owned()));
        }
        let places: Result<Vec<_>, _> = self.places.into_iter().map(Asked::resolve).collect();
        let places = places?;
        // A simulated network has descriptors of its own, and refuses more by itself.
        let sessions_max = match self.port.simulated {
            Some(_) => self.limits.sessions_max.unwrap_or(UNLIMITED),
            None => sessions_max(self.limits.sessions_max, workers, places.len())?,
        };
        if targets.len() > sessions_max {
            return Err(TargetError::TooMany.into());
        }
        Ok(Plan {
            sessions_max,
            targets,
            ends_with_last_target: self.ends_with_last_target,
            on_connect_failed: self.on_connect_failed,
            resolver: self.resolver,
            places,
            framing: self.framing,
            workers,
            deferred_threads,
            limits: self.limits,
            port: self.port,
            listen: self.listen,
            farewell,
            heartbeat,
            watchdog: self.watchdog,
            on_blocked: self.on_blocked,
            gate: self.gate,
            pins_workers: self.pins_workers,
            capture: self.capture,
        })
    }
}

/// A server whose options have been checked.
#[derive(Debug)]
struct Plan {
    places: Vec<Place>,
    framing: Framing,
    workers: usize,
    deferred_threads: usize,
    sessions_max: usize,
    limits: Limits,
    port: PortOptions,
    listen: ListenOptions,
    farewell: Option<SharedFrame>,
    heartbeat: Option<Heartbeat>,
    targets: Vec<Destination>,
    ends_with_last_target: bool,
    on_connect_failed: Option<FailureHook>,
    resolver: Option<Resolver>,
    watchdog: Option<Duration>,
    on_blocked: Option<Hook>,
    gate: Gate,
    pins_workers: bool,
    capture: Option<CaptureOptions>,
}

/// The watchdog looks no more often than this.
const WATCHDOG_MIN: Duration = Duration::from_millis(1);

fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get).min(1024)
}

fn resolve(address: &str) -> Result<Address, ServerError> {
    let (host, port) = match Endpoint::parse(address) {
        Err(NoEndpoint::Unknown) => return Err(ServerError::Address(address.to_owned())),
        Err(NoEndpoint::Unix(problem)) => return Err(problem.into()),
        Ok(Endpoint::Address(address)) => return Ok(address),
        Ok(Endpoint::Name { host, port }) => (host, port),
    };
    let failed = |source| ServerError::Resolve { name: host.to_string(), source };
    let mut found = (&*host, port).to_socket_addrs().map_err(failed)?;
    let first = found.next().map(Address::Tcp);
    first.ok_or_else(|| failed(std::io::ErrorKind::NotFound.into()))
}

/// Descriptors of the process that no session may take: standard streams, files and libraries of the
/// user's, and room to refuse a connection.
const RESERVE: u64 = 64;
/// Descriptors of one worker besides its sessions.
const PER_WORKER: u64 = 4;
/// Sessions where descriptors have no limit.
const UNLIMITED: usize = 1 << 20;

/// As many sessions as were asked for, or as many as there can be.
fn sessions_max(
    asked: Option<usize>,
    workers: usize,
    listeners: usize,
) -> Result<usize, ServerError> {
    let Some(limit) = wharf_port::raise_descriptor_limit() else {
        return Ok(asked.unwrap_or(UNLIMITED));
    };
    let reserve = RESERVE + PER_WORKER * workers as u64 + listeners as u64;
    let possible = limit.saturating_sub(reserve);
    let needed = (asked.unwrap_or(1) as u64).saturating_add(reserve);
    if needed > limit {
        let sessions_max = asked.unwrap_or(1);
        return Err(ServerError::TooFewDescriptors { sessions_max, needed, limit, possible });
    }
    Ok(asked.unwrap_or_else(|| usize::try_from(possible).unwrap_or(UNLIMITED)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_looked_up_or_refused() {
        assert_eq!(resolve("127.0.0.1:0").unwrap().to_string(), "127.0.0.1:0");
        assert!(resolve("localhost:80").unwrap().ip().unwrap().is_loopback());
        assert_eq!(resolve("unix:/a").unwrap().to_string(), "unix:/a");
        assert!(matches!(resolve("unix:"), Err(ServerError::UnixAddress(_))));
        for bad in ["", "here", "127.0.0.1", "a b:1"] {
            assert!(matches!(resolve(bad), Err(ServerError::Address(_))), "{bad}");
        }
    }
}
