//! A session that a mode with a loop of its own opens while it runs.

use wharf_port::{SocketId, SocketOptions, Time};

use super::session::Session;

/// How far it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Stage {
    Connecting,
    /// It is connected.
    Open,
    /// It is being closed.
    Over,
}

/// One session.
#[derive(Debug)]
pub(super) struct Visit {
    pub(super) stage: Stage,
    pub(super) session: Session,
    /// What it was connected with.
    pub(super) options: SocketOptions,
    /// When it was to be begun, and later when its message was to be sent.
    pub(super) due: Time,
    /// When it was begun, and from then on when it was open.
    pub(super) since: Time,
}

impl Visit {
    pub(super) const fn new(
        socket: SocketId,
        (number, lane): (usize, usize),
        options: SocketOptions,
        due: Time,
        begun: Time,
    ) -> Self {
        let session = Session::new(socket, number, lane, u64::MAX);
        Self { stage: Stage::Connecting, session, options, due, since: begun }
    }

    /// Whether it was begun up to a moment, and is not connected.
    pub(super) fn connects_since(&self, moment: Time) -> bool {
        self.stage == Stage::Connecting && self.since <= moment
    }
}
