//! What is kept of one session.

use std::collections::VecDeque;
use std::sync::Arc;

use wharf_port::Address;

use super::{CapturedEvent, CapturedSession, Happened};
use crate::session_id::SessionId;

/// What a frame takes besides its payload: an event and a count.
const FRAME_BYTES: usize = 64;

/// The last events of a session. Its frames are bounded in bytes; the others are few in the life of a session.
#[derive(Debug)]
pub(super) struct Ring {
    id: SessionId,
    peer: Address,
    is_whole: bool,
    bytes: usize,
    frames_dropped: u64,
    pub(super) frames_left_out: u64,
    /// Frames alone: what falls out is at the front.
    frames: VecDeque<CapturedEvent>,
    others: Vec<CapturedEvent>,
}

impl Ring {
    pub(super) const fn new(id: SessionId, peer: Address, is_whole: bool) -> Self {
        Self {
            id,
            peer,
            is_whole,
            bytes: 0,
            frames_dropped: 0,
            frames_left_out: 0,
            frames: VecDeque::new(),
            others: Vec::new(),
        }
    }

    pub(super) const fn id(&self) -> SessionId {
        self.id
    }

    /// Takes an event in; the oldest frames fall out as long as there are more than `bytes_max` bytes.
    pub(super) fn push(&mut self, event: CapturedEvent, bytes_max: usize) {
        let Some(payload) = payload(&event) else { return self.others.push(event) };
        self.bytes += payload.len() + FRAME_BYTES;
        self.frames.push_back(event);
        while self.bytes > bytes_max
            && let Some(oldest) = self.frames.pop_front()
        {
            self.bytes -= payload_len(&oldest) + FRAME_BYTES;
            self.frames_dropped += 1;
        }
    }

    /// The session as it is to be shown, but for the order of its events; payloads are shared and not copied.
    pub(super) fn session(&self) -> CapturedSession {
        let events = self.others.iter().chain(&self.frames).cloned().collect();
        CapturedSession {
            id: self.id,
            peer: self.peer.clone(),
            is_whole: self.is_whole,
            frames_dropped: self.frames_dropped,
            frames_left_out: self.frames_left_out,
            events,
        }
    }
}

/// The session with its events in their order. They come as two runs, each of which is in order.
pub(super) fn in_order(mut session: CapturedSession) -> CapturedSession {
    session.events.sort_by_key(|event| event.sequence);
    session
}

const fn payload(event: &CapturedEvent) -> Option<&Arc<[u8]>> {
    match &event.what {
        Happened::Received(payload) | Happened::Sent(payload) => Some(payload),
        _ => None,
    }
}

fn payload_len(event: &CapturedEvent) -> usize {
    payload(event).map_or(0, |payload| payload.len())
}
