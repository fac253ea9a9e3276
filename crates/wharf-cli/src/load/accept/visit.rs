//! The connections that are under way, by the slot of their socket.

use wharf_port::{SocketId, SocketOptions, Time};

use crate::load::session::Session;

/// How far a connection is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Stage {
    Connecting,
    /// Its message is on its way.
    Echoing,
    /// It is being closed.
    Over,
}

/// One connection.
#[derive(Debug)]
pub(super) struct Visit {
    pub(super) stage: Stage,
    pub(super) session: Session,
    /// What it was connected with.
    pub(super) options: SocketOptions,
    pub(super) due: Time,
    begun: Time,
}

impl Visit {
    pub(super) const fn new(
        socket: SocketId,
        lane: usize,
        options: SocketOptions,
        due: Time,
        begun: Time,
    ) -> Self {
        let session = Session::new(socket, 0, lane, 1);
        Self { stage: Stage::Connecting, session, options, due, begun }
    }
}

/// All of them.
#[derive(Debug, Default)]
pub(super) struct Visits {
    by_slot: Vec<Option<Visit>>,
    count: usize,
}

impl Visits {
    pub(super) const fn len(&self) -> usize {
        self.count
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.count == 0
    }

    pub(super) fn insert(&mut self, visit: Visit) {
        let slot = visit.session.socket.slot() as usize;
        if self.by_slot.len() <= slot {
            self.by_slot.resize_with(slot + 1, || None);
        }
        self.by_slot[slot] = Some(visit);
        self.count += 1;
    }

    pub(super) fn get_mut(&mut self, socket: SocketId) -> Option<&mut Visit> {
        let visit = self.by_slot.get_mut(socket.slot() as usize)?.as_mut()?;
        (visit.session.socket == socket).then_some(visit)
    }

    /// Forgets a connection whose socket is closed.
    pub(super) fn remove(&mut self, socket: SocketId) {
        if self.get_mut(socket).is_some() {
            self.by_slot[socket.slot() as usize] = None;
            self.count -= 1;
        }
    }

    /// Those that were begun up to a moment and are not over.
    pub(super) fn unfinished_since(&self, moment: Time) -> Vec<SocketId> {
        let visits = self.by_slot.iter().flatten();
        let late = visits.filter(|visit| visit.begun <= moment && visit.stage != Stage::Over);
        late.map(|visit| visit.session.socket).collect()
    }
}
