//! The watchdog: names the callback that holds up its worker, while it does.
//!
//! A worker says before each callback whose it is and which, and after it that it is over: three stores to
//! memory of its own. A thread looks now and then; who is in the same callback at two looks blocks.

mod guard;
mod log;
mod watched;

use std::fmt;
use std::time::Duration;

pub(crate) use self::guard::{Hook, Watchdog};
pub(crate) use self::watched::Watched;
use crate::session_id::SessionId;

/// A callback that holds up its worker: what it waits for, every session of this worker waits for.
///
/// Told by [`Server::on_blocked`](crate::Server::on_blocked), and as a warning in the log, where of each kind of
/// callback one is named within a minute, and any that takes a minute. What may take long belongs into
/// [`Context::defer`](crate::Context::defer).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Blocked {
    /// The worker that it holds up.
    pub worker: usize,
    /// The session whose callback it is; `None` for a callback of a room.
    pub session: Option<SessionId>,
    /// Which callback.
    pub callback: Callback,
    /// How long it takes, at least: seen from outside, and late by as much as the threshold before it is
    /// over, by a quarter of it afterwards.
    pub duration: Duration,
    /// Whether it has returned. Each is told twice: when it has reached the threshold, and when it is over.
    pub is_over: bool,
}

/// What a session is called for.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub enum Callback {
    /// [`Session::on_connected`](crate::Session::on_connected)
    Connected,
    /// [`Session::on_frame`](crate::Session::on_frame)
    Frame,
    /// [`Session::on_end_of_stream`](crate::Session::on_end_of_stream)
    EndOfStream,
    /// [`Session::on_writable`](crate::Session::on_writable)
    Writable,
    /// [`OnMessage::on_message`](crate::OnMessage::on_message), or what follows a
    /// [deferred](crate::Context::defer) job.
    Message,
    /// [`Session::on_timer`](crate::Session::on_timer)
    Timer,
    /// [`Session::on_group_timer`](crate::Session::on_group_timer)
    GroupTimer,
    /// [`Session::on_connect_failed`](crate::Session::on_connect_failed)
    ConnectFailed,
    /// [`Room::on_enter`](crate::Room::on_enter)
    Enter,
    /// [`Room::on_frame`](crate::Room::on_frame)
    RoomFrame,
    /// [`Room::on_leave`](crate::Room::on_leave)
    Leave,
    /// [`Room::on_tick`](crate::Room::on_tick)
    Tick,
    /// What was [posted](crate::RoomRef::post) to a room
    RoomJob,
    /// [`Session::on_drain`](crate::Session::on_drain)
    Drain,
    /// [`Session::on_disconnected`](crate::Session::on_disconnected)
    Disconnected,
}

impl Callback {
    const ALL: [Self; 15] = [
        Self::Connected,
        Self::Frame,
        Self::EndOfStream,
        Self::Writable,
        Self::Message,
        Self::Timer,
        Self::GroupTimer,
        Self::ConnectFailed,
        Self::Enter,
        Self::RoomFrame,
        Self::Leave,
        Self::Tick,
        Self::RoomJob,
        Self::Drain,
        Self::Disconnected,
    ];

    /// The name of the method.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Connected => "on_connected",
            Self::Frame => "on_frame",
            Self::EndOfStream => "on_end_of_stream",
            Self::Writable => "on_writable",
            Self::Message => "on_message",
            Self::Timer => "on_timer",
            Self::GroupTimer => "on_group_timer",
            Self::ConnectFailed => "on_connect_failed",
            Self::Enter => "on_enter",
            Self::RoomFrame => "on_frame",
            Self::Leave => "on_leave",
            Self::Tick => "on_tick",
            Self::RoomJob => "a job",
            Self::Drain => "on_drain",
            Self::Disconnected => "on_disconnected",
        }
    }
}

impl fmt::Display for Callback {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl fmt::Display for Blocked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { worker, session, callback, duration, is_over } = self;
        write!(f, "{callback} of ")?;
        match session {
            Some(session) => write!(f, "session {session}")?,
            None => f.write_str("a room")?,
        }
        let verb = if *is_over { "held up" } else { "holds up" };
        write!(f, " {verb} worker {worker} for {} ms", duration.as_millis())
    }
}
