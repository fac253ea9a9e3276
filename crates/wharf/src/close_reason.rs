//! Why a session ended.

use std::error::Error;
use std::fmt;

use crate::framing::FrameError;

/// Why a session ended. Every session has exactly one reason, given to
/// [`on_disconnected`](crate::Session::on_disconnected).
#[derive(Debug)]
#[non_exhaustive]
pub enum CloseReason {
    /// The peer ended its stream, between two frames.
    PeerClosed,
    /// The peer ended its stream in the middle of a frame.
    Truncated,
    /// The peer reset the connection.
    PeerReset,
    /// The connection failed: the peer no longer answers or cannot be reached.
    ConnectionFailed,
    /// The session was closed by this side: [`Context::close`](crate::Context::close) or
    /// [`SessionRef::close`](crate::SessionRef::close).
    Closed,
    /// Nothing was received for longer than [`Limits::idle`](crate::Limits::idle).
    Idle,
    /// The first frame did not come within [`Limits::first_frame`](crate::Limits::first_frame).
    FirstFrameLate,
    /// A frame was begun and not finished within
    /// [`Limits::frame_deadline`](crate::Limits::frame_deadline).
    FrameLate,
    /// What the peer sent is no frame, or one that is too long.
    BadFrame(FrameError),
    /// The peer reads too slowly: its send queue was full.
    SlowReader,
    /// A frame that was to be sent is longer than the framing or the limit allows.
    SendTooLong,
    /// The server drains.
    Drain,
    /// The server stops at once.
    Stop,
    /// A callback returned an error.
    Failed(Box<dyn Error + Send + Sync>),
    /// A callback panicked. Not seen by the session itself, on which no further callback runs.
    Panicked,
}

impl CloseReason {
    /// A short name that stays the same, for logs and metrics.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::PeerClosed => "peer_closed",
            Self::Truncated => "truncated",
            Self::PeerReset => "peer_reset",
            Self::ConnectionFailed => "connection_failed",
            Self::Closed => "closed",
            Self::Idle => "idle",
            Self::FirstFrameLate => "first_frame_late",
            Self::FrameLate => "frame_late",
            Self::BadFrame(_) => "bad_frame",
            Self::SlowReader => "slow_reader",
            Self::SendTooLong => "send_too_long",
            Self::Drain => "drain",
            Self::Stop => "stop",
            Self::Failed(_) => "failed",
            Self::Panicked => "panicked",
        }
    }
}

impl fmt::Display for CloseReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::PeerClosed => f.write_str("the peer closed the connection"),
            Self::Truncated => {
                f.write_str("the peer closed the connection in the middle of a frame")
            }
            Self::PeerReset => f.write_str("the peer reset the connection"),
            Self::ConnectionFailed => f.write_str("the connection failed"),
            Self::Closed => f.write_str("closed by this side"),
            Self::Idle => f.write_str("nothing was received for too long"),
            Self::FirstFrameLate => f.write_str("the first frame did not come in time"),
            Self::FrameLate => f.write_str("a frame was not finished in time"),
            Self::BadFrame(error) => write!(f, "bad frame: {error}"),
            Self::SlowReader => f.write_str("the peer reads too slowly"),
            Self::SendTooLong => f.write_str("a frame to be sent is too long"),
            Self::Drain => f.write_str("the server drains"),
            Self::Stop => f.write_str("the server stops"),
            Self::Failed(error) => write!(f, "a callback failed: {error}"),
            Self::Panicked => f.write_str("a callback panicked"),
        }
    }
}
