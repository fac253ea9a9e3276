//! Rooms with a tick: an object that lives on one worker, hears what its members say, and is called at a
//! fixed rate: what a game loop is.
//!
//! ```no_run
//! use wharf::{Context, Outcome, Room, RoomContext, RoomOptions, RoomRef, Server, Session, SessionId, Tick};
//!
//! /// Everybody's moves since the last tick.
//! struct Arena {
//!     moves: Vec<u8>,
//! }
//!
//! impl Room for Arena {
//!     fn on_frame(&mut self, _: &mut RoomContext<'_>, _: SessionId, frame: &[u8]) {
//!         self.moves.extend_from_slice(frame);
//!     }
//!
//!     fn on_tick(&mut self, ctx: &mut RoomContext<'_>, _: &Tick) {
//!         ctx.broadcast(&self.moves);
//!         self.moves.clear();
//!     }
//! }
//!
//! struct Player {
//!     arena: RoomRef<Arena>,
//! }
//!
//! impl Session for Player {
//!     fn on_connected(&mut self, ctx: &mut Context<'_>) -> Outcome {
//!         Ok(ctx.enter(&self.arena)?)
//!     }
//!
//!     fn on_frame(&mut self, ctx: &mut Context<'_>, frame: &[u8]) -> Outcome {
//!         ctx.send_to_room(&self.arena, frame);
//!         Ok(())
//!     }
//! }
//!
//! let arena = std::sync::Arc::new(std::sync::OnceLock::new());
//! let opened = std::sync::Arc::clone(&arena);
//! let server = Server::bind("127.0.0.1:7777");
//! let running = server.start(move |_| Player { arena: RoomRef::clone(opened.wait()) })?;
//! let options = RoomOptions { ticks_per_second: Some(30), ..RoomOptions::default() };
//! let _ = arena.set(running.handle().open_room(options, Arena { moves: Vec::new() })?);
//! running.join()?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! A room's callbacks never overlap. Its members may live on any worker: what they say in one turn reaches
//! the room's worker as one message, and what the room says to all goes out as one message for each worker
//! that has members. Leaving is part of closing, as with a [`Group`], which a room has for its members.

mod context;
mod mail;
mod state;

use std::any::Any;
use std::time::Duration;

use thiserror::Error;
use wharf_port::Time;

pub use self::context::RoomContext;
pub(crate) use self::mail::{RoomMail, What};
pub use self::state::RoomRef;
pub(crate) use self::state::{Opening, RoomJob, RoomState, Rooms, open};
#[expect(unused_imports, reason = "for the documentation")]
use crate::group::Group;
use crate::session_id::SessionId;

/// What a room does. None of the callbacks may block: see [`Context::defer`](crate::Context::defer).
///
/// A room that panics is closed, and its members stay: they meet [`SendStatus::Closed`](crate::SendStatus).
pub trait Room: Any + Send {
    /// A session has entered. What it says comes after this.
    fn on_enter(&mut self, ctx: &mut RoomContext<'_>, member: SessionId) {
        let _ = (ctx, member);
    }

    /// A session says something, in the order in which it does.
    fn on_frame(&mut self, ctx: &mut RoomContext<'_>, member: SessionId, frame: &[u8]);

    /// A session has left, or has closed.
    fn on_leave(&mut self, ctx: &mut RoomContext<'_>, member: SessionId) {
        let _ = (ctx, member);
    }

    /// It is time: see [`RoomOptions::ticks_per_second`].
    fn on_tick(&mut self, ctx: &mut RoomContext<'_>, tick: &Tick) {
        let _ = (ctx, tick);
    }
}

/// How a room is set up.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct RoomOptions {
    /// What the log and [`RoomRef::name`] call it; need not be unique.
    pub name: String,
    /// How often [`Room::on_tick`] is called: 1 to 1,000 times a second; default never. The ticks do not
    /// drift: each has its time from the first, however late the one before was.
    pub ticks_per_second: Option<u32>,
    /// The worker that it lives on; default the next one in turn.
    pub worker: Option<usize>,
}

/// One tick of a room.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Tick {
    /// Its number: the first is 1, and those that were skipped are counted.
    pub number: u64,
    /// When it was due.
    pub due: Time,
    /// How late its turn of the worker has begun.
    pub late: Duration,
    /// Ticks that were skipped before this one, since the room's worker was busy for longer than a period:
    /// an overrun. They are not made up for. Counted in [`Stats::ticks_skipped`](crate::Stats).
    pub skipped: u64,
}

/// Why a room was not opened, or not entered.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
#[non_exhaustive]
pub enum RoomError {
    /// An option is out of its range.
    #[error("{0}")]
    Options(String),
    /// There are as many rooms as [`Limits::rooms_max`](crate::Limits::rooms_max) allows.
    #[error("{0} rooms are open, and more are not allowed: see rooms_max")]
    TooMany(usize),
    /// The server drains or stops: nobody would come, and the room would have no tick.
    #[error("the server drains, and opens no more rooms")]
    Draining,
    /// The worker that it was to live on has ended.
    #[error("the server has ended")]
    Ended,
}

impl RoomOptions {
    /// The most [`ticks_per_second`](Self::ticks_per_second).
    pub const TICKS_PER_SECOND_MAX: u32 = 1_000;

    pub(crate) fn problem(&self, workers: usize) -> Option<String> {
        let max = Self::TICKS_PER_SECOND_MAX;
        if let Some(rate) = self.ticks_per_second.filter(|rate| !(1..=max).contains(rate)) {
            return Some(format!("ticks_per_second is {rate}: 1 to {max}"));
        }
        let worker = self.worker.filter(|worker| *worker >= workers)?;
        Some(format!("there is no worker {worker}: 0 to {}", workers - 1))
    }
}
