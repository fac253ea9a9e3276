//! Connections that this side makes.
//!
//! A [`Target`] is what is to be connected, again and again if it says so; each of its connections is a
//! session like any other. What a worker does about it is in `worker/dialing`.

mod endpoint;
mod failure;
mod lookups;
mod outgoing;
mod reconnect;
mod target;
mod targets;

use wharf_port::{Backend, PortOptions, SocketOptions};

pub(crate) use self::endpoint::{Endpoint, NoEndpoint, in_order};
pub use self::failure::{ConnectFailure, ConnectProblem, TargetError};
pub(crate) use self::lookups::{Found, Lookups, Resolver};
pub use self::outgoing::{Outgoing, TargetId, TargetRef};
pub(crate) use self::reconnect::Backoff;
pub use self::reconnect::Reconnect;
pub(crate) use self::target::Destination;
pub use self::target::Target;
pub(crate) use self::targets::{FailureHook, NewTarget, TargetSetup, Targets};

use crate::arrival::Arrival;
use crate::error::ServerError;
use crate::framing::Framing;
use crate::limits::Limits;
use crate::report::DrainReport;
use crate::server::{RunningServer, Server, SteppedServer};
use crate::session::Session;

/// A client that is being set up: a server that listens nowhere and connects instead.
///
/// Its sessions are those of a server, with the same limits but for two: nobody whom this side has
/// called must speak first ([`Limits::first_frame`]), and none counts for
/// [`Limits::per_address_max`]. Thousands of targets share the same few workers.
///
/// It runs until it is drained or stopped, or until its last target is over: stopped, given up, or
/// ended with no [`Reconnect`].
///
/// ```no_run
/// use wharf::{Client, Context, Framing, Outcome, Reconnect, Session, Target};
///
/// struct Player;
///
/// impl Session for Player {
///     fn on_connected(&mut self, ctx: &mut Context<'_>) -> Outcome {
///         ctx.send(b"hello");
///         Ok(())
///     }
///
///     fn on_frame(&mut self, _: &mut Context<'_>, frame: &[u8]) -> Outcome {
///         println!("{}", String::from_utf8_lossy(frame));
///         Ok(())
///     }
/// }
///
/// Client::new()
///     .connect(Target::new("game.example:7777").reconnect(Reconnect::default()))
///     .framing(Framing::LINES)
///     .on_connect_failed(|failure| eprintln!("{failure}"))
///     .run(|_| Player)?;
/// # Ok::<(), wharf::ServerError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Client {
    server: Server,
}

impl Default for Client {
    fn default() -> Self {
        Self::new()
    }
}

impl Client {
    /// A client with nothing to connect yet.
    pub fn new() -> Self {
        Self { server: Server::without_listener() }
    }

    /// Connects one more target.
    #[must_use]
    pub fn connect(mut self, target: impl Into<Target>) -> Self {
        self.server = self.server.and_connect(target);
        self
    }

    /// Goes on when the last target is over, until it is drained or stopped: more are connected by
    /// [`ServerHandle::connect`](crate::ServerHandle::connect). A client without a target needs it.
    #[must_use]
    pub fn keep_running(mut self) -> Self {
        self.server = self.server.ends_with_last_target(false);
        self
    }

    /// Is told of each attempt to connect that has failed, and when the next one comes. On the worker's
    /// thread: it must not block.
    #[must_use]
    pub fn on_connect_failed(
        mut self,
        hook: impl Fn(&ConnectFailure) + Send + Sync + 'static,
    ) -> Self {
        self.server = self.server.on_connect_failed(hook);
        self
    }

    /// Looks names up; see [`Server::resolver`].
    #[must_use]
    pub fn resolver(
        mut self,
        resolve: impl Fn(&str, u16) -> std::io::Result<Vec<std::net::SocketAddr>>
        + Send
        + Sync
        + 'static,
    ) -> Self {
        self.server = self.server.resolver(resolve);
        self
    }

    /// Where a frame begins and ends; default [`Framing::U32_LE`].
    #[must_use]
    pub fn framing(mut self, framing: Framing) -> Self {
        self.server = self.server.framing(framing);
        self
    }

    /// Worker threads: 1 to 1,024; default as many as there are cores.
    #[must_use]
    pub fn workers(mut self, workers: usize) -> Self {
        self.server = self.server.workers(workers);
        self
    }

    /// Threads for work that blocks; see [`Server::deferred_threads`].
    #[must_use]
    pub fn deferred_threads(mut self, threads: usize) -> Self {
        self.server = self.server.deferred_threads(threads);
        self
    }

    /// Every maximum.
    #[must_use]
    pub fn limits(mut self, limits: Limits) -> Self {
        self.server = self.server.limits(limits);
        self
    }

    /// Sends this frame to each session that has been sent nothing else for so long; see
    /// [`Server::heartbeat`].
    #[must_use]
    pub fn heartbeat(mut self, every: std::time::Duration, payload: &[u8]) -> Self {
        self.server = self.server.heartbeat(every, payload);
        self
    }

    /// A frame that each session is sent last when the client drains; see [`Server::farewell`].
    #[must_use]
    pub fn farewell(mut self, payload: &[u8]) -> Self {
        self.server = self.server.farewell(payload);
        self
    }

    /// What finishes the I/O; default [`Backend::Auto`].
    #[must_use]
    pub fn backend(mut self, backend: Backend) -> Self {
        self.server = self.server.backend(backend);
        self
    }

    /// How the completion ports are set up, the backend included.
    #[must_use]
    pub fn port_options(mut self, options: PortOptions) -> Self {
        self.server = self.server.port_options(options);
        self
    }

    /// How connecting sockets are set up.
    #[must_use]
    pub fn socket_options(mut self, options: SocketOptions) -> Self {
        self.server = self.server.socket_options(options);
        self
    }

    /// Runs the client on its threads until it has drained or stopped, or its last target is over. See
    /// [`Server::run`].
    ///
    /// # Errors
    /// [`ServerError`] if the client does not start, or a completion port breaks. That nobody could be
    /// connected is no error of the client's: see [`on_connect_failed`](Self::on_connect_failed).
    pub fn run<H, F>(self, factory: F) -> Result<DrainReport, ServerError>
    where
        H: Session,
        F: Fn(&Arrival) -> H + Send + Sync + 'static,
    {
        self.server.run(factory)
    }

    /// Starts the client and returns. See [`Server::start`].
    ///
    /// # Errors
    /// [`ServerError`] if the client does not start; nothing is left of it then.
    pub fn start<H, F>(self, factory: F) -> Result<RunningServer, ServerError>
    where
        H: Session,
        F: Fn(&Arrival) -> H + Send + Sync + 'static,
    {
        self.server.start(factory)
    }

    /// Starts the client on this thread, and leaves its turns to the caller. See [`SteppedServer`].
    ///
    /// # Errors
    /// [`ServerError`] if the client does not start; nothing is left of it then.
    pub fn start_stepped<H, F>(self, factory: F) -> Result<SteppedServer<H, F>, ServerError>
    where
        H: Session,
        F: Fn(&Arrival) -> H,
    {
        self.server.start_stepped(factory)
    }
}
