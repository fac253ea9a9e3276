//! Recording what chosen sessions receive and send.
//!
//! A server that is [set up](crate::Server::capture) for it keeps the last frames of chosen sessions in memory, and
//! [`ServerHandle::captured`](crate::ServerHandle::captured) gives what there is at any time, also after the server
//! has ended. The crate `wharf-capture` writes that to a file and plays it again, to a server or in the simulator.
//!
//! A server that is not set up for it pays one test of a field per frame. One that is pays, for each frame of a
//! session that is captured, a lock that all workers share and a copy of the payload; two of one that is sent, which
//! is put together as it goes over the wire and taken apart as its peer does.
//!
//! ```
//! use wharf::capture::{CaptureOptions, Chosen, Direction, Redacted};
//! use wharf::{Context, Outcome, Server, Session};
//!
//! # struct Echo;
//! # impl Session for Echo {
//! #     fn on_frame(&mut self, ctx: &mut Context<'_>, frame: &[u8]) -> Outcome {
//! #         ctx.send(frame);
//! #         Ok(())
//! #     }
//! # }
//! let mut options = CaptureOptions::default();
//! options.chosen = Chosen::From(vec!["127.0.0.0/8".parse()?]);
//! // A password never gets into a capture.
//! let options = options.redact(|direction, frame| {
//!     if direction == Direction::In && frame.starts_with(b"login ") {
//!         frame.truncate(6);
//!     }
//!     Redacted::Keep
//! });
//! let server = Server::bind("127.0.0.1:0").capture(options).workers(1).start(|_| Echo)?;
//! let captured = server.handle().captured().expect("it was set up for it");
//! assert!(captured.sessions.is_empty(), "nobody has come yet");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod recorder;
mod ring;

use std::fmt;
use std::sync::Arc;

use ipnet::IpNet;
use wharf_port::{Address, Time};

use crate::framing::Framing;
use crate::limits::Limits;
use crate::session_id::SessionId;
use crate::unwinding::caught;

pub(crate) use self::recorder::Recorder;

/// Which way a frame goes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Direction {
    /// It was received from the peer, and is delivered to the session.
    In,
    /// It was queued to be sent to the peer.
    Out,
}

/// What a [redaction](CaptureOptions::redact) says of a frame.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Redacted {
    /// It is kept as it now is.
    Keep,
    /// It is left out, and counted.
    LeaveOut,
}

/// Which sessions are captured from their beginning. Any other can be [chosen](crate::ServerHandle::capture_session)
/// while it is there.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
#[non_exhaustive]
pub enum Chosen {
    /// All that are accepted; those that this server has connected are never among them.
    #[default]
    All,
    /// Those whose peer's address is in one of these networks: none over Unix sockets.
    From(Vec<IpNet>),
    /// None: those alone that are chosen while they are there.
    None,
}

impl Chosen {
    pub(crate) fn covers(&self, peer: &Address) -> bool {
        match self {
            Self::All => true,
            Self::From(networks) => peer.ip().is_some_and(|peer| {
                let peer = peer.to_canonical();
                networks.iter().any(|network| network.contains(&peer))
            }),
            Self::None => false,
        }
    }
}

/// What is captured, and how much of it is kept.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct CaptureOptions {
    /// Which sessions; default all.
    pub chosen: Chosen,
    /// How many, those that have ended included: 1 to 65,536, default 256. Beyond it the one that ended first is
    /// forgotten, and a new one is not captured if all are still there.
    pub sessions_max: usize,
    /// Bytes that are kept of one session, with 64 for each frame besides its payload: 1 KiB to 1 GiB, default
    /// 1 MiB. Beyond it its oldest frames fall out, whole, and are counted.
    pub session_bytes_max: usize,
    redaction: Redaction,
}

impl Default for CaptureOptions {
    fn default() -> Self {
        Self {
            chosen: Chosen::All,
            sessions_max: 256,
            session_bytes_max: 1 << 20,
            redaction: Redaction(None),
        }
    }
}

impl CaptureOptions {
    /// Bytes of the longest payload that is kept: as many as a frame may have
    /// ([`Limits::FRAME_BYTES_MAX`](crate::Limits::FRAME_BYTES_MAX)), 16 MiB. What is sent with
    /// [`Framing::RAW`] may be longer: it is left out, and counted.
    pub const PAYLOAD_BYTES_MAX: usize = Limits::FRAME_BYTES_MAX;
    /// The most sessions that may be asked for.
    const SESSIONS_MAX: usize = 1 << 16;
    /// The least and the most bytes of one session.
    const BYTES_MIN: usize = 1 << 10;
    const BYTES_MAX: usize = 1 << 30;

    /// Is shown every payload before anything of it is kept, and may change it or have it left out. On the
    /// worker's thread: it must not block. A frame at which it panics is left out, and the first such panic is
    /// logged.
    #[must_use]
    pub fn redact(
        mut self,
        redact: impl Fn(Direction, &mut Vec<u8>) -> Redacted + Send + Sync + 'static,
    ) -> Self {
        self.redaction = Redaction(Some(Arc::new(redact)));
        self
    }

    /// Whether payloads may be kept as others than they are.
    pub(crate) const fn is_redacted(&self) -> bool {
        self.redaction.0.is_some()
    }

    /// What is wrong with them, if anything is.
    pub(crate) fn problem(&self) -> Option<String> {
        let Self { sessions_max, session_bytes_max, .. } = self;
        if !(1..=Self::SESSIONS_MAX).contains(sessions_max) {
            return Some(format!("capture's sessions_max is {sessions_max}: 1 to 65,536"));
        }
        if !(Self::BYTES_MIN..=Self::BYTES_MAX).contains(session_bytes_max) {
            return Some(format!(
                "capture's session_bytes_max is {session_bytes_max}: 1 KiB to 1 GiB"
            ));
        }
        None
    }

    /// What the redaction makes of a payload; `None` if it wants it to be left out.
    fn redacted(
        &self,
        direction: Direction,
        payload: Vec<u8>,
    ) -> Result<Option<Vec<u8>>, RedactionPanicked> {
        let Some(redact) = &self.redaction.0 else { return Ok(Some(payload)) };
        let mut payload = payload;
        let told = caught(|| (redact(direction, &mut payload), payload));
        let (redacted, payload) = told.ok_or(RedactionPanicked)?;
        Ok((redacted == Redacted::Keep).then_some(payload))
    }
}

/// A user's redaction has panicked.
#[derive(Clone, Copy, Debug)]
struct RedactionPanicked;

type Redact = dyn Fn(Direction, &mut Vec<u8>) -> Redacted + Send + Sync;

/// What a user has to say of frames.
#[derive(Clone)]
struct Redaction(Option<Arc<Redact>>);

impl fmt::Debug for Redaction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "Redaction" } else { "none" })
    }
}

/// What a server has captured, as of one moment.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Capture {
    /// How its frames are told apart.
    pub framing: Framing,
    /// The longest frame that it takes ([`Limits::frame_bytes_max`](crate::Limits::frame_bytes_max)).
    pub frame_bytes_max: usize,
    /// A [redaction](CaptureOptions::redact) has seen every payload, and may have changed it.
    pub is_redacted: bool,
    /// When the first session began to be captured; `None` if none has.
    pub began: Option<Time>,
    /// Sessions that were chosen from their beginning and not captured, since there was no place for them.
    pub sessions_missed: u64,
    /// Sessions that had ended and were forgotten for newer ones.
    pub sessions_forgotten: u64,
    /// The sessions, in the order in which they began to be captured.
    pub sessions: Vec<CapturedSession>,
}

/// A session that is captured.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct CapturedSession {
    /// Its name.
    pub id: SessionId,
    /// Whom it speaks to.
    pub peer: Address,
    /// It is captured from its beginning, and was not chosen later.
    pub is_whole: bool,
    /// Frames that fell out, since there were too many behind them.
    pub frames_dropped: u64,
    /// Frames that the redaction has left out, and those of more than
    /// [`PAYLOAD_BYTES_MAX`](CaptureOptions::PAYLOAD_BYTES_MAX).
    pub frames_left_out: u64,
    /// What has happened to it, in order. The first is [`Happened::Opened`].
    pub events: Vec<CapturedEvent>,
}

/// Something that has happened to a session.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct CapturedEvent {
    /// Its place among all that was captured of the server: what an event has caused, on any worker, has a
    /// higher one.
    pub sequence: u64,
    /// The time of the worker's turn.
    pub at: Time,
    /// What it was.
    pub what: Happened,
}

/// What has happened.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Happened {
    /// It was accepted, or chosen.
    Opened,
    /// A frame was received; its payload.
    Received(Arc<[u8]>),
    /// A frame was queued to be sent; its payload as the peer gets it, with the length that was filled in. What was
    /// sent as one is several if it holds what ends a frame, such as the LF of a [line](Framing::LINES). A
    /// [policy](crate::SlowReader) that drops frames may have dropped it later. What a session says while the
    /// server drains is not among them.
    Sent(Arc<[u8]>),
    /// The peer has ended its stream.
    PeerEnded,
    /// This side has ended its own stream, and the session goes on.
    Ended,
    /// It began to close.
    Closed {
        /// The [name](crate::CloseReason::name) of the reason.
        reason: &'static str,
        /// Another thread asked for it, or the server ends: no session's callback did. Who asks by a
        /// [`SessionRef`](crate::SessionRef) or for a [`Group`](crate::Group) is taken for another thread.
        from_outside: bool,
    },
}
