//! Which backend a port runs on: the one place where they are chosen and told apart.

use std::fmt;
use std::io;
use std::str::FromStr;
use std::time::Duration;

use crate::accept_backlog::AcceptBacklog;
use crate::address::Address;
use crate::buffer::{BufferPool, Ledger, Segment};
use crate::clock::{Clock, Time, monotonic_now, system_seed};
use crate::completion::{Completion, Direction};
use crate::error::{CloseError, ConnectError, ListenError, OpenError, UnknownSocket};
use crate::ids::{ListenerId, SocketId};
#[cfg(windows)]
use crate::iocp::{Iocp, Native};
use crate::operation_counts::OperationCounts;
use crate::options::PortOptions;
#[cfg(target_os = "linux")]
use crate::options::UringFeatures;
use crate::port::Stats;
#[cfg(unix)]
use crate::readiness::Readiness;
#[cfg(unix)]
use crate::ready_listener::ReadyListener;
use crate::sim::Sim;
use crate::socket::FreshSocket;
use crate::socket_options::{ListenOptions, SocketOptions};
#[cfg(unix)]
use crate::sys;
use crate::sys::Notifier;
#[cfg(target_os = "linux")]
use crate::uring::{self, Uring};
use crate::waker::{Signal, Waker};

/// What finishes the operations of a port.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub enum Backend {
    /// The best that works here: `io_uring` on Linux, or readiness where it is denied; completion ports
    /// on Windows.
    Auto,
    /// Linux `io_uring`.
    Uring,
    /// Readiness (epoll or kqueue), dressed as completions.
    Readiness,
    /// Windows I/O completion ports.
    Iocp,
    /// A simulated network: see [`sim`](crate::sim).
    Sim,
}

impl Backend {
    /// The name as the command line has it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Uring => "uring",
            Self::Readiness => "readiness",
            Self::Iocp => "iocp",
            Self::Sim => "sim",
        }
    }
}

impl fmt::Display for Backend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Backend {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        // Not the simulator: it is opened on a network, which has no name.
        [Self::Auto, Self::Uring, Self::Readiness, Self::Iocp]
            .into_iter()
            .find(|backend| backend.name() == name)
            .ok_or_else(|| format!("no backend '{name}': auto, uring, readiness or iocp"))
    }
}

/// What was chosen, and why nothing better was.
#[derive(Debug)]
pub(crate) struct Selection {
    pub(crate) backend: Backend,
    #[cfg(target_os = "linux")]
    pub(crate) features: UringFeatures,
    pub(crate) kept_from: Option<String>,
}

impl Selection {
    #[cfg(unix)]
    fn readiness(kept_from: Option<String>) -> Self {
        Self { kept_from, ..Self::plain(Backend::Readiness) }
    }

    fn plain(backend: Backend) -> Self {
        Self {
            backend,
            #[cfg(target_os = "linux")]
            features: UringFeatures::default(),
            kept_from: None,
        }
    }
}

/// Chooses a backend. A shortage is an error, never a reason to take a lesser backend: it would
/// hide what is wrong.
pub(crate) fn choose(options: &PortOptions) -> Result<Selection, OpenError> {
    match options.backend {
        Backend::Sim | Backend::Auto if options.simulated.is_some() => {
            Ok(Selection::plain(Backend::Sim))
        }
        Backend::Sim => Err(OpenError::Options(
            "the backend sim needs a network: set PortOptions::simulated".to_owned(),
        )),
        asked => choose_of_the_system(asked, options),
    }
}

#[cfg(windows)]
fn choose_of_the_system(asked: Backend, _: &PortOptions) -> Result<Selection, OpenError> {
    match asked {
        Backend::Auto | Backend::Iocp => Ok(Selection::plain(Backend::Iocp)),
        _ => Err(unavailable(asked, "this is Windows")),
    }
}

#[cfg(unix)]
fn choose_of_the_system(asked: Backend, options: &PortOptions) -> Result<Selection, OpenError> {
    match asked {
        Backend::Readiness => Ok(Selection::readiness(None)),
        Backend::Iocp => {
            let reason = "completion ports of this kind exist on Windows only";
            Err(unavailable(asked, reason))
        }
        asked => choose_uring(asked, options),
    }
}

fn unavailable(backend: Backend, reason: &str) -> OpenError {
    OpenError::Unavailable { backend, reason: reason.to_owned() }
}

#[cfg(target_os = "linux")]
fn choose_uring(asked: Backend, options: &PortOptions) -> Result<Selection, OpenError> {
    let probed = uring::probe()?;
    match probed {
        Ok(features) => Ok(Selection {
            backend: Backend::Uring,
            features: UringFeatures {
                defer_taskrun: features.defer_taskrun && options.uring.defer_taskrun,
                multishot_accept: features.multishot_accept && options.uring.multishot_accept,
                multishot_receive: features.multishot_receive && options.uring.multishot_receive,
            },
            kept_from: None,
        }),
        Err(reason) if asked == Backend::Auto => Ok(Selection::readiness(Some(reason))),
        Err(reason) => Err(OpenError::Unavailable { backend: asked, reason }),
    }
}

#[cfg(all(unix, not(target_os = "linux")))]
fn choose_uring(asked: Backend, _: &PortOptions) -> Result<Selection, OpenError> {
    if asked == Backend::Auto {
        return Ok(Selection::readiness(None));
    }
    Err(unavailable(asked, "io_uring exists on Linux only"))
}

/// The backend of one port. A match and no trait object: the choice is made once, the branch is
/// predicted, and each backend is a plain struct with the same methods.
#[derive(Debug)]
#[cfg_attr(
    any(target_os = "linux", windows),
    expect(clippy::large_enum_variant, reason = "there is one per port")
)]
pub(crate) enum Driver {
    #[cfg(target_os = "linux")]
    Uring(Uring),
    #[cfg(unix)]
    Readiness(Readiness),
    #[cfg(windows)]
    Iocp(Iocp<Native>),
    Sim(Sim),
}

macro_rules! each {
    ($self:expr, $driver:ident => $call:expr) => {
        match $self {
            #[cfg(target_os = "linux")]
            Driver::Uring($driver) => $call,
            #[cfg(unix)]
            Driver::Readiness($driver) => $call,
            #[cfg(windows)]
            Driver::Iocp($driver) => $call,
            Driver::Sim($driver) => $call,
        }
    };
}

/// The same for what the simulator has otherwise.
macro_rules! each_or_sim {
    ($self:expr, $driver:ident => $call:expr, $sim:ident => $simulated:expr) => {
        match $self {
            #[cfg(target_os = "linux")]
            Driver::Uring($driver) => $call,
            #[cfg(unix)]
            Driver::Readiness($driver) => $call,
            #[cfg(windows)]
            Driver::Iocp($driver) => $call,
            Driver::Sim($sim) => $simulated,
        }
    };
}

/// The same for what the backends on Unix sockets share, and others have a method for.
macro_rules! each_on_unix {
    ($self:expr, $driver:ident => $call:expr, $own:ident => $method:expr) => {
        match $self {
            #[cfg(target_os = "linux")]
            Driver::Uring($driver) => $call,
            #[cfg(unix)]
            Driver::Readiness($driver) => $call,
            #[cfg(windows)]
            Driver::Iocp($own) => $method,
            Driver::Sim($own) => $method,
        }
    };
}

impl Driver {
    /// Opens the backend that was chosen, and makes what wakes it.
    pub(crate) fn open(
        selection: &Selection,
        options: &PortOptions,
    ) -> Result<(Self, Waker), OpenError> {
        if let (Backend::Sim, Some(network)) = (selection.backend, &options.simulated) {
            let sim = Sim::open(options, network.clone());
            let waker = Waker::new(Signal::Simulated(sim.ringer()));
            return Ok((Self::Sim(sim), waker));
        }
        let notifier = Notifier::new().map_err(|source| OpenError::Shortage {
            backend: selection.backend,
            source,
            advice: "raise the descriptor limit (ulimit -n)",
        })?;
        let driver = match selection.backend {
            #[cfg(target_os = "linux")]
            Backend::Uring => Self::Uring(Uring::open(options, selection.features, &notifier)?),
            #[cfg(unix)]
            _ => Self::Readiness(Readiness::open(options, &notifier)?),
            #[cfg(windows)]
            _ => Self::Iocp(Iocp::open(Native, notifier.port(), options)),
        };
        Ok((driver, Waker::new(Signal::System(notifier))))
    }

    pub(crate) const fn backend(&self) -> Backend {
        match self {
            #[cfg(target_os = "linux")]
            Self::Uring(_) => Backend::Uring,
            #[cfg(unix)]
            Self::Readiness(_) => Backend::Readiness,
            #[cfg(windows)]
            Self::Iocp(_) => Backend::Iocp,
            Self::Sim(_) => Backend::Sim,
        }
    }

    /// What time it is.
    #[inline]
    pub(crate) fn clock(&self) -> Time {
        each_or_sim!(self, _driver => monotonic_now(), sim => sim.clock())
    }

    /// The clock for other threads.
    pub(crate) fn clock_of_others(&self) -> Clock {
        Clock::new(each_or_sim!(self, _driver => None, sim => Some(sim.network())))
    }

    /// A seed for a port's randomness.
    pub(crate) fn seed(&self) -> u64 {
        each_or_sim!(self, _driver => system_seed(), sim => sim.seed())
    }

    /// Says when the port's next timer is due: a simulated network has to know.
    #[inline]
    pub(crate) const fn set_timer(&mut self, timer: Option<Time>) {
        if let Self::Sim(sim) = self {
            sim.set_timer(timer);
        }
    }

    pub(crate) fn listen(
        &mut self,
        address: &Address,
        options: &ListenOptions,
    ) -> Result<ListenerId, ListenError> {
        each_on_unix!(
            self,
            driver => driver
                .listen(sys::open_listener(address, options)?)
                .map_err(|errno| ListenError::new(address, errno)),
            own => own.listen(address, options)
        )
    }

    #[cfg(unix)]
    pub(crate) fn listen_on(
        &mut self,
        ready: &ReadyListener,
        options: &ListenOptions,
    ) -> Result<ListenerId, ListenError> {
        let (listener, address) = sys::take_over(ready, options)?;
        each_or_sim!(
            self,
            driver => driver
                .listen(listener)
                .map_err(|errno| ListenError::new(&address, errno)),
            _sim => Err(ListenError::NotAListener("a simulated network has sockets of its own"))
        )
    }

    pub(crate) fn listener_address(&self, id: ListenerId) -> Option<Address> {
        each_on_unix!(
            self,
            driver => driver.listener(id).and_then(|it| sys::local_address(&it.socket)),
            own => own.listener_address(id)
        )
    }

    /// Windows does not tell, and a simulated network is not asked.
    #[cfg_attr(not(unix), expect(unused_variables, reason = "nobody is asked"))]
    pub(crate) fn accept_backlog(&self, id: ListenerId) -> Option<AcceptBacklog> {
        each_on_unix!(
            self,
            driver => driver.listener(id).and_then(|it| sys::accept_backlog(&it.socket)),
            _own => None
        )
    }

    pub(crate) fn stop_listening(&mut self, id: ListenerId) {
        each!(self, driver => driver.stop_listening(id));
    }

    pub(crate) fn pause_accept(&mut self, id: ListenerId) {
        each!(self, driver => driver.pause_accept(id));
    }

    pub(crate) fn resume_accept(&mut self, id: ListenerId) {
        each!(self, driver => driver.resume_accept(id));
    }

    pub(crate) fn adopt(&mut self, socket: FreshSocket) -> io::Result<SocketId> {
        each!(self, driver => driver.adopt(socket))
    }

    pub(crate) fn connect(
        &mut self,
        address: Address,
        options: &SocketOptions,
    ) -> Result<SocketId, ConnectError> {
        each_on_unix!(
            self,
            driver => driver.connect(sys::open_stream(&address, options)?, address),
            own => own.connect(address, options)
        )
    }

    pub(crate) fn local_address(&self, id: SocketId) -> Option<Address> {
        each_on_unix!(
            self,
            driver => driver.socket(id).and_then(sys::local_address),
            own => own.local_address(id)
        )
    }

    pub(crate) fn peer_address(&self, id: SocketId) -> Option<Address> {
        each_on_unix!(
            self,
            driver => driver.socket(id).and_then(sys::peer_address),
            own => own.peer_address(id)
        )
    }

    pub(crate) fn no_delay(&self, id: SocketId) -> Option<bool> {
        each_on_unix!(
            self,
            driver => driver.socket(id).and_then(|socket| sys::no_delay(socket).ok()),
            own => own.no_delay(id)
        )
    }

    pub(crate) fn receive(&mut self, id: SocketId) -> Result<(), UnknownSocket> {
        each!(self, driver => driver.receive(id))
    }

    pub(crate) fn pause_receive(&mut self, id: SocketId) -> Result<(), UnknownSocket> {
        each!(self, driver => driver.pause_receive(id))
    }

    pub(crate) fn resume_receive(&mut self, id: SocketId) -> Result<(), UnknownSocket> {
        each!(self, driver => driver.resume_receive(id))
    }

    pub(crate) fn send(&mut self, id: SocketId, what: Vec<Segment>) -> Result<(), UnknownSocket> {
        each!(self, driver => driver.send(id, what))
    }

    pub(crate) fn shutdown(&mut self, id: SocketId) -> Result<(), UnknownSocket> {
        each!(self, driver => driver.shutdown(id))
    }

    pub(crate) fn cancel(
        &mut self,
        id: SocketId,
        direction: Direction,
    ) -> Result<(), UnknownSocket> {
        each!(self, driver => driver.cancel(id, direction))
    }

    pub(crate) fn close(&mut self, id: SocketId, reset: bool) -> Result<(), UnknownSocket> {
        each!(self, driver => driver.close(id, reset))
    }

    /// Starts what is staged and waits, for at most `timeout`, until there is something to take.
    pub(crate) fn wait(&mut self, timeout: Option<Duration>, now: Time) -> io::Result<()> {
        each_or_sim!(self, driver => driver.wait(timeout, now), sim => sim.wait(timeout))
    }

    /// Looks at the driver's own timers (listeners that rest).
    pub(crate) fn tick(&mut self, now: Time) {
        each_or_sim!(self, driver => driver.tick(now), _sim => ());
    }

    #[inline]
    pub(crate) fn take(&mut self, now: Time) -> Option<Completion> {
        each_or_sim!(self, driver => driver.take(now), sim => sim.take())
    }

    /// Whether there is something to take without a wait.
    pub(crate) fn has_ready(&self) -> bool {
        each!(self, driver => driver.has_ready())
    }

    /// When [`tick`](Self::tick) is next due.
    pub(crate) fn next_deadline(&self) -> Option<Time> {
        each!(self, driver => driver.next_deadline())
    }

    pub(crate) fn sockets(&self) -> usize {
        each!(self, driver => driver.sockets())
    }

    pub(crate) fn operations(&self) -> usize {
        each!(self, driver => driver.operations())
    }

    /// The same by kind, but for timers, which are the port's.
    pub(crate) fn operation_counts(&self) -> OperationCounts {
        each!(self, driver => driver.operation_counts())
    }

    pub(crate) fn ledger(&self) -> Ledger {
        each_or_sim!(self, driver => driver.pool().ledger(), sim => sim.ledger())
    }

    pub(crate) fn pool(&self) -> &BufferPool {
        each!(self, driver => driver.pool())
    }

    pub(crate) fn stats(&self) -> Stats {
        each!(self, driver => driver.stats())
    }

    /// Closes everything and joins it; does nothing the second time.
    pub(crate) fn shut_down(&mut self, timeout: Duration) -> Result<(), CloseError> {
        each!(self, driver => driver.shut_down(timeout))
    }
}
