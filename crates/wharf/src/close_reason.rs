//! Why a session ended.

use std::error::Error;
use std::fmt;

use crate::framing::FrameError;

/// Declares the reasons once: the enum, the names, and where each is counted.
macro_rules! reasons {
    ($($(#[$doc:meta])* $variant:ident $(($of:ty))? = $name:literal,)*) => {
        /// Why a session ended. Every session has exactly one reason, given to
        /// [`on_disconnected`](crate::Session::on_disconnected), and counted in
        /// [`CloseCounts`](crate::CloseCounts).
        #[derive(Debug)]
        #[non_exhaustive]
        pub enum CloseReason {
            $($(#[$doc])* $variant $(($of))?,)*
        }

        /// The reasons without what some of them carry.
        enum Index {
            $($variant,)*
        }

        impl CloseReason {
            /// The names of all reasons, in the order in which they are counted.
            pub const NAMES: &'static [&'static str] = &[$($name,)*];
            pub(crate) const COUNT: usize = Self::NAMES.len();

            /// Where the name stands in [`NAMES`](Self::NAMES).
            pub(crate) const fn index(&self) -> usize {
                match self {
                    $(Self::$variant { .. } => Index::$variant as usize,)*
                }
            }
        }
    };
}

reasons! {
    /// The peer ended its stream, between two frames.
    PeerClosed = "peer_closed",
    /// The peer ended its stream in the middle of a frame.
    Truncated = "truncated",
    /// The peer reset the connection.
    PeerReset = "peer_reset",
    /// The connection failed: the peer no longer answers or cannot be reached.
    ConnectionFailed = "connection_failed",
    /// The session was closed by this side: [`Context::close`](crate::Context::close) or
    /// [`SessionRef::close`](crate::SessionRef::close).
    Closed = "closed",
    /// Nothing was received for longer than [`Limits::idle`](crate::Limits::idle).
    Idle = "idle",
    /// The first frame did not come within [`Limits::first_frame`](crate::Limits::first_frame).
    FirstFrameLate = "first_frame_late",
    /// A frame was begun and not finished within
    /// [`Limits::frame_deadline`](crate::Limits::frame_deadline).
    FrameLate = "frame_late",
    /// What the peer sent is no frame, or one that is too long.
    BadFrame(FrameError) = "bad_frame",
    /// A connection from a [proxy](crate::Server::proxies) did not begin with a header of the PROXY
    /// protocol. There was no session yet.
    BadProxyHeader = "bad_proxy_header",
    /// The peer reads too slowly: its send queue was full.
    SlowReader = "slow_reader",
    /// The peer sent more than [`Limits::frames_per_second`](crate::Limits::frames_per_second) or
    /// [`bytes_per_second`](crate::Limits::bytes_per_second) allow.
    RateLimited = "rate_limited",
    /// Too much waited to be sent to others ([`Limits::send_total_max`](crate::Limits::send_total_max)),
    /// and no frame had come from this one.
    Overload = "overload",
    /// A frame that was to be sent is longer than the framing or the limit allows.
    SendTooLong = "send_too_long",
    /// The framing has no frame for what was to be sent, or its [`Codec`](crate::Codec) refused it.
    SendBadFrame(FrameError) = "send_bad_frame",
    /// The server drains.
    Drain = "drain",
    /// The server stops at once.
    Stop = "stop",
    /// A callback returned an error.
    Failed(Box<dyn Error + Send + Sync>) = "failed",
    /// A callback panicked. Not seen by the session itself, on which no further callback runs.
    Panicked = "panicked",
}

impl CloseReason {
    /// A short name that stays the same, for logs and metrics.
    pub const fn name(&self) -> &'static str {
        Self::NAMES[self.index()]
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
            Self::BadProxyHeader => f.write_str("its proxy did not say whose connection it is"),
            Self::SlowReader => f.write_str("the peer reads too slowly"),
            Self::RateLimited => f.write_str("the peer sends too much"),
            Self::Overload => f.write_str("the server is overloaded"),
            Self::SendTooLong => f.write_str("a frame to be sent is too long"),
            Self::SendBadFrame(error) => write!(f, "nothing that can be sent: {error}"),
            Self::Drain => f.write_str("the server drains"),
            Self::Stop => f.write_str("the server stops"),
            Self::Failed(error) => write!(f, "a callback failed: {error}"),
            Self::Panicked => f.write_str("a callback panicked"),
        }
    }
}
