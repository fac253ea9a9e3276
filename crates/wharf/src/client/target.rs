//! What a client connects to.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use wharf_port::Address;

use super::endpoint::{Endpoint, NoEndpoint};
use super::failure::TargetError;
use super::reconnect::Reconnect;
use crate::framing::FrameError;
use crate::heartbeat::{Heartbeat, HeartbeatTerms};
use crate::shared_frame::SharedFrame;

/// What a [`Client`](crate::Client), or a server that has something to ask of another, connects to.
///
/// A name with several addresses has them tried as RFC 8305 says ("happy eyeballs"): IPv6 and IPv4 in
/// turn, the next one after 250 ms or when one has failed, and the first that answers is kept.
///
/// ```
/// use std::time::Duration;
/// use wharf::{Reconnect, Target};
///
/// let target = Target::new("chat.example:7777")
///     .timeout(Duration::from_secs(3))
///     .reconnect(Reconnect::default())
///     .tag(7);
/// ```
#[derive(Clone, Debug)]
pub struct Target {
    address: String,
    tag: u64,
    timeout: Duration,
    reconnect: Option<Reconnect>,
    bind: Option<SocketAddr>,
    heartbeat: Option<HeartbeatTerms>,
    idle: Option<Option<Duration>>,
}

impl Target {
    /// A target at `IP:PORT`, `[IPv6]:PORT`, `NAME:PORT`, or a Unix socket: `unix:/path`, on Linux also
    /// `unix:@name`. It is connected once, with ten seconds' patience; what ends is not connected again.
    pub fn new(address: impl Into<String>) -> Self {
        Self {
            address: address.into(),
            tag: 0,
            timeout: Duration::from_secs(10),
            reconnect: None,
            bind: None,
            heartbeat: None,
            idle: None,
        }
    }

    /// A number of your own, for the factory and for failures; default 0.
    #[must_use]
    pub const fn tag(mut self, tag: u64) -> Self {
        self.tag = tag;
        self
    }

    /// How long an attempt may take, its name being looked up included: more than 0; default 10 s.
    #[must_use]
    pub const fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Connects it again, when an attempt fails and when its session ends, for whatever reason but the
    /// end of the server; default not.
    #[must_use]
    pub const fn reconnect(mut self, reconnect: Reconnect) -> Self {
        self.reconnect = Some(reconnect);
        self
    }

    /// The local address to connect from, and so the family: other addresses of a name are left out.
    /// Default [`SocketOptions::bind`](crate::SocketOptions).
    #[must_use]
    pub const fn bind(mut self, local: SocketAddr) -> Self {
        self.bind = Some(local);
        self
    }

    /// Sends this frame whenever nothing else has been sent to it for so long; default what
    /// [`Server::heartbeat`](crate::Server::heartbeat) says.
    #[must_use]
    pub fn heartbeat(mut self, every: Duration, payload: &[u8]) -> Self {
        self.heartbeat = Some(HeartbeatTerms { every, payload: payload.into() });
        self
    }

    /// How long nothing may be received from it, or `None` for any time; default
    /// [`Limits::idle`](crate::Limits::idle). Beyond it the session closes with
    /// [`CloseReason::Idle`](crate::CloseReason::Idle), and is connected again if the target is.
    #[must_use]
    pub const fn idle(mut self, idle: Option<Duration>) -> Self {
        self.idle = Some(idle);
        self
    }

    /// Checks everything that can be checked without connecting.
    pub(crate) fn check(
        self,
        encode: impl Fn(&[u8]) -> Result<SharedFrame, FrameError>,
    ) -> Result<Destination, TargetError> {
        let endpoint = match Endpoint::parse(&self.address) {
            Ok(endpoint) => endpoint,
            Err(NoEndpoint::Unknown) => return Err(TargetError::Address(self.address)),
            Err(NoEndpoint::Unix(problem)) => return Err(problem.into()),
        };
        let heartbeat = self.heartbeat.as_ref().map(|terms| terms.check(encode)).transpose();
        let problem = if endpoint.port() == Some(0) {
            Some("port is 0: 1 to 65,535".to_owned())
        } else if endpoint.port().is_none() && self.bind.is_some() {
            Some("bind is an IP address, and a Unix socket has none: leave it out".to_owned())
        } else if self.timeout.is_zero() {
            Some("timeout is 0: any longer time".to_owned())
        } else if self.idle == Some(Some(Duration::ZERO)) {
            Some("idle is 0: any longer time, or None".to_owned())
        } else if let Err(problem) = &heartbeat {
            Some(problem.to_string())
        } else {
            self.reconnect.and_then(|reconnect| reconnect.problem())
        };
        if let Some(problem) = problem {
            return Err(TargetError::Options { address: self.address, problem });
        }
        let Self { address, tag, timeout, reconnect, bind, idle, .. } = self;
        // What is wrong with it has been said.
        let heartbeat = heartbeat.unwrap_or_default();
        let text = address.into();
        Ok(Destination { text, endpoint, tag, timeout, reconnect, bind, heartbeat, idle })
    }
}

impl From<&str> for Target {
    fn from(address: &str) -> Self {
        Self::new(address)
    }
}

impl From<String> for Target {
    fn from(address: String) -> Self {
        Self::new(address)
    }
}

impl From<&Address> for Target {
    fn from(address: &Address) -> Self {
        Self::new(address.to_string())
    }
}

impl From<Address> for Target {
    fn from(address: Address) -> Self {
        Self::from(&address)
    }
}

impl From<SocketAddr> for Target {
    fn from(address: SocketAddr) -> Self {
        Self::new(address.to_string())
    }
}

/// A target whose options have been checked.
#[derive(Clone, Debug)]
pub(crate) struct Destination {
    /// As the user has written it.
    pub(crate) text: Arc<str>,
    pub(crate) endpoint: Endpoint,
    pub(crate) tag: u64,
    pub(crate) timeout: Duration,
    pub(crate) reconnect: Option<Reconnect>,
    pub(crate) bind: Option<SocketAddr>,
    /// In place of its server's.
    pub(crate) heartbeat: Option<Heartbeat>,
    /// In place of its server's.
    pub(crate) idle: Option<Option<Duration>>,
}
