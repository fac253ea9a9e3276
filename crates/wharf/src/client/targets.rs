//! What the workers of a server share about targets.

use std::fmt;
use std::sync::Arc;

use super::failure::{ConnectFailure, TargetError};
use super::lookups::Lookups;
use super::outgoing::{TargetId, TargetRef};
use super::target::Destination;
use crate::inbox::{Message, Refused};
use crate::session_id::SessionId;
use crate::shared::Shared;
use crate::sync::{AtomicU64, AtomicUsize, Ordering};
use crate::unwinding::caught;

/// What users do with a failure.
#[derive(Clone)]
pub(crate) struct FailureHook(Arc<dyn Fn(&ConnectFailure) + Send + Sync>);

impl FailureHook {
    pub(crate) fn of(hook: impl Fn(&ConnectFailure) + Send + Sync + 'static) -> Self {
        Self(Arc::new(hook))
    }
}

impl fmt::Debug for FailureHook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FailureHook").finish_non_exhaustive()
    }
}

/// What [`Targets`] is made of.
#[derive(Debug)]
pub(crate) struct TargetSetup {
    pub(crate) lookups: Arc<Lookups>,
    pub(crate) hook: Option<FailureHook>,
    /// The server ends when the last target is over.
    pub(crate) ends_with_last: bool,
    pub(crate) targets_max: usize,
}

/// Targets of all workers.
#[derive(Debug)]
pub(crate) struct Targets {
    setup: TargetSetup,
    next_number: AtomicU64,
    /// Targets that are not over, shared with their places.
    open: Arc<AtomicUsize>,
}

/// A target's place among those that are allowed; given up when it is dropped.
#[derive(Debug)]
pub(crate) struct Place(Arc<AtomicUsize>);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

/// A target on its way to its worker.
#[derive(Debug)]
pub(crate) struct NewTarget {
    pub(crate) id: TargetId,
    pub(crate) destination: Destination,
    pub(crate) opener: Option<SessionId>,
    pub(crate) _place: Place,
}

impl NewTarget {
    /// What it counts towards the bound of an inbox.
    pub(crate) fn bytes(&self) -> usize {
        size_of::<Self>() + self.destination.text.len()
    }
}

impl Targets {
    pub(crate) fn new(setup: TargetSetup) -> Self {
        Self { setup, next_number: AtomicU64::new(0), open: Arc::new(AtomicUsize::new(0)) }
    }

    pub(crate) const fn lookups(&self) -> &Arc<Lookups> {
        &self.setup.lookups
    }

    /// Targets that are not over.
    pub(crate) fn open(&self) -> usize {
        self.open.load(Ordering::Acquire)
    }

    /// Whether the last target is over, and the server with it.
    pub(crate) fn is_over(&self) -> bool {
        self.setup.ends_with_last && self.open() == 0
    }

    /// Tells the users' hook of a failure; false if it panicked.
    pub(crate) fn tell(&self, failure: &ConnectFailure) -> bool {
        self.setup.hook.as_ref().is_none_or(|hook| caught(|| (hook.0)(failure)).is_some())
    }

    fn place(&self) -> Option<Place> {
        let one_more = |open| (open < self.setup.targets_max).then_some(open + 1);
        let (set, get) = (Ordering::AcqRel, Ordering::Acquire);
        self.open.fetch_update(set, get, one_more).ok()?;
        Some(Place(Arc::clone(&self.open)))
    }
}

impl Shared {
    /// A new target of this worker, or of the next one in turn.
    pub(crate) fn new_target(
        self: &Arc<Self>,
        destination: Destination,
        worker: Option<usize>,
        opener: Option<SessionId>,
    ) -> Result<(TargetRef, Box<NewTarget>), TargetError> {
        let place = self.targets.place().ok_or(TargetError::TooMany)?;
        let number = self.targets.next_number.fetch_add(1, Ordering::Relaxed);
        let workers = self.inboxes.len() as u64;
        // The remainder is one of the workers.
        let in_turn = || usize::try_from(number % workers).unwrap_or(0);
        let id = TargetId::new(worker.unwrap_or_else(in_turn), number);
        let target = TargetRef::new(id, &destination, self);
        Ok((target, Box::new(NewTarget { id, destination, opener, _place: place })))
    }

    /// Has a worker connect a target.
    pub(crate) fn connect(
        self: &Arc<Self>,
        destination: Destination,
    ) -> Result<TargetRef, TargetError> {
        let (target, new) = self.new_target(destination, None, None)?;
        match self.put(target.id().worker(), Message::Connect(new)) {
            Ok(()) => Ok(target),
            Err(Refused::Full) => Err(TargetError::Overloaded),
            Err(Refused::Ended) => Err(TargetError::Ended),
        }
    }
}
