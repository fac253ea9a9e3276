//! Which path is what.

use wharf::SessionId;

/// What a path stands for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Route {
    /// Something that is told, by `GET`.
    Look(Look),
    /// Something that is done, by `POST`.
    Change(Change),
}

/// What there is to be told.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Look {
    Metrics,
    Health,
    Ready,
    Server,
    Sessions,
    Session(SessionId),
    Workers,
}

/// What there is to be done.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Change {
    Kick(SessionId),
    Drain,
    PauseAccepting,
    ResumeAccepting,
}

impl Route {
    /// `None`, if nothing is there. A path is taken as it stands: nothing in it needs to be escaped.
    pub(crate) fn of(path: &str) -> Option<Self> {
        Some(match path {
            "/metrics" => Self::Look(Look::Metrics),
            "/health" => Self::Look(Look::Health),
            "/ready" => Self::Look(Look::Ready),
            "/api/v1/server" => Self::Look(Look::Server),
            "/api/v1/sessions" => Self::Look(Look::Sessions),
            "/api/v1/workers" => Self::Look(Look::Workers),
            "/api/v1/drain" => Self::Change(Change::Drain),
            "/api/v1/accepting/pause" => Self::Change(Change::PauseAccepting),
            "/api/v1/accepting/resume" => Self::Change(Change::ResumeAccepting),
            _ => return Self::of_session(path.strip_prefix("/api/v1/sessions/")?),
        })
    }

    /// `ID` or `ID/kick`.
    fn of_session(rest: &str) -> Option<Self> {
        match rest.strip_suffix("/kick") {
            Some(id) => session_id(id).map(Change::Kick).map(Self::Change),
            None => session_id(rest).map(Look::Session).map(Self::Look),
        }
    }
}

/// An id in decimal, as it is told.
pub(crate) fn session_id(text: &str) -> Option<SessionId> {
    // A plus sign is no digit, and would be taken.
    let is_number = text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|_| is_number).map(SessionId::from_u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_has_an_id_of_digits_and_nothing_near_it_is_one() {
        let id = SessionId::from_u64(u64::MAX);
        let path = "/api/v1/sessions/18446744073709551615";
        assert_eq!(Route::of(path), Some(Route::Look(Look::Session(id))));
        assert_eq!(Route::of(&format!("{path}/kick")), Some(Route::Change(Change::Kick(id))));
        for nothing in [
            "/api/v1/sessions/",
            "/api/v1/sessions//kick",
            "/api/v1/sessions/kick",
            "/api/v1/sessions/+1",
            "/api/v1/sessions/-1",
            "/api/v1/sessions/0-17-3",
            "/api/v1/sessions/%31",
            "/api/v1/sessions/1/",
            "/api/v1/sessions/1/kick/",
            "/api/v1/sessions/1/kick/kick",
            "/api/v1/sessions/18446744073709551616",
            "/api/v1/sessions/1.0",
            "/api/v1/drain/",
            "/api/v1",
            "/API/v1/drain",
            "//metrics",
            "",
        ] {
            assert_eq!(Route::of(nothing), None, "{nothing}");
        }
    }
}
