//! What peers and systems do to a running server, on every backend: honest clients beside it get every
//! byte, and afterwards nothing is left. Some seconds each; `--many` repeats them until they must show.
//!
//! | module | what it does |
//! |---|---|
//! | [`resets`] | connects and resets, some of them with half a frame |
//! | [`kills`] | kills client processes in the middle of a frame |
//! | [`stops`] | stops client processes: they are there, and do not read |
//! | [`starvation`] | leaves the server without descriptors, and gives them back |
//! | [`lowered`] | lowers the descriptor limit of the running server, and raises it again |
//! | [`endings`] | ends the server by a signal, at random moments |

mod endings;
mod kills;
mod lowered;
mod resets;
mod starvation;
mod stops;

use std::time::Duration;

use clap::ValueEnum;

use crate::backends::{self, Check, Terms};
use crate::server::{Server, serve_echo};
use crate::totals::Totals;
use crate::{Result, procfs, wait};

/// What is done to a server.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub(crate) enum Fault {
    /// A flood of connections that are reset.
    Resets,
    /// Client processes are killed in the middle of a frame.
    Kills,
    /// Client processes are stopped.
    Stops,
    /// The server has no descriptor left.
    Starvation,
    /// The server's descriptor limit is lowered while it runs.
    Lowered,
    /// The server is ended by a signal, at random moments.
    Endings,
}

/// How long a server may take until the sessions of dead peers are gone.
const SETTLED_MAX: Duration = Duration::from_secs(5);

/// Does these things to servers, or all of them.
pub(crate) fn run(only: &[Fault], many: bool) -> Result<Totals> {
    backends::check(only, many, None)
}

impl Check for Fault {
    fn headline(&self) -> &'static str {
        match self {
            Self::Resets => "a flood of resets",
            Self::Kills => "clients killed in mid-frame",
            Self::Stops => "a tenth of the clients stopped",
            Self::Starvation => "no descriptors",
            Self::Lowered => "a descriptor limit lowered meanwhile",
            Self::Endings => "ended at random moments",
        }
    }

    fn run(&self, terms: &Terms<'_>) -> Result<String> {
        match self {
            Self::Resets => resets::run(terms),
            Self::Kills => kills::run(terms),
            Self::Stops => stops::run(terms),
            Self::Starvation => starvation::run(terms),
            Self::Lowered => lowered::run(terms),
            Self::Endings => endings::run(terms),
        }
    }
}

impl Terms<'_> {
    /// A server with two workers, whose frames have a length before them.
    fn serve(&self, flags: &str) -> Result<Server> {
        let backend = self.backend;
        let flags = format!("--backend {backend} --workers 2 --framing u32le {flags}");
        Server::start(&mut serve_echo(self.wharf, &flags))
    }

    /// How long a fault goes on.
    const fn time(&self) -> Duration {
        Duration::from_secs(self.either(2, 20))
    }
}

/// Waits until a server has as many descriptors open as it had before its sessions; gives how long it
/// took.
pub(crate) fn settled(server: &Server, descriptors: usize, limit: Duration) -> Result<Duration> {
    let stopwatch = wait::Stopwatch::start();
    let back = || procfs::descriptors(server.id()).is_ok_and(|now| now <= descriptors);
    wait::until(limit, || back().then_some(())).ok_or_else(|| {
        let now = procfs::descriptors(server.id()).unwrap_or_default();
        format!("{now} descriptors are open and {descriptors} should be, after {limit:?}")
    })?;
    Ok(stopwatch.elapsed())
}

/// Waits until a server has at least so many descriptors open.
pub(crate) fn has_opened(server: &Server, descriptors: usize) -> Result<()> {
    let there = || procfs::descriptors(server.id()).is_ok_and(|now| now >= descriptors);
    wait::until(SETTLED_MAX, || there().then_some(()))
        .ok_or_else(|| format!("{descriptors} descriptors should be open by now").into())
}
