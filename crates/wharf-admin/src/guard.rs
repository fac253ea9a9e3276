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
    /// Captures are given at all.
    captures: bool,
}

impl Guard {
    pub(crate) fn new(options: &AdminOptions, address: Option<SocketAddr>) -> Self {
        let authorization = options.token.as_ref().map(|token| format!("Bearer {token}"));
        Self { address, hosts: options.hosts.clone(), authorization, captures: options.captures }
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

    /// Whether captures are given, to those who may have them.
    pub(crate) const fn gives_captures(&self) -> bool {
        self.captures
    }

    /// Whether those who are let through are more than users of this machine: there is a token, or a file with
    /// permissions, which a Unix socket without a token is.
    pub(crate) const fn is_private(&self) -> bool {
        self.authorization.is_some() || self.address.is_none()
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
        let by_header = host.parse().is_ok_and(|host: Authority| self.may_be_called(&host));
        if by_header && in_target.is_none_or(|authority| self.may_be_called(authority)) {
            return Ok(());
        }
        let line = "this is not the host that was asked for: ask by its address, or by a name that it was given";
        Err((StatusCode::MISDIRECTED_REQUEST, line))
    }

    /// Only browsers send an `Origin`, and those of our own pages have ours: where this endpoint listens, or the host
    /// and port that were asked, where something stands between that encrypts, or forwards a port. Those are ours, too:
    /// the `Host` has been checked, and no page chooses it.
    fn check_origin(&self, headers: &HeaderMap) -> Result<(), Refusal> {
        let Some(origin) = one(headers, &ORIGIN)? else { return Ok(()) };
        let asked = one(headers, &HOST)?.and_then(|host| host.parse::<Authority>().ok());
        let is_own = page(origin).is_some_and(|(it, port)| {
            let is_asked = asked.as_ref().is_some_and(|asked| is_same(&it, asked, port));
            is_asked || self.is_at_our_port(&it, origin) && self.is_own(&it)
        });
        is_own.then_some(()).ok_or((StatusCode::FORBIDDEN, "another site's page is not answered"))
    }

    /// Whether a page was got where this endpoint listens, which does not encrypt.
    fn is_at_our_port(&self, page: &Authority, origin: &str) -> bool {
        let port = page.port_u16().unwrap_or(80);
        origin.starts_with("http://") && self.address.is_some_and(|address| address.port() == port)
    }

    /// Whether a request may call this endpoint so.
    fn may_be_called(&self, authority: &Authority) -> bool {
        // Which addresses the machine has is not known here, and need not be: none can be rebound.
        let is_any = self.address.is_some_and(|it| it.ip().to_canonical().is_unspecified());
        self.is_own(authority) || is_any && ip_of(authority).is_some()
    }

    /// Whether this is a name or an address that is known to be this endpoint's.
    fn is_own(&self, authority: &Authority) -> bool {
        match ip_of(authority) {
            // A name can be rebound, an address cannot.
            Some(ip) => ip.is_loopback() || self.address.is_some_and(|address| ip == address.ip()),
            None => {
                let is_host = |own: &str| own.eq_ignore_ascii_case(authority.host());
                let is_known = is_host("localhost") || self.hosts.iter().any(|own| is_host(own));
                is_known && has_no_user(authority)
            }
        }
    }
}

/// Where a page comes from, and the port that is meant where none is told.
fn page(origin: &str) -> Option<(Authority, u16)> {
    let (scheme, authority) = origin.split_once("://")?;
    let port = match scheme {
        "http" => 80,
        "https" => 443,
        _ => return None,
    };
    let authority = authority.parse().ok().filter(has_no_user)?;
    Some((authority, port))
}

/// Whether two authorities are one host and port; `port` is meant where none is told.
fn is_same(one: &Authority, other: &Authority, port: u16) -> bool {
    let port_of = |it: &Authority| it.port_u16().unwrap_or(port);
    one.host().eq_ignore_ascii_case(other.host()) && port_of(one) == port_of(other)
}

/// The address that an authority is, if it is one and nothing else.
fn ip_of(authority: &Authority) -> Option<IpAddr> {
    let host = authority.host();
    let bare = host.strip_prefix('[').and_then(|it| it.strip_suffix(']')).unwrap_or(host);
    bare.parse().ok().filter(|_| has_no_user(authority))
}

/// Who could read `user@` as the host is not to be led astray.
fn has_no_user(authority: &Authority) -> bool {
    !authority.as_str().contains('@')
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

    /// What an endpoint on all addresses says to a request.
    fn checked_anywhere(listen: &str, headers: &[(&str, &str)]) -> Option<u16> {
        let address: SocketAddr = listen.parse().unwrap_or_else(|_| panic!("{listen}"));
        let mut options = AdminOptions::new(address);
        options.hosts = vec!["ops.example".to_owned()];
        let guard = Guard::new(&options, Some(address));
        let request = Request::get("/");
        let request = headers.iter().fold(request, |it, (name, value)| it.header(*name, *value));
        let request = request.body(()).unwrap_or_else(|error| panic!("{error}"));
        guard.check_site(&request).err().map(|(status, _)| status.as_u16())
    }

    #[test]
    fn on_all_addresses_any_address_is_its_host_and_names_are_not() {
        for listen in ["0.0.0.0:7779", "[::]:7779", "[::ffff:0.0.0.0]:7779"] {
            let host = |host| checked_anywhere(listen, &[("host", host)]);
            for own in ["192.168.1.5:7779", "[2001:db8::5]:7779", "127.0.0.1", "Ops.Example:80"] {
                assert_eq!(host(own), None, "{listen}: {own}");
            }
            for foreign in ["evil.example", "evil@192.168.1.5", "192.168.1.5.evil.example", ""] {
                assert_eq!(host(foreign), Some(421), "{listen}: {foreign}");
            }
            assert_eq!(host("192.168.1"), Some(421), "a name for some, and no address");
        }
    }

    #[test]
    fn on_all_addresses_a_page_is_our_own_if_it_came_from_the_address_that_it_asks() {
        let from = |origin| {
            let headers = [("host", "192.168.1.5:7779"), ("origin", origin)];
            checked_anywhere("0.0.0.0:7779", &headers)
        };
        assert_eq!(from("http://192.168.1.5:7779"), None);
        assert_eq!(from("http://localhost:7779"), None);
        for foreign in [
            "http://203.0.113.5:7779",
            "http://192.168.1.5",
            "https://192.168.1.5",
            "http://evil@192.168.1.5:7779",
            "http://evil.example:7779",
        ] {
            assert_eq!(from(foreign), Some(403), "{foreign}");
        }
        // An address that it asks by is no name that it comes from.
        let named = [("host", "ops.example:7779"), ("origin", "http://192.168.1.5:7779")];
        assert_eq!(checked_anywhere("0.0.0.0:7779", &named), Some(403));
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
            "ftp://localhost",
            "http://evil@localhost",
            "",
        ] {
            assert_eq!(with(origin), Some(403), "{origin}");
        }
    }

    #[test]
    fn a_page_that_came_through_something_between_is_our_own() {
        let with = |host, origin| checked(false, "/", &[("host", host), ("origin", origin)]);
        // What encrypts hands on the name that it was asked by.
        assert_eq!(with("ops.example", "https://ops.example"), None);
        assert_eq!(with("Ops.Example:8443", "https://ops.example:8443"), None);
        // A port that is forwarded.
        assert_eq!(with("localhost:8080", "http://localhost:8080"), None);
        assert_eq!(with("localhost", "http://localhost"), None);
        for (host, origin) in [
            ("ops.example", "https://ops.example:8443"),
            ("ops.example:7778", "http://ops.example"),
            ("ops.example", "https://evil.example"),
            ("localhost:8080", "http://127.0.0.1:8080"),
        ] {
            assert_eq!(with(host, origin), Some(403), "{origin} at {host}");
        }
        assert_eq!(with("evil.example", "https://evil.example"), Some(421));
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
