//! Listeners that a service manager has opened before it started this process: socket activation, as systemd
//! has it. They take the place of `--listen`.

#[cfg(unix)]
use listenfd::ListenFd;
#[cfg(unix)]
use wharf::ReadyListener;
use wharf::Server;

use crate::args::Listen;
#[cfg(unix)]
use crate::failure::Exit;
use crate::failure::Failure;

/// What says how many there are.
#[cfg(unix)]
const COUNT: &str = "LISTEN_FDS";
/// More than any service has.
#[cfg(unix)]
const HANDED_MAX: usize = 256;

/// What was handed over.
#[derive(Debug, Default)]
pub(super) struct Handed {
    #[cfg(unix)]
    listeners: Vec<ReadyListener>,
}

impl Handed {
    /// Takes it, once, before there is another thread: what says how many there are goes with it, so that no
    /// process that this one starts takes it for its own.
    #[cfg(unix)]
    pub(super) fn take() -> Result<Self, Failure> {
        let count = std::env::var(COUNT).ok().and_then(|count| count.parse::<usize>().ok());
        if count.is_some_and(|count| count > HANDED_MAX) {
            return Err(refused(format_args!("{COUNT} is more than {HANDED_MAX}")));
        }
        let mut handed = ListenFd::from_env();
        let mut listeners = Vec::with_capacity(handed.len());
        for number in 0..handed.len() {
            let tcp = handed.take_tcp_listener(number).map(|it| it.map(ReadyListener::from));
            let listener = tcp.or_else(|_| {
                handed.take_unix_listener(number).map(|it| it.map(ReadyListener::from))
            });
            listeners.extend(listener.map_err(refused)?);
        }
        Ok(Self { listeners })
    }

    /// Nobody hands anything over elsewhere.
    #[cfg(not(unix))]
    #[expect(clippy::unnecessary_wraps, reason = "it can fail where something is handed over")]
    pub(super) fn take() -> Result<Self, Failure> {
        Ok(Self::default())
    }

    /// A server on what was handed over, or on these addresses if nothing was.
    pub(super) fn server_or(&self, addresses: &[Listen]) -> Server {
        #[cfg(unix)]
        if let Some((first, others)) = self.listeners.split_first() {
            return others.iter().cloned().fold(Server::on(first.clone()), Server::and_on);
        }
        let mut addresses = addresses.iter().map(Listen::to_string);
        let first = Server::bind(addresses.next().unwrap_or_default());
        addresses.fold(first, Server::and_bind)
    }
}

#[cfg(unix)]
fn refused(problem: impl std::fmt::Display) -> Failure {
    Failure::new(
        Exit::Failed,
        format_args!(
            "a listener that was handed over ({COUNT}) is none: {problem}; a socket unit needs \
             ListenStream="
        ),
    )
}
