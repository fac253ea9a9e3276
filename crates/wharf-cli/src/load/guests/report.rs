//! What came of honest sessions and of those beside them.

use std::fmt;

use serde::Serialize;
use wharf_port::{Address, Backend};

use super::Outputs;
use crate::failure::{Exit, Failure};
use crate::load::closures::ClosuresReport;
use crate::load::described::Described;
use crate::load::options::GuestOptions;
use crate::load::plot::Plot;
use crate::load::report::{Report, Summary, grouped};
use crate::load::run::Outcome;

/// What the JSON says of the guests of a mode.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(super) enum Own {
    Slow {
        /// Sessions that were opened.
        opened: u64,
        /// Connects that failed.
        connect_failed: u64,
        /// Sessions that the server ended.
        closed_by_server: ClosuresReport,
    },
    Storm {
        seed: u64,
        /// Connections of the storm that were made.
        connections: u64,
        /// Connects that failed, but for those that were given up on purpose.
        connect_failed: u64,
        /// Connections that ended as they should, by how.
        endings: StormEndings,
        /// Whether the server answered an honest session afterwards.
        answers_after: bool,
    },
}

/// How the connections of a storm ended, as they had drawn.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub(super) struct StormEndings {
    /// Given up before they were connected.
    pub(super) abandoned: u64,
    /// Reset at once, with answers on their way.
    pub(super) reset: u64,
    /// Reset when the answers were there.
    pub(super) reset_after_answers: u64,
    /// Closed at once.
    pub(super) closed: u64,
    /// Half-closed in the midst of a frame; the server ended them.
    pub(super) truncated: u64,
    /// Half-closed behind whole frames: all came back, and the server ended them.
    pub(super) verified: u64,
    /// Ended by the server for an illegal frame.
    pub(super) refused: u64,
    /// Not ended by the server in spite of one.
    pub(super) tolerated: u64,
}

impl fmt::Display for StormEndings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all = [
            (self.abandoned, "abandoned"),
            (self.reset, "reset"),
            (self.reset_after_answers, "reset after answers"),
            (self.closed, "closed"),
            (self.truncated, "truncated"),
            (self.verified, "whole"),
            (self.refused, "refused by the server for an illegal frame"),
            (self.tolerated, "not ended by the server in spite of one"),
        ];
        let said: Vec<String> =
            all.iter().map(|(count, how)| format!("{} {how}", grouped(*count))).collect();
        f.write_str(&said.join(", "))
    }
}

#[derive(Debug, Serialize)]
struct GuestsReport<'a> {
    #[serde(flatten)]
    report: Report,
    /// Honest sessions.
    honest: u64,
    #[serde(flatten)]
    own: &'a Own,
}

/// What came of the guests.
#[derive(Debug)]
pub(super) struct OfGuests {
    /// What people are told.
    pub(super) lines: String,
    pub(super) own: Own,
    /// Messages that came back wrong, and that did not come back; 0 if nobody looked.
    pub(super) wrong: u64,
    pub(super) missing: u64,
    /// Why not all was well, if it was not.
    pub(super) verdicts: Vec<String>,
    /// Whether they were there at all, as many as there have to be.
    pub(super) connected: Result<(), Failure>,
}

/// What came of the honest sessions, and where the result goes.
pub(super) struct OfHonest<'a> {
    pub(super) mode: &'static str,
    pub(super) options: &'a GuestOptions,
    pub(super) outputs: Outputs,
    pub(super) address: Address,
    pub(super) backend: Backend,
    pub(super) outcome: Outcome,
}

impl OfHonest<'_> {
    /// Writes the result, and says whether all was well.
    pub(super) fn write(self, guests: OfGuests) -> Result<(), Failure> {
        let Self { mode, options, mut outputs, address, backend, outcome } = self;
        let described = Described::new(&options.honest, &address, backend);
        let mut report = Report::new(mode, &options.honest, described, &outcome);
        let summary = Summary {
            options: &options.honest,
            address: address.clone(),
            backend,
            report: &report,
            outcome: &outcome,
            bad: Some(options.sessions),
        };
        let subtitle = summary.in_a_line();
        let text = format!("{summary}{}", guests.lines);
        report.sessions = options.sessions;
        let missing = outcome.sent - outcome.received;
        report.wrong = Some(outcome.tally.wrong + guests.wrong);
        report.missing = Some(missing + guests.missing);
        let report = GuestsReport { report, honest: options.honest.sessions, own: &guests.own };
        let plot = Plot {
            title: format!("wharf load {mode}"),
            subtitle,
            address: &address,
            unit: "messages",
            latency: &outcome.latency,
            series: &outcome.series,
        };
        outputs.write(&text, &report, &plot)?;
        let honest = outcome.tally.verdict(missing, options.honest.patience);
        let said = honest.into_iter().chain(guests.verdicts);
        match said.collect::<Vec<_>>().join("; ") {
            verdict if verdict.is_empty() => guests.connected,
            verdict => Err(Failure::new(Exit::Failed, verdict)),
        }
    }
}
