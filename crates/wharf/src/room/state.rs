//! What the handles of a room, its members and its worker share.

use std::any::Any;
use std::fmt;
use std::marker::PhantomData;
use std::sync::{Arc, PoisonError};

use super::{Room, RoomContext, RoomError, RoomOptions};
use crate::group::{Group, GroupState};
use crate::inbox::{Inbox, Message, Refused};
use crate::send_queue::SendStatus;
use crate::shared::Shared;
use crate::sync::{AtomicBool, AtomicU32, AtomicUsize, Mutex, Ordering};

/// One room of a server.
pub(crate) struct RoomState {
    pub(crate) worker: usize,
    pub(crate) ticks_per_second: Option<u32>,
    group: Arc<GroupState>,
    /// The room itself, until its worker takes it.
    unplaced: Mutex<Option<Box<dyn Room>>>,
    /// Where it stands on its worker, which alone looks at it.
    slot: AtomicU32,
    open: AtomicBool,
    /// Where it is counted while it is open.
    rooms: Arc<Rooms>,
}

/// A room on its way to its worker. If it does not get there, it is closed.
#[derive(Debug)]
pub(crate) struct Opening(Arc<RoomState>);

impl Opening {
    pub(crate) const fn state(&self) -> &Arc<RoomState> {
        &self.0
    }
}

impl Drop for Opening {
    fn drop(&mut self) {
        if let Some(room) = self.0.take() {
            self.0.close();
            drop(room);
        }
    }
}

/// Rooms of a server.
#[derive(Debug, Default)]
pub(crate) struct Rooms {
    open: AtomicUsize,
    next_worker: AtomicUsize,
}

/// What a thread has for a room to do.
pub(crate) struct RoomJob(pub(crate) Box<Job>);

type Job = dyn FnOnce(&mut dyn Room, &mut RoomContext<'_>) + Send;

/// A handle to a room, for any thread. A room lives until it is closed or its server ends, with handles or
/// without.
pub struct RoomRef<R> {
    state: Arc<RoomState>,
    server: Arc<Shared>,
    of: PhantomData<fn(R)>,
}

impl RoomState {
    pub(crate) fn name(&self) -> &str {
        self.group.name()
    }

    pub(crate) const fn group(&self) -> &Arc<GroupState> {
        &self.group
    }

    pub(crate) fn is_open(&self) -> bool {
        self.open.load(Ordering::Acquire)
    }

    /// Takes the room to its place, the first time.
    pub(crate) fn take(&self) -> Option<Box<dyn Room>> {
        self.unplaced.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    pub(crate) fn slot(&self) -> u32 {
        self.slot.load(Ordering::Relaxed)
    }

    pub(crate) fn set_slot(&self, slot: u32) {
        self.slot.store(slot, Ordering::Relaxed);
    }

    /// The room is no more; false if it was none before.
    pub(crate) fn close(&self) -> bool {
        let was_open = self.open.swap(false, Ordering::AcqRel);
        if was_open {
            self.rooms.open.fetch_sub(1, Ordering::AcqRel);
        }
        was_open
    }
}

impl Rooms {
    /// Rooms that are open.
    pub(crate) fn len(&self) -> usize {
        self.open.load(Ordering::Acquire)
    }
}

/// Opens a room on one of the workers.
pub(crate) fn open<R: Room>(
    server: &Arc<Shared>,
    options: RoomOptions,
    room: R,
) -> Result<RoomRef<R>, RoomError> {
    let workers = server.inboxes.len();
    if let Some(problem) = options.problem(workers) {
        return Err(RoomError::Options(problem));
    }
    if server.is_draining() {
        let ended = server.inboxes.iter().all(Inbox::has_ended);
        return Err(if ended { RoomError::Ended } else { RoomError::Draining });
    }
    let (rooms, max) = (&server.rooms, server.rooms_max);
    if rooms.open.fetch_add(1, Ordering::AcqRel) >= max {
        rooms.open.fetch_sub(1, Ordering::AcqRel);
        return Err(RoomError::TooMany(max));
    }
    let next = || rooms.next_worker.fetch_add(1, Ordering::Relaxed) % workers;
    let worker = options.worker.unwrap_or_else(next);
    let state = Arc::new_cyclic(|state| RoomState {
        worker,
        ticks_per_second: options.ticks_per_second,
        group: server.groups.of_room(&options.name, state.clone()),
        unplaced: Mutex::new(Some(Box::new(room))),
        slot: AtomicU32::new(u32::MAX),
        open: AtomicBool::new(true),
        rooms: Arc::clone(rooms),
    });
    // One that is refused is closed as it is dropped.
    let opening = Opening(Arc::clone(&state));
    if server.put(worker, Message::OpenRoom(opening)) == Err(Refused::Ended) {
        return Err(RoomError::Ended);
    }
    Ok(RoomRef { state, server: Arc::clone(server), of: PhantomData })
}

impl<R: Room> RoomRef<R> {
    /// What it was called.
    pub fn name(&self) -> &str {
        self.state.name()
    }

    /// Its members: to list them, to broadcast to them from any thread, or to close them. A session that
    /// [joins](crate::Context::join) this group has entered the room.
    pub fn group(&self) -> Group {
        Group::of(Arc::clone(self.state.group()), Arc::clone(&self.server))
    }

    /// The worker that it lives on.
    pub fn worker(&self) -> usize {
        self.state.worker
    }

    /// Whether it is there: nobody has closed it, it has not panicked, and its server has not ended.
    pub fn is_open(&self) -> bool {
        self.state.is_open()
    }

    /// Has the room do something when its worker gets to it, in the order in which this thread asks. Counts
    /// with the size of `job` towards the 64 MiB that may wait for a worker.
    pub fn post(
        &self,
        job: impl FnOnce(&mut R, &mut RoomContext<'_>) + Send + 'static,
    ) -> SendStatus {
        let job = RoomJob(Box::new(move |room: &mut dyn Room, ctx: &mut RoomContext<'_>| {
            // It was opened with this type.
            if let Some(room) = (room as &mut dyn Any).downcast_mut() {
                job(room, ctx);
            }
        }));
        if !self.is_open() {
            return SendStatus::Closed;
        }
        self.put(Message::RoomJob(Arc::clone(&self.state), job))
    }

    /// Closes the room when its worker gets to it. Its members stay, and leave it as they like.
    pub fn close(&self) -> SendStatus {
        self.put(Message::CloseRoom(Arc::clone(&self.state)))
    }

    fn put(&self, message: Message) -> SendStatus {
        match self.server.put(self.state.worker, message) {
            Ok(()) => SendStatus::Queued,
            Err(Refused::Full) => SendStatus::Overloaded,
            Err(Refused::Ended) => SendStatus::Closed,
        }
    }

    pub(crate) const fn state(&self) -> &Arc<RoomState> {
        &self.state
    }

    pub(crate) fn is_of(&self, server: &Arc<Shared>) -> bool {
        Arc::ptr_eq(&self.server, server)
    }
}

impl<R> Clone for RoomRef<R> {
    fn clone(&self) -> Self {
        Self { state: Arc::clone(&self.state), server: Arc::clone(&self.server), of: PhantomData }
    }
}

impl fmt::Debug for RoomJob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RoomJob")
    }
}

impl<R> fmt::Debug for RoomRef<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.state.fmt(f)
    }
}

impl fmt::Debug for RoomState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Room")
            .field("name", &self.name())
            .field("worker", &self.worker)
            .field("members", &self.group.len())
            .field("open", &self.is_open())
            .finish_non_exhaustive()
    }
}
