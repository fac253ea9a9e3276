//! What is done to a server.

use hyper::StatusCode;
use serde::Serialize;
use wharf::{SendStatus, SessionId};

use crate::answer::{self, Answer};
use crate::route::Change;
use crate::routes::{Missing, Routes, Then};
use crate::sessions::Id;

/// A session that is being closed.
#[derive(Debug, Serialize)]
struct Kicked {
    id: Id,
    closing: bool,
}

/// Whether connections are accepted.
#[derive(Debug, Serialize)]
struct Accepting {
    accepting: bool,
}

/// A server that drains.
#[derive(Debug, Serialize)]
struct Draining {
    draining: bool,
    /// Those that there were when it began.
    sessions: usize,
}

impl Routes {
    /// Does what was asked for, by whoever may. It is logged, so that nobody wonders who it was.
    pub(crate) async fn change(&self, change: Change) -> (Answer, Then) {
        tracing::info!(?change, "something was asked for at the admin endpoint");
        match change {
            Change::Kick(id) => (self.kick(id).await, Then::Nothing),
            Change::Capture(id) => (self.begin_capture(id).await, Then::Nothing),
            Change::Drain => {
                let draining = Draining { draining: true, sessions: self.server.sessions() };
                (answer::json(StatusCode::ACCEPTED, &draining), Then::Drain)
            }
            Change::PauseAccepting => {
                self.server.pause_accepting();
                (self.accepting(), Then::Nothing)
            }
            Change::ResumeAccepting => {
                self.server.resume_accepting();
                (self.accepting(), Then::Nothing)
            }
        }
    }

    /// Closes a session in order: what is queued for it is sent, for as long as its limits allow.
    async fn kick(&self, id: SessionId) -> Answer {
        if let Err(missing) = self.find(id).await {
            return self.missing(missing);
        }
        match self.server.session(id).close() {
            SendStatus::Closed => self.missing(Missing::Session),
            SendStatus::Overloaded => answer::text(
                StatusCode::SERVICE_UNAVAILABLE,
                "its worker has too much to do: nothing was closed\n",
            ),
            _ => answer::json(StatusCode::ACCEPTED, &Kicked { id: Id(id), closing: true }),
        }
    }

    fn accepting(&self) -> Answer {
        answer::json(StatusCode::OK, &Accepting { accepting: self.server.is_accepting() })
    }

    /// Begins the end of the server.
    pub(crate) fn begin_drain(&self) {
        match &self.drain.0 {
            Some(hook) => hook(),
            None => self.server.drain(),
        }
    }
}
