//! The page for people. It holds nothing of the server's: what it shows it asks for, as anybody would, so it may be
//! had without a token. Everything it needs is in the program, and it may load nothing else.

use hyper::StatusCode;
use hyper::header::{
    CONTENT_SECURITY_POLICY, HeaderName, HeaderValue, REFERRER_POLICY, X_FRAME_OPTIONS,
};

use crate::answer::{self, Answer};

/// Nothing but what this endpoint serves runs, is shown or is asked; no page has this one within it.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; \
    img-src 'self' data:; frame-ancestors 'none'; base-uri 'none'; form-action 'none'";
static RESOURCE_POLICY: HeaderName = HeaderName::from_static("cross-origin-resource-policy");
static OPENER_POLICY: HeaderName = HeaderName::from_static("cross-origin-opener-policy");
const SCRIPT: &str = "text/javascript; charset=utf-8";

/// A part of the page.
#[derive(PartialEq, Eq, Debug)]
pub(crate) struct File {
    path: &'static str,
    kind: &'static str,
    text: &'static str,
}

/// A module of the page, under its own name.
macro_rules! script {
    ($name:literal) => {
        File { path: concat!("/dashboard/", $name), kind: SCRIPT, text: include_str!($name) }
    };
}

static FILES: [File; 14] = [
    File { path: "/", kind: "text/html; charset=utf-8", text: include_str!("page.html") },
    File {
        path: "/dashboard/style.css",
        kind: "text/css; charset=utf-8",
        text: include_str!("style.css"),
    },
    script!("main.js"),
    script!("api.js"),
    script!("chart.js"),
    script!("controls.js"),
    script!("format.js"),
    script!("history.js"),
    script!("kept.js"),
    script!("overview.js"),
    script!("rules.js"),
    script!("sessions.js"),
    script!("table.js"),
    script!("theme.js"),
];

impl File {
    /// What lies at a path.
    pub(crate) fn at(path: &str) -> Option<&'static Self> {
        FILES.iter().find(|file| file.path == path)
    }

    /// As it goes out. Like all answers it is kept by nobody, so that the page of one version never asks a server
    /// of another.
    pub(crate) fn answer(&self) -> Answer {
        let mut answer = answer::of_kind(StatusCode::OK, self.kind, self.text);
        let headers = answer.headers_mut();
        let mut set = |name: HeaderName, value| {
            headers.insert(name, HeaderValue::from_static(value));
        };
        set(CONTENT_SECURITY_POLICY, POLICY);
        set(X_FRAME_OPTIONS, "DENY");
        set(REFERRER_POLICY, "no-referrer");
        set(RESOURCE_POLICY.clone(), "same-origin");
        set(OPENER_POLICY.clone(), "same-origin");
        answer
    }
}
