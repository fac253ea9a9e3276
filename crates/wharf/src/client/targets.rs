//! What the workers of a server share about targets.

use std::fmt;
use std::sync::{Arc, PoisonError};

use super::failure::{ConnectFailure, TargetError};
use super::lookups::Lookups;
use super::outgoing::{TargetId, TargetRef};
use super::target::Destination;
use crate::inbox::{Message, Refused};
use crate::session_id::SessionId;
use crate::shared::Shared;
use crate::sync::{AtomicU64, AtomicUsize, Mutex, Ordering};
use crate::unwinding::{caught, drop_quietly};

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
    lookups: Arc<Lookups>,
    /// What the users have given may have a handle to the server, which would then keep itself alive: it
    /// goes with the server's end.
    hook: Mutex<Option<FailureHook>>,
    ends_with_last: bool,
    targets_max: usize,
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
        let TargetSetup { lookups, hook, ends_with_last, targets_max } = setup;
        Self {
            lookups,
            hook: Mutex::new(hook),
            ends_with_last,
            targets_max,
            next_number: AtomicU64::new(0),
            open: Arc::new(AtomicUsize::new(0)),
        }
    }

    pub(crate) const fn lookups(&self) -> &Arc<Lookups> {
        &self.lookups
    }

    /// Targets that are not over.
    pub(crate) fn open(&self) -> usize {
        self.open.load(Ordering::Acquire)
    }

    /// Whether the last target is over, and the server with it.
    fn is_over(&self) -> bool {
        self.ends_with_last && self.open() == 0
    }

    /// Tells the users' hook of a failure; false if it panicked.
    pub(crate) fn tell(&self, failure: &ConnectFailure) -> bool {
        // Not under the lock: a hook may do what it likes.
        let hook = self.hook.lock().unwrap_or_else(PoisonError::into_inner).clone();
        hook.is_none_or(|hook| caught(|| (hook.0)(failure)).is_some() & drop_quietly(hook))
    }

    /// The workers have ended: nobody asks or tells any more, and what the users have given is dropped.
    pub(crate) fn end(&self) {
        self.lookups.end();
        let hook = self.hook.lock().unwrap_or_else(PoisonError::into_inner).take();
        drop_quietly(hook);
    }

    fn place(&self) -> Option<Place> {
        let one_more = |open| (open < self.targets_max).then_some(open + 1);
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

    /// Has this worker connect a target, or the next one in turn.
    pub(crate) fn connect(
        self: &Arc<Self>,
        destination: Destination,
        worker: Option<usize>,
        opener: Option<SessionId>,
    ) -> Result<TargetRef, TargetError> {
        let (target, new) = self.new_target(destination, worker, opener)?;
        self.put_target(new)?;
        Ok(target)
    }

    /// Sends a target to its worker.
    pub(crate) fn put_target(&self, new: Box<NewTarget>) -> Result<(), TargetError> {
        // One that is refused gives its place up.
        self.put(new.id.worker(), Message::Connect(new)).map_err(|refused| {
            self.place_given_up();
            match refused {
                Refused::Full => TargetError::Overloaded,
                Refused::Ended => TargetError::Ended,
            }
        })
    }

    /// Has the server drain if that was the last target. To be called whenever a [`Place`] has been given
    /// up, or a server that ends with its last target would wait for ever.
    pub(crate) fn place_given_up(&self) {
        if self.targets.is_over() {
            self.drain(self.farewell.as_ref());
        }
    }
}
