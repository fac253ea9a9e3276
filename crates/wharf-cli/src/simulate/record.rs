//! What has been sent, queued and seen in one run, and what of it breaks an invariant.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, TryLockError};
use std::time::Duration;

use fastrand::Rng;
use wharf::{Address, CloseReason, Limits, SendStatus, SessionId, SlowReader, Time};

use super::callers::{HEARTBEAT, Targets};
use super::ceiling::Overload;
use super::deadlines::Heard;
use super::deferred::Deferred;
use super::group_timers::GroupTimers;
use super::groups::Groups;
use super::marks::Marks;
use super::posts::Posts;
use super::rooms::Rooms;

/// A client, by its number.
pub(super) type ClientNumber = usize;

/// The record that a server's sessions, its rooms and jobs, and their clients write together. All of them
/// are on one thread, of which the library knows nothing.
#[derive(Clone)]
pub(super) struct Record(Arc<Mutex<Book>>);

/// What a run is held against. `docs/testing.md` names them.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Violation {
    /// Such as `I3`; or `panic`, if an assertion of the libraries failed.
    pub(super) invariant: &'static str,
    pub(super) what: String,
}

/// All of the record.
pub(super) struct Book {
    clients: Vec<Entry>,
    by_address: BTreeMap<Address, ClientNumber>,
    /// Every session that there has been, and whose it was.
    sessions: Vec<(SessionId, ClientNumber)>,
    /// Counts the turns of all workers.
    turn: u64,
    pub(super) limits: Limits,
    has_frames: bool,
    pub(super) violation: Option<Violation>,
    /// The run is over, whether well or not: what is dropped now breaks nothing.
    pub(super) is_over: bool,
    pub(super) marks: Marks,
    pub(super) groups: Groups,
    pub(super) posts: Posts,
    pub(super) deferred: Deferred,
    pub(super) rooms: Rooms,
    pub(super) targets: Targets,
    pub(super) group_timers: GroupTimers,
    pub(super) load: Option<Overload>,
    /// Some sessions have wider queues than the server's.
    pub(super) is_wide: bool,
    /// Bytes that sessions have queued for themselves in this turn.
    pub(super) queued_in_turn: usize,
    /// What sessions are sent last by a server that drains.
    pub(super) farewell: Option<Vec<u8>>,
    /// The server has been paused, and all workers know.
    pub(super) is_shut: bool,
    pub(super) dice: Rng,
    /// The network's clock, in the second phase.
    now: Time,
    /// When the second phase began, in which nobody harms others any more.
    pub(super) calm: Option<Time>,
}

/// What is known of one client and its session.
#[derive(Default)]
struct Entry {
    /// What the client has begun to write and the service has not seen: frames, or raw all bytes.
    to_service: VecDeque<Vec<u8>>,
    /// What the service was told is queued and the client has not seen.
    to_client: VecDeque<Vec<u8>>,
    farewell: Farewell,
    /// It writes what is no frame: what the service makes of it is not looked at.
    is_garbage: bool,
    life: Life,
    heard: Option<Heard>,
    /// When it was seen to have ended its stream, in the second phase and on a connection that lives.
    ended: Option<Time>,
    /// In the turn with the number before it: frames and bytes that the session got.
    share: (u64, usize, usize),
    /// The last note of each sender.
    notes: BTreeMap<ClientNumber, u64>,
}

/// Whether a client has got what a draining server says last.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
enum Farewell {
    #[default]
    NotOwed,
    Owed,
    Heard,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
enum Life {
    #[default]
    Unborn,
    Connected,
    /// A job of it has panicked: it ends without a word, or as it was about to.
    Doomed,
    Panicked,
    Disconnected,
}

impl Life {
    const fn is_connected(self) -> bool {
        matches!(self, Self::Connected | Self::Doomed)
    }
}

/// What one session gets at most of a turn: the contract of the sessions, rule 9.
const TURN_FRAMES: usize = 64;
const TURN_BYTES: usize = 64 << 10;
/// Bytes around a frame, at most.
const ENVELOPE_MAX: usize = 32;
/// Within this time a session learns that its peer has ended, if nothing goes wrong.
const LEARNS: Duration = Duration::from_secs(2);

impl Record {
    pub(super) fn new(dice: Rng, limits: Limits, has_frames: bool) -> Self {
        Self(Arc::new(Mutex::new(Book {
            clients: Vec::new(),
            by_address: BTreeMap::new(),
            sessions: Vec::new(),
            turn: 0,
            limits,
            has_frames,
            violation: None,
            is_over: false,
            marks: Marks::default(),
            groups: Groups::default(),
            posts: Posts::default(),
            deferred: Deferred::default(),
            rooms: Rooms::default(),
            targets: Targets::default(),
            group_timers: GroupTimers::default(),
            load: None,
            is_wide: false,
            queued_in_turn: 0,
            farewell: None,
            is_shut: false,
            dice,
            now: Time::ZERO,
            calm: None,
        })))
    }

    /// How many there are that can write to it.
    pub(super) fn holders(&self) -> usize {
        Arc::strong_count(&self.0)
    }

    pub(super) fn with<T>(&self, work: impl FnOnce(&mut Book) -> T) -> T {
        match self.0.try_lock() {
            Ok(mut book) => work(&mut book),
            Err(TryLockError::Poisoned(poisoned)) => work(&mut poisoned.into_inner()),
            // It would wait for itself.
            Err(TryLockError::WouldBlock) => panic!("the record is written within a write"),
        }
    }
}

impl Book {
    /// Notes that an invariant is broken; the first counts.
    pub(super) fn violate(&mut self, invariant: &'static str, what: impl FnOnce() -> String) {
        if self.violation.is_none() && !self.is_over {
            self.violation = Some(Violation { invariant, what: what() });
        }
    }

    pub(super) const fn begin_turn(&mut self) {
        self.turn += 1;
        self.queued_in_turn = 0;
    }
}

/// What clients do.
impl Book {
    pub(super) fn client(&mut self, address: Address, is_garbage: bool) -> ClientNumber {
        self.clients.push(Entry { is_garbage, ..Entry::default() });
        let number = self.clients.len() - 1;
        self.by_address.insert(address, number);
        number
    }

    /// A client begins to write a frame.
    pub(super) fn written(&mut self, client: ClientNumber, frame: &[u8]) {
        self.clients[client].to_service.push_back(frame.to_vec());
    }

    /// A client has got a frame; raw, some bytes.
    pub(super) fn got(&mut self, client: ClientNumber, frame: &[u8]) {
        if self.clients[client].is_garbage {
            return;
        }
        if self.clients[client].farewell == Farewell::Heard {
            self.violate("I3", || format!("client {client} got {} last of all", shown(frame)));
        }
        if !self.has_frames {
            return self.got_bytes(client, frame);
        }
        if let Some(note) = frame.strip_prefix(b"N") {
            return self.got_note(client, note);
        }
        if let Some(said) = frame.strip_prefix(b"R") {
            return self.got_broadcast(client, said);
        }
        let drops = self.drops_queued();
        let expected = &mut self.clients[client].to_client;
        while let Some(next) = expected.pop_front() {
            if next == frame {
                return self.look_for_farewell(client);
            }
            if !drops {
                return self.violate("I3", || {
                    format!("client {client} got {} and not {}", shown(frame), shown(&next))
                });
            }
        }
        self.violate("I3", || format!("client {client} got {} which nobody sent", shown(frame)));
    }

    fn got_bytes(&mut self, client: ClientNumber, bytes: &[u8]) {
        let whole = take_bytes(&mut self.clients[client].to_client, bytes);
        if !whole {
            self.violate("I3", || format!("client {client} got {} out of order", shown(bytes)));
        }
        self.look_for_farewell(client);
    }

    /// The farewell stands behind everything else.
    fn look_for_farewell(&mut self, client: ClientNumber) {
        let entry = &mut self.clients[client];
        if entry.farewell == Farewell::Owed && entry.to_client.is_empty() {
            entry.farewell = Farewell::Heard;
            self.marks.count("farewell heard");
        }
    }

    /// A client has got the end of the server's stream, behind so many bytes that are no whole frame. The
    /// server ends a stream in order only when all that was queued has gone.
    pub(super) fn got_end(&mut self, client: ClientNumber, rest: usize) {
        let drops = self.drops_queued();
        let entry = &self.clients[client];
        // A note from another session may have taken the place of the last of its own.
        let may_miss = drops && entry.farewell != Farewell::Owed;
        let missing = if may_miss { 0 } else { entry.to_client.len() };
        if (missing > 0 || rest > 0) && !entry.is_garbage {
            self.violate("I3", || {
                format!("client {client} got the end, {missing} frames early, behind {rest} bytes")
            });
        }
    }

    /// A note from one session to another: `TARGET:SENDER:NUMBER`.
    fn got_note(&mut self, client: ClientNumber, note: &[u8]) {
        let text = String::from_utf8_lossy(note).into_owned();
        let mut parts = text.split(':').map(str::parse::<u64>);
        let (Some(Ok(target)), Some(Ok(sender)), Some(Ok(number))) =
            (parts.next(), parts.next(), parts.next())
        else {
            return self.violate("I3", || format!("client {client} got a torn note: N{text}"));
        };
        self.marks.count("note delivered");
        if target != client as u64 {
            return self.violate("I5", || {
                format!("client {client} got a note that was meant for client {target}: N{text}")
            });
        }
        let sender = usize::try_from(sender).unwrap_or(usize::MAX);
        let last = self.clients[client].notes.insert(sender, number);
        if last.is_some_and(|last| last >= number) {
            self.violate("I3", || format!("client {client} got note N{text} late or twice"));
        }
    }

    fn got_broadcast(&mut self, client: ClientNumber, said: &[u8]) {
        let text = String::from_utf8_lossy(said).into_owned();
        let drops = !matches!(self.limits.slow_reader, SlowReader::Pause | SlowReader::Disconnect);
        self.marks.count("broadcast delivered");
        if let Some((invariant, what)) = self.groups.heard(client, &text, drops) {
            self.violate(invariant, || format!("client {client} {what}"));
        }
    }

    /// Whether frames that were queued may be left out.
    fn drops_queued(&self) -> bool {
        matches!(self.limits.slow_reader, SlowReader::DropOldest | SlowReader::Coalesce)
    }

    /// How many clients there have been.
    pub(super) const fn clients(&self) -> usize {
        self.clients.len()
    }

    /// Whether a client has got all that was queued for it.
    pub(super) fn has_got_all(&self, client: ClientNumber) -> bool {
        let entry = &self.clients[client];
        entry.to_client.is_empty() && entry.to_service.is_empty()
    }
}

/// What sessions do.
impl Book {
    /// Whose connection this is.
    pub(super) fn client_at(&self, address: &Address) -> Option<ClientNumber> {
        self.by_address.get(address).copied()
    }

    pub(super) fn connected(&mut self, client: ClientNumber, id: SessionId, now: Time) {
        if self.is_shut {
            self.violate("I10", || format!("{id} connects, though accepting is paused"));
        }
        if self.sessions.iter().any(|(other, _)| *other == id) {
            self.violate("I5", || format!("{id} is used a second time"));
        }
        self.connected_under_load(id);
        self.sessions.push((id, client));
        self.clients[client].heard = Some(Heard::connected(now));
        self.change_life(client, Life::Unborn, Life::Connected);
    }

    /// A session that is open has heard of the drain: the farewell is the last that it is sent.
    pub(super) fn owe_farewell(&mut self, client: ClientNumber) {
        let Some(farewell) = &self.farewell else { return };
        let entry = &mut self.clients[client];
        entry.to_client.push_back(farewell.clone());
        entry.farewell = Farewell::Owed;
    }

    /// A callback has come that only a session which is connected may have.
    pub(super) fn must_be_connected(&mut self, client: ClientNumber, what: &str) {
        let life = self.clients[client].life;
        if !life.is_connected() {
            self.violate("I2", || format!("client {client}: {what}, but {life:?}"));
        }
    }

    /// A frame has arrived at a session; raw, some bytes.
    pub(super) fn arrived(&mut self, client: ClientNumber, frame: &[u8], now: Time) {
        let turn = self.turn;
        let rated =
            self.limits.frames_per_second.is_some() || self.limits.bytes_per_second.is_some();
        let pauses = rated || self.limits.slow_reader == SlowReader::Pause;
        let (has_frames, entry) = (self.has_frames, &mut self.clients[client]);
        if !entry.life.is_connected() {
            let life = entry.life;
            return self.violate("I2", || format!("client {client}: a frame, but {life:?}"));
        }
        if entry.share.0 != turn {
            entry.share = (turn, 0, 0);
        }
        entry.share.1 += 1;
        let unfair = entry.share.1 > TURN_FRAMES || entry.share.2 >= TURN_BYTES;
        entry.share.2 += frame.len();
        let share = entry.share;
        if let Some(heard) = &mut entry.heard {
            heard.frame(now);
            if pauses || share.1 == TURN_FRAMES || share.2 >= TURN_BYTES {
                heard.held();
            }
        }
        if unfair {
            self.violate("I9", || {
                format!("client {client} got {} frames, {} bytes of a turn", share.1, share.2)
            });
        }
        let entry = &mut self.clients[client];
        if entry.is_garbage {
            return;
        }
        if has_frames && frame == HEARTBEAT {
            return self.marks.count("heartbeat heard");
        }
        let expected = if has_frames {
            entry.to_service.pop_front().is_some_and(|next| next == frame)
        } else {
            take_bytes(&mut entry.to_service, frame)
        };
        if !expected {
            self.violate("I3", || format!("client {client}: the session got {}", shown(frame)));
        }
    }

    /// A session has sent something to itself.
    pub(super) fn queued(&mut self, client: ClientNumber, status: SendStatus, frame: &[u8]) {
        self.marks.count(match status {
            SendStatus::Queued => "send queued",
            SendStatus::DroppedOldest => "send dropped the oldest",
            SendStatus::Replaced => "send replaced an older one",
            SendStatus::Full => "send refused: full",
            SendStatus::Dropped => "send dropped",
            SendStatus::Closed => "send refused: closed",
            SendStatus::Overloaded => "send refused: overloaded",
            _ => "send: another outcome",
        });
        let taken = [SendStatus::Queued, SendStatus::DroppedOldest, SendStatus::Replaced];
        if taken.contains(&status) {
            self.clients[client].to_client.push_back(frame.to_vec());
            self.queued_in_turn += frame.len() + ENVELOPE_MAX;
        }
    }

    pub(super) fn panicked(&mut self, client: ClientNumber) {
        self.change_life(client, Life::Connected, Life::Panicked);
    }

    /// A job of a session has panicked.
    pub(super) fn is_doomed(&mut self, client: ClientNumber) {
        let life = &mut self.clients[client].life;
        if *life == Life::Connected {
            *life = Life::Doomed;
        }
    }

    /// A session has sent something to another.
    pub(super) fn noted(&mut self, status: SendStatus) {
        self.marks.count(match status {
            SendStatus::Closed => "note refused: closed",
            _ => "note sent",
        });
    }

    /// A client has ended its stream; on a calm network its session learns of it at once.
    pub(super) fn has_ended(&mut self, client: ClientNumber) {
        let now = self.now;
        self.clients[client].ended.get_or_insert(now);
    }

    /// Bytes arrive at a client. While its queue drains, a session that is paused for a slow reader does
    /// not look for the end: it learns of it when nothing is left, which through a window of one byte
    /// takes seconds.
    pub(super) fn took_bytes(&mut self, client: ClientNumber) {
        let now = self.now;
        if let Some(ended) = &mut self.clients[client].ended {
            *ended = now;
        }
    }

    pub(super) fn disconnected(&mut self, client: ClientNumber, reason: &CloseReason, now: Time) {
        self.marks.count(reason.name());
        self.ended_under_load(client, reason);
        let problem = self.ends_wrongly(client, reason, now);
        if let Some((invariant, what)) = problem {
            self.violate(invariant, || format!("client {client}: {what}"));
        }
        self.change_life(client, Life::Connected, Life::Disconnected);
    }

    /// What is wrong with a session that ends now for this reason.
    fn ends_wrongly(
        &self,
        client: ClientNumber,
        reason: &CloseReason,
        now: Time,
    ) -> Option<(&'static str, String)> {
        let entry = &self.clients[client];
        let lost = entry.to_service.len();
        if matches!(reason, CloseReason::PeerClosed) && lost > 0 && !entry.is_garbage {
            return Some(("I3", format!("it ended in order, and {lost} frames of it were lost")));
        }
        let silent = entry.ended.map(|ended| now.since(ended)).filter(|time| *time > LEARNS);
        if let Some(time) = silent.filter(|_| matches!(reason, CloseReason::Idle)) {
            return Some(("I8", format!("it ended {time:?} ago, and is taken for idle")));
        }
        Some(("I8", entry.heard?.too_early(reason, &self.limits, now)?))
    }

    fn change_life(&mut self, client: ClientNumber, from: Life, to: Life) {
        let life = self.clients[client].life;
        self.clients[client].life = to;
        let is_right = if from == Life::Connected { life.is_connected() } else { life == from };
        if !is_right {
            self.violate("I2", || format!("client {client} becomes {to:?}, but is {life:?}"));
        }
    }

    /// Bytes that were queued for a client and that it has not seen.
    pub(super) fn owed_bytes(&self, client: ClientNumber) -> usize {
        self.clients[client].to_client.iter().map(Vec::len).sum()
    }

    /// Whether a session has had no frame.
    pub(super) fn has_said_nothing(&self, client: ClientNumber) -> bool {
        self.clients[client].heard.is_none_or(|heard| heard.has_said_nothing())
    }

    pub(super) fn is_alive(&self, client: ClientNumber) -> bool {
        self.clients[client].life == Life::Connected
    }

    /// Clients whose sessions live where this one's has lived.
    pub(super) fn neighbours(&self, client: ClientNumber) -> impl Iterator<Item = ClientNumber> {
        let own = self.sessions.iter().rev().find(|(_, of)| *of == client);
        let worker = own.map(|(id, _)| id.worker());
        let neighbours = self.sessions.iter().filter(move |(id, _)| Some(id.worker()) == worker);
        neighbours.map(|(_, other)| *other).filter(|other| self.is_alive(*other))
    }

    /// Whose session this is, or was.
    pub(super) fn client_of(&self, session: SessionId) -> Option<ClientNumber> {
        let of = self.sessions.iter().rev().find(|(id, _)| *id == session);
        of.map(|(_, client)| *client)
    }

    /// Any session that there has been, gone or not.
    pub(super) fn any_session(&mut self) -> Option<(SessionId, ClientNumber)> {
        if self.sessions.is_empty() {
            return None;
        }
        // The last ones more often: their slots are those that are used again.
        let most = self.sessions.len().min(12);
        let back = self.dice.usize(..most);
        self.sessions.get(self.sessions.len() - 1 - back).copied()
    }

    /// Takes the time of the second phase, and checks that no session has outlived its deadlines.
    pub(super) fn check_deadlines(&mut self, now: Time) {
        let Some(calm) = self.calm else { return };
        self.now = now;
        let late = (0..).zip(&self.clients).find_map(|(client, entry): (ClientNumber, _)| {
            let heard = entry.heard.filter(|_| entry.life == Life::Connected)?;
            Some((client, heard.too_late(&self.limits, calm, now)?))
        });
        if let Some((client, late)) = late {
            self.violate("I8", || format!("the session of client {client} lives still: {late}"));
        }
    }

    /// Checks that every session that began has ended.
    pub(super) fn check_that_all_have_ended(&mut self) {
        let alive = self.clients.iter().position(|entry| entry.life == Life::Connected);
        if let Some(client) = alive {
            self.violate("I2", || format!("the session of client {client} was never disconnected"));
        }
    }
}

/// Takes bytes from the front of what was queued; false if they are others.
fn take_bytes(queued: &mut VecDeque<Vec<u8>>, mut bytes: &[u8]) -> bool {
    while !bytes.is_empty() {
        let Some(next) = queued.front_mut() else { return false };
        let common = next.len().min(bytes.len());
        if next[..common] != bytes[..common] {
            return false;
        }
        bytes = &bytes[common..];
        next.drain(..common);
        if next.is_empty() {
            queued.pop_front();
        }
    }
    true
}

/// The beginning of some bytes, readable.
fn shown(bytes: &[u8]) -> String {
    const MOST: usize = 24;
    let dots = if bytes.len() > MOST { "..." } else { "" };
    format!("\"{}{dots}\" ({} bytes)", bytes[..bytes.len().min(MOST)].escape_ascii(), bytes.len())
}
