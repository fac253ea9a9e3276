//! Sessions as JSON.

use serde::{Serialize, Serializer};
use wharf::{SessionId, SessionReport, Time, WorkerReport};

use crate::listing::Listing;

/// Some sessions, in the order that was asked for.
#[derive(Debug, Serialize)]
pub(crate) struct Page<'a> {
    sessions: Vec<Session<'a>>,
    /// The last one, behind which there may be more; nothing, if there are not.
    next: Option<Id>,
    /// Those that have not answered: their sessions are missing.
    silent_workers: Vec<usize>,
}

impl<'a> Page<'a> {
    pub(crate) fn of(
        listing: &Listing,
        reports: &'a [WorkerReport],
        silent_workers: Vec<usize>,
    ) -> Self {
        let told = reports.iter().flat_map(|it| it.sessions.iter().zip(std::iter::repeat(it.now)));
        let mut sessions: Vec<(&SessionReport, Time)> = told.collect();
        listing.choose(&mut sessions, |(session, _)| *session);
        let last = sessions.last().map(|(session, _)| Id(session.id));
        Self {
            next: last.filter(|_| listing.may_have_more(sessions.len())),
            sessions: sessions.iter().map(|(session, now)| Session::of(session, *now)).collect(),
            silent_workers,
        }
    }
}

/// A session, as of when its worker answered.
#[derive(Debug, Serialize)]
pub(crate) struct Session<'a> {
    id: Id,
    /// The id as logs have it.
    name: String,
    worker: usize,
    peer: String,
    age_seconds: f64,
    /// Since bytes came last.
    silent_seconds: f64,
    received_bytes: u64,
    received_frames: u64,
    sent_bytes: u64,
    /// Of late.
    received_per_second: u64,
    sent_per_second: u64,
    queued_bytes: usize,
    held_back: bool,
    closing: bool,
    groups: Vec<&'a str>,
}

impl<'a> Session<'a> {
    pub(crate) fn of(session: &'a SessionReport, now: Time) -> Self {
        Self {
            id: Id(session.id),
            name: session.id.to_string(),
            worker: session.id.worker(),
            peer: session.peer.to_string(),
            age_seconds: (now - session.opened).as_secs_f64(),
            silent_seconds: (now - session.last_receive).as_secs_f64(),
            received_bytes: session.received_bytes,
            received_frames: session.received_frames,
            sent_bytes: session.sent_bytes,
            received_per_second: session.received_per_second,
            sent_per_second: session.sent_per_second,
            queued_bytes: session.queued_bytes,
            held_back: session.is_held_back,
            closing: session.is_closing,
            groups: session.groups.iter().map(AsRef::as_ref).collect(),
        }
    }
}

/// An id, as text: a number of JavaScript's has 53 bits, and an id 64.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Id(pub(crate) SessionId);

impl Serialize for Id {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0.as_u64())
    }
}
