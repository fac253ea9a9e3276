//! The rooms that live on this worker, their ticks, and what sessions have for rooms of any worker.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use wharf_port::{SocketId, Time, TimerId};

use super::{Core, Worker};
use crate::inbox::Message;
use crate::room::{Room, RoomContext, RoomMail, RoomState, Tick, What};
use crate::send_queue::SendStatus;
use crate::session_id::SessionId;
use crate::unwinding::drop_quietly;
use crate::watchdog::Callback;

/// Marks the port's token of the timer of a room's tick; below it is the room's place.
const TICKS: u64 = 1 << 61;
/// How long mail waits that has found the inbox of another worker full.
const RETRY: Duration = Duration::from_millis(10);
/// The token of that timer.
pub(super) const RETRY_MAIL: u64 = TICKS | (1 << 32);

pub(super) const fn is_tick(token: u64) -> bool {
    token >> 61 == 1
}

/// The rooms' own side, by place.
#[derive(Default)]
pub(super) struct Rooms {
    placed: Vec<Option<Placed>>,
    free: Vec<u32>,
    /// Whose tick is due.
    due: Vec<u32>,
    /// Members that the rooms here have heard of and that have not left.
    members: usize,
}

struct Placed {
    room: Box<dyn Room>,
    state: Arc<RoomState>,
    /// Members that it has heard of and that have not left.
    members: usize,
}

impl Drop for Placed {
    /// A room is closed with its place, however its worker ends.
    fn drop(&mut self) {
        self.state.close();
    }
}

/// What a worker without its handlers knows of rooms.
#[derive(Debug, Default)]
pub(super) struct RoomWork {
    /// What its sessions have for rooms, by the rooms' workers.
    mail: Vec<RoomMail>,
    /// The ticks of the rooms that live here, by place.
    tickers: Vec<Option<Ticker>>,
    /// Mail waits for the inbox of another worker.
    retries: bool,
}

/// When a room ticks: the time of each tick is counted from the beginning, so that none drifts.
#[derive(Clone, Copy, Debug)]
struct Ticker {
    begun: Time,
    per_second: u32,
    /// The tick that comes next.
    next: u64,
    timer: Option<TimerId>,
}

const NANOS: u128 = 1_000_000_000;

impl Ticker {
    fn due(&self, number: u64) -> Time {
        let nanos = u128::from(number) * NANOS / u128::from(self.per_second);
        self.begun + Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }

    /// The last tick that is due by now, if one is.
    fn take(&mut self, now: Time) -> Option<Tick> {
        if now < self.due(self.next) {
            return None;
        }
        let passed = now.since(self.begun).as_nanos();
        // One more for what the division of `due` has rounded down.
        let mut number = u64::try_from(passed * u128::from(self.per_second) / NANOS).ok()? + 1;
        while self.due(number) > now {
            number -= 1;
        }
        let due = self.due(number);
        let skipped = number - self.next;
        self.next = number + 1;
        Some(Tick { number, due, late: now.since(due), skipped })
    }
}

impl Core {
    /// A session of this worker says something to a room.
    pub(crate) fn send_to_room(
        &mut self,
        room: &Arc<RoomState>,
        session: SessionId,
        frame: &[u8],
    ) -> SendStatus {
        let member = self.connection(session.socket());
        let is_in = member.is_some_and(|member| member.groups.position(room.group()).is_some());
        // Who has left, or closes and therefore has, is not heard behind that.
        if !is_in || !room.is_open() {
            return SendStatus::Closed;
        }
        let mail = self.mail_for(room.worker);
        if !mail.has_room(frame.len()) {
            return SendStatus::Overloaded;
        }
        mail.push(room, session, What::Says(frame));
        SendStatus::Queued
    }

    /// Whether a session of this worker may enter a room: not if too much waits for the room's worker. So
    /// nobody who enters and leaves without end makes what waits grow without end.
    pub(super) fn may_enter(&mut self, room: &Arc<RoomState>) -> bool {
        self.mail_for(room.worker).has_room(0)
    }

    /// A session of this worker has entered or left a room.
    pub(super) fn tell_room(&mut self, room: &Arc<RoomState>, socket: SocketId, enters: bool) {
        let member = self.session_id(socket);
        let what = if enters { What::Enters } else { What::Leaves };
        self.mail_for(room.worker).push(room, member, what);
    }

    fn mail_for(&mut self, worker: usize) -> &mut RoomMail {
        let mail = &mut self.rooms.mail;
        if worker >= mail.len() {
            mail.resize_with(worker + 1, RoomMail::default);
        }
        &mut mail[worker]
    }

    /// Whether something waits for rooms of other workers.
    pub(super) fn has_mail_for_others(&self) -> bool {
        let own = usize::from(self.index);
        self.rooms.mail.iter().enumerate().any(|(worker, mail)| worker != own && !mail.is_empty())
    }

    /// Whether all that could be sent to other workers has been.
    pub(super) fn has_sent_mail(&self) -> bool {
        self.rooms.retries || !self.has_mail_for_others()
    }

    /// Whether a room has something to do on this worker.
    pub(super) fn has_own_mail(&self) -> bool {
        self.rooms.mail.get(usize::from(self.index)).is_some_and(|mail| !mail.is_empty())
    }

    /// Sends what has been gathered for the rooms of other workers.
    pub(super) fn send_mail(&mut self) {
        let own = usize::from(self.index);
        for worker in 0..self.rooms.mail.len() {
            if worker == own || self.rooms.mail[worker].is_empty() {
                continue;
            }
            let bytes = self.rooms.mail[worker].counted_bytes();
            if !self.shared().inboxes[worker].reserve(bytes) {
                self.retry_mail();
                continue;
            }
            let mail = Box::new(std::mem::take(&mut self.rooms.mail[worker]));
            self.shared().inboxes[worker].put_reserved(Message::RoomMail(mail));
        }
    }

    fn retry_mail(&mut self) {
        if !std::mem::replace(&mut self.rooms.retries, true) {
            let _ = self.port.start_timer(self.now + RETRY, RETRY_MAIL);
        }
    }

    /// The time is over; the end of this turn tries again.
    pub(super) const fn mail_may_go(&mut self) {
        self.rooms.retries = false;
    }

    /// Starts the timer of a room's next tick.
    fn arm_ticker(&mut self, slot: u32) {
        let Some(Some(ticker)) = self.rooms.tickers.get(slot as usize) else { return };
        let timer = self.port.start_timer(ticker.due(ticker.next), TICKS | u64::from(slot));
        if let Some(Some(ticker)) = self.rooms.tickers.get_mut(slot as usize) {
            ticker.timer = timer;
        }
    }

    fn stop_ticker(&mut self, slot: u32) {
        let ticker = self.rooms.tickers.get_mut(slot as usize).and_then(Option::take);
        if let Some(timer) = ticker.and_then(|ticker| ticker.timer) {
            self.port.cancel_timer(timer);
        }
    }

    /// No room ticks any more.
    pub(super) fn stop_tickers(&mut self) {
        for slot in 0..u32::try_from(self.rooms.tickers.len()).unwrap_or(u32::MAX) {
            self.stop_ticker(slot);
        }
    }
}

impl<H, F> Worker<H, F> {
    /// Takes a room to this worker, if it is not here.
    pub(super) fn place(&mut self, state: &Arc<RoomState>) {
        let Some(room) = state.take() else { return };
        let rooms = &mut self.rooms;
        let slot = rooms.free.pop().unwrap_or_else(|| {
            rooms.placed.push(None);
            u32::try_from(rooms.placed.len() - 1).unwrap_or(u32::MAX)
        });
        rooms.placed[slot as usize] = Some(Placed { room, state: Arc::clone(state), members: 0 });
        state.set_slot(slot);
        let core = &mut self.core;
        let tickers = &mut core.rooms.tickers;
        tickers.resize(tickers.len().max(slot as usize + 1), None);
        // A server that drains has no time left.
        let ticks = state.ticks_per_second.filter(|_| core.drain_until.is_none());
        tickers[slot as usize] =
            ticks.map(|per_second| Ticker { begun: core.now, per_second, next: 1, timer: None });
        core.arm_ticker(slot);
    }

    /// Runs a callback of a room that is there.
    pub(super) fn call_room(
        &mut self,
        state: &Arc<RoomState>,
        which: Callback,
        callback: impl FnOnce(&mut dyn Room, &mut RoomContext<'_>),
    ) {
        self.place(state);
        let Self { core, rooms, .. } = self;
        let placed = rooms.placed.get_mut(state.slot() as usize).and_then(Option::as_mut);
        let Some(placed) = placed.filter(|placed| Arc::ptr_eq(&placed.state, state)) else {
            // What a thread wanted to have done may own things whose end panics.
            if !drop_quietly(callback) {
                core.stats.seldom().panics += 1;
            }
            return;
        };
        match which {
            Callback::Enter => {
                (placed.members, rooms.members) = (placed.members + 1, rooms.members + 1)
            }
            Callback::Leave => {
                (placed.members, rooms.members) = (placed.members - 1, rooms.members - 1)
            }
            _ => {}
        }
        let span = tracing::debug_span!(
            target: "wharf::callbacks",
            "room",
            name = state.name(),
            callback = which.name()
        );
        core.watched.begin(None, which);
        let mut context = RoomContext::new(core, state);
        let room = placed.room.as_mut();
        // As with a session: nothing of the worker's is left half done, and the room is not used again.
        let body = || callback(room, &mut context);
        let outcome = span.in_scope(|| catch_unwind(AssertUnwindSafe(body)));
        let closes = context.closes();
        core.watched.end();
        if let Err(payload) = outcome {
            drop_quietly(payload);
            core.stats.seldom().panics += 1;
            let room = state.name();
            if core.shared().is_new_cause("room_panic") {
                tracing::error!(room, "a room panicked and is closed; said once, counted on");
            } else {
                tracing::debug!(room, "a room panicked and is closed");
            }
            self.close_room(state);
        } else if closes {
            self.close_room(state);
        }
    }

    /// Drops a room.
    pub(super) fn close_room(&mut self, state: &Arc<RoomState>) {
        self.place(state);
        let slot = state.slot();
        let Some(place) = self.rooms.placed.get_mut(slot as usize) else { return };
        if !place.as_ref().is_some_and(|placed| Arc::ptr_eq(&placed.state, state)) {
            return;
        }
        let placed = place.take();
        self.rooms.members -= placed.as_ref().map_or(0, |placed| placed.members);
        self.rooms.free.push(slot);
        self.core.stop_ticker(slot);
        if !drop_quietly(placed) {
            self.core.stats.seldom().panics += 1;
        }
    }

    /// Whether somebody is in a room here who has to leave before the worker may end. A worker that has failed
    /// tells nobody of its sessions.
    pub(super) fn rooms_wait(&self) -> bool {
        let waits = self.rooms.members > 0 || self.core.has_mail_for_others();
        waits && !self.core.shared().has_failed()
    }

    /// Closes all rooms: the worker ends.
    pub(super) fn close_rooms(&mut self) {
        let states: Vec<_> =
            self.rooms.placed.iter().flatten().map(|placed| Arc::clone(&placed.state)).collect();
        for state in states {
            self.close_room(&state);
        }
    }

    /// The timer of a room's tick has fired.
    #[expect(clippy::cast_possible_truncation, reason = "the place is the lower half")]
    pub(super) fn tick_is_due(&mut self, token: u64) {
        if token == RETRY_MAIL {
            return self.core.mail_may_go();
        }
        self.rooms.due.push(token as u32);
    }

    /// Has the rooms tick that are due.
    pub(super) fn tick_rooms(&mut self) {
        for slot in std::mem::take(&mut self.rooms.due) {
            let now = self.core.now;
            let Some(Some(ticker)) = self.core.rooms.tickers.get_mut(slot as usize) else {
                continue;
            };
            ticker.timer = None;
            let tick = ticker.take(now);
            self.core.arm_ticker(slot);
            let placed = self.rooms.placed.get(slot as usize).and_then(Option::as_ref);
            let Some(state) = placed.map(|placed| Arc::clone(&placed.state)) else { continue };
            if let Some(tick) = tick {
                self.core.stats.seldom().ticks += 1;
                self.core.stats.seldom().ticks_skipped += tick.skipped;
                self.call_room(&state, Callback::Tick, |room, ctx| room.on_tick(ctx, &tick));
            }
        }
    }

    /// Gives the rooms of this worker what sessions of any worker have for them.
    pub(super) fn deliver_mail(&mut self, mail: &RoomMail) {
        for (room, member, what) in mail.iter() {
            match what {
                What::Enters => {
                    self.call_room(room, Callback::Enter, |room, ctx| room.on_enter(ctx, member));
                }
                What::Says(frame) => self.call_room(room, Callback::RoomFrame, |room, ctx| {
                    room.on_frame(ctx, member, frame);
                }),
                What::Leaves => {
                    self.call_room(room, Callback::Leave, |room, ctx| room.on_leave(ctx, member));
                }
            }
        }
    }

    /// Gives the rooms of this worker what its own sessions have for them.
    pub(super) fn deliver_own_mail(&mut self) {
        if !self.core.has_own_mail() {
            return;
        }
        let own = usize::from(self.core.index);
        let mut mail = std::mem::take(&mut self.core.rooms.mail[own]);
        self.deliver_mail(&mail);
        mail.clear();
        let newer = &mut self.core.rooms.mail[own];
        if newer.is_empty() {
            *newer = mail;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_do_not_drift_and_those_that_are_missed_are_counted() {
        let begun = Time::from_nanos(17);
        for per_second in [1, 3, 7, 30, 60, 144, 1_000] {
            let mut ticker = Ticker { begun, per_second, next: 1, timer: None };
            for number in 1..=3 * u64::from(per_second) {
                let due = ticker.due(number);
                assert_eq!(ticker.take(Time::from_nanos(due.as_nanos() - 1)), None);
                let late = Duration::from_nanos(number % 3);
                let tick = ticker.take(due + late).unwrap();
                assert_eq!(tick, Tick { number, due, late, skipped: 0 });
            }
            assert_eq!(ticker.due(3 * u64::from(per_second)), begun + Duration::from_secs(3));
            let tick = ticker.take(begun + Duration::from_secs(5)).unwrap();
            assert_eq!(tick.number, 5 * u64::from(per_second));
            assert_eq!(tick.skipped, 2 * u64::from(per_second) - 1);
            assert_eq!(tick.late, Duration::ZERO);
        }
    }
}
