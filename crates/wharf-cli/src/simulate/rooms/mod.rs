//! Rooms with a tick: what each must hear of its members, in which order, and when it ticks.
//!
//! A room and its members are a group as well ([`super::groups`]), in which the room is one more that
//! speaks: so what it says is held against the same rules.

mod hall;
mod ticks;
mod visits;

use std::collections::{BTreeMap, VecDeque};

use wharf::{RoomRef, SessionId, Time};

use self::hall::Hall;
use self::ticks::Ticks;
use super::groups::GroupNumber;
use super::record::{Book, ClientNumber};

/// A room, by its number.
type RoomNumber = usize;

/// The group of the first room; those of sessions have lower numbers.
const FIRST_GROUP: GroupNumber = 1_000;
/// Who speaks in the group of the first room. No client has such a number.
const FIRST_SPEAKER: ClientNumber = 2_000_000;

/// All rooms of a run.
#[derive(Default)]
pub(super) struct Rooms {
    known: Vec<Known>,
    /// Those that have not been dropped.
    halls: usize,
    /// The last number that a member has said, or somebody without a session.
    said: u64,
    ticks: u64,
    ticks_skipped: u64,
    /// The server was told to end.
    pub(super) server_ends: bool,
}

struct Known {
    /// `None` if it was refused.
    room: Option<RoomRef<Hall>>,
    worker: usize,
    life: Life,
    /// The turns of its worker after which it must be gone, if it was told to close.
    gone_at: Option<u64>,
    ticks: Option<Ticks>,
    guests: BTreeMap<SessionId, Guest>,
    /// What somebody without a session wants to have done.
    jobs: VecDeque<u64>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Life {
    Open,
    /// It may hear of what came before it was told to close.
    Closing,
    /// It may hear of nothing.
    Gone,
}

/// A session as one room has to see it.
#[derive(Default)]
struct Guest {
    /// What it has done and the room has not heard, in order.
    unheard: VecDeque<Event>,
    /// The room has heard that it came, and not that it went.
    is_inside: bool,
    /// It has left by closing: it may not come again.
    has_ended: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Event {
    Enters,
    Says(u64),
    Leaves,
}

const fn group_of(room: RoomNumber) -> GroupNumber {
    FIRST_GROUP + room as GroupNumber
}

const fn speaker_of(room: RoomNumber) -> ClientNumber {
    FIRST_SPEAKER + room
}

impl Rooms {
    /// How many hold the record.
    pub(super) const fn halls(&self) -> usize {
        self.halls
    }

    pub(super) const fn are_there(&self) -> bool {
        !self.known.is_empty()
    }

    const fn next_said(&mut self) -> u64 {
        self.said += 1;
        self.said
    }
}

impl Known {
    fn new(worker: usize, ticks: Option<Ticks>) -> Self {
        Self {
            room: None,
            worker,
            life: Life::Open,
            gone_at: None,
            ticks,
            guests: BTreeMap::new(),
            jobs: VecDeque::new(),
        }
    }

    /// It hears of nothing any more.
    fn ends(&mut self) {
        self.life = Life::Gone;
        self.jobs.clear();
        self.guests.clear();
    }

    /// Notes what a session has done that the room has to hear of.
    fn owe(&mut self, session: SessionId, event: Event) {
        if self.life != Life::Gone {
            self.guests.entry(session).or_default().unheard.push_back(event);
        }
    }

    /// A session of which it has not heard all, or not that it left.
    fn unfinished(&self) -> Option<SessionId> {
        let is_unfinished = |guest: &Guest| guest.is_inside || !guest.unheard.is_empty();
        self.guests.iter().find(|(_, guest)| is_unfinished(guest)).map(|(session, _)| *session)
    }

    /// Takes what it hears of a session; says what is wrong with that.
    fn hears(&mut self, session: SessionId, event: Event) -> Option<String> {
        if self.life == Life::Gone {
            return Some("though it is gone".to_owned());
        }
        let guest = self.guests.entry(session).or_default();
        let next = guest.unheard.pop_front();
        // Leaving is part of closing, of which nobody else is told.
        let closes = next.is_none() && event == Event::Leaves && guest.is_inside;
        guest.has_ended |= closes;
        if closes || next == Some(event) {
            guest.is_inside = event != Event::Leaves;
            return None;
        }
        Some(format!("and {next:?} was next"))
    }
}

/// What rooms see.
impl Book {
    fn room_hears(&mut self, room: RoomNumber, session: SessionId, event: Event) {
        self.marks.count(match event {
            Event::Enters => "room entered",
            Event::Says(_) => "room spoken to",
            Event::Leaves => "room left",
        });
        if let Some(wrong) = self.rooms.known[room].hears(session, event) {
            self.violate("I13", || format!("room {room} hears {event:?} of {session}, {wrong}"));
        }
    }

    /// A room is asked by somebody without a session to do something.
    fn room_has_job(&mut self, room: RoomNumber, job: u64) {
        let next = self.rooms.known[room].jobs.pop_front();
        if next != Some(job) {
            self.violate("I13", || format!("room {room} has job {job}, and {next:?} was next"));
        }
    }

    /// It has told its server that it closes, or is about to panic.
    fn room_ends(&mut self, room: RoomNumber) {
        self.rooms.known[room].ends();
    }

    fn room_is_dropped(&mut self, room: RoomNumber) {
        let ends = self.rooms.server_ends;
        self.rooms.halls -= 1;
        let known = &mut self.rooms.known[room];
        let (life, unfinished) = (known.life, known.unfinished());
        let was_refused = known.room.is_none();
        known.ends();
        if life == Life::Open && !ends && !was_refused {
            self.violate("I13", || format!("room {room} is dropped, and nobody has closed it"));
        }
        if let Some(session) = unfinished.filter(|_| life == Life::Open) {
            self.violate("I13", || format!("room {room} never heard that {session} left"));
        }
    }

    /// Nobody has a session any more, and all workers know.
    pub(super) fn check_that_rooms_are_empty(&mut self) {
        let unfinished = (0..).zip(&self.rooms.known).find_map(|(room, known): (RoomNumber, _)| {
            let left = known.room.as_ref().map_or(0, |room| room.group().members().len());
            (left > 0 || known.unfinished().is_some()).then(|| (room, left, known.unfinished()))
        });
        if let Some((room, members, session)) = unfinished {
            self.violate("I13", || {
                format!("room {room} has {members} members, and has not heard all of {session:?}")
            });
        }
    }
}

/// What their members do.
impl Book {
    /// Any room that there has been, the newest more often.
    fn any_room(&mut self) -> Option<(RoomNumber, RoomRef<Hall>)> {
        let rooms = self.rooms.known.len();
        let back = self.dice.usize(..rooms.clamp(1, 4));
        let number = rooms.checked_sub(back + 1)?;
        let room = self.rooms.known[number].room.clone()?;
        Some((number, room))
    }

    fn entered(&mut self, room: RoomNumber, client: ClientNumber, id: SessionId) {
        if self.groups.is_in(group_of(room), client) {
            return;
        }
        self.groups.joined(group_of(room), client);
        let known = &mut self.rooms.known[room];
        known.owe(id, Event::Enters);
        if known.guests.get(&id).is_some_and(|guest| guest.has_ended) {
            self.violate("I13", || format!("{id} enters room {room}, of which it left by closing"));
        }
    }

    fn left(&mut self, room: RoomNumber, client: ClientNumber, id: SessionId) {
        self.groups.left(group_of(room), client);
        self.rooms.known[room].owe(id, Event::Leaves);
    }

    /// Whether a session is in a room that has to hear it.
    fn must_be_heard(&self, room: RoomNumber, client: ClientNumber) -> bool {
        self.groups.is_in(group_of(room), client) && self.rooms.known[room].life == Life::Open
    }

    fn room_ticks_must_match(&mut self, ticks: u64, skipped: u64) {
        let heard = (self.rooms.ticks, self.rooms.ticks_skipped);
        if (ticks, skipped) != heard {
            self.violate("I13", || {
                format!("{ticks} ticks and {skipped} skipped, heard: {heard:?}")
            });
        }
    }

    /// Compares what the server has counted with what its rooms have heard.
    pub(super) fn check_ticks_counted(&mut self, stats: &wharf::Stats) {
        self.room_ticks_must_match(stats.ticks, stats.ticks_skipped);
    }

    /// Whether all rooms that tick have done so, so often since this time.
    pub(super) fn rooms_have_ticked(&self, times: u32, since: Time) -> bool {
        let mut open = self.rooms.known.iter().filter(|known| known.life == Life::Open);
        open.all(|known| known.ticks.as_ref().is_none_or(|ticks| ticks.ticked(times, since)))
    }
}
