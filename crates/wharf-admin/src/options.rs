//! How the endpoint is set up.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use thiserror::Error;
use wharf::Address;

/// The shortest token: what is shorter can be tried.
const TOKEN_BYTES_MIN: usize = 16;

/// How the endpoint is set up.
#[derive(Clone)]
#[non_exhaustive]
pub struct AdminOptions {
    /// Where it listens; port 0 is any that is free. Whatever others than users of this machine may reach needs
    /// a token, and so does a Unix socket without a file, which has no permissions. The file of a Unix socket is
    /// for the user of this process alone (mode 600); there are none on Windows.
    pub listen: Address,
    /// What a request must bring as `Authorization: Bearer TOKEN`: 16 bytes at least, visible ASCII. `None`
    /// (the default): nothing.
    pub token: Option<String>,
    /// Names by which the endpoint may be called (the `Host` of a request, without a port), besides `localhost`,
    /// IP addresses of loopback and that of `listen`; any IP address if `listen` is all of them (`0.0.0.0`, `::`).
    /// None by default.
    pub hosts: Vec<String>,
    /// Whether what sessions receive and send is [captured](wharf::capture) and given on request, to whoever may ask at
    /// all: who watches, too. Not by default. It needs a token or the file of a Unix socket, and a server that is
    /// [set up](wharf::Server::capture) for it.
    pub captures: bool,
    /// How long a worker may take to answer before it counts as held up, and how long a request waits for its turn
    /// to ask, of which four are under way at a time. One second by default.
    pub worker_patience: Duration,
    /// What is done when the endpoint is told to drain the server, in place of
    /// [`ServerHandle::drain`](wharf::ServerHandle::drain): for a program that has more to end than its
    /// server. It is called on the endpoint's thread, after the answer has been sent, and must not block.
    /// `None` by default.
    pub drain: Option<Arc<dyn Fn() + Send + Sync>>,
}

/// What drains the server, if it is not the server itself.
#[derive(Clone)]
pub(crate) struct DrainHook(pub(crate) Option<Arc<dyn Fn() + Send + Sync>>);

impl fmt::Debug for DrainHook {
    /// Whether there is one.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("DrainHook").field(&self.0.is_some()).finish()
    }
}

impl AdminOptions {
    /// An endpoint at this address, without a token.
    pub fn new(listen: SocketAddr) -> Self {
        Self::at(listen.into())
    }

    /// The same at any address: of TCP, or a Unix socket.
    pub const fn at(listen: Address) -> Self {
        let worker_patience = Duration::from_secs(1);
        Self {
            listen,
            token: None,
            hosts: Vec::new(),
            captures: false,
            worker_patience,
            drain: None,
        }
    }

    /// Whether an endpoint can be set up so; [`Admin::start`](crate::Admin::start) asks the same.
    ///
    /// # Errors
    /// [`AdminOptionsError`], which says what is wrong.
    pub fn check(&self) -> Result<(), AdminOptionsError> {
        if cfg!(not(unix)) && self.listen.is_unix() {
            return Err(AdminOptionsError::NoUnixSockets(self.listen.clone()));
        }
        let Some(token) = &self.token else {
            return match &self.listen {
                Address::Tcp(address) if address.ip().is_loopback() => Ok(()),
                Address::Unix(socket) if socket.path_bytes().is_some() => Ok(()),
                Address::Unix(_) => Err(AdminOptionsError::NameNeedsToken(self.listen.clone())),
                Address::Tcp(_) => Err(AdminOptionsError::NeedsToken(self.listen.clone())),
            };
        };
        if token.len() < TOKEN_BYTES_MIN {
            return Err(AdminOptionsError::ShortToken);
        }
        let is_visible = token.bytes().all(|byte| byte.is_ascii_graphic());
        is_visible.then_some(()).ok_or(AdminOptionsError::OddToken)
    }
}

impl fmt::Debug for AdminOptions {
    /// Without the token.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AdminOptions")
            .field("listen", &self.listen)
            .field("has_token", &self.token.is_some())
            .field("hosts", &self.hosts)
            .field("captures", &self.captures)
            .field("worker_patience", &self.worker_patience)
            .field("has_drain", &self.drain.is_some())
            .finish()
    }
}

/// Why these options are not taken.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
#[non_exhaustive]
pub enum AdminOptionsError {
    /// Everybody who reaches the address could look.
    #[error("an admin endpoint on {0} needs a token, since it is no loopback address")]
    NeedsToken(Address),
    /// Every user of the machine could look.
    #[error(
        "an admin endpoint on {0} needs a token, since a name has no permissions as a file has"
    )]
    NameNeedsToken(Address),
    /// This system has none.
    #[error(
        "an admin endpoint on {0} is not to be had, since there are no Unix sockets here: use 127.0.0.1:PORT"
    )]
    NoUnixSockets(Address),
    /// The token can be guessed.
    #[error(
        "the token of the admin endpoint is too short: give it {TOKEN_BYTES_MIN} bytes or more"
    )]
    ShortToken,
    /// The token cannot stand in a header.
    #[error("the token of the admin endpoint has bytes other than visible ASCII")]
    OddToken,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(listen: &str, token: Option<&str>) -> Result<(), AdminOptionsError> {
        let mut options = AdminOptions::at(listen.parse().unwrap_or_else(|_| panic!("{listen}")));
        options.token = token.map(str::to_owned);
        options.check()
    }

    #[test]
    fn what_is_no_loopback_address_needs_a_token() {
        for loopback in ["127.0.0.1:0", "127.9.9.9:1", "[::1]:9"] {
            assert_eq!(check(loopback, None), Ok(()), "{loopback}");
        }
        for open in ["0.0.0.0:1", "[::]:1", "10.0.0.1:1", "[::ffff:10.0.0.1]:1"] {
            let needs = AdminOptionsError::NeedsToken(open.parse().unwrap_or_else(|_| panic!()));
            assert_eq!(check(open, None), Err(needs), "{open}");
            assert_eq!(check(open, Some("0123456789abcdef")), Ok(()), "{open}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_file_is_for_its_owner_and_a_name_for_everybody() {
        assert_eq!(check("unix:/run/admin.sock", None), Ok(()));
        assert_eq!(check("unix:relative", Some("short")), Err(AdminOptionsError::ShortToken));
        let named = "unix:@admin".parse().unwrap_or_else(|_| panic!());
        assert_eq!(check("unix:@admin", None), Err(AdminOptionsError::NameNeedsToken(named)));
        assert_eq!(check("unix:@admin", Some("0123456789abcdef")), Ok(()));
    }

    #[test]
    fn a_token_is_long_enough_and_fits_into_a_header() {
        let on_loopback = |token| check("127.0.0.1:0", Some(token));
        assert_eq!(on_loopback("0123456789abcde"), Err(AdminOptionsError::ShortToken));
        for odd in ["0123456789abcdef\n", "0123456789 abcdef", "0123456789abcdefé"] {
            assert_eq!(on_loopback(odd), Err(AdminOptionsError::OddToken), "{odd:?}");
        }
    }

    #[test]
    fn the_token_is_not_shown() {
        let mut options = AdminOptions::new(([127, 0, 0, 1], 0).into());
        options.token = Some("0123456789abcdef".to_owned());
        assert!(!format!("{options:?}").contains("0123"), "{options:?}");
    }
}
