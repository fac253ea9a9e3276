//! The server's side: sessions that answer, talk to each other, fail and panic, as their clients ask.

use wharf::{Arrival, CloseReason, Context, Outcome, Session};

use super::panics;
use super::record::{ClientNumber, Record};

/// Frames of a burst, and their size: enough to fill any queue that a plan has.
const BURST_FRAMES: usize = 40;
const BURST_BYTES: usize = 500;

/// One session.
pub(super) struct Service {
    record: Record,
    client: ClientNumber,
    frame_bytes_max: usize,
    has_frames: bool,
    notes: u64,
}

impl Service {
    pub(super) fn new(
        record: &Record,
        arrival: &Arrival,
        frame_bytes_max: usize,
        has_frames: bool,
    ) -> Self {
        let found = record.with(|book| book.client_at(arrival.peer()));
        let client = found.unwrap_or_else(|| {
            let peer = arrival.peer();
            record.with(|book| {
                book.violate("I5", || format!("a session with {peer}, whom nobody knows"));
                book.client(peer, true)
            })
        });
        Self { record: record.clone(), client, frame_bytes_max, has_frames, notes: 0 }
    }

    fn send(&self, ctx: &mut Context<'_>, payload: &[u8]) {
        let status = ctx.send(payload);
        self.record.with(|book| book.queued(self.client, status, payload));
    }

    /// Sends so much that a reader who is not quick is slow.
    fn burst(&self, ctx: &mut Context<'_>) {
        let len = self.frame_bytes_max.min(BURST_BYTES);
        for number in 0..BURST_FRAMES {
            let mut payload = format!("B{number}:").into_bytes();
            payload.resize(len.max(payload.len()).min(self.frame_bytes_max), b'.');
            self.send(ctx, &payload);
        }
    }

    /// Sends a note to some session, perhaps one that is gone.
    fn note(&mut self, ctx: &mut Context<'_>) {
        let Some((id, target)) = self.record.with(|book| book.any_session()) else { return };
        if !self.has_frames {
            return;
        }
        // Two ways, each of which keeps the order of a sender; between them there is none.
        let direct = self.record.with(|book| book.dice.bool());
        let sender = self.client * 2 + usize::from(direct);
        self.notes += 1;
        let note = format!("N{target}:{sender}:{}:", self.notes);
        if note.len() > self.frame_bytes_max {
            return;
        }
        if direct {
            ctx.send_to(id, note.as_bytes());
        } else {
            ctx.session_ref(id).send(note.as_bytes());
        }
    }

    /// Closes some session, perhaps one that is gone.
    fn kick(&self, ctx: &mut Context<'_>) {
        let target = self.record.with(|book| if book.is_calm { None } else { book.any_session() });
        if let Some((id, _)) = target {
            ctx.close_session(id);
        }
    }
}

impl Session for Service {
    fn on_connected(&mut self, ctx: &mut Context<'_>) -> Outcome {
        self.record.with(|book| book.connected(self.client, ctx.id()));
        Ok(())
    }

    fn on_frame(&mut self, ctx: &mut Context<'_>, frame: &[u8]) -> Outcome {
        self.record.with(|book| book.arrived(self.client, frame));
        match frame.first() {
            Some(b's') => {}
            Some(b'b') => self.burst(ctx),
            Some(b'o') => self.note(ctx),
            Some(b'k') => self.kick(ctx),
            Some(b'c') => ctx.close(),
            Some(b'f') => return Err("it was asked to fail".into()),
            Some(b'x') => {
                self.record.with(|book| book.panicked(self.client));
                panics::expected();
            }
            _ => self.send(ctx, frame),
        }
        Ok(())
    }

    fn on_writable(&mut self, ctx: &mut Context<'_>) -> Outcome {
        self.record.with(|book| book.marks.count("writable again"));
        self.send(ctx, b"W");
        Ok(())
    }

    fn on_disconnected(&mut self, _: &mut Context<'_>, reason: &CloseReason) {
        self.record.with(|book| book.disconnected(self.client, reason));
    }
}
