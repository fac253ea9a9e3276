//! A server core for programs that hold many long-lived TCP sessions: game servers, chat, presence,
//! gateways, device hubs.
//!
//! You write what a session does when it connects, when a frame arrives and when it closes; wharf runs
//! a hundred thousand of them on completion ports, a worker thread per core.
//!
//! ```no_run
//! use wharf::{Context, Outcome, Server, Session};
//!
//! struct Echo;
//! impl Session for Echo {
//!     fn on_frame(&mut self, ctx: &mut Context<'_>, frame: &[u8]) -> Outcome {
//!         ctx.send(frame);
//!         Ok(())
//!     }
//! }
//! fn main() -> Result<(), wharf::ServerError> {
//!     Server::bind("127.0.0.1:7777").run(|_| Echo).map(|report| println!("{report}"))
//! }
//! ```
//!
//! # What is promised
//!
//! - The callbacks of one session never overlap and come in order: connected, frames, disconnected
//!   exactly once with one [reason](CloseReason). `&mut self`, no locks, no async.
//! - A [`SessionId`] is never used again. A stale one names nobody.
//! - [`send`](Context::send) never blocks, never grows without bound and keeps order; what happens to a
//!   slow reader is a [policy](SlowReader).
//! - [`Limits`] are on by default, all in one struct.
//! - A callback that fails or panics ends its own session, and nothing else.
//! - A [drain](ServerHandle::drain) loses no queued byte that the peer is willing to take.
//! - When [`run`](Server::run) returns, nothing is left: no operation, socket, buffer, timer or thread.
//!
//! A [`Client`] has the same sessions: it connects, and connects again, where a server listens.
//!
//! The library logs through `tracing`, installs no signal handler, and spawns no threads but its workers, a
//! [watchdog](Server::watchdog) and, once a session [defers](Context::defer) something or a
//! [target](Target) has a name to be looked up, those that do it.

#![forbid(unsafe_code)]

mod admission;
mod arrival;
mod bans;
pub mod capture;
mod client;
mod close_counts;
mod close_reason;
mod context;
mod deferred;
mod error;
mod framing;
#[cfg(any(test, fuzzing))]
#[doc(hidden)]
pub mod fuzzing;
mod gate;
mod group;
mod heartbeat;
mod histogram;
mod holdings;
mod inbox;
mod inspection;
mod limits;
mod live_limits;
#[cfg(test)]
#[cfg(loom)]
mod loom_models;
mod owned_payload;
mod proxy_header;
mod rate;
mod report;
mod room;
mod send_queue;
mod send_total;
mod server;
mod session;
mod session_id;
mod session_ref;
mod shared;
mod shared_frame;
mod stats;
mod sync;
mod timer;
mod timings;
mod typed;
mod unwinding;
mod watchdog;
mod worker;

pub use arrival::Arrival;
pub use bans::{Ban, TooManyBans};
pub use client::{
    Client, ConnectFailure, ConnectProblem, Outgoing, Reconnect, Target, TargetError, TargetId,
    TargetRef,
};
pub use close_counts::CloseCounts;
pub use close_reason::CloseReason;
pub use context::Context;
pub use deferred::DeferError;
pub use error::ServerError;
pub use framing::{
    ByteOrder, Codec, Decoded, Envelope, FrameError, FrameReader, Framing, FramingError,
    GamePacket, LengthCounts, LengthField,
};
pub use gate::{Incoming, Verdict};
pub use group::{Group, GroupSizes, JoinError, Member};
pub use histogram::Histogram;
pub use holdings::{Holdings, SessionCounts};
pub use inspection::{Answers, SessionFilter, SessionReport, SessionsWanted, WorkerReport};
pub use ipnet::IpNet;
pub use limits::Limits;
pub use live_limits::{LiveLimits, LiveLimitsError};
pub use owned_payload::OwnedPayload;
pub use rate::{OverRate, Rate};
pub use report::DrainReport;
pub use room::{Room, RoomContext, RoomError, RoomOptions, RoomRef, Tick};
pub use send_queue::{SendLimits, SendLimitsError, SendStatus, SlowReader};
pub use server::{RunningServer, Server, ServerHandle, SteppedServer, WorkerView};
pub use session::{Outcome, Session};
pub use session_id::SessionId;
pub use session_ref::SessionRef;
pub use shared_frame::SharedFrame;
pub use stats::Stats;
pub use timer::{GroupTimer, SessionTimer};
pub use timings::Timings;
pub use typed::{OnMessage, TypedRef, WrongSession};
pub use watchdog::{Blocked, Callback};
pub use wharf_port::{
    AcceptBacklog, Address, AddressError, Backend, Clock, ConnectError, Credentials, Keepalive,
    Ledger, ListenError, ListenOptions, OpenError, OperationCounts, PortOptions, SocketOptions,
    Time, UnixAddress, UringFeatures, WaitError, sim,
};
#[cfg(unix)]
pub use wharf_port::{LocalListener, ReadyListener};
pub use worker::{Turn, Worker};

/// Keeps the examples of the README and of the pages in `docs/` compiling.
#[cfg(doctest)]
mod pages {
    #[doc = include_str!("../../../README.md")]
    struct Readme;
    #[doc = include_str!("../README.md")]
    struct ReadmeOfCrate;
    #[doc = include_str!("../../../docs/blocking.md")]
    struct Blocking;
    #[doc = include_str!("../../../docs/capture.md")]
    struct Capture;
    #[doc = include_str!("../../../docs/clients.md")]
    struct Clients;
    #[doc = include_str!("../../../docs/drain.md")]
    struct Drain;
    #[doc = include_str!("../../../docs/framing.md")]
    struct Framing;
    #[doc = include_str!("../../../docs/groups.md")]
    struct Groups;
    #[doc = include_str!("../../../docs/guide.md")]
    struct Guide;
    #[doc = include_str!("../../../docs/limits.md")]
    struct Limits;
    #[doc = include_str!("../../../docs/messages.md")]
    struct Messages;
    #[doc = include_str!("../../../docs/peers.md")]
    struct Peers;
    #[doc = include_str!("../../../docs/rooms.md")]
    struct Rooms;
    #[doc = include_str!("../../../docs/slow-readers.md")]
    struct SlowReaders;
    #[doc = include_str!("../../../docs/timers.md")]
    struct Timers;
    #[doc = include_str!("../../../docs/unix-sockets.md")]
    struct UnixSockets;
}
