//! What workers tell of themselves and of their sessions when they are asked.
//!
//! A question is a message in each inbox, so it costs a worker nothing until it is asked, takes no lock on
//! the way of a message, and a worker that is held up is known by its silence.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use wharf_port::{Address, Clock, Ledger, Time};

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
            | Self::LongestSilent(most) => most,
        };
        most.min(SESSIONS_MAX)
    }
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
    /// Who has its receive buffers.
    pub ledger: Ledger,
    /// Bytes in its send queues, as of its last turn.
    pub queued_bytes: usize,
    /// Bytes that wait in its inbox.
    pub inbox_bytes: usize,
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

/// What a worker is asked.
#[derive(Debug)]
pub(crate) struct Question {
    pub(crate) wanted: SessionsWanted,
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
    pub(crate) fn ask(shared: &Shared, wanted: SessionsWanted, clock: Clock) -> Self {
        let (answer, answers) = channel();
        let ask = |worker: &usize| {
            let question = Question { wanted, answer: answer.clone() };
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
