//! Everything of a worker that is not the users': what a callback can reach.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use wharf_port::{
    Address, CompletionPort, Lease, ListenerId, SocketId, SocketOptions, Time, WaitError,
};

use super::Turn;
use super::broadcasting::Broadcasts;
use super::connection::{Connection, PeerStream, State};
use super::connections::Connections;
use super::dialing::Dialing;
use super::local::LocalMessages;
use super::marks::Marks;
use super::overload::OwnPart;
use super::rates::Allowance;
use super::rooms::RoomWork;
use super::timers::UserTimers;
use crate::capture::Recorder;
use crate::framing::{Framing, ReceiveBuffer};
use crate::gate::Gate;
use crate::heartbeat::Heartbeat;
use crate::limits::Limits;
use crate::report::DrainReport;
use crate::send_queue::Chunks;
use crate::server::WorkerView;
use crate::session_id::SessionId;
use crate::shared::Shared;
use crate::shared_frame::SharedFrame;
use crate::stats::Counters;
use crate::timings::{TURNS_PER_SAMPLE, TimingsOfWorker};
use crate::watchdog::Watched;

/// Half-frame buffers that are kept for use again, and how large one may be.
const BUFFERS_MAX: usize = 64;
const BUFFER_BYTES_MAX: usize = 16 << 10;
/// How long a worker that ends waits for its port.
const PORT_TIMEOUT: Duration = Duration::from_secs(5);

/// What a worker is set up with.
#[derive(Debug)]
pub(crate) struct Setup {
    pub(crate) index: u16,
    pub(crate) port: CompletionPort,
    pub(crate) framing: Framing,
    pub(crate) limits: Limits,
    pub(crate) heartbeat: Option<Heartbeat>,
    /// How connecting sockets are set up.
    pub(crate) socket: SocketOptions,
    pub(crate) gate: Gate,
    pub(crate) shared: Arc<Shared>,
}

/// A worker without its handlers.
#[derive(Debug)]
pub(crate) struct Core {
    pub(crate) port: CompletionPort,
    pub(crate) index: u16,
    pub(super) framing: Framing,
    pub(super) limits: Limits,
    pub(super) allowance: Allowance,
    /// Of sessions whose target has none of its own.
    pub(super) heartbeat: Option<Heartbeat>,
    shared: Arc<Shared>,
    /// Where the watchdog sees what this worker does.
    pub(super) watched: Arc<Watched>,
    pub(super) connections: Connections,
    /// What rates of sessions are counted from, if anybody has asked for sessions.
    pub(super) marks: Marks,
    /// What it connects.
    pub(super) dialing: Dialing,
    /// What sessions of this worker have for each other.
    pub(super) local: LocalMessages,
    /// What is asked of connections.
    pub(super) gate: Gate,
    pub(super) listeners: Vec<ListenerId>,
    /// Where each of them listens, or has listened.
    pub(super) listener_addresses: Vec<(ListenerId, Address)>,
    pub(crate) now: Time,
    pub(super) turn: u32,
    /// What groups are to be sent.
    pub(super) broadcasts: Broadcasts,
    /// Its part in what waits on all workers.
    pub(super) own_part: OwnPart,
    /// Sessions with something to send.
    pub(super) dirty: Vec<SocketId>,
    /// Sessions with received bytes to work on.
    pub(super) backlog: VecDeque<SocketId>,
    /// Sessions that are to hear that they can send again.
    pub(super) writable: Vec<SocketId>,
    pub(super) chunks: Chunks,
    #[expect(clippy::vec_box, reason = "sessions take them boxed, to be small without one")]
    pub(super) buffers: Vec<Box<ReceiveBuffer>>,
    /// Timers that users have started.
    pub(super) user_timers: UserTimers,
    /// What its sessions have for rooms, and when the rooms tick that live here.
    pub(super) rooms: RoomWork,
    /// The timer for tidying up runs.
    pub(super) tidies: bool,
    pub(super) reading: Option<Reading>,
    /// Where captured sessions are written down, if any may be.
    pub(super) recorder: Option<Arc<Recorder>>,
    /// Whose they are, by slot: connections are many, and few servers capture any.
    pub(super) captured: Vec<bool>,
    /// What is being done now was asked for by another thread.
    pub(super) acts_from_outside: bool,
    pub(super) stats: Counters,
    pub(super) report: DrainReport,
    /// Until when the server drains, if it does.
    pub(super) drain_until: Option<Time>,
    /// What each session is sent last when the server drains.
    pub(super) farewell: Option<SharedFrame>,
    /// No listener is left that could bring a connection.
    pub(super) nothing_comes: bool,
    /// Where the next connection goes if all workers are equally loaded.
    pub(super) next_worker: usize,
}

/// The received bytes whose frames are being delivered.
#[derive(Debug)]
pub(super) struct Reading {
    pub(super) lease: Lease,
    /// Where they lie, as numbers: to tell whether a frame that is sent is one of them.
    pub(super) addresses: Range<usize>,
}

impl Core {
    pub(crate) fn new(setup: Setup) -> Self {
        let Setup { index, port, framing, limits, heartbeat, socket, gate, shared } = setup;
        Self {
            now: port.now(),
            port,
            index,
            framing,
            allowance: Allowance::new(&shared.live_limits()),
            limits,
            heartbeat,
            dialing: Dialing::new(socket),
            nothing_comes: shared.has_no_listener(),
            watched: Arc::clone(&shared.watched[usize::from(index)]),
            recorder: shared.recorder.clone(),
            captured: Vec::new(),
            acts_from_outside: false,
            shared,
            gate,
            connections: Connections::default(),
            marks: Marks::default(),
            local: LocalMessages::default(),
            listeners: Vec::new(),
            listener_addresses: Vec::new(),
            turn: 0,
            broadcasts: Broadcasts::default(),
            own_part: OwnPart::default(),
            dirty: Vec::new(),
            backlog: VecDeque::new(),
            writable: Vec::new(),
            chunks: Chunks::default(),
            buffers: Vec::new(),
            user_timers: UserTimers::default(),
            rooms: RoomWork::default(),
            tidies: false,
            reading: None,
            stats: Counters::default(),
            report: DrainReport::default(),
            drain_until: None,
            farewell: None,
            next_worker: usize::from(index),
        }
    }

    pub(crate) const fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    pub(crate) const fn random(&mut self) -> u64 {
        self.port.random()
    }

    pub(super) fn session_id(&self, socket: SocketId) -> SessionId {
        SessionId::new(self.index, socket)
    }

    /// The session that has this socket now; `None` for a name that is void.
    #[inline]
    pub(super) fn connection(&mut self, socket: SocketId) -> Option<&mut Connection> {
        self.connections.get_mut(socket)
    }

    /// Whether there is a session of this name that takes and sends frames.
    pub(super) fn is_open(&self, socket: SocketId) -> bool {
        self.connections.get(socket).is_some_and(|connection| connection.state == State::Open)
    }

    /// Whether there is a session of this name whose queue takes frames, and will not be told that it does.
    pub(crate) fn is_writable(&self, socket: SocketId) -> bool {
        let connection = self.connections.get(socket);
        connection.is_some_and(|it| it.takes_frames() && !it.was_full)
    }

    pub(crate) fn has_been_told_of_end(&self, socket: SocketId) -> bool {
        let connection = self.connections.get(socket);
        connection.is_some_and(|connection| connection.peer_stream == PeerStream::EndTold)
    }

    pub(crate) fn queued_bytes(&self, socket: SocketId) -> usize {
        self.connections.get(socket).map_or(0, |connection| connection.queue.bytes())
    }

    pub(super) fn begin_turn(
        &mut self,
        deadline: Option<Time>,
        may_sleep: bool,
    ) -> Result<(), WaitError> {
        // What was held back in the last turn is worked on without waiting.
        let sleeps = may_sleep && self.backlog.is_empty();
        let deadline = if sleeps { deadline } else { Some(self.now) };
        self.port.wait(deadline)?;
        self.now = self.port.now();
        self.turn = self.turn.wrapping_add(1);
        self.stats.turns += 1;
        if let Some(lag) = self.port.timer_lag() {
            self.timings().timer_lag.count(lag);
        }
        Ok(())
    }

    pub(super) fn end_turn(&mut self, all_is_read: bool) -> Turn {
        self.look_at_total();
        self.stats.sessions = self.connections.len() as u64;
        let index = usize::from(self.index);
        if self.turn.is_multiple_of(TURNS_PER_SAMPLE) {
            self.timings().turn.count(self.port.since_wait());
        }
        let blocked = self.watched.blocked();
        if blocked != self.stats.callbacks_blocked {
            self.stats.seldom().callbacks_blocked = blocked;
        }
        self.shared.published[index].publish(&mut self.stats);
        let drained =
            self.drain_until.is_some() && self.nothing_comes && self.connections.is_empty();
        let ends = drained && all_is_read;
        if ends && self.shared.inboxes[index].end_if_empty() { Turn::Done } else { Turn::GoOn }
    }

    fn timings(&self) -> &TimingsOfWorker {
        &self.shared.timings[usize::from(self.index)]
    }

    pub(super) fn view(&self) -> WorkerView {
        let (mut queued_bytes, mut queued_bytes_max) = (0, 0);
        for connection in self.connections.iter() {
            let bytes = connection.queue.bytes();
            queued_bytes_max = bytes.max(queued_bytes_max);
            queued_bytes += if connection.state == State::Terminating { 0 } else { bytes };
        }
        WorkerView {
            queued_bytes,
            queued_bytes_max,
            sessions: self.connections.len(),
            sockets: self.port.sockets(),
            operations: self.port.operations(),
            listeners: self.listeners.len(),
            ledger: self.port.ledger(),
            is_busy: !self.backlog.is_empty(),
            inbox_bytes: self.shared.inboxes[usize::from(self.index)].bytes(),
        }
    }

    /// Closes what is left and says what became of this worker's sessions; and how many operations
    /// did not come back.
    pub(crate) fn finish(mut self) -> (DrainReport, usize) {
        self.leave_total();
        let Self { port, shared, index, report, .. } = self;
        shared.inboxes[usize::from(index)].end();
        tracing::info!(worker = index, stats = ?port.stats(), "completion port closes");
        let leaked = port.shut_down(PORT_TIMEOUT).err().map_or(0, |error| {
            tracing::error!(worker = index, %error, "completion port did not close cleanly");
            error.operations
        });
        (report, leaked)
    }

    pub(super) fn take_buffer(&mut self) -> Box<ReceiveBuffer> {
        self.buffers.pop().unwrap_or_default()
    }

    pub(super) fn give_back_buffer(&mut self, mut buffer: Box<ReceiveBuffer>) {
        if self.buffers.len() < BUFFERS_MAX && buffer.capacity() <= BUFFER_BYTES_MAX {
            buffer.clear();
            self.buffers.push(buffer);
        }
    }
}
