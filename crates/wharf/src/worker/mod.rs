//! The worker: one thread, one completion port, and the sessions that live there.
//!
//! A byte's way in: completion, [`reading`], `Session::on_frame`. A byte's way out: `Context::send`,
//! the session's queue, [`sending`] at the end of the turn. No step goes back up.
//!
//! Handlers and I/O state lie in separate tables: a [`Context`](crate::Context) reaches every session of the worker
//! ([`Core`]) while one handler is borrowed.

mod accepting;
mod announcing;
mod broadcasting;
mod callbacks;
mod capturing;
mod closing;
mod connection;
mod connections;
mod core;
mod deadlines;
mod dialing;
mod draining;
mod groups;
mod holding;
mod inspecting;
mod local;
mod marks;
mod messages;
mod overload;
mod owned;
mod rates;
mod reading;
mod rooms;
mod sending;
mod tidying;
mod timer_table;
mod timers;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use wharf_port::{Address, Completion, Received, SocketId, Time, WaitError};

pub(crate) use self::core::{Core, Setup};
#[cfg(any(test, fuzzing))]
pub(crate) use self::timer_table::{Owner, TimerList, TimerTable};
#[cfg(all(test, loom))]
pub(crate) use self::{connection::Connection, connections::Connections};

use self::deadlines::Fired;
use self::rooms::Rooms;
use self::tidying::TIDY;
use crate::arrival::Arrival;
use crate::holdings::Holdings;
use crate::inbox::Message;
use crate::report::DrainReport;
use crate::server::WorkerView;
use crate::session::Session;
use crate::timer::TimerName;

/// One worker thread of a server: its completion port and the sessions that live on it.
///
/// [`turn`](Worker::turn) is the body of its loop. [`Server::run`](crate::Server::run) calls it on
/// threads.
pub struct Worker<H, F> {
    core: Core,
    /// The users' side, by slot.
    handlers: Vec<Option<Handler<H>>>,
    factory: Arc<F>,
    /// Messages that have been taken out of the inbox and not been worked on.
    messages: VecDeque<Message>,
    /// Something was put into the inbox since it was emptied.
    has_mail: bool,
    /// Deadlines that have fired and wait to be looked at.
    due: Vec<Fired>,
    /// Timers of users that have fired in this turn.
    fired: Vec<TimerName>,
    /// The rooms that live here.
    rooms: Rooms,
}

/// The user's side of one session, and what a callback asks for most.
struct Handler<H> {
    session: H,
    /// Whose it is: a slot alone may be somebody else's by now.
    socket: SocketId,
    peer: Address,
}

/// Whether a worker has more to do.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Turn {
    /// It has: turn again.
    GoOn,
    /// The server has drained or stopped, and nothing is left of this worker's.
    Done,
}

impl<H: Session, F: Fn(&Arrival) -> H> Worker<H, F> {
    pub(crate) fn new(core: Core, factory: Arc<F>) -> Self {
        Self {
            core,
            handlers: Vec::new(),
            factory,
            messages: VecDeque::new(),
            has_mail: false,
            due: Vec::new(),
            fired: Vec::new(),
            rooms: Rooms::default(),
        }
    }

    /// Turns until the server has drained or stopped.
    pub(crate) fn run(mut self) -> Result<DrainReport, WaitError> {
        while self.turn(None)? == Turn::GoOn {}
        Ok(self.finish().0)
    }

    /// Closes what is left and says what became of this worker's sessions; and how many operations
    /// did not come back.
    pub(crate) fn finish(mut self) -> (DrainReport, usize) {
        self.close_rooms();
        self.core.finish()
    }

    /// What a test sees between two turns.
    pub(crate) fn view(&self) -> WorkerView {
        let view = self.core.view();
        WorkerView { is_busy: view.is_busy || !self.may_sleep(), ..view }
    }

    /// The same, by kind.
    pub(crate) fn holdings(&self) -> Holdings {
        self.core.holdings()
    }

    /// One turn: waits for completions, no longer than until `deadline`, gives every one of them to its
    /// session, and starts what the sessions want to send.
    ///
    /// Timers come last, so that a session that was silent because this thread was held up is not
    /// taken for an idle one: what it sent has been read by then.
    ///
    /// # Errors
    /// [`WaitError`] if the completion port is broken.
    pub fn turn(&mut self, deadline: Option<Time>) -> Result<Turn, WaitError> {
        self.core.begin_turn(deadline, self.may_sleep())?;
        let bytes_before = self.core.stats.bytes_in;
        while let Some(completion) = self.core.port.take() {
            self.complete(completion);
        }
        self.tick_rooms();
        self.work_on_messages();
        self.work_on_backlog();
        self.tell_fired();
        self.fire_target_timers();
        self.fire_timers(self.core.stats.bytes_in == bytes_before);
        self.tell_writable();
        self.deliver_own_mail();
        self.core.deliver_broadcasts();
        self.core.flush();
        self.core.send_mail();
        let nothing_waits = self.messages.is_empty() && self.core.local.is_empty();
        Ok(self.core.end_turn(nothing_waits && !self.rooms_wait()))
    }

    /// Whether nothing is left over from the last turn.
    fn may_sleep(&self) -> bool {
        let nothing_waits = self.messages.is_empty() && self.core.local.is_empty();
        self.due.is_empty()
            && nothing_waits
            && !self.has_mail
            && !self.core.has_own_mail()
            && self.core.has_sent_mail()
    }

    fn complete(&mut self, completion: Completion) {
        match completion {
            Completion::Received { socket, what: Received::Data(lease) } => {
                self.received(socket, lease);
            }
            Completion::Sent { socket, segments, result } => {
                self.core.sent(socket, segments, result);
            }
            Completion::Received { socket, what: Received::End } => self.stream_ended(socket),
            Completion::Received { socket, what: Received::Failed(error) } => {
                self.core.receive_failed(socket, error);
            }
            Completion::Received { what: Received::Cancelled, .. } => {}
            Completion::Accepted { listener, socket } => self.accepted(listener, socket),
            Completion::AcceptDelayed { cause, retry_after, .. } => {
                self.core.accept_delayed(cause, retry_after);
            }
            Completion::ListenerClosed { .. } => self.core.shared().listener_closed(),
            Completion::Closed { socket } => self.closed(socket),
            Completion::Timer { token: TIDY, .. } => self.tidy_up(),
            Completion::Timer { token, .. } if rooms::is_tick(token) => self.tick_is_due(token),
            Completion::Timer { timer, token } if dialing::is_timer(token) => {
                self.target_timer_has_fired(timer, token);
            }
            Completion::Timer { timer, token } if Self::is_users_timer(token) => {
                self.users_timer_has_fired(timer, token);
            }
            Completion::Timer { token, .. } => self.timer_has_fired(token),
            Completion::Wake => self.has_mail = true,
            Completion::Connected { socket, result } => self.connected(socket, result),
            _ => {}
        }
    }
}

impl<H, F> std::fmt::Debug for Worker<H, F> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Worker").field("core", &self.core).finish_non_exhaustive()
    }
}

/// How long a session that has sent everything waits for its peer's end of stream.
const LINGER: Duration = Duration::from_secs(1);
