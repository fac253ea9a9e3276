//! What workers tell of themselves and of their sessions when they are asked.
//!
//! A question is a message in each inbox, so it costs a worker nothing until it is asked, takes no lock on
//! the way of a message, and a worker that is held up is known by its silence.

use std::fmt::{self, Write};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use wharf_port::{AcceptBacklog, Address, Clock, Ledger, Time};

use crate::holdings::Holdings;
use crate::inbox::Message;
use crate::session_id::SessionId;
use crate::shared::Shared;
use crate::stats::Stats;

/// Sessions that one worker tells of in one answer.
const SESSIONS_MAX: usize = 1000;

/// Which of its sessions a worker is to tell of. Never of more than 1,000 at a time.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum SessionsWanted {
    /// Of none.
    None,
    /// Of this one.
    One(SessionId),
    /// Of the next so many behind this one, in the order of their ids: for going through all of them,
    /// page by page. `None` begins with the first.
    After(Option<SessionId>, usize),
    /// Of so many with the most bytes in their send queues.
    FullestQueues(usize),
    /// Of so many that have been there for the longest.
    Oldest(usize),
    /// Of so many from which nothing has come for the longest.
    LongestSilent(usize),
    /// Of so many that have sent this side the most bytes since they began.
    MostReceived(usize),
    /// Of so many that have been sent the most bytes since they began.
    MostSent(usize),
    /// Of so many from which the most bytes a second have come [of late](SessionReport::received_per_second).
    FastestReceived(usize),
    /// Of so many that have been sent the most bytes a second [of late](SessionReport::sent_per_second).
    FastestSent(usize),
}

impl SessionsWanted {
    /// How many one worker may tell of.
    pub(crate) fn most(self) -> usize {
        let most = match self {
            Self::None => 0,
            Self::One(_) => 1,
            Self::After(_, most)
            | Self::FullestQueues(most)
            | Self::Oldest(most)
            | Self::LongestSilent(most)
            | Self::MostReceived(most)
            | Self::MostSent(most)
            | Self::FastestReceived(most)
            | Self::FastestSent(most) => most,
        };
        most.min(SESSIONS_MAX)
    }
}

/// What a session must be, besides being [wanted](SessionsWanted), to be told of. By default every session is.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
#[non_exhaustive]
pub struct SessionFilter {
    /// The text of its peer's address begins with this: `192.0.2.`, say, or `192.0.2.7:`.
    pub peer_prefix: Option<String>,
    /// It is in a group or a room of this name.
    pub group: Option<String>,
}

impl SessionFilter {
    /// Whether every session is told of.
    pub(crate) const fn is_empty(&self) -> bool {
        self.peer_prefix.is_none() && self.group.is_none()
    }

    /// Whether a session with this peer, in groups of these names, is told of.
    pub(crate) fn takes<'a>(
        &self,
        peer: &Address,
        mut groups: impl Iterator<Item = &'a str>,
    ) -> bool {
        let peer_is_right =
            self.peer_prefix.as_ref().is_none_or(|prefix| begins_with(peer, prefix));
        peer_is_right && self.group.as_ref().is_none_or(|name| groups.any(|group| group == name))
    }
}

/// Whether a text begins with another; no more of it is written than has to be looked at.
fn begins_with(text: &impl fmt::Display, prefix: &str) -> bool {
    /// What is still to be found.
    struct Rest<'a>(&'a [u8]);
    impl Write for Rest<'_> {
        fn write_str(&mut self, part: &str) -> fmt::Result {
            let part = &part.as_bytes()[..part.len().min(self.0.len())];
            self.0 = self.0.strip_prefix(part).ok_or(fmt::Error)?;
            // It is found, or not: either way the writing ends.
            if self.0.is_empty() { Err(fmt::Error) } else { Ok(()) }
        }
    }
    let mut rest = Rest(prefix.as_bytes());
    let _ = write!(rest, "{text}");
    rest.0.is_empty()
}

/// A worker, as it was within the turn in which it was asked.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct WorkerReport {
    /// Which one.
    pub worker: usize,
    /// When it answered.
    pub now: Time,
    /// What it has counted.
    pub stats: Stats,
    /// What its completion port has met.
    pub port: wharf_port::Stats,
    /// Sockets that its completion port holds.
    pub sockets: usize,
    /// Operations of its port that have not ended, timers included.
    pub operations: usize,
    /// Listeners that it has not been told to stop.
    pub listeners: usize,
    /// Who waits in the queues of those listeners to be accepted, and how many may, all of them together.
    /// `None` if the system tells of none of them: it does on Linux, of TCP.
    pub accept_backlog: Option<AcceptBacklog>,
    /// Who has its receive buffers.
    pub ledger: Ledger,
    /// Bytes in its send queues, as of its last turn.
    pub queued_bytes: usize,
    /// Bytes that wait in its inbox.
    pub inbox_bytes: usize,
    /// What it holds by kind, if it was [asked](crate::ServerHandle::ask_workers_for_holdings) for that.
    pub holdings: Option<Holdings>,
    /// The sessions that were asked for, in the order of the question.
    pub sessions: Vec<SessionReport>,
}

/// A session, as its worker knows it.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct SessionReport {
    /// Its name.
    pub id: SessionId,
    /// Whom it speaks to.
    pub peer: Address,
    /// When it began.
    pub opened: Time,
    /// When bytes came last; when it began, if none have come.
    pub last_receive: Time,
    /// Bytes that it has been sent by its peer since it began, whole frames or not.
    pub received_bytes: u64,
    /// Frames that it has been given since it began.
    pub received_frames: u64,
    /// Bytes of its send queue that the system has taken since it began.
    pub sent_bytes: u64,
    /// Bytes a second that its peer has sent it of late, rounded down.
    ///
    /// Of late is since its worker was asked for sessions before, by anybody, but 0.9 seconds ago at least: 0.9 to
    /// 1.8 seconds while somebody asks more often than that, else for as long as nobody did. What has begun since
    /// then is counted from its beginning, as over a second if that was less long ago; so is every session at the
    /// first question to a worker, and within 0.9 seconds of it.
    pub received_per_second: u64,
    /// Bytes of its send queue that the system has taken a second of late, in the same way.
    pub sent_per_second: u64,
    /// Bytes in its send queue, those on their way included.
    pub queued_bytes: usize,
    /// Nothing is received from it for now: its user wants nothing, its queue is full, or it has sent more
    /// than it may.
    pub is_held_back: bool,
    /// It is being closed.
    pub is_closing: bool,
    /// The names of the groups that it is in, and of its rooms.
    pub groups: Vec<Arc<str>>,
}

/// What workers are asked for, besides what they know without a look at their tables.
#[derive(Clone, Debug)]
pub(crate) struct Wanted {
    pub(crate) sessions: SessionsWanted,
    pub(crate) filter: Arc<SessionFilter>,
    pub(crate) holdings: bool,
}

/// What a worker is asked.
#[derive(Debug)]
pub(crate) struct Question {
    pub(crate) wanted: Wanted,
    answer: Sender<WorkerReport>,
}

impl Question {
    /// Tells whoever has asked, if it still waits.
    pub(crate) fn answer(&self, report: WorkerReport) {
        let _ = self.answer.send(report);
    }
}

/// The answers of workers that have been [asked](crate::ServerHandle::ask_workers).
#[derive(Debug)]
pub struct Answers {
    answers: Receiver<WorkerReport>,
    /// Workers that have been asked.
    asked: usize,
    clock: Clock,
}

impl Answers {
    /// Asks every worker that can be asked.
    pub(crate) fn ask(shared: &Shared, wanted: &Wanted, clock: Clock) -> Self {
        let (answer, answers) = channel();
        let ask = |worker: &usize| {
            let question = Question { wanted: wanted.clone(), answer: answer.clone() };
            shared.put(*worker, Message::Ask(Box::new(question))).is_ok()
        };
        let asked = (0..shared.inboxes.len()).filter(ask).count();
        Self { answers, asked, clock }
    }

    /// Waits for the answers, no longer than this, and gives those that have come, by worker. One that is
    /// missing is held up by a callback, cannot be asked since too much waits for it, or has ended.
    ///
    /// Not from a callback: its worker cannot answer until it returns.
    pub fn wait(self, patience: Duration) -> Vec<WorkerReport> {
        let until = self.clock.now() + patience;
        let mut reports = Vec::with_capacity(self.asked);
        while reports.len() < self.asked {
            match self.answers.recv_timeout(until.since(self.clock.now())) {
                Ok(report) => reports.push(report),
                Err(_) => break,
            }
        }
        reports.sort_unstable_by_key(|report| report.worker);
        reports
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_begins_with_what_it_begins_with() {
        let address: std::net::SocketAddr = ([192, 0, 2, 71], 50).into();
        let text = address.to_string();
        let beginnings: Vec<_> = (0..=text.len()).map(|end| &text[..end]).collect();
        for prefix in beginnings {
            assert!(begins_with(&address, prefix), "{prefix}");
        }
        for other in ["2", "192.0.2.8", "192.0.2.71:5 ", "192.0.2.71:50:", "é", "192.0.2.71:500"] {
            assert!(!begins_with(&address, other), "{other}");
        }
        assert!(begins_with(&"", "") && !begins_with(&"", "x"));
    }
}
