//! What is answered.

use std::error::Error;
use std::time::Duration;

use http_body_util::{BodyExt, Limited};
use hyper::body::Body;
use hyper::{Method, Request, StatusCode};
use serde::Serialize;
use wharf::{
    ServerHandle, SessionFilter, SessionId, SessionReport, SessionsWanted, Time, WorkerReport,
};

use crate::answer::{self, Answer};
use crate::captures::Captures;
use crate::guard::{Guard, Refusal};
use crate::ledger::Ledger;
use crate::listing::Listing;
use crate::metrics;
use crate::options::DrainHook;
use crate::questions::{Questions, TooMany};
use crate::route::{Act, Edit, Look, Route};
use crate::server::Server;
use crate::sessions::{Page, Session};
use crate::workers::Workers;

/// Bytes of a body that says what to change.
const BODY_BYTES_MAX: usize = 4096;

/// The description of all routes.
pub(crate) const OPENAPI: &str = include_str!("../openapi.json");

/// The routes of one endpoint.
#[derive(Debug)]
pub(crate) struct Routes {
    pub(crate) server: ServerHandle,
    pub(crate) guard: Guard,
    questions: Questions,
    pub(crate) captures: Captures,
    patience: Duration,
    pub(crate) drain: DrainHook,
}

/// What is to be done when an answer has been given.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Then {
    Nothing,
    /// The server drains, which may be its end and this endpoint's before the answer is read.
    Drain,
}

/// Why a session cannot be told of.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Missing {
    /// There is none of this id.
    Session,
    /// Its worker has not answered in time.
    Answer,
    /// Its worker was not asked.
    Question,
    /// Others are being given.
    Place,
}

impl From<TooMany> for Missing {
    fn from(TooMany: TooMany) -> Self {
        Self::Question
    }
}

impl Routes {
    pub(crate) fn new(
        server: ServerHandle,
        guard: Guard,
        patience: Duration,
        drain: DrainHook,
    ) -> Self {
        let questions = Questions::new(server.clone(), patience);
        let captures = Captures::new(patience);
        Self { server, guard, questions, captures, patience, drain }
    }

    /// Answers a request. No body is read but that of a change which has one.
    pub(crate) async fn answer<B>(&self, request: Request<B>) -> (Answer, Then)
    where
        B: Body,
        B::Error: Into<Box<dyn Error + Send + Sync>>,
    {
        let route = Route::of(request.uri().path());
        if let Err(refusal) = self.check(&request, route) {
            return (refused(refusal), Then::Nothing);
        }
        let (head, body) = request.into_parts();
        let Some(route) = route else {
            return (nothing_there(), Then::Nothing);
        };
        if head.method == Method::GET {
            if let Route::Page(file) = route {
                return (file.answer(), Then::Nothing);
            }
            if let Some(look) = route.look() {
                let query = head.uri.query().unwrap_or_default();
                return (self.look(look, query).await, Then::Nothing);
            }
        }
        let Some(act) = route.act().filter(|_| head.method == Method::POST) else {
            return (answer::only(route.methods()), Then::Nothing);
        };
        if let Err(refusal) = self.guard.check_change(&head.headers) {
            return (refused(refusal), Then::Nothing);
        }
        match act {
            Act::Change(change) => self.change(change).await,
            Act::Edit(edit) => (self.edit(edit, body).await, Then::Nothing),
        }
    }

    /// Does what a body says, which has to be short. How long it may take is bounded by its connection.
    async fn edit<B>(&self, edit: Edit, body: B) -> Answer
    where
        B: Body,
        B::Error: Into<Box<dyn Error + Send + Sync>>,
    {
        let Ok(body) = Limited::new(body, BODY_BYTES_MAX).collect().await else {
            return answer::text(
                StatusCode::PAYLOAD_TOO_LARGE,
                format!("a body has at most {BODY_BYTES_MAX} bytes, and an end\n"),
            );
        };
        let body = body.to_bytes();
        match edit {
            Edit::Limits => self.change_limits(&body),
            Edit::Ban => self.ban(&body),
            Edit::LiftBan => self.lift_ban(&body),
        }
    }

    /// Whether a request is answered. The page holds nothing that is the server's: it asks for the token itself,
    /// which a browser could not be made to send with it.
    fn check<B>(&self, request: &Request<B>, route: Option<Route>) -> Result<(), Refusal> {
        self.guard.check_site(request)?;
        match route {
            Some(Route::Page(_)) => Ok(()),
            _ => self.guard.check_token(request.headers()),
        }
    }

    async fn look(&self, look: Look, query: &str) -> Answer {
        let answered = match look {
            Look::Metrics => self.metrics().await,
            Look::Health => self.health().await,
            Look::Ready => Ok(self.ready()),
            Look::OpenApi => Ok(answer::of_kind(StatusCode::OK, "application/json", OPENAPI)),
            Look::Server => Ok(self.server()),
            Look::Sessions => self.sessions(query).await,
            Look::Session(id) => Ok(self.session(id).await),
            Look::Capture(id) => Ok(self.capture(id).await),
            Look::Workers => self.workers().await,
            Look::Ledger => self.ledger().await,
            Look::Limits => Ok(self.limits()),
            Look::Bans => Ok(self.bans()),
        };
        answered.unwrap_or_else(|TooMany| self.missing(Missing::Question))
    }

    async fn metrics(&self) -> Result<Answer, TooMany> {
        Ok(match metrics::encode(&self.server, self.questions.ask_for_holdings().await?) {
            Ok(text) => answer::of_kind(StatusCode::OK, metrics::CONTENT_TYPE, text),
            Err(error) => {
                tracing::error!(%error, "metrics could not be written");
                answer::text(StatusCode::INTERNAL_SERVER_ERROR, "metrics could not be written\n")
            }
        })
    }

    /// Alive, if all workers are.
    async fn health(&self) -> Result<Answer, TooMany> {
        let silent = self.silent(&self.ask(SessionsWanted::None).await?);
        if silent.is_empty() {
            return Ok(answer::text(StatusCode::OK, "every worker answers\n"));
        }
        let silent: Vec<_> = silent.iter().map(ToString::to_string).collect();
        let text =
            format!("no answer within {:?} from worker {}\n", self.patience, silent.join(", "));
        Ok(answer::text(StatusCode::SERVICE_UNAVAILABLE, text))
    }

    fn ready(&self) -> Answer {
        if self.server.is_accepting() {
            answer::text(StatusCode::OK, "connections are accepted\n")
        } else {
            answer::text(StatusCode::SERVICE_UNAVAILABLE, "no connections are accepted\n")
        }
    }

    fn server(&self) -> Answer {
        ok(&Server::of(&self.server))
    }

    async fn sessions(&self, query: &str) -> Result<Answer, TooMany> {
        let listing = match Listing::read(query) {
            Ok(listing) => listing,
            Err(problem) => {
                return Ok(answer::text(StatusCode::BAD_REQUEST, format!("{problem}\n")));
            }
        };
        let reports = self.questions.ask(listing.wanted(), listing.filter().clone()).await?;
        Ok(ok(&Page::of(&listing, &reports, self.silent(&reports))))
    }

    async fn session(&self, id: SessionId) -> Answer {
        match self.find(id).await {
            Ok((session, now)) => ok(&Session::of(&session, now)),
            Err(missing) => self.missing(missing),
        }
    }

    async fn workers(&self) -> Result<Answer, TooMany> {
        let reports = self.ask(SessionsWanted::None).await?;
        Ok(ok(&Workers::of(&self.server, &reports)))
    }

    async fn ledger(&self) -> Result<Answer, TooMany> {
        let reports = self.questions.ask_for_holdings().await?;
        Ok(ok(&Ledger::of(&self.server, &reports)))
    }

    /// A session, and when its worker told of it.
    pub(crate) async fn find(&self, id: SessionId) -> Result<(SessionReport, Time), Missing> {
        if id.worker() >= self.server.workers() {
            return Err(Missing::Session);
        }
        let mut reports = self.ask(SessionsWanted::One(id)).await?.into_iter();
        let missing = || {
            let has_ended = self.server.ended_workers().contains(&id.worker());
            if has_ended { Missing::Session } else { Missing::Answer }
        };
        let report = reports.find(|report| report.worker == id.worker()).ok_or_else(missing)?;
        let session = report.sessions.into_iter().next().ok_or(Missing::Session)?;
        Ok((session, report.now))
    }

    pub(crate) fn missing(&self, missing: Missing) -> Answer {
        match missing {
            Missing::Session => answer::text(StatusCode::NOT_FOUND, "there is no such session\n"),
            Missing::Answer => {
                let line = format!("its worker has not answered within {:?}\n", self.patience);
                answer::text(StatusCode::SERVICE_UNAVAILABLE, line)
            }
            Missing::Question => answer::text(
                StatusCode::SERVICE_UNAVAILABLE,
                "too many questions are under way: ask again later\n",
            ),
            Missing::Place => answer::text(
                StatusCode::SERVICE_UNAVAILABLE,
                "another capture is being given: ask again later\n",
            ),
        }
    }

    async fn ask(&self, wanted: SessionsWanted) -> Result<Vec<WorkerReport>, TooMany> {
        self.questions.ask(wanted, SessionFilter::default()).await
    }

    /// The workers that should have answered and have not. Those that have ended in a drain are none of them.
    fn silent(&self, reports: &[WorkerReport]) -> Vec<usize> {
        let ended = self.server.ended_workers();
        let has_answered = |worker| reports.iter().any(|report| report.worker == worker);
        let is_silent = |worker: &usize| !has_answered(*worker) && !ended.contains(worker);
        (0..self.server.workers()).filter(is_silent).collect()
    }
}

fn ok(value: &impl Serialize) -> Answer {
    answer::json(StatusCode::OK, value)
}

fn refused((status, why): Refusal) -> Answer {
    answer::text(status, format!("{why}\n"))
}

fn nothing_there() -> Answer {
    let paths: Vec<_> = Route::looks().collect();
    answer::text(StatusCode::NOT_FOUND, format!("there are /, {}\n", paths.join(", ")))
}
