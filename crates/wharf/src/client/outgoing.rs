//! Targets and their connections, as users see them.

use std::fmt;
use std::sync::Arc;

use wharf_port::Address;

use super::target::Destination;
use crate::inbox::{Message, Refused};
use crate::send_queue::SendStatus;
use crate::session_id::SessionId;
use crate::shared::Shared;

const WORKER_SHIFT: u32 = 54;

/// The name of one target: never used again while the process lives.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TargetId(u64);

impl TargetId {
    /// Numbers that targets of one server can have.
    pub(crate) const NUMBERS: u64 = 1 << WORKER_SHIFT;

    pub(crate) const fn new(worker: usize, number: u64) -> Self {
        Self((worker as u64) << WORKER_SHIFT | (number & (Self::NUMBERS - 1)))
    }

    /// The id as a number.
    pub const fn as_u64(self) -> u64 {
        self.0
    }

    /// The worker that connects it, on which all its sessions live.
    pub const fn worker(self) -> usize {
        (self.0 >> WORKER_SHIFT) as usize
    }

    /// What tells it from the others of its server.
    pub(crate) const fn number(self) -> u64 {
        self.0 & (Self::NUMBERS - 1)
    }
}

impl fmt::Display for TargetId {
    /// Worker and number: `0-17`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.worker(), self.number())
    }
}

impl fmt::Debug for TargetId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "target {self}")
    }
}

/// A handle to a target for any thread. It keeps nothing alive.
#[derive(Clone)]
pub struct TargetRef {
    id: TargetId,
    address: Arc<str>,
    tag: u64,
    shared: Arc<Shared>,
}

impl TargetRef {
    pub(crate) fn new(id: TargetId, to: &Destination, shared: &Arc<Shared>) -> Self {
        let (address, shared) = (Arc::clone(&to.text), Arc::clone(shared));
        Self { id, address, tag: to.tag, shared }
    }

    /// Its name.
    pub const fn id(&self) -> TargetId {
        self.id
    }

    /// Its address, as it was given.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// [`Target::tag`](crate::Target::tag).
    pub const fn tag(&self) -> u64 {
        self.tag
    }

    /// Connects it no more, and closes its session, if it has one, when what is queued has been sent.
    /// The answer may be ignored, unless it is [`SendStatus::Overloaded`]: then nothing was stopped.
    pub fn stop(&self) -> SendStatus {
        match self.shared.put(self.id.worker(), Message::StopTarget(self.id)) {
            Ok(()) => SendStatus::Queued,
            Err(Refused::Full) => SendStatus::Overloaded,
            Err(Refused::Ended) => SendStatus::Closed,
        }
    }
}

impl fmt::Debug for TargetRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { id, address, tag, .. } = self;
        f.debug_struct("TargetRef")
            .field("id", id)
            .field("address", address)
            .field("tag", tag)
            .finish_non_exhaustive()
    }
}

/// What the factory is told of a connection that this side has made.
#[derive(Clone, Debug)]
pub struct Outgoing {
    pub(crate) target: TargetRef,
    pub(crate) local: Option<Address>,
    pub(crate) opener: Option<SessionId>,
    pub(crate) reconnects: u64,
    pub(crate) attempts: u32,
}

impl Outgoing {
    /// What is connected.
    pub const fn target(&self) -> &TargetRef {
        &self.target
    }

    /// The local address of the connection, by which its peer knows it if nothing stands between; `None` if
    /// the system does not tell.
    pub const fn local(&self) -> Option<&Address> {
        self.local.as_ref()
    }

    /// The session that asked for it by [`Context::connect`](crate::Context::connect), if one did: it
    /// lives on the same worker, if it lives.
    pub const fn opener(&self) -> Option<SessionId> {
        self.opener
    }

    /// How many sessions the target has had before this one.
    pub const fn reconnects(&self) -> u64 {
        self.reconnects
    }

    /// How many attempts it took: 1 if none has failed.
    pub const fn attempts(&self) -> u32 {
        self.attempts
    }
}
