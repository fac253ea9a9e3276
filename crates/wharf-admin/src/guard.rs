//! Who is answered at all. Everything here is decided before a route is looked at.

use std::net::{IpAddr, SocketAddr};

use hyper::header::{AUTHORIZATION, HOST, HeaderMap, HeaderName, ORIGIN};
use hyper::http::uri::Authority;
use hyper::{Request, StatusCode};
use subtle::ConstantTimeEq;

use crate::options::AdminOptions;

/// The header that a change needs.
static CHANGE: HeaderName = HeaderName::from_static("x-wharf-admin");

/// Why a request is not answered: a status, and a line for people.
pub(crate) type Refusal = (StatusCode, &'static str);

/// What the requests of one endpoint must have.
#[derive(Debug)]
pub(crate) struct Guard {
    /// Where it really listens; nothing on a Unix socket.
    address: Option<SocketAddr>,
    hosts: Vec<String>,
    /// The whole value of the header.
    authorization: Option<String>,
}

impl Guard {
    pub(crate) fn new(options: &AdminOptions, address: Option<SocketAddr>) -> Self {
        let authorization = options.token.as_ref().map(|token| format!("Bearer {token}"));
        Self { address, hosts: options.hosts.clone(), authorization }
    }

    /// Whether a request was meant for this endpoint, and comes from no page of somebody else's: to be asked
    /// first, and of every request.
    pub(crate) fn check_site<B>(&self, request: &Request<B>) -> Result<(), Refusal> {
        self.check_host(request)?;
        self.check_origin(request.headers())
    }

    /// Whether a request has the token, if there is one: to be asked before it is said what there is, so that who
    /// has none learns nothing.
    pub(crate) fn check_token(&self, headers: &HeaderMap) -> Result<(), Refusal> {
        let Some(wanted) = &self.authorization else { return Ok(()) };
        let given = one(headers, &AUTHORIZATION)?.unwrap_or_default();
        // What is told by the time is whether the lengths are the same.
        let is_right = bool::from(given.as_bytes().ct_eq(wanted.as_bytes()));
        is_right.then_some(()).ok_or((StatusCode::UNAUTHORIZED, "a token is needed"))
    }

    /// Whether a request that was let through may change something. A page of another site can have a browser
    /// send a `POST`, even one without an `Origin`; but not a header of its own choice, unless it was allowed
    /// to, and no answer here allows that.
    pub(crate) fn check_change(&self, headers: &HeaderMap) -> Result<(), Refusal> {
        let is_meant = one(headers, &CHANGE)? == Some("1");
        is_meant.then_some(()).ok_or((StatusCode::FORBIDDEN, "a change needs X-Wharf-Admin: 1"))
    }

    /// A page of somebody else's, whose name has come to mean this machine, still calls us by that name.
    fn check_host<B>(&self, request: &Request<B>) -> Result<(), Refusal> {
        let host = one(request.headers(), &HOST)?;
        let host = host.ok_or((StatusCode::BAD_REQUEST, "a request has one Host"))?;
        let in_target = request.uri().authority();
        let by_header = host.parse().is_ok_and(|host: Authority| self.is_own(&host));
        if by_header && in_target.is_none_or(|authority| self.is_own(authority)) {
            return Ok(());
        }
        Err((StatusCode::MISDIRECTED_REQUEST, "this is not the host that was asked for"))
    }

    /// Only browsers send an `Origin`, and those of our own pages have ours. None speaks to a Unix socket, unless
    /// something forwards a port to it: then it is the `Host` that it has asked for.
    fn check_origin(&self, headers: &HeaderMap) -> Result<(), Refusal> {
        let Some(origin) = one(headers, &ORIGIN)? else { return Ok(()) };
        let authority = origin.strip_prefix("http://").and_then(|it| it.parse().ok());
        let is_own = authority.is_some_and(|it: Authority| {
            self.is_own(&it) && it.port_u16().unwrap_or(80) == self.port_of(headers)
        });
        is_own.then_some(()).ok_or((StatusCode::FORBIDDEN, "another site's page is not answered"))
    }

    /// The port at which a request finds this endpoint. A `Host` that cannot be read has been refused before.
    fn port_of(&self, headers: &HeaderMap) -> u16 {
        let by_host = || {
            let host = headers.get(HOST)?.to_str().ok()?;
            host.parse::<Authority>().ok()?.port_u16()
        };
        self.address.map_or_else(|| by_host().unwrap_or(80), |address| address.port())
    }

    fn is_own(&self, authority: &Authority) -> bool {
        // Who could read `user@` as the host is not to be led astray.
        if authority.as_str().contains('@') {
            return false;
        }
        let host = authority.host();
        let bare = host.strip_prefix('[').and_then(|it| it.strip_suffix(']')).unwrap_or(host);
        match bare.parse::<IpAddr>() {
            // A name can be rebound, an address cannot.
            Ok(ip) => ip.is_loopback() || self.address.is_some_and(|address| ip == address.ip()),
            Err(_) => {
                let is_host = |own: &str| own.eq_ignore_ascii_case(host);
                is_host("localhost") || self.hosts.iter().any(|own| is_host(own))
            }
        }
    }
}

/// The value of a header that comes once at most, and is text.
fn one<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Result<Option<&'a str>, Refusal> {
    let mut values = headers.get_all(name).iter();
    let first = values.next().map(|value| value.to_str()).transpose();
    match (first, values.next()) {
        (Ok(first), None) => Ok(first),
        _ => Err((StatusCode::BAD_REQUEST, "a header comes twice, or is no text")),
    }
}

#[cfg(test)]
mod tests {
    use hyper::header::HeaderValue;

    use super::*;

    const TOKEN: &str = "0123456789abcdef";

    fn checked(token: bool, target: &str, headers: &[(&str, &str)]) -> Option<u16> {
        let mut options = AdminOptions::new(([127, 0, 0, 1], 7778).into());
        options.token = token.then(|| TOKEN.to_owned());
        options.hosts = vec!["ops.example".to_owned()];
        let guard = Guard::new(&options, Some(([10, 1, 2, 3], 7778).into()));
        let request = Request::get(target);
        let request =
            headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
        let request = request.body(()).unwrap_or_else(|error| panic!("{error}"));
        let checked = guard.check_site(&request);
        let checked = checked.and_then(|()| guard.check_token(request.headers()));
        checked.err().map(|(status, _)| status.as_u16())
    }

    #[test]
    fn only_own_hosts_are_answered() {
        let own = [
            "127.0.0.1",
            "127.0.0.1:7778",
            "localhost:1",
            "LocalHost",
            "[::1]:7778",
            "10.1.2.3",
            "Ops.Example:80",
        ];
        for host in own {
            assert_eq!(checked(false, "/", &[("host", host)]), None, "{host}");
        }
        let foreign = [
            "evil.example",
            "localhost.evil.example",
            "10.1.2.4",
            "",
            "localhost@evil.example",
            "evil@localhost",
            "::1",
            "a b",
        ];
        for host in foreign {
            assert_eq!(checked(false, "/", &[("host", host)]), Some(421), "{host}");
        }
        assert_eq!(checked(false, "/", &[]), Some(400));
        assert_eq!(checked(false, "/", &[("host", "localhost"), ("host", "localhost")]), Some(400));
        let absolute = |target| checked(false, target, &[("host", "localhost")]);
        assert_eq!(absolute("http://evil.example/metrics"), Some(421));
        assert_eq!(absolute("http://localhost/metrics"), None);
    }

    #[test]
    fn a_change_is_asked_for_by_a_header_that_no_foreign_page_can_send() {
        let address = ([127, 0, 0, 1], 7778).into();
        let guard = Guard::new(&AdminOptions::new(address), Some(address));
        let refused = |values: &[&'static str]| {
            let value = |value: &&'static str| (CHANGE.clone(), HeaderValue::from_static(value));
            let headers: HeaderMap = values.iter().map(value).collect();
            guard.check_change(&headers).err().map(|(status, _)| status.as_u16())
        };
        assert_eq!(refused(&["1"]), None);
        for wrong in [&[][..], &[""], &["0"], &["true"], &["1 "], &["1, 1"]] {
            assert_eq!(refused(wrong), Some(403), "{wrong:?}");
        }
    }

    #[test]
    fn pages_of_others_are_not_answered() {
        let with = |origin| checked(false, "/", &[("host", "localhost"), ("origin", origin)]);
        assert_eq!(with("http://localhost:7778"), None);
        for origin in [
            "null",
            "http://evil.example",
            "https://localhost:7778",
            "http://localhost:8080",
            "http://localhost",
            "",
        ] {
            assert_eq!(with(origin), Some(403), "{origin}");
        }
    }

    #[test]
    fn on_a_unix_socket_a_page_is_our_own_if_it_came_from_the_host_that_it_asks() {
        let address = "unix:/run/admin".parse().unwrap_or_else(|_| panic!());
        let guard = Guard::new(&AdminOptions::at(address), None);
        let checked = |host: &str, origin: Option<&str>| {
            let request = Request::get("/").header("host", host);
            let request =
                origin.into_iter().fold(request, |it, origin| it.header("origin", origin));
            let request = request.body(()).unwrap_or_else(|error| panic!("{error}"));
            guard.check_site(&request).err().map(|(status, _)| status.as_u16())
        };
        assert_eq!((checked("localhost", None), checked("127.0.0.1:9", None)), (None, None));
        assert_eq!(checked("evil.example", None), Some(421));
        assert_eq!(checked("localhost:9", Some("http://localhost:9")), None);
        assert_eq!(checked("localhost", Some("http://localhost")), None);
        for foreign in ["http://localhost:8", "http://localhost", "null", "http://evil.example:9"] {
            assert_eq!(checked("localhost:9", Some(foreign)), Some(403), "{foreign}");
        }
    }

    #[test]
    fn a_token_is_asked_for_and_nothing_near_it_is_taken() {
        let with =
            |value: &str| checked(true, "/", &[("host", "localhost"), ("authorization", value)]);
        assert_eq!(with("Bearer 0123456789abcdef"), None);
        assert_eq!(checked(true, "/", &[("host", "localhost")]), Some(401));
        for wrong in [
            "Bearer 0123456789abcdeX",
            "Bearer 0123456789abcde",
            "Bearer 0123456789abcdef0",
            TOKEN,
            "Basic 0123456789abcdef",
            "",
        ] {
            assert_eq!(with(wrong), Some(401), "{wrong}");
        }
    }
}
