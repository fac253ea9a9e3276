//! Work that would block a worker: it runs on threads of its own, and its result comes back as a callback.

mod pool;

use std::io;
use std::sync::Arc;

use thiserror::Error;

pub(crate) use self::pool::{Place, Pool};
use crate::context::Context;
use crate::inbox::Message;
use crate::session::{Outcome, Session};
use crate::session_id::SessionId;
use crate::shared::Shared;
use crate::typed::{Delivery, WrongSession};
use crate::unwinding::{caught, drop_quietly};

/// Why a job was not taken. It has not run, and never will.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum DeferError {
    /// As many jobs as may are on their way: they wait, they run, or their results wait for a worker.
    #[error(
        "{jobs_max} jobs are deferred already, as many as may be: answer that the server is busy, or \
         raise deferred_max"
    )]
    Full {
        /// [`Limits::deferred_max`](crate::Limits::deferred_max).
        jobs_max: usize,
    },
    /// The sessions of the server are of another type than what is to be done with the result says.
    #[error(transparent)]
    WrongSession(#[from] WrongSession),
    /// The first thread did not start.
    #[error("no thread for deferred jobs started: {0}")]
    Thread(#[source] io::Error),
    /// The server has ended.
    #[error("the server has ended")]
    Ended,
}

/// A job that has run.
#[derive(Debug)]
pub(crate) struct Finished {
    /// The result, and what is to be done with it; `None` if the job panicked.
    pub(crate) delivery: Option<Delivery>,
    /// Held until the worker has taken the result, so that results are bounded as jobs are.
    pub(crate) place: Place,
}

/// Has a thread of the pool run `job`, and the session do `then` with its result.
pub(crate) fn defer<H, T>(
    shared: &Arc<Shared>,
    session: SessionId,
    job: impl FnOnce() -> T + Send + 'static,
    then: impl FnOnce(&mut H, &mut Context<'_>, T) -> Outcome + Send + 'static,
) -> Result<(), DeferError>
where
    H: Session,
    T: Send + 'static,
{
    shared.check_session_type::<H>()?;
    shared.deferred.put(|place| {
        let shared = Arc::clone(shared);
        Box::new(move || {
            let delivery = match caught(job) {
                Some(result) => Some(Delivery::result(result, then)),
                None => {
                    drop_quietly(then);
                    None
                }
            };
            let finished = Message::Deferred(session, Finished { delivery, place });
            // A worker that has ended has no session any more, and the result may panic as it goes.
            let _ = caught(|| shared.put(session.worker(), finished));
        })
    })
}
