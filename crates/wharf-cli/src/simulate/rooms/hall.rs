//! The room: it notes what it hears, answers, and now and then closes or panics.

use wharf::{Room, RoomContext, SendStatus, SessionId, Tick};

use super::super::panics;
use super::super::record::Record;
use super::super::wire::Wire;
use super::{Event, RoomNumber, group_of, speaker_of};

/// One room.
pub(in crate::simulate) struct Hall {
    pub(super) number: RoomNumber,
    pub(super) record: Record,
    pub(super) wire: Wire,
    /// Bytes that a frame of it says, at most.
    pub(super) said_max: usize,
    /// Notes that it has sent.
    notes: u64,
}

impl Hall {
    pub(super) fn new(number: RoomNumber, record: Record, wire: Wire, said_max: usize) -> Self {
        record.with(|book| book.rooms.halls += 1);
        Self { number, record, wire, said_max, notes: 0 }
    }

    fn hears(&self, session: SessionId, event: Event) {
        self.record.with(|book| book.room_hears(self.number, session, event));
    }

    /// What is said as a frame, if it has frames so long.
    fn payload(&self, text: &[u8]) -> Option<Vec<u8>> {
        let fits = self.wire.has_frames() && text.len() <= self.said_max;
        fits.then(|| self.wire.payload(text))
    }

    /// Says something to all members, or to all but one.
    fn speak(&self, ctx: &mut RoomContext<'_>, except: Option<SessionId>) {
        let (which, speaker) = (group_of(self.number), speaker_of(self.number));
        let (number, text) = self.record.with(|book| book.groups.next(which, speaker));
        let Some(payload) = self.payload(&text) else { return };
        let status = match except {
            Some(member) => ctx.broadcast_except(member, &payload),
            None => ctx.broadcast(&payload),
        };
        self.record.with(|book| match status {
            SendStatus::Queued => {
                let except = except.and_then(|member| book.client_of(member));
                book.groups.was_said(which, speaker, number, except);
                book.marks.count("room broadcast");
            }
            SendStatus::Overloaded => book.marks.count("room broadcast refused: full"),
            other => book.violate("I13", || format!("a broadcast of a room is {other:?}")),
        });
    }

    /// Sends a note to one session.
    fn note(&mut self, ctx: &mut RoomContext<'_>, member: SessionId) {
        let Some(client) = self.record.with(|book| book.client_of(member)) else { return };
        self.notes += 1;
        let note = format!("N{client}:{}:{}:", speaker_of(self.number), self.notes);
        if let Some(payload) = self.payload(note.as_bytes()) {
            let status = ctx.send_to(member, &payload);
            self.record.with(|book| book.noted(status));
        }
    }

    /// Does what a number asks for. In the second phase it harms nobody.
    fn act(&mut self, ctx: &mut RoomContext<'_>, asked: u64, member: Option<SessionId>) {
        let is_calm = self.record.with(|book| book.calm.is_some());
        match (asked % 32, member) {
            (0, _) if !is_calm => {
                self.record.with(|book| {
                    book.marks.count("room closed by itself");
                    book.room_ends(self.number);
                });
                ctx.close();
            }
            (1, _) if !is_calm => {
                self.record.with(|book| {
                    book.marks.count("room panicked");
                    book.room_ends(self.number);
                });
                panics::expected();
            }
            (2, Some(member)) if !is_calm => {
                ctx.close_session(member);
            }
            (3..7, Some(member)) => self.note(ctx, member),
            (7..10, member) => self.speak(ctx, member),
            (10..20, _) => self.speak(ctx, None),
            _ => {}
        }
    }

    /// Somebody without a session has asked for something.
    pub(super) fn work(&mut self, ctx: &mut RoomContext<'_>, job: u64) {
        self.record.with(|book| book.room_has_job(self.number, job));
        self.act(ctx, job, None);
    }
}

impl Room for Hall {
    fn on_enter(&mut self, ctx: &mut RoomContext<'_>, member: SessionId) {
        self.hears(member, Event::Enters);
        self.speak(ctx, None);
    }

    fn on_frame(&mut self, ctx: &mut RoomContext<'_>, member: SessionId, frame: &[u8]) {
        let said = std::str::from_utf8(frame).ok().and_then(|text| text.parse().ok());
        // What is torn is a number that nobody has said.
        let said = said.unwrap_or(u64::MAX);
        self.hears(member, Event::Says(said));
        self.act(ctx, said, Some(member));
    }

    fn on_leave(&mut self, ctx: &mut RoomContext<'_>, member: SessionId) {
        self.hears(member, Event::Leaves);
        if member.as_u64().is_multiple_of(4) {
            self.speak(ctx, None);
        }
    }

    fn on_tick(&mut self, ctx: &mut RoomContext<'_>, tick: &Tick) {
        self.record.with(|book| book.room_ticks(self.number, tick, ctx.now()));
        if tick.number % 4 == 1 {
            self.speak(ctx, None);
        }
    }
}

impl Drop for Hall {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            self.record.with(|book| book.room_is_dropped(self.number));
        }
    }
}
