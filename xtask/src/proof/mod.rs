//! The proofs: what must be shown of the program from outside, each with the figure that was
//! measured. Client and server are processes of their own, and every byte is compared.
//!
//! | module | what it shows |
//! |---|---|
//! | [`traffic`] | thousands of connections of every size, and that nothing of them stays behind |
//! | [`splits`] | streams cut at every boundary, in every framing |
//! | [`readers`] | clients that write before they read, and slow readers beside fast ones |
//! | [`memory`] | what an idle session costs |
//! | [`spread`] | that connections are spread over the workers |
//! | [`misuse`] | what is said when the program is used wrongly |
//! | [`cost`] | CPU time per message against the bare loop and tokio |

mod cost;
mod memory;
mod misuse;
mod readers;
mod splits;
mod spread;
mod traffic;

use std::path::Path;

use clap::ValueEnum;

use crate::Result;
use crate::checks::Checks;
use crate::totals::Totals;
use crate::workspace::{self, Profile};
use crate::{client, server};

/// What can be proved.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub(crate) enum Proof {
    /// Bad use gets one clear line and the right exit code.
    Misuse,
    /// Streams cut at every boundary come back as they were.
    Splits,
    /// Early writers and slow readers get every byte, and hold nobody up.
    Readers,
    /// Connections are spread evenly over the workers.
    Spread,
    /// An idle session costs little memory.
    Memory,
    /// Thousands of connections get every byte, and leave nothing behind.
    Traffic,
    /// A message costs little CPU time (some minutes; only on a machine that is quiet).
    Cost,
}

/// How much of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Scale {
    /// Some seconds each, for CI. Leaves the cost out: a machine of CI is not quiet.
    Quick,
    /// What must be shown.
    Full,
}

/// What the proofs of one run have in common.
#[derive(Clone, Copy, Debug)]
struct Terms<'a> {
    wharf: &'a Path,
    backends: &'a [&'static str],
    scale: Scale,
}

/// Runs these proofs, or all that belong to the scale.
pub(crate) fn run(only: &[Proof], scale: Scale) -> Result<Totals> {
    let wharf = workspace::wharf(Profile::Release)?;
    let backends = server::backends(&wharf)?;
    let terms = Terms { wharf: &wharf, backends: &backends, scale };
    let mut checks = Checks::default();
    for proof in Proof::value_variants() {
        let belongs = *proof != Proof::Cost || scale == Scale::Full;
        if only.contains(proof) || (only.is_empty() && belongs) {
            println!("{}", proof.headline());
            proof.run(&terms, &mut checks)?;
        }
    }
    Ok(checks.totals())
}

impl Proof {
    const fn headline(self) -> &'static str {
        match self {
            Self::Misuse => "misuse: one clear line, the right exit code, nothing left behind",
            Self::Splits => "splits: streams cut at every boundary",
            Self::Readers => "readers: early writers and slow readers",
            Self::Spread => "spread: 1,000 connections over 2 workers",
            Self::Memory => "memory: 19,000 idle sessions",
            Self::Traffic => "traffic: every byte verified, nothing left behind",
            Self::Cost => "cost: CPU time of the server per message",
        }
    }

    fn run(self, terms: &Terms<'_>, checks: &mut Checks) -> Result<()> {
        client::need_descriptors(memory::SESSIONS as u64 + 100)?;
        match self {
            Self::Misuse => misuse::run(terms, checks),
            Self::Splits => splits::run(terms, checks),
            Self::Readers => readers::run(terms, checks),
            Self::Spread => spread::run(terms, checks),
            Self::Memory => memory::run(terms, checks),
            Self::Traffic => traffic::run(terms, checks),
            Self::Cost => return cost::run(checks),
        }
        Ok(())
    }
}
