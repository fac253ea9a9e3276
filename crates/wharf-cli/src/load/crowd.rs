//! The sessions of a run on their port: which are at work, which have ended, and which are lost.
//!
//! What the port says about names of sockets is left alone: a name is void only once its socket has been
//! closed, and then its session is no longer open.

use std::ops::Range;

use wharf_port::{CompletionPort, SocketId, Time};

use super::pattern::Pattern;
use super::session::{Session, Sessions, State};
use super::tally::{Loss, Tally};

/// The sessions of a run.
pub(super) struct Crowd {
    pub(super) port: CompletionPort,
    pub(super) sessions: Sessions,
    pub(super) tally: Tally,
    /// When bytes last came or went.
    pub(super) moved_at: Time,
    /// Sessions that are at work.
    open: usize,
    /// Sessions that are neither ended nor lost.
    living: usize,
}

/// A session that was at work and is lost.
#[derive(Clone, Copy, Debug)]
pub(super) struct Lost {
    /// Its number.
    pub(super) number: usize,
    /// Whole messages that had come to it.
    pub(super) answered: u64,
}

/// What received bytes are to a session's stream.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Verified {
    /// The messages that are whole with them, right or wrong.
    pub(super) messages: Range<u64>,
    /// Bytes at the end that were not to come.
    pub(super) extra: usize,
}

impl Crowd {
    pub(super) fn new(port: CompletionPort, sessions: Sessions) -> Self {
        let (now, count) = (port.now(), sessions.len());
        let tally = Tally::default();
        Self { port, sessions, tally, moved_at: now, open: count, living: count }
    }

    /// How many are at work.
    pub(super) const fn open(&self) -> usize {
        self.open
    }

    /// How many are neither ended nor lost.
    pub(super) const fn living(&self) -> usize {
        self.living
    }

    /// Starts to receive on all of them.
    pub(super) fn receive(&mut self) {
        for session in self.sessions.iter() {
            let _ = self.port.receive(session.socket);
        }
    }

    /// Ends the stream of a session at work.
    pub(super) fn half_close(&mut self, socket: SocketId) {
        let Some(session) = self.sessions.get_mut(socket) else { return };
        session.state = State::HalfClosed;
        self.open -= 1;
        let _ = self.port.shutdown(socket);
    }

    /// The server has ended a stream of messages of so many bytes. Behind the last answer it may do so as it likes:
    /// many a server answers our end with a reset.
    ///
    /// # Errors
    /// How the session is to be given up, if something of it was still to come: `loss`.
    pub(super) fn on_end(
        &mut self,
        socket: SocketId,
        message: u64,
        loss: Loss,
    ) -> Result<(), Loss> {
        let Some(session) = self.sessions.get_mut(socket) else { return Ok(()) };
        match session.state {
            State::Ended | State::Failed => return Ok(()),
            State::HalfClosed => {}
            State::Finishing if session.is_quiet(message) => self.open -= 1,
            State::Sending | State::Finishing => return Err(loss),
        }
        session.state = State::Ended;
        self.living -= 1;
        let _ = self.port.close(socket);
        Ok(())
    }

    /// Gives a session up; tells which, if it was at work.
    #[cold]
    pub(super) fn lose(&mut self, socket: SocketId, loss: Loss) -> Option<Lost> {
        let session = self.sessions.get_mut(socket)?;
        if matches!(session.state, State::Ended | State::Failed) {
            return None;
        }
        let lost = Lost { number: session.number, answered: session.answered };
        let was_open = session.is_open();
        session.state = State::Failed;
        self.open -= usize::from(was_open);
        self.living -= 1;
        self.tally.count_loss(loss);
        let _ = self.port.abort(socket);
        was_open.then_some(lost)
    }

    /// The sockets of all sessions that are such.
    pub(super) fn sockets(&self, which: impl Fn(&Session) -> bool) -> Vec<SocketId> {
        let sessions = self.sessions.iter().filter(|session| which(session));
        sessions.map(|session| session.socket).collect()
    }
}

/// Compares what has come to a session with its stream, of which `staged` bytes have been sent.
#[inline]
pub(super) fn verify(
    session: &mut Session,
    staged: u64,
    bytes: &[u8],
    pattern: &Pattern,
    tally: &mut Tally,
) -> Verified {
    let awaited = staged - session.received;
    let (stream, extra) =
        bytes.split_at(usize::try_from(awaited).map_or(bytes.len(), |n| n.min(bytes.len())));
    if !pattern.matches(session.lane, session.received, stream) {
        tally.count_wrong(pattern, session, stream);
    }
    session.received += stream.len() as u64;
    let before = session.answered;
    session.answered = session.received / pattern.message();
    if !extra.is_empty() {
        tally.count_extra(pattern, extra.len());
    }
    Verified { messages: before..session.answered, extra: extra.len() }
}
