//! Which path is what.

use wharf::SessionId;

use crate::dashboard::File;

/// What a path stands for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Route {
    /// A part of the page for people, by `GET`.
    Page(&'static File),
    /// Something that is told, by `GET`.
    Look(Look),
    /// Something that is done, by `POST`.
    Act(Act),
    /// Something that is told by `GET` and done by `POST`.
    Both(Look, Act),
}

/// What there is to be told.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Look {
    Metrics,
    Health,
    Ready,
    OpenApi,
    Server,
    Sessions,
    Session(SessionId),
    Capture(SessionId),
    Workers,
    Ledger,
    Limits,
    Bans,
}

/// What there is to be done.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Act {
    Change(Change),
    Edit(Edit),
}

/// What there is to be done, without more words.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Change {
    Kick(SessionId),
    Capture(SessionId),
    Drain,
    PauseAccepting,
    ResumeAccepting,
}

/// What there is to be done with what a body says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Edit {
    Limits,
    Ban,
    LiftBan,
}

/// The paths that stand for one thing each.
const FIXED: [(&str, Route); 14] = [
    ("/metrics", Route::Look(Look::Metrics)),
    ("/health", Route::Look(Look::Health)),
    ("/ready", Route::Look(Look::Ready)),
    ("/api/v1/openapi.json", Route::Look(Look::OpenApi)),
    ("/api/v1/server", Route::Look(Look::Server)),
    ("/api/v1/sessions", Route::Look(Look::Sessions)),
    ("/api/v1/workers", Route::Look(Look::Workers)),
    ("/api/v1/ledger", Route::Look(Look::Ledger)),
    ("/api/v1/limits", Route::Both(Look::Limits, Act::Edit(Edit::Limits))),
    ("/api/v1/bans", Route::Both(Look::Bans, Act::Edit(Edit::Ban))),
    ("/api/v1/bans/lift", Route::Act(Act::Edit(Edit::LiftBan))),
    ("/api/v1/drain", Route::Act(Act::Change(Change::Drain))),
    ("/api/v1/accepting/pause", Route::Act(Act::Change(Change::PauseAccepting))),
    ("/api/v1/accepting/resume", Route::Act(Act::Change(Change::ResumeAccepting))),
];

/// What the paths of sessions begin with.
const SESSION: &str = "/api/v1/sessions/";

impl Route {
    /// `None`, if nothing is there. A path is taken as it stands: nothing in it needs to be escaped.
    pub(crate) fn of(path: &str) -> Option<Self> {
        if let Some(file) = File::at(path) {
            return Some(Self::Page(file));
        }
        let fixed = FIXED.iter().find(|(fixed, _)| *fixed == path).map(|(_, route)| *route);
        fixed.or_else(|| Self::of_session(path.strip_prefix(SESSION)?))
    }

    /// What it tells.
    pub(crate) const fn look(self) -> Option<Look> {
        match self {
            Self::Look(look) | Self::Both(look, _) => Some(look),
            Self::Page(_) | Self::Act(_) => None,
        }
    }

    /// What it does.
    pub(crate) const fn act(self) -> Option<Act> {
        match self {
            Self::Act(act) | Self::Both(_, act) => Some(act),
            Self::Page(_) | Self::Look(_) => None,
        }
    }

    /// The methods that it takes, as a header has them.
    pub(crate) const fn methods(self) -> &'static str {
        match self {
            Self::Page(_) | Self::Look(_) => "GET",
            Self::Act(_) => "POST",
            Self::Both(..) => "GET, POST",
        }
    }

    /// The paths of what there is to be told, but for those of one session.
    pub(crate) fn looks() -> impl Iterator<Item = &'static str> {
        let looks = FIXED.iter().filter(|(_, route)| route.look().is_some());
        looks.map(|(path, _)| *path)
    }

    /// `ID`, `ID/kick` or `ID/capture`.
    fn of_session(rest: &str) -> Option<Self> {
        let (id, what) = rest.split_once('/').map_or((rest, None), |(id, what)| (id, Some(what)));
        let id = session_id(id)?;
        match what {
            None => Some(Self::Look(Look::Session(id))),
            Some("kick") => Some(Self::Act(Act::Change(Change::Kick(id)))),
            Some("capture") => {
                Some(Self::Both(Look::Capture(id), Act::Change(Change::Capture(id))))
            }
            Some(_) => None,
        }
    }
}

/// An id in decimal, as it is told.
pub(crate) fn session_id(text: &str) -> Option<SessionId> {
    // A plus sign is no digit, and would be taken; so would zeros, and one session had many names.
    let is_number = text.bytes().all(|byte| byte.is_ascii_digit())
        && (text.len() == 1 || !text.starts_with('0'));
    text.parse().ok().filter(|_| is_number).map(SessionId::from_u64)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn a_session_has_an_id_of_digits_and_nothing_near_it_is_one() {
        let id = SessionId::from_u64(u64::MAX);
        let path = "/api/v1/sessions/18446744073709551615";
        assert_eq!(Route::of(path), Some(Route::Look(Look::Session(id))));
        assert_eq!(
            Route::of(&format!("{path}/kick")),
            Some(Route::Act(Act::Change(Change::Kick(id))))
        );
        let capture = Route::Both(Look::Capture(id), Act::Change(Change::Capture(id)));
        assert_eq!(Route::of(&format!("{path}/capture")), Some(capture));
        for nothing in [
            "/api/v1/sessions/",
            "/api/v1/sessions//kick",
            "/api/v1/sessions/kick",
            "/api/v1/sessions/+1",
            "/api/v1/sessions/01",
            "/api/v1/sessions/00",
            "/api/v1/sessions/-1",
            "/api/v1/sessions/0-17-3",
            "/api/v1/sessions/%31",
            "/api/v1/sessions/1/",
            "/api/v1/sessions/1/kick/",
            "/api/v1/sessions/1/kick/kick",
            "/api/v1/sessions/1/kick/capture",
            "/api/v1/sessions//capture",
            "/api/v1/sessions/01/capture",
            "/api/v1/sessions/1/capture/",
            "/api/v1/sessions/1/Capture",
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
        assert!(Route::of("/api/v1/sessions/0").is_some());
    }

    #[test]
    fn the_description_has_every_route_and_no_other() {
        let description: serde_json::Value =
            serde_json::from_str(crate::routes::OPENAPI).unwrap_or_else(|error| panic!("{error}"));
        let described = description["paths"].as_object().into_iter().flatten();
        let described: BTreeSet<_> = described
            .flat_map(|(path, item)| {
                let methods = item.as_object().into_iter().flatten();
                methods.map(move |(method, _)| (path.clone(), method.clone()))
            })
            .collect();
        let of_session = ["", "/kick", "/capture"].map(|rest| {
            let route = Route::of(&format!("{SESSION}1{rest}")).unwrap_or_else(|| panic!("{rest}"));
            (format!("{SESSION}{{id}}{rest}"), route)
        });
        let fixed = FIXED.into_iter().map(|(path, route)| (path.to_owned(), route));
        let known: BTreeSet<_> = fixed
            .chain(of_session)
            .flat_map(|(path, route)| {
                route.methods().split(", ").map(move |method| (path.clone(), method.to_lowercase()))
            })
            .collect();
        assert_eq!(described, known);
    }
}
