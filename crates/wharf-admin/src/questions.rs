//! Questions to the workers, and how many of them are under way.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;
use tokio::time::timeout;
use wharf::{Answers, ServerHandle, SessionFilter, SessionsWanted, WorkerReport};

/// Questions at a time, each with a thread that waits for its answers.
pub(crate) const QUESTIONS_MAX: usize = 4;

/// What asks the workers.
///
/// A question that has been asked lies in the inboxes of all workers and has a thread until its time is up, whether
/// somebody still wants the answers or not. So none is asked that has no place: who comes and goes while a worker
/// is held up leaves no more of them than there are places.
#[derive(Debug)]
pub(crate) struct Questions {
    server: ServerHandle,
    patience: Duration,
    places: Arc<Semaphore>,
}

/// No place has come free in time.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct TooMany;

impl Questions {
    pub(crate) fn new(server: ServerHandle, patience: Duration) -> Self {
        Self { server, patience, places: Arc::new(Semaphore::new(QUESTIONS_MAX)) }
    }

    /// How the workers are that answer in time, and what they say of those sessions.
    pub(crate) async fn ask(
        &self,
        wanted: SessionsWanted,
        filter: SessionFilter,
    ) -> Result<Vec<WorkerReport>, TooMany> {
        self.put(|server| server.ask_workers_about(wanted, filter)).await
    }

    /// How they are, and what they hold.
    pub(crate) async fn ask_for_holdings(&self) -> Result<Vec<WorkerReport>, TooMany> {
        self.put(ServerHandle::ask_workers_for_holdings).await
    }

    /// What the workers say that answer in time. They are waited for on another thread, so that one that is held
    /// up holds up nobody else's request. Places are given in the order in which they were asked for, so that
    /// nobody is passed by.
    async fn put(
        &self,
        question: impl FnOnce(&ServerHandle) -> Answers,
    ) -> Result<Vec<WorkerReport>, TooMany> {
        let patience = self.patience;
        let place = timeout(patience, Arc::clone(&self.places).acquire_owned());
        let Ok(Ok(place)) = place.await else { return Err(TooMany) };
        let answers = question(&self.server);
        let waiting = spawn_blocking(move || {
            let reports = answers.wait(patience);
            drop(place);
            reports
        });
        // It fails when the endpoint ends, and nobody hears then.
        Ok(waiting.await.unwrap_or_default())
    }
}
