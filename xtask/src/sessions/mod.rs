//! What must be shown of sessions, with the program as its users run it: attackers beside honest clients,
//! and a drain in the middle of it. Some seconds each; `--many` is the size that must be shown.
//!
//! | module | what it shows |
//! |---|---|
//! | [`slowloris`], [`drippers`] | who drips is closed by the frame deadline, and delays nobody |
//! | [`addresses`], [`attempts`], [`namespace`] | an address gets no more sessions than it may have |
//! | [`chat`], [`bystanders`] | members that are stopped are closed, and delay nobody |
//! | [`drain`], [`streams`] | a drain loses no byte of who reads |
//! | [`reasons`] | why a server has closed its sessions, by its own log |

mod addresses;
mod attempts;
mod bystanders;
mod chat;
mod drain;
mod drippers;
mod namespace;
mod reasons;
mod slowloris;
mod streams;

use clap::ValueEnum;

use crate::backends::{self, Check, Terms, median};
use crate::totals::Totals;
use crate::{Result, client};

pub(crate) use self::addresses::within as addresses_within;
pub(crate) use self::bystanders::take_part;

/// What is shown.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub(crate) enum Show {
    /// Members of a chat that are stopped are closed, and the others do not notice them.
    Chat,
    /// Clients that drip are closed by the frame deadline, and the others do not notice them.
    Slowloris,
    /// An address gets no more sessions than it may have, however often it tries.
    Addresses,
    /// A server that is told to end in the middle of traffic loses no byte of who reads.
    Drain,
}

/// Descriptors that the largest of them needs.
const DESCRIPTORS: u64 = 10_500;

/// Shows these, or all of them, on each backend.
pub(crate) fn run(only: &[Show], many: bool, only_backend: Option<&str>) -> Result<Totals> {
    if many {
        client::need_descriptors(DESCRIPTORS)?;
    }
    backends::check(only, many, only_backend)
}

impl Check for Show {
    fn headline(&self) -> &'static str {
        match self {
            Self::Chat => "a chat whose members stop",
            Self::Slowloris => "clients that drip",
            Self::Addresses => "an address that wants all sessions",
            Self::Drain => "a drain under load",
        }
    }

    fn run(&self, terms: &Terms<'_>) -> Result<String> {
        match self {
            Self::Chat => chat::run(terms),
            Self::Slowloris => slowloris::run(terms),
            Self::Addresses => addresses::run(terms),
            Self::Drain => drain::run(terms),
        }
    }
}

impl Terms<'_> {
    /// What the rounds of a run come to: the median; where CI runs it beside other things, which disturb
    /// single rounds, the least. What a server does shows in every round.
    fn of_rounds(&self, figures: &[f64]) -> f64 {
        self.either(figures.iter().copied().fold(f64::INFINITY, f64::min), median(figures))
    }

    /// The flags that every server of these checks gets, and more of them.
    fn flags(&self, more: &str) -> String {
        format!("--backend {} --workers 2 --log debug {more}", self.backend)
    }
}
