//! Who goes into rooms and speaks there; and who opens and closes them.

use wharf::{Context, JoinError, RoomError, RoomOptions, RoomRef, SendStatus};

use super::super::client::Mood;
use super::super::record::ClientNumber;
use super::super::run::{Checked, Simulation, TURNS_TO_HEAR, violated};
use super::super::service::Service;
use super::hall::Hall;
use super::ticks::Ticks;
use super::{Event, Known, Life, RoomNumber, group_of};

/// How often rooms tick. In the second phase each must a few times, while the slowest waits for the fastest.
const PER_SECOND: [u32; 4] = [5, 13, 30, 60];
const TICKS_IN_CALM: u32 = 3;

impl Service {
    /// Enters a room, says something there, or leaves it: any room, open or not.
    pub(in crate::simulate) fn visit(&mut self, ctx: &mut Context<'_>, what: u8) {
        let Some((number, room)) = self.record.with(|book| book.any_room()) else { return };
        match what {
            b'n' => self.enter(ctx, number, &room),
            b'm' => self.say(ctx, number, &room),
            _ => self.leave(ctx, number, &room),
        }
    }

    fn enter(&mut self, ctx: &mut Context<'_>, number: RoomNumber, room: &RoomRef<Hall>) {
        let entered = ctx.enter(room);
        self.record.with(|book| match entered {
            Ok(()) => book.entered(number, self.client, ctx.id()),
            Err(JoinError::Closing) => self.is_closing = true,
            Err(JoinError::TooMany(_)) => book.marks.count("room refused: too many groups"),
            Err(error) => book.violate("I13", || format!("room {number}: {error}")),
        });
    }

    fn say(&mut self, ctx: &mut Context<'_>, number: RoomNumber, room: &RoomRef<Hall>) {
        let said = self.record.with(|book| book.rooms.next_said());
        let status = ctx.send_to_room(room, said.to_string().as_bytes());
        let must_be_heard = self.record.with(|book| book.must_be_heard(number, self.client));
        let is_wrong = match status {
            SendStatus::Queued => self.record.with(|book| {
                let known = &mut book.rooms.known[number];
                known.owe(ctx.id(), Event::Says(said));
                known.life == Life::Gone || !book.groups.is_in(group_of(number), self.client)
            }),
            SendStatus::Closed => must_be_heard && !self.closes_after_all(ctx, room),
            _ => false,
        };
        if is_wrong {
            self.was_wrong(number, &format!("what it says is {status:?}"));
        }
    }

    fn leave(&mut self, ctx: &mut Context<'_>, number: RoomNumber, room: &RoomRef<Hall>) {
        let was_in = self.record.with(|book| book.groups.is_in(group_of(number), self.client));
        let left = ctx.leave(&room.group());
        if left != was_in && !(was_in && self.closes_after_all(ctx, room)) {
            self.was_wrong(number, &format!("leaving is {left}"));
        }
        if left {
            self.record.with(|book| book.left(number, self.client, ctx.id()));
        }
    }

    /// What it has broadcast before may have filled its own queue: it closes, and is in no room.
    fn closes_after_all(&mut self, ctx: &mut Context<'_>, room: &RoomRef<Hall>) -> bool {
        self.is_closing |= ctx.enter(room) == Err(JoinError::Closing);
        self.is_closing
    }

    fn was_wrong(&self, room: RoomNumber, what: &str) {
        let client: ClientNumber = self.client;
        self.record.with(|book| {
            book.violate("I13", || format!("client {client}, room {room}: {what}"));
        });
    }
}

impl Simulation {
    /// Opens a room, closes one, or has one do something.
    pub(in crate::simulate) fn act_on_rooms(&mut self) {
        match self.dice.u8(..8) {
            0..3 => self.open_room(),
            3 => self.close_some_room(),
            _ => self.post_to_room(),
        }
    }

    pub(in crate::simulate) fn open_room(&mut self) {
        let worker = self.dice.usize(..self.plan.workers);
        let rate = PER_SECOND[self.dice.usize(..PER_SECOND.len())];
        let ticks_per_second = self.dice.bool().then_some(rate);
        let ticks = ticks_per_second.map(|rate| Ticks::new(rate, self.network.now()));
        let number = self.record.with(|book| {
            book.rooms.known.push(Known::new(worker, ticks));
            book.rooms.known.len() - 1
        });
        let is_full = self.server.handle().rooms() >= self.plan.limits.rooms_max;
        let name = format!("room {number}");
        let options = RoomOptions { name, ticks_per_second, worker: Some(worker) };
        let said_max = self.plan.said_max();
        let hall = Hall::new(number, self.record.clone(), self.plan.wire, said_max);
        let opened = self.server.handle().open_room(options, hall);
        self.record.with(|book| match opened {
            Ok(room) if !self.ending && !is_full => {
                book.marks.count("room opened");
                book.rooms.known[number].room = Some(room);
            }
            Err(RoomError::TooMany(_)) if is_full => book.marks.count("room refused: too many"),
            Err(RoomError::Draining | RoomError::Ended) if self.ending => {
                book.marks.count("room refused: the server ends");
            }
            other => book.violate("I13", || format!("opening room {number}: {other:?}")),
        });
    }

    fn close_some_room(&mut self) {
        if let Some((number, room)) = self.record.with(super::Book::any_room) {
            self.close_room(number, &room);
        }
    }

    fn close_room(&self, number: RoomNumber, room: &RoomRef<Hall>) {
        let gone_at = self.turns[room.worker()] + TURNS_TO_HEAR;
        let status = room.close();
        self.record.with(|book| {
            let known = &mut book.rooms.known[number];
            if status == SendStatus::Queued && known.life == Life::Open {
                (known.life, known.gone_at) = (Life::Closing, Some(gone_at));
                book.marks.count("room closed");
            }
        });
    }

    fn post_to_room(&self) {
        let Some((number, room)) = self.record.with(super::Book::any_room) else { return };
        let job = self.record.with(|book| book.rooms.next_said());
        let status = room.post(move |hall, ctx| hall.work(ctx, job));
        self.record.with(|book| {
            let known = &mut book.rooms.known[number];
            match status {
                SendStatus::Queued => known.jobs.push_back(job),
                SendStatus::Closed if known.life == Life::Open => {
                    book.violate("I13", || format!("room {number} takes no job, and is open"));
                }
                _ => {}
            }
        });
    }

    /// Looks after a turn of a worker at its rooms.
    pub(in crate::simulate) fn check_rooms(&self, worker: usize) -> Checked {
        let (now, turns) = (self.network.now(), self.turns[worker]);
        let heard_end = self.ended_at.as_ref().is_some_and(|at| turns > at[worker]);
        let halls = self.record.with(|book| {
            book.check_rooms_of(worker, turns, now, heard_end);
            book.rooms.halls
        });
        let rooms = self.server.handle().rooms();
        if rooms != halls {
            return violated("I13", format!("{rooms} rooms are open, and {halls} there are"));
        }
        Ok(())
    }

    /// Rooms tick on, and are closed then: time would go from tick to tick until the end.
    pub(in crate::simulate) fn let_rooms_tick(&mut self) -> Checked {
        let calm = self.network.now();
        self.go_on("rooms tick", Mood::Finishing, super::super::calm::PATIENCE, |run| {
            run.record.with(|book| book.rooms_have_ticked(TICKS_IN_CALM, calm))
        })?;
        let ticking = self.record.with(|book| {
            let rooms = (0..).zip(&book.rooms.known);
            let ticking = rooms.filter(|(_, known)| known.ticks.is_some());
            let ticking = ticking.filter(|(_, known)| known.life == Life::Open);
            ticking.filter_map(|(at, known)| Some((at, known.room.clone()?))).collect::<Vec<_>>()
        });
        ticking.iter().for_each(|(number, room)| self.close_room(*number, room));
        if !ticking.is_empty() {
            self.mark("room ticked in calm");
        }
        Ok(())
    }
}
