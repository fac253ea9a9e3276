//! What the threads of a server share.

use std::net::SocketAddr;
use std::sync::{OnceLock, PoisonError};

use crate::admission::Admission;
use crate::inbox::{Inbox, Message, Refused};
use crate::stats::{Published, Stats};
use crate::sync::{AtomicUsize, Mutex, Ordering};

/// One per server.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) inboxes: Box<[Inbox]>,
    pub(crate) published: Box<[Published]>,
    pub(crate) admission: Admission,
    /// Listeners that have not closed.
    listeners_open: AtomicUsize,
    pub(crate) addresses: OnceLock<Vec<SocketAddr>>,
    causes: Mutex<Vec<&'static str>>,
}

impl Shared {
    pub(crate) fn new(inboxes: Vec<Inbox>, admission: Admission, listeners: usize) -> Self {
        Self {
            published: inboxes.iter().map(|_| Published::default()).collect(),
            inboxes: inboxes.into_boxed_slice(),
            admission,
            listeners_open: AtomicUsize::new(listeners),
            addresses: OnceLock::new(),
            causes: Mutex::default(),
        }
    }

    pub(crate) fn put(&self, worker: usize, message: Message) -> Result<(), Refused> {
        self.inboxes.get(worker).ok_or(Refused::Ended)?.put(message)
    }

    /// The same for every worker; those that have ended need it no more.
    pub(crate) fn put_all(&self, message: impl Fn() -> Message) {
        for inbox in &self.inboxes {
            let _ = inbox.put(message());
        }
    }

    /// A listener has closed; with the last one every worker learns that nothing more will come.
    pub(crate) fn listener_closed(&self) {
        if self.listeners_open.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.put_all(|| Message::NothingComes);
        }
    }

    /// A worker has failed, and its listeners with it: the others stop.
    pub(crate) fn worker_failed(&self) {
        self.listeners_open.store(0, Ordering::Release);
        self.put_all(|| Message::NothingComes);
        self.put_all(|| Message::Stop);
    }

    pub(crate) fn stats(&self) -> Stats {
        let mut sum = Stats::default();
        for published in &self.published {
            sum += published.read();
        }
        sum
    }

    /// True the first time that something is to be said of a cause: what repeats is counted, not
    /// logged.
    pub(crate) fn is_new_cause(&self, cause: &'static str) -> bool {
        let mut causes = self.causes.lock().unwrap_or_else(PoisonError::into_inner);
        let new = !causes.contains(&cause);
        if new {
            causes.push(cause);
        }
        new
    }
}
