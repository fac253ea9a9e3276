//! What a callback can do.

use std::sync::Arc;
use std::time::Duration;

use wharf_port::{Address, Time};

use crate::client::{Target, TargetError, TargetRef};
use crate::close_reason::CloseReason;
use crate::deferred::{self, DeferError};
use crate::framing::FrameError;
use crate::group::{Group, JoinError};
use crate::owned_payload::OwnedPayload;
use crate::room::{self, Room, RoomError, RoomOptions, RoomRef};
use crate::send_queue::{SendLimits, SendLimitsError, SendStatus};
use crate::session::{Outcome, Session};
use crate::session_id::SessionId;
use crate::session_ref::SessionRef;
use crate::shared_frame::SharedFrame;
use crate::timer::{GroupTimer, SessionTimer};
use crate::typed::{OnMessage, TypedRef};
use crate::worker::Core;

/// What a callback can do: send to its own session, to others, close them, ask for the time.
#[derive(Debug)]
pub struct Context<'worker> {
    core: &'worker mut Core,
    id: SessionId,
    peer: &'worker Address,
}

impl<'worker> Context<'worker> {
    pub(crate) const fn new(
        core: &'worker mut Core,
        id: SessionId,
        peer: &'worker Address,
    ) -> Self {
        Self { core, id, peer }
    }

    /// The session that this callback belongs to.
    pub const fn id(&self) -> SessionId {
        self.id
    }

    /// The address of the session's peer.
    pub const fn peer(&self) -> &'worker Address {
        self.peer
    }

    /// The time as of this turn. It does not move within a callback.
    pub const fn now(&self) -> Time {
        self.core.now
    }

    /// Sends a frame to this session. Never blocks; everything that is queued within a turn goes out
    /// with one system call at its end. A frame that was just received is sent without a copy.
    #[inline]
    pub fn send(&mut self, payload: &[u8]) -> SendStatus {
        self.core.send(self.id.socket(), payload)
    }

    /// Sends a frame of a payload that is given away. One of 8 KiB and more goes to the kernel from where
    /// it lies, neither copied nor allocated for once more, whatever the framing puts around it; a
    /// shorter one is copied as by [`send`](Self::send), which is faster. Limits and policies are the same
    /// for both.
    ///
    /// An `Arc<[u8]>` that is there costs a worker 0.6 to 0.8 of what it costs to copy it, a `Vec` that is
    /// made for one message about 0.9. What was received need not be given away: [`send`](Self::send)
    /// takes it from where it lies, if it lies in one buffer. What goes to many as the same frame is best
    /// a [`SharedFrame`], which has its header with it.
    pub fn send_owned(&mut self, payload: impl Into<OwnedPayload>) -> SendStatus {
        self.core.send_owned(self.id.socket(), payload.into())
    }

    /// Sends a frame in place of the one that was sent with the same key before, if that has not gone and
    /// the session's policy is [`SlowReader::Coalesce`](crate::SlowReader::Coalesce): a reader who is slow
    /// gets the newest state and not all states. With other policies it is [`send`](Self::send).
    pub fn send_keyed(&mut self, key: u64, payload: &[u8]) -> SendStatus {
        self.core.send_keyed(self.id.socket(), key, payload)
    }

    /// Gives this session's send queue limits and a policy of its own, instead of the server's.
    ///
    /// # Errors
    /// [`SendLimitsError`] if a number is out of range, or the policy needs frames and there are none.
    pub fn set_send_limits(&mut self, limits: SendLimits) -> Result<(), SendLimitsError> {
        self.core.set_send_limits(self.id.socket(), &limits)
    }

    /// Sends one frame that is given in parts, one behind the other, without putting them together first.
    #[inline]
    pub fn send_parts(&mut self, parts: &[&[u8]]) -> SendStatus {
        self.core.send_parts(self.id.socket(), parts)
    }

    /// Sends a frame to any session of the server.
    pub fn send_to(&mut self, session: SessionId, payload: &[u8]) -> SendStatus {
        if session.worker() == self.id.worker() {
            return self.core.send(session.socket(), payload);
        }
        self.session_ref(session).send(payload)
    }

    /// Encodes a frame once, to be sent to many.
    ///
    /// # Errors
    /// [`FrameError`] if the framing or [`Limits::frame_bytes_max`](crate::Limits::frame_bytes_max) does
    /// not allow it.
    pub fn frame(&self, payload: &[u8]) -> Result<SharedFrame, FrameError> {
        self.core.shared().frame(payload)
    }

    /// Sends a frame that is encoded already to this session, without a copy.
    pub fn send_frame(&mut self, frame: &SharedFrame) -> SendStatus {
        self.core.send_frame(self.id.socket(), frame)
    }

    /// The group of this name, which is made if there is none. Names that peers choose may be many: a
    /// group is gone with its last member and handle.
    pub fn group(&self, name: &str) -> Group {
        Group::named(self.core.shared(), name)
    }

    /// Has this session join a group: it gets what is broadcast from now on, until it leaves or closes.
    /// Joining once more changes nothing.
    ///
    /// # Errors
    /// [`JoinError`] if the session is closing, in too many groups, or the group another server's.
    pub fn join(&mut self, group: &Group) -> Result<(), JoinError> {
        self.core.join(self.id.socket(), group, None)
    }

    /// The same under a name, for [`Group::members`]; joining once more changes the name.
    ///
    /// # Errors
    /// As with [`join`](Self::join).
    pub fn join_as(&mut self, group: &Group, name: &str) -> Result<(), JoinError> {
        self.core.join(self.id.socket(), group, Some(name.into()))
    }

    /// Opens a room: see [`ServerHandle::open_room`](crate::ServerHandle::open_room).
    ///
    /// # Errors
    /// As there.
    pub fn open_room<R: Room>(
        &mut self,
        options: RoomOptions,
        room: R,
    ) -> Result<RoomRef<R>, RoomError> {
        room::open(self.core.shared(), options, room)
    }

    /// Has this session enter a room: [`Room::on_enter`] is called, and it gets what the room says to its
    /// members. It leaves by [`leave`](Self::leave) with the room's [group](RoomRef::group), or by closing.
    ///
    /// # Errors
    /// As with [`join`](Self::join).
    pub fn enter<R: Room>(&mut self, room: &RoomRef<R>) -> Result<(), JoinError> {
        self.core.join(self.id.socket(), &room.group(), None)
    }

    /// Says something to a room, whose [`Room::on_frame`] is called: within this turn if it lives on this
    /// worker, and soon if it does not. What one session says comes in order, behind its entering.
    ///
    /// [`SendStatus::Closed`]: the room is closed, or this session is not in it.
    /// [`SendStatus::Overloaded`]: 4 MiB of this worker's
    /// sessions wait for the worker of that room, and this frame is not among them.
    pub fn send_to_room<R: Room>(&mut self, room: &RoomRef<R>, frame: &[u8]) -> SendStatus {
        if !room.is_of(self.core.shared()) {
            return SendStatus::Closed;
        }
        self.core.send_to_room(room.state(), self.id, frame)
    }

    /// Has this session leave a group. False if it was not in it. Sessions that close leave by
    /// themselves.
    pub fn leave(&mut self, group: &Group) -> bool {
        self.core.leave(self.id.socket(), group.state())
    }

    /// Sends a frame to all members of a group, this session included if it is one. It is encoded once
    /// and shared; each member's queue takes it by that member's own policy. Members get what one
    /// session broadcasts and sends in the order in which it did.
    ///
    /// [`SendStatus::Overloaded`]: nobody was sent anything, since the inbox of a worker that has
    /// members is full.
    pub fn broadcast(&mut self, group: &Group, payload: &[u8]) -> SendStatus {
        self.core.broadcast(group, payload, None)
    }

    /// Sends a frame to all members of a group but this session.
    pub fn broadcast_others(&mut self, group: &Group, payload: &[u8]) -> SendStatus {
        self.core.broadcast(group, payload, Some(self.id))
    }

    /// Sends a frame that is encoded already to all members of a group.
    pub fn broadcast_frame(&mut self, group: &Group, frame: &SharedFrame) -> SendStatus {
        self.core.broadcast_frame(group, frame, None)
    }

    /// Has [`on_timer`](crate::Session::on_timer) called with the token once this much time has passed
    /// since [`now`](Self::now): never earlier, and in the order of the deadlines. It fires once, and
    /// not if the session has begun to close. Cheap: some 50 ns, with a hundred thousand running.
    ///
    /// `None` if the session is closing, or has as many running as
    /// [`Limits::timers_per_session_max`](crate::Limits::timers_per_session_max) allows.
    pub fn start_timer(&mut self, after: Duration, token: u64) -> Option<SessionTimer> {
        self.core.start_timer(self.id.socket(), after, token)
    }

    /// Stops a timer of this session: it will not fire. False if it has, or was stopped before, or is
    /// another session's.
    pub fn cancel_timer(&mut self, timer: SessionTimer) -> bool {
        self.core.cancel_timer(self.id.socket(), timer)
    }

    /// Has [`on_group_timer`](crate::Session::on_group_timer) called on every member, on whatever
    /// worker, once this much time has passed. It stays when this session ends, and is gone with the
    /// group or when the server drains. It does not keep the group alive.
    ///
    /// `None` if the group is another server's, if the server ends, or if 65,536 timers of groups run
    /// on this worker.
    pub fn start_group_timer(
        &mut self,
        group: &Group,
        after: Duration,
        token: u64,
    ) -> Option<GroupTimer> {
        self.core.start_group_timer(group, after, token)
    }

    /// Stops a timer of a group: it will not fire. False if it has, or was stopped before. If a session
    /// of another worker has started it, that worker is told, and this is true unless it cannot be: the
    /// timer may fire until it hears of that.
    pub fn cancel_group_timer(&mut self, timer: GroupTimer) -> bool {
        self.core.cancel_group_timer(timer)
    }

    /// Closes this session when what is queued has been sent. Frames that have been received and not
    /// delivered are thrown away. The reason is [`CloseReason::Closed`], or
    /// [`CloseReason::PeerClosed`] if the peer's stream [has ended](crate::Session::on_end_of_stream).
    pub fn close(&mut self) {
        let ended = self.core.has_been_told_of_end(self.id.socket());
        let reason = if ended { CloseReason::PeerClosed } else { CloseReason::Closed };
        self.core.begin_close(self.id.socket(), reason);
    }

    /// Closes any session of the server, in the same way.
    pub fn close_session(&mut self, session: SessionId) {
        if session.worker() == self.id.worker() {
            self.core.close_behind(session);
        } else {
            self.session_ref(session).close();
        }
    }

    /// Ends this side's stream behind what is queued, and nothing else: frames still come, and nothing can be
    /// sent ([`SendStatus::Closed`]). The session closes when its peer's stream ends as well, or at once if
    /// that [has ended](crate::Session::on_end_of_stream) before.
    pub fn finish_sending(&mut self) {
        self.core.finish_sending(self.id.socket());
    }

    /// The same for another session of this worker, at once, whatever was posted to it. False, and nothing
    /// done, for one of another worker.
    pub fn finish_sending_to(&mut self, session: SessionId) -> bool {
        let here = session.worker() == self.id.worker();
        if here {
            self.core.finish_sending(session.socket());
        }
        here
    }

    /// Resets any session of the server at once: its peer sees a connection that has failed and no end of a
    /// stream, and what is queued for it is lost. Right where what it was sent is not whole.
    pub fn reset_session(&mut self, session: SessionId) {
        if session.worker() == self.id.worker() {
            self.core.terminate(session.socket(), CloseReason::Closed, true);
        } else {
            self.session_ref(session).reset();
        }
    }

    /// Receives nothing from this session until it is [resumed](Self::resume_receiving): no frame is
    /// delivered behind this call, not even of those that are here. Its peer can send no more once the
    /// buffers of both systems are full, so a pause is how one tells it to be slower. Pausing twice is
    /// pausing once.
    ///
    /// Nothing is lost, and frames keep their order. What is here already is held: half a frame and at most
    /// what had been received when the pause began. Neither [`Limits::idle`](crate::Limits::idle) nor a
    /// deadline of a frame runs meanwhile, and the end or reset of the peer is heard of when the session is
    /// resumed, or when a send fails: so whoever pauses has to resume or close, at the latest by a
    /// [timer](Self::start_timer). Sending, timers, messages and heartbeats go on, and so do the send limits;
    /// a session that closes or drains needs no resume.
    pub fn pause_receiving(&mut self) {
        self.core.pause_receiving(self.id.socket());
    }

    /// Ends a pause: what was held is delivered first, from the end of this callback on.
    pub fn resume_receiving(&mut self) {
        self.core.resume_receiving(self.id.socket());
    }

    /// [Pauses](Self::pause_receiving) any session of the server. One of this worker gets no frame behind
    /// this call, whatever was posted to it; another one when its worker gets to it.
    pub fn pause_receiving_of(&mut self, session: SessionId) -> SendStatus {
        if session.worker() != self.id.worker() {
            return self.session_ref(session).pause_receiving();
        }
        self.core.pause_receiving(session.socket());
        SendStatus::Queued
    }

    /// Ends the pause of any session of the server. It is never refused for one of this worker; for others
    /// see [`SessionRef::resume_receiving`].
    pub fn resume_receiving_of(&mut self, session: SessionId) -> SendStatus {
        if session.worker() != self.id.worker() {
            return self.session_ref(session).resume_receiving();
        }
        self.core.resume_receiving(session.socket());
        SendStatus::Queued
    }

    /// Whether the send queue of a session of this worker is open for more: its limit has not been reached
    /// since [`on_writable`](crate::Session::on_writable) was called, so what is sent to it next is taken
    /// whatever its policy is. If it is false, `on_writable` will be called on that session.
    ///
    /// With this, who forwards from one session to another loses nothing and holds nothing itself: it
    /// [pauses](Self::pause_receiving) the one when the other is not writable, and resumes it in the other's
    /// `on_writable`. False, too, for a session that is closing, gone, or on another worker, whose queue
    /// cannot be seen from here.
    pub fn is_writable(&self, session: SessionId) -> bool {
        session.worker() == self.id.worker() && self.core.is_writable(session.socket())
    }

    /// Connects a target on this session's worker, so that what both sessions send each other crosses no
    /// thread. Its session is made by the same factory, which sees this one as its
    /// [opener](crate::Outgoing::opener); if it cannot be connected,
    /// [`on_connect_failed`](crate::Session::on_connect_failed) is called. It does not end with this
    /// session: [`TargetRef::stop`] ends it. A server that drains connects nothing more.
    ///
    /// # Errors
    /// [`TargetError`] if an option is out of range, or there are too many targets.
    pub fn connect(&mut self, target: impl Into<Target>) -> Result<TargetRef, TargetError> {
        let target = target.into().check(|payload| self.frame(payload))?;
        self.core.connect(target, self.id)
    }

    /// Posts a message to any session, this one included. It arrives as
    /// [`OnMessage::on_message`] when this callback is over, in this turn or
    /// the next, in the order of posting, and before a [`close_session`](Self::close_session) that follows.
    /// Frames do not wait for it: what this session [sends](Self::send_to) to the other after the message may
    /// be sent before the message has arrived.
    ///
    /// It counts as with [`TypedRef::post`], and costs neither a lock nor a wake if
    /// the other lives on the same worker.
    pub fn post<H, M>(&mut self, session: &TypedRef<H>, message: M) -> SendStatus
    where
        H: OnMessage<M>,
        M: Send + 'static,
    {
        let same_server = Arc::ptr_eq(session.session().shared(), self.core.shared());
        if same_server && session.id().worker() == self.id.worker() {
            return self.core.post_here(session.message(message));
        }
        session.post(message)
    }

    /// Has a thread outside of the workers run `job`, which may block, and this session do `then` with its
    /// result: a callback like any other, if the session is open still; otherwise the result is dropped.
    /// Other sessions go on meanwhile, and so does this one.
    ///
    /// There are [`deferred_threads`](crate::Server::deferred_threads); jobs begin in the order in which
    /// they were deferred, and end in any. A job that panics closes its session as a panic of the session
    /// does. When the server ends, it drops the jobs that have not begun and waits for those that run.
    ///
    /// ```
    /// # use wharf::{Context, Outcome, Session};
    /// # fn load_profile(name: &str) -> Result<String, std::io::Error> { Ok(name.to_owned()) }
    /// struct Player {
    ///     profile: String,
    /// }
    ///
    /// impl Session for Player {
    ///     fn on_frame(&mut self, ctx: &mut Context<'_>, frame: &[u8]) -> Outcome {
    ///         let name = String::from_utf8(frame.to_vec())?;
    ///         ctx.defer(
    ///             move || load_profile(&name),
    ///             |player: &mut Self, ctx, loaded| {
    ///                 player.profile = loaded?;
    ///                 ctx.send(player.profile.as_bytes());
    ///                 Ok(())
    ///             },
    ///         )?;
    ///         Ok(())
    ///     }
    /// }
    /// ```
    ///
    /// # Errors
    /// [`DeferError`] if the job was not taken, since
    /// [`Limits::deferred_max`](crate::Limits::deferred_max) are on their way, or `H` is not the type of
    /// the server's sessions.
    pub fn defer<H, T>(
        &self,
        job: impl FnOnce() -> T + Send + 'static,
        then: impl FnOnce(&mut H, &mut Context<'_>, T) -> Outcome + Send + 'static,
    ) -> Result<(), DeferError>
    where
        H: Session,
        T: Send + 'static,
    {
        deferred::defer(self.core.shared(), self.id, job, then)
    }

    /// A handle to a session that any thread may use.
    pub fn session_ref(&self, session: SessionId) -> SessionRef {
        SessionRef::new(session, Arc::clone(self.core.shared()))
    }

    /// Bytes that wait to be sent to this session.
    pub fn queued_bytes(&self) -> usize {
        self.core.queued_bytes(self.id.socket())
    }

    /// A random number for jitter and hash seeds; not for secrets.
    pub fn random(&mut self) -> u64 {
        self.core.random()
    }
}
