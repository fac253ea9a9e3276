//! What goes back.

use http_body_util::Full;
use hyper::body::Bytes;
use hyper::header::{
    ALLOW, CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_TYPE, HeaderValue, WWW_AUTHENTICATE,
    X_CONTENT_TYPE_OPTIONS,
};
use hyper::{Response, StatusCode};
use serde::Serialize;

/// The whole of an answer.
pub(crate) type Answer = Response<Full<Bytes>>;

/// A line for people, or a few.
pub(crate) fn text(status: StatusCode, text: impl Into<Bytes>) -> Answer {
    of_kind(status, "text/plain; charset=utf-8", text)
}

/// A value for programs. Whatever is in its texts is escaped.
pub(crate) fn json(status: StatusCode, value: &impl Serialize) -> Answer {
    match serde_json::to_string(value) {
        Ok(json) => of_kind(status, "application/json", json + "\n"),
        Err(error) => {
            tracing::error!(%error, "an answer could not be written");
            text(StatusCode::INTERNAL_SERVER_ERROR, "the answer could not be written\n")
        }
    }
}

/// A file to be kept under a name, which is of visible ASCII without quotes.
pub(crate) fn file(kind: &'static str, name: &str, body: impl Into<Bytes>) -> Answer {
    let mut answer = of_kind(StatusCode::OK, kind, body);
    if let Ok(value) = HeaderValue::try_from(format!("attachment; filename=\"{name}\"")) {
        answer.headers_mut().insert(CONTENT_DISPOSITION, value);
    }
    answer
}

/// The path is answered, but to this method alone.
pub(crate) fn only(method: &'static str) -> Answer {
    let line = format!("only {method} is answered here\n");
    let mut answer = text(StatusCode::METHOD_NOT_ALLOWED, line);
    answer.headers_mut().insert(ALLOW, HeaderValue::from_static(method));
    answer
}

/// An answer of any kind. Nobody is to guess at its kind, to keep it, or, by the lack of every header that would
/// allow it, to read it from a page of another site.
pub(crate) fn of_kind(status: StatusCode, kind: &'static str, body: impl Into<Bytes>) -> Answer {
    let mut answer = Response::new(Full::new(body.into()));
    *answer.status_mut() = status;
    let headers = answer.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if status == StatusCode::UNAUTHORIZED {
        headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    }
    answer
}
