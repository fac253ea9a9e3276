//! Where all workers of a server write what they capture.
//!
//! Invariant: events are numbered under one lock, so what an event has caused on another worker is behind it.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, PoisonError};

use wharf_port::{Address, Time};

use super::ring::{self, Ring};
use super::{
    Capture, CaptureOptions, CapturedEvent, CapturedSession, Direction, Happened, RedactionPanicked,
};
use crate::framing::Framing;
use crate::session_id::SessionId;
use crate::sync::{AtomicBool, Mutex, MutexGuard, Ordering};

/// What is captured of a server.
#[derive(Debug)]
pub(crate) struct Recorder {
    options: CaptureOptions,
    framing: Framing,
    frame_bytes_max: usize,
    redaction_panicked: AtomicBool,
    kept: Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    began: Option<Time>,
    sequence: u64,
    open: BTreeMap<SessionId, Ring>,
    /// The one that ended first is the first.
    ended: VecDeque<Ring>,
    missed: u64,
    forgotten: u64,
}

impl Recorder {
    pub(crate) fn new(options: CaptureOptions, framing: Framing, frame_bytes_max: usize) -> Self {
        let redaction_panicked = AtomicBool::new(false);
        Self { options, framing, frame_bytes_max, redaction_panicked, kept: Mutex::default() }
    }

    /// Whether the sessions of a peer are captured from their beginning.
    pub(crate) fn covers(&self, peer: &Address) -> bool {
        self.options.chosen.covers(peer)
    }

    /// Begins to capture a session; false if there is no place for it.
    pub(crate) fn begin(&self, id: SessionId, peer: &Address, is_whole: bool, now: Time) -> bool {
        let mut kept = self.kept();
        if kept.open.len() + kept.ended.len() >= self.options.sessions_max {
            if kept.ended.pop_front().is_none() {
                // Who asks for one that is there hears of it.
                kept.missed += u64::from(is_whole);
                return false;
            }
            kept.forgotten += 1;
        }
        kept.began.get_or_insert(now);
        let ring = Ring::new(id, peer.clone(), is_whole);
        kept.open.insert(id, ring);
        kept.write(id, now, Happened::Opened, self.options.session_bytes_max);
        true
    }

    /// A frame of a session. It is redacted before the lock is taken: other workers do not wait for that.
    pub(crate) fn frame(&self, id: SessionId, now: Time, direction: Direction, payload: Vec<u8>) {
        let payload = self.payload_to_keep(direction, payload);
        let mut kept = self.kept();
        let Some(payload) = payload else {
            if let Some(ring) = kept.open.get_mut(&id) {
                ring.frames_left_out += 1;
            }
            return;
        };
        let what = match direction {
            Direction::In => Happened::Received(payload),
            Direction::Out => Happened::Sent(payload),
        };
        kept.write(id, now, what, self.options.session_bytes_max);
    }

    /// What is kept of a payload; `None` if it is left out.
    fn payload_to_keep(&self, direction: Direction, payload: Vec<u8>) -> Option<Arc<[u8]>> {
        let redacted = self.options.redacted(direction, payload);
        let payload = redacted.unwrap_or_else(|RedactionPanicked| {
            self.say_that_redaction_panicked();
            None
        })?;
        (payload.len() <= CaptureOptions::PAYLOAD_BYTES_MAX).then(|| payload.into())
    }

    /// Peers may be able to have it panic again and again.
    #[cold]
    fn say_that_redaction_panicked(&self) {
        let said = self.redaction_panicked.swap(true, Ordering::Relaxed);
        if said {
            tracing::debug!("a capture's redaction panicked; the frame is left out");
        } else {
            tracing::error!(
                "a capture's redaction panicked; the frame is left out; said once, counted on"
            );
        }
    }

    /// Something else that happens to a session.
    pub(crate) fn happened(&self, id: SessionId, now: Time, what: Happened) {
        let mut kept = self.kept();
        let closes = matches!(what, Happened::Closed { .. });
        kept.write(id, now, what, self.options.session_bytes_max);
        if closes && let Some(ring) = kept.open.remove(&id) {
            kept.ended.push_back(ring);
        }
    }

    /// All that there is.
    pub(crate) fn captured(&self) -> Capture {
        let kept = self.kept();
        let sessions: Vec<_> =
            kept.ended.iter().chain(kept.open.values()).map(Ring::session).collect();
        let (began, missed, forgotten) = (kept.began, kept.missed, kept.forgotten);
        // Workers wait no longer.
        drop(kept);
        let mut sessions: Vec<_> = sessions.into_iter().map(ring::in_order).collect();
        let begin = |events: &[CapturedEvent]| events.first().map(|event| event.sequence);
        sessions.sort_unstable_by_key(|session| begin(&session.events));
        self.capture(began, (missed, forgotten), sessions)
    }

    /// One session alone, if anything of it is kept.
    pub(crate) fn captured_session(&self, id: SessionId) -> Option<Capture> {
        let session = self.kept().ring(id)?.session();
        let session = ring::in_order(session);
        let began = session.events.first().map(|event| event.at);
        Some(self.capture(began, (0, 0), vec![session]))
    }

    /// These sessions, with how many were missed and forgotten.
    fn capture(
        &self,
        began: Option<Time>,
        (sessions_missed, sessions_forgotten): (u64, u64),
        sessions: Vec<CapturedSession>,
    ) -> Capture {
        Capture {
            framing: self.framing.clone(),
            frame_bytes_max: self.frame_bytes_max,
            is_redacted: self.options.is_redacted(),
            began,
            sessions_missed,
            sessions_forgotten,
            sessions,
        }
    }

    /// Whether anything of a session is kept.
    pub(crate) fn has_captured(&self, id: SessionId) -> bool {
        self.kept().ring(id).is_some()
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        // Nothing in here is left half done: code of users runs outside of the lock.
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    /// What is kept of a session, whether it is there or has ended.
    fn ring(&self, id: SessionId) -> Option<&Ring> {
        self.open.get(&id).or_else(|| self.ended.iter().find(|ring| ring.id() == id))
    }

    fn write(&mut self, id: SessionId, at: Time, what: Happened, bytes_max: usize) {
        let Some(ring) = self.open.get_mut(&id) else { return };
        self.sequence += 1;
        ring.push(CapturedEvent { sequence: self.sequence, at, what }, bytes_max);
    }
}
