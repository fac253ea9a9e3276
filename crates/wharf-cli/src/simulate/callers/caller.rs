//! One session of a client: it asks the server for this and that, and looks at every answer.

use wharf::{
    Arrival, CloseReason, ConnectFailure, Context, Outcome, Outgoing, SendStatus, Session,
};

use super::super::record::{ClientNumber, Record};
use super::super::wire::{self, Wire};
use super::draw;

/// What it asks for: see [`Service`](super::super::service::Service).
const KINDS: &[u8] = b"eeeeeeeeeeesodpnmmjgucfxkb";
/// Bytes that it says at a time, at most.
const SAID_MAX: usize = 300;
/// Targets that there may be before sessions ask for no more.
const TARGETS_MAX: usize = 12;

/// What all sessions of a client are like.
#[derive(Clone, Copy, Debug)]
pub(super) struct Manners {
    pub(super) wire: Wire,
    /// Bytes that a frame says, at most.
    pub(super) said_max: usize,
}

/// A session of a client.
pub(in crate::simulate) struct Caller {
    record: Record,
    manners: Manners,
    how: Option<Outgoing>,
    /// The number under which the server's side of this connection is recorded.
    client: ClientNumber,
    /// Frames that it is going to send.
    frames: u64,
    sent: u64,
    /// It has begun to close: nothing but its end may follow.
    is_closing: bool,
}

impl Caller {
    pub(super) fn new(record: &Record, arrival: &Arrival, manners: Manners) -> Self {
        let how = arrival.outgoing().cloned();
        let client = record.with(|book| {
            let Some(local) = how.as_ref().and_then(Outgoing::local) else {
                book.violate("I12", || format!("{} comes from nowhere", arrival.id()));
                return book.client(arrival.peer().clone(), true);
            };
            book.client_at(local).unwrap_or_else(|| book.client(local.clone(), false))
        });
        let record = record.clone();
        Self { record, manners, how, client, frames: 0, sent: 0, is_closing: false }
    }

    /// A callback has come; false if it is one too many.
    fn is_due(&self, what: &str) -> bool {
        if self.is_closing {
            let client = self.client;
            self.record.with(|book| {
                book.violate("I2", || format!("caller {client}: {what}, though it is closing"));
            });
        }
        !self.is_closing
    }

    fn tag(&self) -> u64 {
        self.how.as_ref().map_or(u64::MAX, |how| how.target().tag())
    }

    /// Sends a frame that asks for something.
    fn ask(&mut self, ctx: &mut Context<'_>) {
        let most = self.manners.said_max.min(SAID_MAX);
        let (kind, len) = self.record.with(|book| {
            let kind =
                if book.calm.is_some() { b'e' } else { KINDS[book.dice.usize(..KINDS.len())] };
            (char::from(kind), book.dice.usize(..=most))
        });
        self.sent += 1;
        let said = wire::payload(kind, self.sent, self.client, len);
        let status = ctx.send_parts(&[self.manners.wire.head_bytes(), &said]);
        self.is_closing |= status == SendStatus::Closed;
        let is_something = self.manners.wire.has_frames() || !said.is_empty();
        if is_something && status == SendStatus::Queued {
            self.record.with(|book| book.written(self.client, &said));
        }
    }

    /// Has its target stopped, or asks for another one.
    fn turn_to_others(&self, ctx: &mut Context<'_>) {
        let (is_calm, chance) = self.record.with(|book| (book.calm.is_some(), book.dice.u8(..8)));
        match (chance, &self.how) {
            (0, Some(how)) if !is_calm => {
                how.target().stop();
                let number = usize::try_from(how.target().tag()).unwrap_or_default();
                self.record.with(|book| book.target_stops(number));
            }
            (1..3, _) if !is_calm => self.open_another(ctx),
            _ => {}
        }
    }

    fn open_another(&self, ctx: &mut Context<'_>) {
        let opener = ctx.id();
        let drawn = self.record.with(|book| {
            (book.targets.known.len() < TARGETS_MAX)
                .then(|| draw::target(book, self.manners.wire, Some(opener), ctx.now()))
        });
        let Some((number, target)) = drawn else { return };
        let taken = ctx.connect(target);
        self.record.with(|book| book.target_taken(number, taken));
    }
}

impl Session for Caller {
    fn on_connected(&mut self, ctx: &mut Context<'_>) -> Outcome {
        self.frames = self.record.with(|book| {
            if let Some(how) = &self.how {
                book.target_connects(ctx.id(), how, ctx.now());
            }
            if book.calm.is_some() { 1 } else { book.dice.u64(..12) }
        });
        if self.frames > 0 {
            self.ask(ctx);
        }
        self.turn_to_others(ctx);
        Ok(())
    }

    fn on_frame(&mut self, ctx: &mut Context<'_>, frame: &[u8]) -> Outcome {
        if !self.is_due("a frame") {
            return Ok(());
        }
        let said = self.manners.wire.said(frame).unwrap_or(frame);
        self.record.with(|book| book.got(self.client, said));
        if self.sent < self.frames {
            self.ask(ctx);
            return Ok(());
        }
        let (is_calm, chance) = self.record.with(|book| (book.calm.is_some(), book.dice.u8(..8)));
        match chance {
            0 if !is_calm => {
                self.is_closing = true;
                ctx.close();
            }
            1 if !is_calm => {
                self.is_closing = true;
                return Err("it has had enough".into());
            }
            _ => {}
        }
        Ok(())
    }

    fn on_connect_failed(&mut self, ctx: &mut Context<'_>, failure: &ConnectFailure) -> Outcome {
        if self.is_due("a failure") {
            self.record.with(|book| book.opener_told(ctx.id(), failure));
        }
        Ok(())
    }

    fn on_disconnected(&mut self, ctx: &mut Context<'_>, reason: &CloseReason) {
        let (tag, now) = (self.tag(), ctx.now());
        self.record.with(|book| {
            book.target_ends(ctx.id(), tag, now);
            if self.is_closing {
                return;
            }
            match reason {
                CloseReason::PeerClosed => book.got_end(self.client, 0),
                CloseReason::Truncated => book.violate("I3", || {
                    format!("caller {} got half a frame, and the end", self.client)
                }),
                CloseReason::Idle => book.target_is_idle(tag, now),
                _ => {}
            }
        });
    }
}
