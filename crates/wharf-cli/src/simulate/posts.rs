//! Messages of types of the sessions' own: who has posted what to whom, and what of it may arrive.

use std::collections::{BTreeMap, VecDeque};
use std::mem::MaybeUninit;
use std::sync::Arc;

use wharf::{Arrival, Context, OnMessage, Outcome, SendStatus, SessionId, TypedRef};

use super::groups::OUTSIDE;
use super::record::{Book, ClientNumber};
use super::run::Simulation;
use super::service::Service;

/// What may wait for a worker, as the documentation has it.
const INBOX_BYTES_MAX: usize = 64 << 20;
/// Messages of this size fill an inbox soon.
const BALLAST_BYTES: usize = 64_000;
/// How often one that was asked to be passed on is, at most.
const HOPS: u8 = 3;

/// Who posts, and in which way: each way keeps the order of its own.
type Sender = usize;

/// A message to a session.
pub(super) struct Post {
    to: SessionId,
    client: ClientNumber,
    sender: Sender,
    number: u64,
    asks: Ask,
    /// All that there are share it: what is lost and not dropped is found by it.
    _alive: Arc<()>,
}

/// What whoever gets it does.
#[derive(Clone, Copy)]
enum Ask {
    Nothing,
    Frame,
    PassOn { hops: u8 },
    Close,
    Fail,
}

impl Ask {
    const fn of(chance: u8) -> Self {
        match chance {
            0..6 => Self::Nothing,
            6..10 => Self::Frame,
            10..14 => Self::PassOn { hops: HOPS },
            14 => Self::Close,
            _ => Self::Fail,
        }
    }
}

/// A message that is nothing but large.
pub(super) struct Ballast {
    /// Never written: a run has no use for it.
    _bytes: [MaybeUninit<u8>; BALLAST_BYTES],
}

impl Ballast {
    const fn new() -> Self {
        Self { _bytes: [const { MaybeUninit::uninit() }; BALLAST_BYTES] }
    }
}

/// What is known of all messages of a run.
#[derive(Default)]
pub(super) struct Posts {
    /// By session and sender: those that were taken and have not arrived.
    under_way: BTreeMap<(SessionId, Sender), VecDeque<u64>>,
    last: u64,
    alive: Arc<()>,
    /// The next session that is asked to post fills the inbox of its worker.
    flood_is_due: bool,
}

impl Posts {
    fn next(&mut self, to: SessionId, client: ClientNumber, sender: Sender, asks: Ask) -> Post {
        self.last += 1;
        Post { to, client, sender, number: self.last, asks, _alive: Arc::clone(&self.alive) }
    }

    /// Messages that have not been dropped.
    pub(super) fn alive(&self) -> usize {
        Arc::strong_count(&self.alive) - 1
    }
}

impl Book {
    /// Draws a message to some session, perhaps one that is gone.
    fn draw_post(&mut self, sender: Sender, hops: Option<u8>) -> Option<(SessionId, Post)> {
        let (to, client) = self.any_session()?;
        let asks = match hops {
            Some(hops) if hops > 0 && self.dice.bool() => Ask::PassOn { hops: hops - 1 },
            Some(_) => Ask::Nothing,
            None => Ask::of(self.dice.u8(..16)),
        };
        Some((to, self.posts.next(to, client, sender, asks)))
    }

    fn posted(&mut self, to: SessionId, sender: Sender, number: u64, status: SendStatus) {
        self.marks.count(match status {
            SendStatus::Queued => "message posted",
            SendStatus::Overloaded => "message refused: full",
            _ => "message refused: closed",
        });
        if status == SendStatus::Queued {
            self.posts.under_way.entry((to, sender)).or_default().push_back(number);
        }
    }

    /// A message has arrived at a session.
    fn message_arrived(&mut self, client: ClientNumber, id: SessionId, post: &Post) {
        self.marks.count("message delivered");
        if id != post.to || client != post.client {
            let meant = post.client;
            return self.violate("I5", || {
                format!("client {client}: {id} got a message for {}, client {meant}", post.to)
            });
        }
        self.must_be_connected(client, "a message");
        let waiting = self.posts.under_way.entry((id, post.sender)).or_default();
        let next = waiting.pop_front();
        if next != Some(post.number) {
            let (sender, number) = (post.sender, post.number);
            self.violate("I3", || {
                format!("client {client}: message {number} of {sender}, and {next:?} was next")
            });
        }
    }

    /// So many large messages were taken for one worker since it was turned last.
    fn flooded(&mut self, count: usize) {
        // Fewer are taken where much waits already, and none where nobody is.
        if count > INBOX_BYTES_MAX / BALLAST_BYTES / 2 {
            self.marks.count("inbox filled");
        }
        if count * BALLAST_BYTES > INBOX_BYTES_MAX {
            self.violate("I6", || format!("{count} messages of {BALLAST_BYTES} bytes are taken"));
        }
    }
}

/// Posts large messages until they are refused, or too many were taken; says how many were.
fn flood(mut post: impl FnMut(Ballast) -> SendStatus) -> usize {
    let too_many = INBOX_BYTES_MAX / BALLAST_BYTES + 1;
    (0..too_many).take_while(|_| post(Ballast::new()) == SendStatus::Queued).count()
}

impl Service {
    /// Posts something to whoever has just arrived, before anything else is done for it.
    pub(super) fn post_to_arrival(&self, arrival: &Arrival) {
        let (session, sender) = (arrival.session_ref(), self.client * 2 + 1);
        let Ok(session) = session.typed::<Self>() else { return };
        let id = session.id();
        let post = self.record.with(|book| {
            let asks = Ask::of(book.dice.u8(..10));
            book.posts.next(id, self.client, sender, asks)
        });
        let number = post.number;
        let status = session.post(post);
        self.record.with(|book| book.posted(id, sender, number, status));
    }

    /// Posts some messages, one of two ways.
    pub(super) fn post(&mut self, ctx: &mut Context<'_>) {
        if self.record.with(|book| std::mem::take(&mut book.posts.flood_is_due)) {
            return self.flood_itself(ctx);
        }
        let count = self.record.with(|book| book.dice.u8(1..=self.manners.posts.max(1)));
        (0..count).for_each(|_| self.post_one(ctx, None));
    }

    fn post_one(&self, ctx: &mut Context<'_>, hops: Option<u8>) {
        let direct = self.record.with(|book| book.dice.bool());
        let sender = self.client * 2 + usize::from(!direct);
        let Some((to, post)) = self.record.with(|book| book.draw_post(sender, hops)) else {
            return;
        };
        let Some(session) = self.typed(ctx, to) else { return };
        let number = post.number;
        let status = if direct { ctx.post(&session, post) } else { session.post(post) };
        self.record.with(|book| book.posted(to, sender, number, status));
    }

    fn flood_itself(&self, ctx: &mut Context<'_>) {
        let Some(session) = self.typed(ctx, ctx.id()) else { return };
        let count = flood(|ballast| ctx.post(&session, ballast));
        self.record.with(|book| book.flooded(count));
    }

    fn typed(&self, ctx: &Context<'_>, id: SessionId) -> Option<TypedRef<Self>> {
        let typed = ctx.session_ref(id).typed().ok();
        if typed.is_none() {
            self.record.with(|book| book.violate("I5", || format!("{id} is of another type")));
        }
        typed
    }
}

impl OnMessage<Post> for Service {
    fn on_message(&mut self, ctx: &mut Context<'_>, post: Post) -> Outcome {
        self.record.with(|book| book.message_arrived(self.client, ctx.id(), &post));
        if !self.is_due("a message") {
            return Ok(());
        }
        let is_calm = self.record.with(|book| book.calm.is_some());
        match post.asks {
            Ask::Frame => self.send_own(ctx, 'P', 20),
            Ask::PassOn { hops } => self.post_one(ctx, Some(hops)),
            Ask::Close if !is_calm => {
                ctx.close();
                self.is_closing = true;
            }
            Ask::Fail if !is_calm => {
                self.is_closing = true;
                return Err("a message has asked it to fail".into());
            }
            Ask::Nothing | Ask::Close | Ask::Fail => {}
        }
        Ok(())
    }
}

impl OnMessage<Ballast> for Service {
    fn on_message(&mut self, _: &mut Context<'_>, _: Ballast) -> Outcome {
        self.is_due("ballast");
        Ok(())
    }
}

impl Simulation {
    /// Somebody who has no session posts something to one, perhaps one that is gone.
    pub(super) fn post_from_outside(&self) {
        let sender = OUTSIDE * 2;
        let Some((to, post)) = self.record.with(|book| book.draw_post(sender, None)) else {
            return;
        };
        let Ok(session) = self.server.handle().session(to).typed::<Service>() else { return };
        let number = post.number;
        let status = session.post(post);
        self.record.with(|book| book.posted(to, sender, number, status));
    }

    /// Fills the inbox of a worker; or has a session do it.
    pub(super) fn flood_inbox(&mut self) {
        if self.dice.bool() {
            return self.record.with(|book| book.posts.flood_is_due = true);
        }
        let Some((to, _)) = self.record.with(Book::any_session) else { return };
        let Ok(session) = self.server.handle().session(to).typed::<Service>() else { return };
        let count = flood(|ballast| session.post(ballast));
        self.record.with(|book| book.flooded(count));
    }
}
