//! Sessions that are addressed together: a room, a channel, a topic.
//!
//! ```no_run
//! use wharf::{Context, Framing, Group, Outcome, Server, Session};
//!
//! struct Member {
//!     room: Group,
//! }
//!
//! impl Session for Member {
//!     fn on_connected(&mut self, ctx: &mut Context<'_>) -> Outcome {
//!         Ok(ctx.join(&self.room)?)
//!     }
//!
//!     fn on_frame(&mut self, ctx: &mut Context<'_>, frame: &[u8]) -> Outcome {
//!         ctx.broadcast(&self.room, frame);
//!         Ok(())
//!     }
//! }
//!
//! let server = Server::bind("127.0.0.1:7777").framing(Framing::LINES);
//! server.run(|arrival| Member { room: arrival.group("lobby") })?;
//! # Ok::<(), wharf::ServerError>(())
//! ```
//!
//! A frame is encoded once and shared by all members; a worker that has members gets one message, and
//! each member one send per turn, however many broadcasts fell into it. Leaving is part of closing. A
//! member that reads slowly meets its own policy and delays nobody.

mod members;
mod membership;
mod registry;
mod worker_set;

use std::fmt;
use std::sync::Arc;

use thiserror::Error;

pub(crate) use self::membership::Memberships;
pub use self::registry::GroupSizes;
pub(crate) use self::registry::{GroupState, Groups};
pub(crate) use self::worker_set::WorkerSet;

use crate::inbox::Message;
use crate::send_queue::SendStatus;
use crate::session_id::SessionId;
use crate::shared::Shared;
use crate::shared_frame::SharedFrame;

/// Some sessions of a server under one name, addressed together. A handle for any thread; a group lives
/// for as long as it has a member or a handle.
///
/// Within a callback, [`Context::broadcast`](crate::Context::broadcast) and its siblings keep the order
/// with everything else that the callback sends, and cost less than these methods, which put their
/// frames into the inboxes of all workers.
#[derive(Clone)]
pub struct Group {
    state: Arc<GroupState>,
    server: Arc<Shared>,
}

/// A session in a group.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Member {
    /// The session.
    pub session: SessionId,
    /// What it called itself when it [joined](crate::Context::join_as).
    pub name: Option<Arc<str>>,
}

/// Why a session did not join a group.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
#[non_exhaustive]
pub enum JoinError {
    /// The session is closing.
    #[error("a session that is closing joins no group")]
    Closing,
    /// It is in as many groups as [`Limits::groups_per_session_max`](crate::Limits) allows.
    #[error("the session is in {0} groups, and more are not allowed: see groups_per_session_max")]
    TooMany(usize),
    /// The group is that of a room, for whose worker too much waits already.
    #[error("too much waits for the room's worker: enter later")]
    Overloaded,
    /// The group is another server's.
    #[error("the group belongs to another server")]
    OtherServer,
}

impl Group {
    pub(crate) fn named(server: &Arc<Shared>, name: &str) -> Self {
        Self { state: server.groups.named(name), server: Arc::clone(server) }
    }

    pub(crate) const fn of(state: Arc<GroupState>, server: Arc<Shared>) -> Self {
        Self { state, server }
    }

    pub(crate) const fn state(&self) -> &Arc<GroupState> {
        &self.state
    }

    pub(crate) fn is_of(&self, server: &Arc<Shared>) -> bool {
        Arc::ptr_eq(&self.server, server)
    }

    /// Its name.
    pub fn name(&self) -> &str {
        self.state.name()
    }

    /// How many members it has.
    pub fn len(&self) -> usize {
        self.state.len()
    }

    /// Whether it has no member.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The members, in no order. Those who come and go meanwhile may or may not be among them.
    pub fn members(&self) -> Vec<Member> {
        self.state.members(|worker, socket, name| Member {
            session: SessionId::new(worker, socket),
            name: name.cloned(),
        })
    }

    /// The names that members have taken, in no order.
    pub fn names(&self) -> Vec<Arc<str>> {
        self.members().into_iter().filter_map(|member| member.name).collect()
    }

    /// Sends a frame to all members, from any thread. [`SendStatus::Overloaded`]: nobody was sent
    /// anything, since the inbox of a worker is full.
    pub fn broadcast(&self, payload: &[u8]) -> SendStatus {
        match self.server.frame(payload) {
            Ok(frame) => self.put(&frame, None),
            Err(error) => error.into(),
        }
    }

    /// Sends a frame that is encoded already to all members.
    /// One of another server is encoded anew, since its framing may be another.
    pub fn broadcast_frame(&self, frame: &SharedFrame) -> SendStatus {
        match self.server.own_frame(frame) {
            Ok(frame) => self.put(&frame, None),
            Err(error) => error.into(),
        }
    }

    /// Sends a frame to all members but this one.
    pub fn broadcast_except(&self, except: SessionId, payload: &[u8]) -> SendStatus {
        match self.server.frame(payload) {
            Ok(frame) => self.put(&frame, Some(except)),
            Err(error) => error.into(),
        }
    }

    /// Closes all sessions that are members when their worker gets to it, each when what is queued for
    /// it has been sent.
    pub fn close_all(&self) {
        self.server.put_all(|| Message::CloseGroup(Arc::clone(&self.state)));
    }

    fn put(&self, frame: &SharedFrame, except: Option<SessionId>) -> SendStatus {
        let workers = self.state.workers();
        self.server.broadcast(&workers, || {
            Message::Broadcast(Arc::clone(&self.state), frame.clone(), except)
        })
    }
}

impl PartialEq for Group {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.state, &other.state)
    }
}

impl Eq for Group {}

impl fmt::Debug for Group {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Group").field("name", &self.name()).field("len", &self.len()).finish()
    }
}
