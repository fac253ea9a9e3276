//! How a completion port is set up.

use std::num::NonZeroU16;
use std::time::Duration;

use crate::select::Backend;
use crate::sim::Network;

/// The longest that a wait may look for something before it sleeps.
const SPIN_MAX: Duration = Duration::from_secs(1);

/// How a [`CompletionPort`](crate::CompletionPort) is set up.
///
/// ```
/// use wharf_port::{Backend, CompletionPort, PortOptions};
///
/// let options = PortOptions { backend: Backend::Readiness, ..PortOptions::default() };
/// let port = CompletionPort::open(&options)?;
/// assert_eq!(port.backend(), Backend::Readiness);
/// # Ok::<(), wharf_port::OpenError>(())
/// ```
#[derive(Clone, Debug)]
pub struct PortOptions {
    /// Which backend; default [`Backend::Auto`].
    pub backend: Backend,
    /// How many receive buffers the port's sockets share: a power of two, 2 to 32,768; default 128.
    ///
    /// A batch of completions holds some 25 at a time, so this is enough for thousands of sessions.
    /// 256 measured the same or worse: the kernel takes them in turn, so each one is cache that is
    /// used. With 64 a thousand busy sessions run out of them.
    pub buffers: u16,
    /// Bytes of one receive buffer: 64 to 1 MiB; default 16 KiB. A receive gives at most this much.
    pub buffer_bytes: u32,
    /// Entries of the completion queue where there is one: 8 to 65,536; default 4,096. A shorter
    /// queue loses nothing, the kernel keeps the rest, but it costs further system calls.
    pub completion_queue: u32,
    /// How long a wait that finds nothing looks again and again before it sleeps: up to a second; default
    /// zero. It takes a core for as long, and spares who speaks within that time the waking of a thread. At
    /// the virtual pace of [`Backend::Sim`], where no time passes meanwhile, nothing is looked for.
    pub spin: Duration,
    /// What of `io_uring` may be used; see [`UringFeatures`].
    pub uring: UringFeatures,
    /// What [`Backend::Iocp`] may do; see [`IocpOptions`].
    pub iocp: IocpOptions,
    /// The network that [`Backend::Sim`] opens on; default none. With it, [`Backend::Auto`] is
    /// [`Backend::Sim`].
    pub simulated: Option<Network>,
}

impl Default for PortOptions {
    fn default() -> Self {
        Self {
            backend: Backend::Auto,
            buffers: 128,
            buffer_bytes: 16 << 10,
            completion_queue: 4096,
            spin: Duration::ZERO,
            uring: UringFeatures::default(),
            iocp: IocpOptions::default(),
            simulated: None,
        }
    }
}

impl PortOptions {
    /// What is out of range, if anything is.
    pub(crate) fn problem(&self) -> Option<String> {
        if !self.buffers.is_power_of_two() || !(2..=1 << 15).contains(&self.buffers) {
            return Some(format!("buffers is {}: a power of two, 2 to 32,768", self.buffers));
        }
        if !(64..=1 << 20).contains(&self.buffer_bytes) {
            return Some(format!("buffer_bytes is {}: 64 to 1,048,576", self.buffer_bytes));
        }
        let bytes = usize::from(self.buffers).checked_mul(self.buffer_bytes as usize);
        if bytes.is_none_or(|bytes| bytes > isize::MAX as usize / 2) {
            return Some(
                "buffers times buffer_bytes is more than this system can address".to_owned(),
            );
        }
        if !(8..=1 << 16).contains(&self.completion_queue) {
            return Some(format!("completion_queue is {}: 8 to 65,536", self.completion_queue));
        }
        if self.spin > SPIN_MAX {
            return Some(format!("spin is {:?}: up to {SPIN_MAX:?}", self.spin));
        }
        self.iocp.problem()
    }
}

/// Which features of `io_uring` a port may use. All of them are in Linux 6.1; each has a step down
/// for a kernel (or a self-test) that lacks it, and switching one off here takes that step, so that
/// it can be tested anywhere.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct UringFeatures {
    /// `IORING_SETUP_DEFER_TASKRUN` (Linux 6.1). Without it: `COOP_TASKRUN` (5.19), at some 27% more
    /// CPU, and without that plain task work.
    pub defer_taskrun: bool,
    /// One accept that stays armed (5.19). Without it: an accept is armed for each connection.
    pub multishot_accept: bool,
    /// One receive that stays armed (6.0). Without it: a receive is armed for each completion.
    pub multishot_receive: bool,
}

impl Default for UringFeatures {
    fn default() -> Self {
        Self { defer_taskrun: true, multishot_accept: true, multishot_receive: true }
    }
}

/// How the completion ports of Windows are used.
#[derive(Clone, Debug)]
pub struct IocpOptions {
    /// Accepts that wait in the kernel for each listener, each with a socket made in advance: 1 to
    /// 4,096; default 64. More only help where more clients than that connect within one turn of the
    /// worker; those beyond wait in the backlog.
    pub accept_depth: u16,
    /// Who makes sockets and posts accepts; default [`AcceptRefill::Thread`], which measured better
    /// than `Inline` (`examples/accept_refill.rs`, under Wine: 0.71 of the time per connection).
    pub refill: AcceptRefill,
    /// Has an accept come with the client's first bytes, which saves a receive; default none. Only for
    /// protocols in which the client speaks first: see [`FirstReceive`].
    pub first_receive: Option<FirstReceive>,
    /// Whether sockets are used again; default [`Recycling::Off`].
    pub recycling: Recycling,
}

impl Default for IocpOptions {
    fn default() -> Self {
        Self {
            accept_depth: 64,
            refill: AcceptRefill::Thread,
            first_receive: None,
            recycling: Recycling::Off,
        }
    }
}

impl IocpOptions {
    fn problem(&self) -> Option<String> {
        let depth = self.accept_depth;
        if !(1..=4096).contains(&depth) {
            return Some(format!("accept_depth is {depth}: 1 to 4,096"));
        }
        let patience = self.first_receive.map(|first| first.patience);
        if patience.is_some_and(|patience| patience < Duration::from_secs(1)) {
            return Some(
                "patience is below a second, which Windows counts connections by".to_owned(),
            );
        }
        None
    }
}

/// Who makes the sockets for accepts on Windows, and posts the accepts.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum AcceptRefill {
    /// The worker, at the start of each wait.
    Inline,
    /// A thread of its own for each listener, woken through a completion port of its own.
    Thread,
    /// Nobody: a thread calls plain `accept`, and no socket is made in advance.
    AcceptThread,
}

/// An accept that waits for the client's first bytes (`AcceptEx` with a receive).
///
/// A client that connects and stays silent keeps its place among the accepts, so one that has said
/// nothing for `patience` is reset. Connections that are silent when the listener stops are lost.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct FirstReceive {
    /// How many bytes come with the accept at most.
    pub bytes: NonZeroU16,
    /// How long a client may be silent; at least a second, which is what Windows counts by.
    pub patience: Duration,
}

/// Whether sockets are used again on Windows after a connection has ended.
///
/// It saves the making of a socket for each connection. A socket that is used again stays with its
/// port: a server with one worker gains, one with several can use them only for sessions of the worker
/// that listens. Only sockets whose peer has ended first are used again: the others wait in TIME_WAIT.
/// Off under Wine, where such sockets do not work, and with
/// [`AcceptRefill::AcceptThread`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Recycling {
    /// Every connection has a new socket.
    Off,
    /// By `DisconnectEx` with `TF_REUSE_SOCKET`.
    DisconnectEx,
    /// By `TransmitFile` with `TF_DISCONNECT | TF_REUSE_SOCKET`.
    TransmitFile,
}
