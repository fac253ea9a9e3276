//! What a file of a capture holds.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use wharf::capture::{Capture, CapturedSession, Happened};

use crate::line::PAYLOAD_BYTES_MAX;

/// What was captured of a server.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Recording {
    /// The version of wharf that wrote it.
    pub version: String,
    /// When its first session began, by the wall clock, in milliseconds since 1970; `None` if nobody knows.
    pub started_unix_ms: Option<u64>,
    /// The server's framing, as [`wharf::Framing`] has it as text; `codec` for one of a user's own.
    pub framing: String,
    /// The longest frame that the server takes.
    pub frame_bytes_max: usize,
    /// A redaction has seen every payload, and may have changed it: where answers hang on what it took out, they are
    /// other ones when this is played.
    pub is_redacted: bool,
    /// Sessions that were chosen and not captured.
    pub sessions_missed: u64,
    /// Sessions that had ended and were forgotten.
    pub sessions_forgotten: u64,
    /// The sessions, in the order of their beginnings.
    pub sessions: Vec<RecordedSession>,
    /// What happened, in order: a cause stands before its effects.
    pub records: Vec<Record>,
    /// The file has no end: what was behind is lost.
    pub is_cut: bool,
}

/// A session of a recording.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct RecordedSession {
    /// The name that it had.
    pub id: String,
    /// Whom it spoke to.
    pub peer: String,
    /// It is there from its beginning.
    pub is_whole: bool,
    /// Frames in front that are missing, since there was no room.
    pub frames_dropped: u64,
    /// Frames that the redaction has left out, or that no line has room for: longer than 16 MiB, as a redaction may
    /// make them, and what is sent without a framing may be.
    pub frames_left_out: u64,
}

impl RecordedSession {
    /// Whether every frame of it is there.
    pub const fn is_complete(&self) -> bool {
        self.is_whole && self.frames_dropped == 0 && self.frames_left_out == 0
    }
}

/// Something that happened to a session.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Record {
    /// How long after the beginning of the first session; in microseconds in a file.
    pub at: Duration,
    /// Its place among [`Recording::sessions`].
    pub session: usize,
    /// What it was.
    pub what: What,
}

/// What happened to a session.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum What {
    /// It began.
    Open,
    /// The server received a frame: its payload.
    In(Vec<u8>),
    /// The server sent a frame: its payload.
    Out(Vec<u8>),
    /// Its peer ended its stream.
    PeerEnd,
    /// The server ended its own stream, and went on.
    End,
    /// The server began to close it.
    Close {
        /// The name of the [reason](wharf::CloseReason::name).
        reason: String,
        /// Nothing that the session received was the cause.
        from_outside: bool,
    },
}

impl Recording {
    /// A recording of what a server has captured. `started` is when its first session began by the wall clock,
    /// if that is known.
    pub fn of(capture: &Capture, started: Option<SystemTime>) -> Self {
        let unix = started.and_then(|time| time.duration_since(SystemTime::UNIX_EPOCH).ok());
        let began = capture.began.unwrap_or_default();
        let mut ordered = BTreeMap::new();
        for (session, captured) in capture.sessions.iter().enumerate() {
            for event in captured.events.iter().filter(|it| has_room(&it.what)) {
                let at = event.at.since(began);
                ordered.insert(event.sequence, Record { at, session, what: what(&event.what) });
            }
        }
        let sessions = capture.sessions.iter().map(|session| RecordedSession {
            id: session.id.to_string(),
            peer: session.peer.to_string(),
            is_whole: session.is_whole,
            frames_dropped: session.frames_dropped,
            frames_left_out: session.frames_left_out + too_long(session),
        });
        Self {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            started_unix_ms: unix.and_then(|time| u64::try_from(time.as_millis()).ok()),
            framing: capture.framing.to_string(),
            frame_bytes_max: capture.frame_bytes_max,
            is_redacted: capture.is_redacted,
            sessions_missed: capture.sessions_missed,
            sessions_forgotten: capture.sessions_forgotten,
            sessions: sessions.collect(),
            records: ordered.into_values().collect(),
            is_cut: false,
        }
    }
}

/// Whether a line has room for it.
fn has_room(happened: &Happened) -> bool {
    match happened {
        Happened::Received(payload) | Happened::Sent(payload) => payload.len() <= PAYLOAD_BYTES_MAX,
        _ => true,
    }
}

/// How many of its frames no line has room for.
fn too_long(session: &CapturedSession) -> u64 {
    session.events.iter().filter(|it| !has_room(&it.what)).count() as u64
}

fn what(happened: &Happened) -> What {
    match happened {
        Happened::Received(payload) => What::In(payload.to_vec()),
        Happened::Sent(payload) => What::Out(payload.to_vec()),
        Happened::PeerEnded => What::PeerEnd,
        Happened::Ended => What::End,
        Happened::Closed { reason, from_outside } => {
            What::Close { reason: (*reason).to_owned(), from_outside: *from_outside }
        }
        // Happened::Opened, and what a later wharf may tell: a session is there.
        _ => What::Open,
    }
}
