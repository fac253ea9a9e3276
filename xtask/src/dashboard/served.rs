//! A server with an endpoint that is always at the same address, and what it says itself of what the page shows.

use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::time::Duration;

use serde_json::Value;
use ureq::Agent;

use crate::server::{Server, Signal, serve};
use crate::{Result, wait};

/// How long the server may take until something is so.
const SERVER_MAX: Duration = Duration::from_secs(20);

/// `wharf serve` with `--admin`.
#[derive(Debug)]
pub(super) struct Served {
    pub(super) server: Server,
    mode: &'static str,
    admin: SocketAddr,
}

impl Served {
    /// Starts one, with more flags, at an address that was free just now.
    pub(super) fn start(wharf: &Path, mode: &'static str, flags: &str) -> Result<Self> {
        let admin = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
        Self::start_at(wharf, mode, admin, flags)
    }

    fn start_at(wharf: &Path, mode: &'static str, admin: SocketAddr, flags: &str) -> Result<Self> {
        let flags = format!("--workers 2 --admin {admin} {flags}");
        let server = Server::start(&mut serve(wharf, mode, &flags))?;
        Ok(Self { server, mode, admin })
    }

    /// Ends it, and gives what starts one in its place.
    pub(super) fn stop(self) -> Result<impl FnOnce(&Path) -> Result<Self>> {
        let Self { server, mode, admin } = self;
        server.stop(Signal::Terminate)?;
        Ok(move |wharf: &Path| Self::start_at(wharf, mode, admin, ""))
    }

    /// The page.
    pub(super) fn url(&self) -> String {
        format!("http://{}/", self.admin)
    }

    /// What it says of itself.
    pub(super) fn says(&self) -> Result<Value> {
        let config = Agent::config_builder().proxy(None).timeout_global(Some(SERVER_MAX)).build();
        let answer = config.new_agent().get(format!("{}api/v1/server", self.url())).call();
        Ok(serde_json::from_str(&answer?.body_mut().read_to_string()?)?)
    }

    /// Waits until it says so.
    pub(super) fn until(&self, what: &str, holds: impl Fn(&Value) -> bool) -> Result<()> {
        let mut last = Ok(Value::Null);
        let is_so = wait::until(SERVER_MAX, || {
            last = self.says();
            last.as_ref().is_ok_and(&holds).then_some(())
        });
        is_so.ok_or_else(|| format!("{what} is not what the server says: {last:?}").into())
    }
}
