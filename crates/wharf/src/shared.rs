//! What the threads of a server share.

use std::any::TypeId;
use std::sync::{Arc, OnceLock, PoisonError};

use wharf_port::Address;

use crate::admission::Admission;
use crate::bans::Bans;
use crate::capture::{CaptureOptions, Recorder};
use crate::client::{TargetSetup, Targets};
use crate::close_counts::ClosesOfWorker;
use crate::deferred::Pool;
use crate::framing::{FrameError, Framing};
use crate::group::{Groups, WorkerSet};
use crate::inbox::{Inbox, Message, Refused};
use crate::live_limits::{LiveLimits, LiveLimitsError};
use crate::rate::SharedBucket;
use crate::room::Rooms;
use crate::send_queue::SendStatus;
use crate::send_total::SendTotal;
use crate::shared_frame::SharedFrame;
use crate::stats::{Published, Stats};
use crate::sync::{AtomicBool, AtomicUsize, Mutex, Ordering};
use crate::timings::TimingsOfWorker;
use crate::typed::WrongSession;
use crate::watchdog::Watched;

/// One per server.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) inboxes: Box<[Inbox]>,
    pub(crate) published: Box<[Published]>,
    pub(crate) closes: Box<[ClosesOfWorker]>,
    /// How long each worker takes.
    pub(crate) timings: Box<[TimingsOfWorker]>,
    /// What each worker does.
    pub(crate) watched: Box<[Arc<Watched>]>,
    pub(crate) admission: Admission,
    pub(crate) bans: Bans,
    pub(crate) accept_rate: SharedBucket,
    pub(crate) groups: Groups,
    /// What is to be connected.
    pub(crate) targets: Targets,
    pub(crate) send_total: SendTotal,
    pub(crate) deferred: Arc<Pool>,
    pub(crate) rooms: Arc<Rooms>,
    pub(crate) rooms_max: usize,
    /// Where captured sessions are written down, if any may be.
    pub(crate) recorder: Option<Arc<Recorder>>,
    /// What may change of the limits, as it is now.
    live: Mutex<LiveLimits>,
    /// As many sessions as it was started for.
    sessions_max: usize,
    framing: Framing,
    frame_bytes_max: usize,
    /// What its factory makes.
    session_type: TypeId,
    /// What each session is sent last when the server drains.
    pub(crate) farewell: Option<SharedFrame>,
    /// Listeners that have not closed.
    listeners_open: AtomicUsize,
    /// Its listeners are to accept nobody for now.
    paused: AtomicBool,
    /// It was told to drain, or to stop.
    draining: AtomicBool,
    /// A worker has failed.
    failed: AtomicBool,
    pub(crate) addresses: OnceLock<Vec<Address>>,
    causes: Mutex<Vec<&'static str>>,
}

/// What [`Shared`] is made of.
#[derive(Debug)]
pub(crate) struct SharedSetup {
    pub(crate) inboxes: Vec<Inbox>,
    pub(crate) admission: Admission,
    pub(crate) listeners: usize,
    pub(crate) live: LiveLimits,
    pub(crate) framing: Framing,
    pub(crate) frame_bytes_max: usize,
    pub(crate) session_type: TypeId,
    pub(crate) farewell: Option<SharedFrame>,
    pub(crate) send_total_max: usize,
    pub(crate) deferred: Pool,
    pub(crate) rooms_max: usize,
    pub(crate) capture: Option<CaptureOptions>,
    pub(crate) targets: TargetSetup,
}

impl Shared {
    pub(crate) fn new(setup: SharedSetup) -> Self {
        let SharedSetup { inboxes, admission, listeners, framing, .. } = setup;
        let recorder = setup.capture.map(|options| {
            Arc::new(Recorder::new(options, framing.clone(), setup.frame_bytes_max))
        });
        Self {
            recorder,
            published: inboxes.iter().map(|_| Published::default()).collect(),
            watched: inboxes.iter().map(|_| Arc::default()).collect(),
            closes: inboxes.iter().map(|_| ClosesOfWorker::default()).collect(),
            timings: inboxes.iter().map(|_| TimingsOfWorker::default()).collect(),
            groups: Groups::new(inboxes.len()),
            targets: Targets::new(setup.targets),
            accept_rate: SharedBucket::new(setup.live.accept_rate),
            send_total: SendTotal::new(setup.send_total_max, inboxes.len()),
            deferred: Arc::new(setup.deferred),
            rooms: Arc::default(),
            rooms_max: setup.rooms_max,
            sessions_max: setup.live.sessions_max,
            live: Mutex::new(setup.live),
            inboxes: inboxes.into_boxed_slice(),
            admission,
            bans: Bans::default(),
            framing,
            frame_bytes_max: setup.frame_bytes_max,
            session_type: setup.session_type,
            farewell: setup.farewell,
            listeners_open: AtomicUsize::new(listeners),
            paused: AtomicBool::new(false),
            draining: AtomicBool::new(false),
            failed: AtomicBool::new(false),
            addresses: OnceLock::new(),
            causes: Mutex::default(),
        }
    }

    /// Whether its factory makes sessions of this type.
    pub(crate) fn check_session_type<H: 'static>(&self) -> Result<(), WrongSession> {
        let right = self.session_type == TypeId::of::<H>();
        right.then_some(()).ok_or_else(WrongSession::asked::<H>)
    }

    pub(crate) fn put(&self, worker: usize, message: Message) -> Result<(), Refused> {
        self.inboxes.get(worker).ok_or(Refused::Ended)?.put(message)
    }

    /// Puts the same message into the inboxes of these workers: into all of them, or into none if one is
    /// full. Those that have ended need it no more.
    pub(crate) fn broadcast(
        &self,
        workers: &WorkerSet,
        message: impl Fn() -> Message,
    ) -> SendStatus {
        if workers.is_empty() {
            return SendStatus::Queued;
        }
        let bytes = message().counted_bytes();
        let inboxes = || workers.iter().filter_map(|worker| self.inboxes.get(worker));
        for (reserved, inbox) in inboxes().enumerate() {
            if !inbox.reserve(bytes) {
                inboxes().take(reserved).for_each(|inbox| inbox.release(bytes));
                return SendStatus::Overloaded;
            }
        }
        inboxes().for_each(|inbox| inbox.put_reserved(message()));
        SendStatus::Queued
    }

    /// Encodes a frame for sessions of this server.
    pub(crate) fn frame(&self, payload: &[u8]) -> Result<SharedFrame, FrameError> {
        SharedFrame::encode(&self.framing, payload, self.frame_bytes_max)
    }

    /// The same frame as the sessions of this server take it.
    pub(crate) fn own_frame(&self, frame: &SharedFrame) -> Result<SharedFrame, FrameError> {
        let fits = frame.payload().len() <= self.frame_bytes_max;
        if fits && *frame.framing() == self.framing {
            return Ok(frame.clone());
        }
        self.frame(frame.payload())
    }

    /// The same for every worker; those that have ended need it no more.
    pub(crate) fn put_all(&self, message: impl Fn() -> Message) {
        for inbox in &self.inboxes {
            let _ = inbox.put(message());
        }
    }

    /// Whether there is no listener that could bring a connection.
    pub(crate) fn has_no_listener(&self) -> bool {
        self.listeners_open.load(Ordering::Acquire) == 0
    }

    /// A listener has closed; with the last one every worker learns that nothing more will come.
    pub(crate) fn listener_closed(&self) {
        if self.listeners_open.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.put_all(|| Message::NothingComes);
        }
    }

    /// The limits that may change.
    pub(crate) fn live_limits(&self) -> LiveLimits {
        *self.live.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// As many sessions as it was started for.
    pub(crate) const fn sessions_max(&self) -> usize {
        self.sessions_max
    }

    /// Changes them, or none of them. Workers are told to look, as for what follows.
    pub(crate) fn change_limits(
        &self,
        change: impl FnOnce(&mut LiveLimits),
    ) -> Result<LiveLimits, LiveLimitsError> {
        let mut live = self.live.lock().unwrap_or_else(PoisonError::into_inner);
        let mut wanted = *live;
        change(&mut wanted);
        wanted.check(self.sessions_max)?;
        let before = std::mem::replace(&mut *live, wanted);
        self.admission.set_max(wanted.sessions_max, wanted.per_address_max);
        if before.accept_rate != wanted.accept_rate {
            self.accept_rate.set(wanted.accept_rate);
        }
        drop(live);
        self.put_all(|| Message::LookAtLimits);
        Ok(wanted)
    }

    /// Has the listeners accept, or not. Workers are told to look, so that the last word counts
    /// whichever of two messages a worker gets first.
    pub(crate) fn set_accepting(&self, accepting: bool) {
        self.paused.store(!accepting, Ordering::Release);
        self.put_all(|| Message::Look);
    }

    /// Whether the listeners are to accept nobody.
    pub(crate) fn is_paused(&self) -> bool {
        self.paused.load(Ordering::Acquire)
    }

    /// Whether a listener is left, and none is paused.
    pub(crate) fn is_accepting(&self) -> bool {
        !self.is_paused() && !self.has_no_listener()
    }

    /// Has every worker drain, and send this to each session last.
    pub(crate) fn drain(&self, farewell: Option<&SharedFrame>) {
        self.draining.store(true, Ordering::Release);
        self.put_all(|| Message::Drain(farewell.cloned()));
    }

    /// Has every worker end its sessions at once.
    pub(crate) fn stop(&self) {
        self.draining.store(true, Ordering::Release);
        self.put_all(|| Message::Stop);
    }

    /// Whether it was told to drain, or to stop.
    pub(crate) fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Acquire)
    }

    /// A worker has failed, and its listeners with it: the others stop.
    pub(crate) fn worker_failed(&self) {
        self.failed.store(true, Ordering::Release);
        self.listeners_open.store(0, Ordering::Release);
        self.put_all(|| Message::NothingComes);
        self.stop();
    }

    /// Whether a worker has failed: nobody hears of its sessions any more.
    pub(crate) fn has_failed(&self) -> bool {
        self.failed.load(Ordering::Acquire)
    }

    pub(crate) fn stats(&self) -> Stats {
        let mut sum = Stats::default();
        for published in &self.published {
            sum += published.read();
        }
        sum
    }

    /// True the first time that something is to be said of a cause: what repeats is counted, not
    /// logged.
    pub(crate) fn is_new_cause(&self, cause: &'static str) -> bool {
        let mut causes = self.causes.lock().unwrap_or_else(PoisonError::into_inner);
        let new = !causes.contains(&cause);
        if new {
            causes.push(cause);
        }
        new
    }
}
