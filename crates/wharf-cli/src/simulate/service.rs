//! The server's side: sessions that answer, talk to each other, fail and panic, as their clients ask.

use std::time::Duration;

use wharf::{Arrival, CloseReason, Context, Group, JoinError, Outcome, SendStatus, Session, Time};

use super::callers;
use super::groups;
use super::panics;
use super::record::{ClientNumber, Record};
use super::wire::{self, Wire};

/// Frames of a burst, and their size: enough to fill any queue that a plan has.
pub(super) const BURST_FRAMES: usize = 40;
pub(super) const BURST_BYTES: usize = 500;

/// What all sessions of a run are like.
#[derive(Clone, Copy, Debug)]
pub(super) struct Manners {
    pub(super) wire: Wire,
    /// Bytes that a frame of theirs says, at most.
    pub(super) said_max: usize,
    /// They send something before they are asked.
    pub(super) greets: bool,
    /// Messages that they post when they are asked to, at most.
    pub(super) posts: u8,
    pub(super) rooms: bool,
    pub(super) defers: bool,
    pub(super) group_timers: bool,
    /// They say something of their own when the server drains, or fail.
    pub(super) says_goodbye: bool,
}

/// One session.
pub(super) struct Service {
    pub(super) record: Record,
    pub(super) client: ClientNumber,
    pub(super) manners: Manners,
    /// Frames that were sent by itself, and to others.
    sent: u64,
    notes: u64,
    /// It was closed from within: nothing but its end may follow.
    pub(super) is_closing: bool,
}

impl Service {
    pub(super) fn new(record: &Record, arrival: &Arrival, manners: Manners) -> Self {
        let found = record.with(|book| {
            let peer = arrival.peer();
            // Which side of such a connection hears of it first is not known.
            let known = book.client_at(peer);
            known.or_else(|| callers::is_caller(peer).then(|| book.client(peer.clone(), false)))
        });
        let client = found.unwrap_or_else(|| {
            let peer = arrival.peer().clone();
            record.with(|book| {
                book.violate("I5", || format!("a session with {peer}, whom nobody knows"));
                book.client(peer, true)
            })
        });
        let record = record.clone();
        let service = Self { record, client, manners, sent: 0, notes: 0, is_closing: false };
        if manners.posts > 0 {
            service.post_to_arrival(arrival);
        }
        service
    }

    /// A callback has come; false if it is one too many.
    pub(super) fn is_due(&self, what: &str) -> bool {
        if self.is_closing {
            let client = self.client;
            self.record.with(|book| {
                book.violate("I2", || format!("client {client}: {what}, though it is closing"));
            });
        }
        !self.is_closing
    }

    /// Some frames have one started, so that many end while one runs. Its token is when it is due.
    fn start_timer(&self, ctx: &mut Context<'_>, frame: &[u8]) {
        let after = Duration::from_millis(frame.len() as u64 % 64);
        let due = ctx.now() + after;
        let timer = ctx.start_timer(after, due.as_nanos());
        if let Some(timer) = timer.filter(|_| frame.len() % 8 == 1)
            && !ctx.cancel_timer(timer)
        {
            let client = self.client;
            self.record.with(|book| {
                book.violate("I7", || format!("client {client}: {timer:?} cannot be cancelled"));
            });
        }
    }

    /// Sends a frame that says this.
    fn send(&mut self, ctx: &mut Context<'_>, said: &[u8]) {
        let head = self.manners.wire.head_bytes();
        let status = if head.is_empty() { ctx.send(said) } else { ctx.send_parts(&[head, said]) };
        self.was_sent(status, said);
    }

    fn was_sent(&mut self, status: SendStatus, said: &[u8]) {
        self.is_closing |= status == SendStatus::Closed;
        self.record.with(|book| book.queued(self.client, status, said));
    }

    /// Sends something that nobody has asked for.
    pub(super) fn send_own(&mut self, ctx: &mut Context<'_>, kind: char, len: usize) {
        self.sent += 1;
        let len = len.min(self.manners.said_max);
        self.send(ctx, &wire::payload(kind, self.sent, self.client, len));
    }

    /// Sends some frames of which each takes the place of the one before, where the policy says so.
    fn update(&mut self, ctx: &mut Context<'_>, frame: &[u8]) {
        for key in [1, 2, 1, 1] {
            self.sent += 1;
            let len = frame.len().max(20).min(self.manners.said_max);
            let state = wire::payload('U', self.sent, self.client, len);
            let status = ctx.send_keyed(key, &self.manners.wire.payload(&state));
            self.was_sent(status, &state);
        }
    }

    /// Sends so much that a reader who is not quick is slow.
    fn burst(&mut self, ctx: &mut Context<'_>) {
        for _ in 0..BURST_FRAMES {
            self.send_own(ctx, 'B', BURST_BYTES);
        }
    }

    /// Makes its queue so wide that only what all queues hold together is a limit.
    fn widen(&self, ctx: &mut Context<'_>) {
        let Some(limits) = self.record.with(|book| book.wide_limits()) else { return };
        if let Err(error) = ctx.set_send_limits(limits) {
            self.record.with(|book| book.violate("I8", || format!("limits are refused: {error}")));
        }
    }

    /// Sends a note to some session, perhaps one that is gone.
    fn note(&mut self, ctx: &mut Context<'_>) {
        let Some((id, target)) = self.record.with(|book| book.any_session()) else { return };
        // Two ways, each of which keeps the order of a sender; between them there is none.
        let direct = self.record.with(|book| book.dice.bool());
        let Some(note) = self.note_to(target, direct) else { return };
        let status = if direct { ctx.send_to(id, &note) } else { ctx.session_ref(id).send(&note) };
        self.record.with(|book| book.noted(status));
    }

    /// The next note; none if the framing has no frames, or none so long.
    fn note_to(&mut self, target: ClientNumber, direct: bool) -> Option<Vec<u8>> {
        let sender = self.client * 2 + usize::from(direct);
        self.notes += 1;
        let note = format!("N{target}:{sender}:{}:", self.notes).into_bytes();
        let fits = self.manners.wire.has_frames() && note.len() <= self.manners.said_max;
        fits.then(|| self.manners.wire.payload(&note))
    }

    /// A session that has ended sends to itself: nobody may get it, least of all whoever comes next.
    fn last_words(&mut self, ctx: &mut Context<'_>) {
        let status = ctx.send(b"?");
        self.record.with(|book| {
            if status != SendStatus::Closed {
                book.violate("I2", || format!("a session that has ended may send: {status:?}"));
            }
        });
        if let Some(note) = self.note_to(self.client, false) {
            ctx.session_ref(ctx.id()).send(&note);
        }
    }

    /// Joins a group or leaves it, tells its members something, or has all of them closed. Without frames,
    /// what others say would be anywhere in the stream.
    fn meet(&mut self, ctx: &mut Context<'_>, what: u8) {
        if !self.manners.wire.has_frames() {
            return;
        }
        let which = self.record.with(|book| groups::group_of(book.dice.u64(..)));
        let group = ctx.group(&groups::name(which));
        match what {
            b'j' => {
                let joined = ctx.join(&group);
                self.record.with(|book| match joined {
                    Ok(()) => book.groups.joined(which, self.client),
                    // What it had broadcast before has filled its own queue.
                    Err(JoinError::Closing) => self.is_closing = true,
                    Err(JoinError::TooMany(_)) if book.rooms.are_there() => {}
                    Err(error) => book.violate("I2", || format!("a session cannot join: {error}")),
                });
            }
            b'v' => {
                let left = ctx.leave(&group);
                self.record.with(|book| {
                    if left != book.groups.is_in(which, self.client) {
                        book.violate("I2", || format!("leaving a group is {left}"));
                    }
                    book.groups.left(which, self.client);
                });
            }
            b'q' if self.record.with(|book| book.calm.is_none()) => group.close_all(),
            b'q' => {}
            _ => {
                groups::broadcast(ctx, self, which, what == b'g');
            }
        }
    }

    /// Closes some session, perhaps one that is gone.
    fn kick(&self, ctx: &mut Context<'_>) {
        let target =
            self.record.with(|book| if book.calm.is_some() { None } else { book.any_session() });
        match target {
            Some((id, _)) if self.record.with(|book| book.dice.bool()) => ctx.close_session(id),
            Some((id, _)) => {
                ctx.session_ref(id).close();
            }
            None => {}
        }
    }
}

impl Session for Service {
    fn on_connected(&mut self, ctx: &mut Context<'_>) -> Outcome {
        self.record.with(|book| book.connected(self.client, ctx.id(), ctx.now()));
        if self.manners.greets {
            self.send_own(ctx, 'G', 20);
        }
        Ok(())
    }

    fn on_frame(&mut self, ctx: &mut Context<'_>, frame: &[u8]) -> Outcome {
        if !self.is_due("a frame") {
            return Ok(());
        }
        // What begins as no payload does is an error, unless the client sends what is none.
        let said = self.manners.wire.said(frame).unwrap_or(frame);
        self.record.with(|book| book.arrived(self.client, said, ctx.now()));
        self.start_timer(ctx, said);
        match said.first() {
            Some(b's' | b'i') => {}
            Some(b'b') => self.burst(ctx),
            Some(b'u') => self.update(ctx, said),
            Some(b'o') => self.note(ctx),
            Some(b'k') => self.kick(ctx),
            Some(b'w') => self.widen(ctx),
            Some(&what @ (b't' | b'y')) if self.manners.group_timers => self.time(ctx, what),
            Some(&what @ (b'n' | b'm' | b'r')) if self.manners.rooms => self.visit(ctx, what),
            Some(b'd') if self.manners.defers => self.defer(ctx),
            Some(b'p') if self.manners.posts > 0 => self.post(ctx),
            Some(&what @ (b'j' | b'v' | b'g' | b'h' | b'q')) => self.meet(ctx, what),
            Some(b'c') => {
                ctx.close();
                self.is_closing = true;
            }
            Some(b'l') if self.manners.wire.has_frames() => {
                self.send(ctx, &vec![b'.'; self.manners.said_max + 1]);
            }
            Some(b'f') => {
                self.is_closing = true;
                return Err("it was asked to fail".into());
            }
            Some(b'x') => {
                self.record.with(|book| book.panicked(self.client));
                panics::expected();
            }
            _ => {
                let status = ctx.send(frame);
                self.was_sent(status, said);
            }
        }
        Ok(())
    }

    fn on_writable(&mut self, ctx: &mut Context<'_>) -> Outcome {
        if self.is_due("writable again") {
            self.record.with(|book| book.marks.count("writable again"));
            self.send_own(ctx, 'W', 20);
        }
        Ok(())
    }

    fn on_timer(&mut self, ctx: &mut Context<'_>, token: u64) -> Outcome {
        let (client, now) = (self.client, ctx.now());
        if self.is_due("a timer") && now < Time::from_nanos(token) {
            self.record.with(|book| {
                book.violate("I8", || format!("client {client}: a timer for {token} at {now:?}"));
            });
        }
        self.record.with(|book| book.marks.count("timer fired"));
        Ok(())
    }

    fn on_group_timer(&mut self, ctx: &mut Context<'_>, group: &Group, token: u64) -> Outcome {
        self.hear_group_timer(ctx, group, token);
        Ok(())
    }

    fn on_drain(&mut self, ctx: &mut Context<'_>) -> Outcome {
        if !self.is_due("a drain") {
            return Ok(());
        }
        let says = self.manners.says_goodbye;
        if says {
            self.send_own(ctx, 'D', 20);
        }
        let (fails, is_open) = (says && self.client % 8 == 7, !self.is_closing);
        self.is_closing = true;
        if fails {
            return Err("a drain has asked it to fail".into());
        }
        if is_open {
            self.record.with(|book| book.owe_farewell(self.client));
        }
        Ok(())
    }

    fn on_disconnected(&mut self, ctx: &mut Context<'_>, reason: &CloseReason) {
        self.record.with(|book| book.disconnected(self.client, reason, ctx.now()));
        if groups::is_ghost(ctx) {
            let client = self.client;
            self.record.with(|book| {
                book.violate("I2", || format!("client {client} has ended and is a member still"));
            });
        }
        self.last_words(ctx);
    }
}
