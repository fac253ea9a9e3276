//! What `wharf serve` is asked for.

use std::time::Duration;

use tracing_subscriber::filter::LevelFilter;
use wharf::{Backend, Framing, Limits, ListenOptions, Server};

use super::activation::Handed;
use super::admin::AdminPlace;
use super::capture::CapturePlace;
use super::peers::Peers;
use crate::args::Listen;

/// The options of `wharf serve`; they have been checked.
#[derive(Debug)]
pub(crate) struct ServeOptions {
    /// At least one.
    pub(crate) listen: Vec<Listen>,
    pub(crate) workers: Option<usize>,
    pub(crate) pin: bool,
    pub(crate) spin: Duration,
    pub(crate) backend: Backend,
    pub(crate) framing: Framing,
    pub(crate) limits: Limits,
    pub(crate) sockets: ListenOptions,
    pub(crate) peers: Peers,
    pub(crate) admin: Option<AdminPlace>,
    pub(crate) capture: Option<CapturePlace>,
    pub(crate) log: LevelFilter,
    pub(crate) farewell: Option<String>,
}

impl ServeOptions {
    /// The server that they describe, on listeners that were handed over if there are any.
    pub(super) fn server(&self, handed: &Handed) -> Server {
        let server = handed
            .server_or(&self.listen)
            .framing(self.framing.clone())
            .limits(self.limits.clone())
            .socket_options(self.sockets.accepted.clone())
            .dual_stack(self.sockets.dual_stack)
            .backlog(self.sockets.backlog)
            .pin_workers(self.pin)
            .spin(self.spin)
            .proxies(self.peers.proxies.iter().copied())
            .unix_proxies(self.peers.unix_proxies)
            .backend(self.backend);
        let server = match &self.farewell {
            Some(farewell) => server.farewell(farewell.as_bytes()),
            None => server,
        };
        let server = if self.peers.are_limited() {
            let peers = self.peers.clone();
            server.accept_filter(move |incoming| peers.verdict(&incoming.peer))
        } else {
            server
        };
        let server = match &self.capture {
            Some(capture) => server.capture(capture.options.clone()),
            None => server,
        };
        let server = match self.sockets.unix_mode {
            Some(mode) => server.unix_mode(mode),
            None => server,
        };
        match self.workers {
            Some(workers) => server.workers(workers),
            None => server,
        }
    }
}
