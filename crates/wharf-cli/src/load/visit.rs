//! A session that a mode with a loop of its own opens while it runs.

use wharf_port::{CompletionPort, ConnectError, SocketId, SocketOptions, Time};

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
    options: SocketOptions,
    /// When it was to be begun.
    pub(super) due: Time,
    /// When it was begun, and from then on when it was open.
    pub(super) since: Time,
}

/// Why a session was not connected, and with what it was to be.
pub(super) type Unconnected = (SocketOptions, ConnectError);

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

    /// Its connect is over: it is open, or it is closed. `None` if it had been given up before.
    pub(super) fn connected(
        &mut self,
        port: &mut CompletionPort,
        result: Result<(), ConnectError>,
        now: Time,
    ) -> Option<Result<(), Unconnected>> {
        if self.stage != Stage::Connecting {
            return None;
        }
        self.stage = Stage::Open;
        self.since = now;
        Some(result.map_err(|error| {
            self.close(port);
            (self.options.clone(), error)
        }))
    }

    /// Closes it, with an end of stream for the server.
    pub(super) fn close(&mut self, port: &mut CompletionPort) {
        self.stage = Stage::Over;
        // A void name is as closed as can be.
        let _ = port.close(self.session.socket);
    }

    /// Closes it with a reset.
    pub(super) fn abort(&mut self, port: &mut CompletionPort) {
        self.stage = Stage::Over;
        let _ = port.abort(self.session.socket);
    }

    /// Whether it was begun up to a moment, and is not connected.
    pub(super) fn connects_since(&self, moment: Time) -> bool {
        self.stage == Stage::Connecting && self.since <= moment
    }

    /// Whether it has been where it is since a moment or longer, and is not over.
    pub(super) fn stays_since(&self, moment: Time) -> bool {
        self.stage != Stage::Over && self.since <= moment
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use wharf_port::PortOptions;

    use super::*;

    fn at(seconds: u64) -> Time {
        Time::ZERO + Duration::from_secs(seconds)
    }

    fn begun_at_one() -> Visit {
        let options = SocketOptions { no_delay: false, ..SocketOptions::default() };
        Visit::new(SocketId::from_parts(0, 1), (0, 0), options, at(1), at(1))
    }

    #[test]
    fn a_session_is_as_old_as_its_connection() {
        let mut port = CompletionPort::open(&PortOptions::default()).unwrap();
        let mut visit = begun_at_one();
        assert!(visit.connects_since(at(1)) && visit.stays_since(at(1)));
        assert!(matches!(visit.connected(&mut port, Ok(()), at(4)), Some(Ok(()))));
        assert!(!visit.connects_since(at(4)) && !visit.stays_since(at(3)));
        assert!(visit.stays_since(at(4)));
        visit.abort(&mut port);
        assert!(!visit.stays_since(at(4)));
    }

    #[test]
    fn a_session_that_is_not_connected_is_over_and_that_is_told_once() {
        let mut port = CompletionPort::open(&PortOptions::default()).unwrap();
        let mut visit = begun_at_one();
        let told = visit.connected(&mut port, Err(ConnectError::Refused), at(2));
        let Some(Err((options, error))) = told else { panic!("{told:?}") };
        assert_eq!((options.no_delay, error), (false, ConnectError::Refused));
        assert_eq!(visit.stage, Stage::Over);
        assert!(visit.connected(&mut port, Ok(()), at(3)).is_none());
    }
}
