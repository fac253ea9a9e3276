//! A running server, seen from any thread.

use std::sync::Arc;
use std::time::Duration;

use ipnet::IpNet;
use wharf_port::{Address, Backend, Clock, Time};

use crate::bans::{Ban, TooManyBans};
use crate::capture::Capture;
use crate::client::{Target, TargetError, TargetRef};
use crate::close_counts::{CloseCounts, ClosesOfWorker};
use crate::framing::FrameError;
use crate::group::{Group, GroupSizes};
use crate::inbox::Message;
use crate::inspection::{Answers, SessionFilter, SessionsWanted, Wanted};
use crate::live_limits::{LiveLimits, LiveLimitsError};
use crate::room::{self, Room, RoomError, RoomOptions, RoomRef};
use crate::session_id::SessionId;
use crate::session_ref::SessionRef;
use crate::shared::Shared;
use crate::shared_frame::SharedFrame;
use crate::stats::Stats;
use crate::timings::{Timings, TimingsOfWorker};

/// A handle to a running server for any thread: to end it, to find its sessions, to look at it.
#[derive(Clone, Debug)]
pub struct ServerHandle {
    pub(super) shared: Arc<Shared>,
    pub(super) clock: Clock,
    pub(super) started: Time,
    pub(super) backend: Backend,
    pub(super) fallback_reason: Option<Arc<str>>,
}

impl ServerHandle {
    /// Ends the server in order: it accepts no more, flushes its sessions, tells their peers, and waits
    /// for them until [`Limits::drain`](crate::Limits::drain) is over. Returns at once; the server's
    /// [`run`](crate::Server::run) returns when it is done.
    pub fn drain(&self) {
        self.shared.drain(self.shared.farewell.as_ref());
    }

    /// The same with another farewell than [`Server::farewell`](crate::Server::farewell).
    ///
    /// # Errors
    /// [`FrameError`] if the framing or [`Limits::frame_bytes_max`](crate::Limits::frame_bytes_max) does
    /// not allow it: the server goes on.
    pub fn drain_with(&self, farewell: &[u8]) -> Result<(), FrameError> {
        let farewell = self.shared.frame(farewell)?;
        self.shared.drain(Some(&farewell));
        Ok(())
    }

    /// Ends the server at once: every session is reset. Also cuts a drain short.
    pub fn stop(&self) {
        self.shared.stop();
    }

    /// Connects a target: its sessions are made by the same factory, and live on one worker, which is the
    /// next in turn. Returns at once. A server that drains connects nothing more.
    ///
    /// # Errors
    /// [`TargetError`] if an option is out of range, if there are too many targets, or the server has
    /// ended.
    pub fn connect(&self, target: impl Into<Target>) -> Result<TargetRef, TargetError> {
        self.shared.connect(target.into().check(|payload| self.frame(payload))?, None, None)
    }

    /// Targets that are not over: they are connected, or will be tried again.
    pub fn targets(&self) -> usize {
        self.shared.targets.open()
    }

    /// Accepts nobody for now: who connects waits in the system's queue until
    /// [`resume_accepting`](Self::resume_accepting), as many as fit into it. Those who are on their way
    /// still become sessions. A drain ends the pause: who waits is accepted and sent away in order.
    /// Returns at once.
    pub fn pause_accepting(&self) {
        self.shared.set_accepting(false);
    }

    /// Accepts again, those first who have waited.
    pub fn resume_accepting(&self) {
        self.shared.set_accepting(true);
    }

    /// Whether it accepts: it is not paused, and has listeners still, which a drain or a stop closes.
    pub fn is_accepting(&self) -> bool {
        self.shared.is_accepting()
    }

    /// The limits that may change, as they are now.
    pub fn live_limits(&self) -> LiveLimits {
        self.shared.live_limits()
    }

    /// As many sessions as it was started for: the most that [`LiveLimits::sessions_max`] may be.
    pub fn sessions_max_at_start(&self) -> usize {
        self.shared.sessions_max()
    }

    /// Changes limits while the server runs, and gives all of them as they are then. Accepting goes by the new
    /// ones at once, the rates of sessions within a turn of their worker, which looks at each of its sessions for
    /// it. No message of a session costs more for it.
    ///
    /// ```no_run
    /// # use wharf::{LiveLimitsError, Rate, ServerHandle};
    /// # fn f(server: &ServerHandle) -> Result<(), LiveLimitsError> {
    /// // A flood: let in few, and have those who are there send less.
    /// server.change_limits(|limits| {
    ///     limits.accept_rate = Some(Rate { per_second: 50, burst: 50 });
    ///     limits.frames_per_second = Some(Rate { per_second: 20, burst: 40 });
    /// })?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`LiveLimitsError`] if one of them is out of its range: then none is changed. The closure must not ask
    /// this server for its limits: it is called while they are locked.
    pub fn change_limits(
        &self,
        change: impl FnOnce(&mut LiveLimits),
    ) -> Result<LiveLimits, LiveLimitsError> {
        self.shared.change_limits(change)
    }

    /// Takes no connection from a network until a time, or until the ban is [lifted](Self::unban): who
    /// connects from there is reset at once, and counted in
    /// [`Stats::refused_banned`](crate::Stats::refused_banned). Sessions that there are stay. A network
    /// that is banned already gets the new time.
    ///
    /// ```no_run
    /// # use std::time::Duration;
    /// # use wharf::{IpNet, ServerHandle};
    /// # fn f(server: &ServerHandle, peer: std::net::SocketAddr) -> Result<(), Box<dyn std::error::Error>> {
    /// // An address, for ten minutes; of IPv6, all that one subscriber has.
    /// let network = if peer.is_ipv4() { peer.ip().into() } else { IpNet::new(peer.ip(), 64)? };
    /// server.ban(network, Some(server.now() + Duration::from_secs(600)))?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`TooManyBans`], if 65,536 networks are banned.
    pub fn ban(&self, network: impl Into<IpNet>, until: Option<Time>) -> Result<(), TooManyBans> {
        self.shared.bans.ban(network.into(), until, self.now())
    }

    /// Lifts the ban of just this network; whether there was one.
    pub fn unban(&self, network: impl Into<IpNet>) -> bool {
        self.shared.bans.lift(network.into())
    }

    /// The networks that are banned, in order.
    pub fn bans(&self) -> Vec<Ban> {
        self.shared.bans.list(self.now())
    }

    /// The time, as its workers have it: on a simulated network, that network's.
    pub fn now(&self) -> Time {
        self.clock.now()
    }

    /// How long ago it started, as its workers have the time.
    pub fn uptime(&self) -> Duration {
        self.now().since(self.started)
    }

    /// Whether it was told to drain or to stop; it stays so when it has ended.
    pub fn is_draining(&self) -> bool {
        self.shared.is_draining()
    }

    /// The addresses that it listens on, with their real ports, in the order in which they were given.
    pub fn addresses(&self) -> &[Address] {
        self.shared.addresses.get().map_or(&[], Vec::as_slice)
    }

    /// What finishes its I/O.
    pub const fn backend(&self) -> Backend {
        self.backend
    }

    /// Why [`Backend::Auto`] did not take the best backend of this system, if it did not.
    pub fn fallback_reason(&self) -> Option<&str> {
        self.fallback_reason.as_deref()
    }

    /// How many workers it has.
    pub fn workers(&self) -> usize {
        self.shared.inboxes.len()
    }

    /// A handle to a session. It is not looked up: one that has ended takes nothing.
    pub fn session(&self, id: SessionId) -> SessionRef {
        SessionRef::new(id, Arc::clone(&self.shared))
    }

    /// The group of this name, which is made if there is none.
    pub fn group(&self, name: &str) -> Group {
        Group::named(&self.shared, name)
    }

    /// Opens a room, on the worker that the options say or on the next one in turn.
    ///
    /// # Errors
    /// [`RoomError`] if an option is out of its range, there are
    /// [`Limits::rooms_max`](crate::Limits::rooms_max) rooms, or the server drains, stops or has ended.
    pub fn open_room<R: Room>(
        &self,
        options: RoomOptions,
        room: R,
    ) -> Result<RoomRef<R>, RoomError> {
        room::open(&self.shared, options, room)
    }

    /// How many rooms are open.
    pub fn rooms(&self) -> usize {
        self.shared.rooms.len()
    }

    /// How many groups have a member or a handle.
    pub fn groups(&self) -> usize {
        self.shared.groups.len()
    }

    /// Encodes a frame once, to be sent to many.
    ///
    /// # Errors
    /// [`FrameError`] if the framing or [`Limits::frame_bytes_max`](crate::Limits::frame_bytes_max) does
    /// not allow it.
    pub fn frame(&self, payload: &[u8]) -> Result<SharedFrame, FrameError> {
        self.shared.frame(payload)
    }

    /// Sessions that exist, those that are on their way to their worker, and connections that are being
    /// made.
    pub fn sessions(&self) -> usize {
        self.shared.admission.sessions()
    }

    /// Jobs that sessions have [deferred](crate::Context::defer), and whose results they have not had.
    pub fn deferred(&self) -> usize {
        self.shared.deferred.outstanding()
    }

    /// What all workers have counted, as of their last turns.
    pub fn stats(&self) -> Stats {
        self.shared.stats()
    }

    /// How many sessions have ended, by reason. Also after the server has ended.
    pub fn close_counts(&self) -> CloseCounts {
        ClosesOfWorker::sum(&self.shared.closes)
    }

    /// Wakes every worker for a turn, and gives those that have not made the one for which this was last called:
    /// a callback holds them up, or worse. To be called every few seconds, by what tells a service manager that
    /// all is well; a worker that has much to do may be among them once, but not twice in a row.
    pub fn stalled_workers(&self) -> Vec<usize> {
        let inboxes = self.shared.inboxes.iter().enumerate();
        inboxes.filter(|(_, inbox)| !inbox.poke()).map(|(worker, _)| worker).collect()
    }

    /// The workers that have ended: in a drain, each does when the last of its sessions is gone, and answers
    /// nobody any more.
    pub fn ended_workers(&self) -> Vec<usize> {
        let inboxes = self.shared.inboxes.iter().enumerate();
        inboxes.filter(|(_, inbox)| inbox.has_ended()).map(|(worker, _)| worker).collect()
    }

    /// What each worker has counted, as of its last turn.
    pub fn worker_stats(&self) -> Vec<Stats> {
        self.shared.published.iter().map(crate::stats::Published::read).collect()
    }

    /// Asks every worker how it is, and about some of its sessions. Returns at once; the answers come when
    /// the workers get to it. On each it costs as much as a message, and for sessions a look at all of
    /// them. For their [rates](crate::SessionReport::received_per_second) a worker that was asked for sessions keeps 64
    /// bytes for each, until it has had none for a second.
    ///
    /// ```no_run
    /// # use std::time::Duration;
    /// # use wharf::{ServerHandle, SessionsWanted};
    /// # fn f(server: &ServerHandle) {
    /// let answers = server.ask_workers(SessionsWanted::FullestQueues(10));
    /// for report in answers.wait(Duration::from_secs(1)) {
    ///     println!("worker {}: {} operations", report.worker, report.operations);
    ///     for session in report.sessions {
    ///         println!("{}: {} bytes wait for {}", session.id, session.queued_bytes, session.peer);
    ///     }
    /// }
    /// # }
    /// ```
    pub fn ask_workers(&self, wanted: SessionsWanted) -> Answers {
        self.ask_workers_about(wanted, SessionFilter::default())
    }

    /// The same, about sessions that a filter takes: each worker looks at all that it has, and tells only of
    /// those.
    pub fn ask_workers_about(&self, wanted: SessionsWanted, filter: SessionFilter) -> Answers {
        let filter = Arc::new(filter);
        let wanted = Wanted { sessions: wanted, filter, holdings: false };
        Answers::ask(&self.shared, &wanted, self.clock.clone())
    }

    /// Asks every worker how it is, and what it [holds](crate::WorkerReport::holdings): each looks at all of its
    /// sockets and sessions, so it is for a look now and then.
    pub fn ask_workers_for_holdings(&self) -> Answers {
        let (sessions, filter) = (SessionsWanted::None, Arc::default());
        let wanted = Wanted { sessions, filter, holdings: true };
        Answers::ask(&self.shared, &wanted, self.clock.clone())
    }

    /// What has been [captured](crate::Server::capture) as of now, also after the server has ended; `None` if it is
    /// not set up for that. Payloads are shared and not copied; workers that capture wait meanwhile.
    pub fn captured(&self) -> Option<Capture> {
        self.shared.recorder.as_ref().map(|recorder| recorder.captured())
    }

    /// What has been captured of one session as of now, also after it has ended, for as long as it is kept; `None` if
    /// nothing is, or the server is not set up for it. Other sessions are not looked at: the counts of those that are
    /// missing are 0, and [`Capture::began`] is the time of this one's beginning. Payloads are shared and not copied;
    /// workers that capture wait meanwhile.
    pub fn captured_session(&self, id: SessionId) -> Option<Capture> {
        self.shared.recorder.as_ref()?.captured_session(id)
    }

    /// Whether there is something for [`captured_session`](Self::captured_session) to give.
    pub fn has_captured(&self, id: SessionId) -> bool {
        self.shared.recorder.as_ref().is_some_and(|recorder| recorder.has_captured(id))
    }

    /// Whether the server is [set up](crate::Server::capture) to capture sessions.
    pub fn is_set_up_to_capture(&self) -> bool {
        self.shared.recorder.is_some()
    }

    /// Captures a session from now on, whoever its peer is, if it is open and there is a place for it. Its worker
    /// does so when it gets to it: [`has_captured`](Self::has_captured) says whether it has, once the worker has
    /// answered a [question](Self::ask_workers) that was asked behind it. False if the server is not set up for that,
    /// or the session's worker has ended or is told too much.
    pub fn capture_session(&self, id: SessionId) -> bool {
        let captures = self.shared.recorder.is_some();
        captures && self.shared.put(id.worker(), Message::Capture(id)).is_ok()
    }

    /// How long the turns of each worker take and how late its timers fire. Also after the server has
    /// ended.
    pub fn worker_timings(&self) -> Vec<Timings> {
        self.shared.timings.iter().map(TimingsOfWorker::read).collect()
    }

    /// How many members the groups have; those of rooms are none of them. Looks at every group, so it is
    /// for a look now and then.
    pub fn group_sizes(&self) -> GroupSizes {
        self.shared.groups.sizes()
    }
}
