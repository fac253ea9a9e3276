//! What there is to ask for.

use std::time::Duration;

use http_body_util::Full;
use hyper::body::Bytes;
use hyper::header::{
    CACHE_CONTROL, CONTENT_TYPE, HeaderValue, WWW_AUTHENTICATE, X_CONTENT_TYPE_OPTIONS,
};
use hyper::{Request, Response, StatusCode};
use tokio::task::spawn_blocking;
use wharf::{ServerHandle, SessionsWanted, WorkerReport};

use crate::guard::Guard;
use crate::metrics;

const TEXT: &str = "text/plain; charset=utf-8";

/// The routes of one endpoint.
#[derive(Debug)]
pub(crate) struct Routes {
    server: ServerHandle,
    guard: Guard,
    patience: Duration,
}

type Answer = Response<Full<Bytes>>;

impl Routes {
    pub(crate) const fn new(server: ServerHandle, guard: Guard, patience: Duration) -> Self {
        Self { server, guard, patience }
    }

    /// Answers a request, whose body is not read.
    pub(crate) async fn answer<B>(&self, request: &Request<B>) -> Answer {
        if let Err((status, why)) = self.guard.check(request) {
            return answer(status, TEXT, format!("{why}\n"));
        }
        match request.uri().path() {
            "/metrics" => self.metrics().await,
            "/health" => self.health().await,
            "/ready" => self.ready(),
            _ => answer(StatusCode::NOT_FOUND, TEXT, "there are /metrics, /health and /ready\n"),
        }
    }

    async fn metrics(&self) -> Answer {
        match metrics::encode(&self.server, self.ask().await) {
            Ok(text) => answer(StatusCode::OK, metrics::CONTENT_TYPE, text),
            Err(error) => {
                tracing::error!(%error, "metrics could not be written");
                answer(StatusCode::INTERNAL_SERVER_ERROR, TEXT, "metrics could not be written\n")
            }
        }
    }

    /// Alive, if all workers are.
    async fn health(&self) -> Answer {
        let answered = self.ask().await;
        let has_answered = |worker| answered.iter().any(|report| report.worker == worker);
        let silent: Vec<_> = (0..self.server.workers())
            .filter(|worker| !has_answered(*worker))
            .map(|worker| worker.to_string())
            .collect();
        if silent.is_empty() {
            return answer(StatusCode::OK, TEXT, "every worker answers\n");
        }
        let text =
            format!("no answer within {:?} from worker {}\n", self.patience, silent.join(", "));
        answer(StatusCode::SERVICE_UNAVAILABLE, TEXT, text)
    }

    fn ready(&self) -> Answer {
        if self.server.is_accepting() {
            answer(StatusCode::OK, TEXT, "connections are accepted\n")
        } else {
            answer(StatusCode::SERVICE_UNAVAILABLE, TEXT, "no connections are accepted\n")
        }
    }

    /// What the workers say. They are waited for on another thread, so that one that is held up holds up
    /// nobody else's request.
    async fn ask(&self) -> Vec<WorkerReport> {
        let answers = self.server.ask_workers(SessionsWanted::None);
        let patience = self.patience;
        spawn_blocking(move || answers.wait(patience)).await.unwrap_or_default()
    }
}

fn answer(status: StatusCode, kind: &'static str, body: impl Into<Bytes>) -> Answer {
    let mut response = Response::new(Full::new(body.into()));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if status == StatusCode::UNAUTHORIZED {
        headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    }
    response
}
