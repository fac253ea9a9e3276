//! Captures of single sessions: begun, and given as files.

use std::io;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use hyper::StatusCode;
use hyper::body::Bytes;
use serde::Serialize;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::spawn_blocking;
use tokio::time::timeout;
use wharf::{ServerHandle, SessionId};
use wharf_capture::Recording;

use crate::answer::{self, Answer};
use crate::routes::{Missing, Routes};
use crate::sessions::Id;

/// Files at a time, each with a thread that writes it. One may be twice as long as what the server keeps of a session,
/// and is in memory as a whole until it has been sent.
pub(crate) const CAPTURES_MAX: usize = 1;

/// How JSON Lines are called.
const KIND: &str = "application/jsonl";

/// Places for files that are written and sent.
#[derive(Debug)]
pub(crate) struct Captures {
    patience: Duration,
    places: Arc<Semaphore>,
}

impl Captures {
    pub(crate) fn new(patience: Duration) -> Self {
        Self { patience, places: Arc::new(Semaphore::new(CAPTURES_MAX)) }
    }

    /// A place, if one comes free in time.
    async fn place(&self) -> Option<OwnedSemaphorePermit> {
        timeout(self.patience, Arc::clone(&self.places).acquire_owned()).await.ok()?.ok()
    }
}

/// A session that is captured from now on, if it was not before.
#[derive(Debug, Serialize)]
struct Capturing {
    id: Id,
    capturing: bool,
}

/// A file in its place, which comes free when the file has been sent, or nobody wants it any more.
struct Placed {
    file: Vec<u8>,
    _place: OwnedSemaphorePermit,
}

impl AsRef<[u8]> for Placed {
    fn as_ref(&self) -> &[u8] {
        &self.file
    }
}

impl Routes {
    /// Has a session captured from now on, and says whether it is.
    pub(crate) async fn begin_capture(&self, id: SessionId) -> Answer {
        if let Some(refused) = self.refused_capture() {
            return refused;
        }
        // Who is asked behind that answers behind it.
        let is_told = self.server.capture_session(id);
        match self.find(id).await {
            Err(missing) => self.missing(missing),
            Ok((session, _)) if session.is_closing => answer::text(
                StatusCode::CONFLICT,
                "it is closing: nothing more of it is captured\n",
            ),
            Ok(_) if self.server.has_captured(id) => {
                answer::json(StatusCode::OK, &Capturing { id: Id(id), capturing: true })
            }
            Ok(_) if !is_told => answer::text(
                StatusCode::SERVICE_UNAVAILABLE,
                "its worker has too much to do: nothing is captured\n",
            ),
            Ok(_) => answer::text(
                StatusCode::CONFLICT,
                "there is no place for it: as many sessions are captured as may be, and none of them has ended. \
                 Start the server with more (--capture-sessions of wharf serve, CaptureOptions::sessions_max)\n",
            ),
        }
    }

    /// Gives what is kept of a session, as a file. To look for it waits for workers that capture, and to write it
    /// takes as long as it is long: another thread does both.
    pub(crate) async fn capture(&self, id: SessionId) -> Answer {
        if let Some(refused) = self.refused_capture() {
            return refused;
        }
        let Some(place) = self.captures.place().await else {
            return self.missing(Missing::Place);
        };
        tracing::info!(session = %id, "a capture was asked for at the admin endpoint");
        let server = self.server.clone();
        let written = spawn_blocking(move || {
            let file = file_of(&server, id)?;
            Ok(file.map(|file| Bytes::from_owner(Placed { file, _place: place })))
        });
        match written.await.unwrap_or_else(|error| Err(io::Error::other(error))) {
            Ok(Some(file)) => answer::file(KIND, &format!("wharf-session-{id}.jsonl"), file),
            Ok(None) => answer::text(
                StatusCode::NOT_FOUND,
                "nothing of such a session is kept: there is none, it is not captured, or it has ended and made \
                 room for others\n",
            ),
            Err(error) => {
                tracing::error!(%error, "a capture could not be written");
                answer::text(
                    StatusCode::INTERNAL_SERVER_ERROR,
                    "the capture could not be written\n",
                )
            }
        }
    }

    /// Why nothing is captured or given here, if nothing is.
    fn refused_capture(&self) -> Option<Answer> {
        if !self.guard.is_private() {
            return Some(answer::text(
                StatusCode::FORBIDDEN,
                "a capture is what people say, and every user of this machine can ask here: give the endpoint a \
                 token, or have it listen at the file of a Unix socket\n",
            ));
        }
        if !self.guard.gives_captures() {
            return Some(answer::text(
                StatusCode::FORBIDDEN,
                "captures are not given here: start wharf serve with --capture-chosen none, or an endpoint of your own \
                 with AdminOptions::captures\n",
            ));
        }
        (!self.server.is_set_up_to_capture()).then(|| {
            answer::text(
                StatusCode::CONFLICT,
                "the server is not set up to capture: start wharf serve with --capture-chosen none, or a server of \
                 your own with Server::capture\n",
            )
        })
    }
}

/// What is kept of a session, as a file in memory.
fn file_of(server: &ServerHandle, id: SessionId) -> io::Result<Option<Vec<u8>>> {
    let Some(captured) = server.captured_session(id) else { return Ok(None) };
    let started = captured.began.and_then(|began| wall().checked_sub(server.now().since(began)));
    let recording = Recording::of(&captured, started);
    drop(captured);
    let mut file = Vec::new();
    recording.write(&mut file)?;
    file.shrink_to_fit();
    Ok(Some(file))
}

/// The time of the day.
#[expect(clippy::disallowed_methods, reason = "for people's eyes, never for a session")]
fn wall() -> SystemTime {
    SystemTime::now()
}
