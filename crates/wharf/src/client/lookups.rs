//! Looking names up, off the workers: the system's resolver blocks.
//!
//! A few threads that live as long as there are names to look up. What waits is bounded by the targets,
//! each of which has one lookup at a time.

use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use super::outgoing::TargetId;
use crate::inbox::Message;
use crate::shared::Shared;
use crate::unwinding::caught;

/// Threads at a time: a name that nobody answers for delays few others.
const THREADS_MAX: usize = 4;
/// How long the end of a server waits for lookups that are under way.
const END_MAX: Duration = Duration::from_secs(1);

/// What resolves names: the host and the port to the addresses, the best first.
pub(crate) type Resolve = dyn Fn(&str, u16) -> Found + Send + Sync;
/// What a lookup has found.
pub(crate) type Found = io::Result<Vec<SocketAddr>>;

/// How the names of targets are looked up.
#[derive(Clone)]
pub(crate) struct Resolver(Arc<Resolve>);

impl Resolver {
    pub(crate) fn of(
        resolve: impl Fn(&str, u16) -> io::Result<Vec<SocketAddr>> + Send + Sync + 'static,
    ) -> Self {
        Self(Arc::new(resolve))
    }

    /// The system's own.
    pub(crate) fn system() -> Self {
        Self::of(|host, port| (host, port).to_socket_addrs().map(Iterator::collect))
    }

    /// Has no names: a simulation must not ask the system.
    pub(crate) fn none() -> Self {
        const NONE: &str = "a simulated network has no names: give it a resolver";
        Self::of(|_, _| Err(io::Error::new(io::ErrorKind::Unsupported, NONE)))
    }

    fn look_up(&self, host: &str, port: u16) -> Found {
        let panicked = || Err(io::Error::other("the resolver panicked"));
        caught(|| (self.0)(host, port)).unwrap_or_else(panicked)
    }
}

impl fmt::Debug for Resolver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Resolver").finish_non_exhaustive()
    }
}

/// The names that wait, and the threads that look them up.
#[derive(Debug)]
pub(crate) struct Lookups {
    resolver: Resolver,
    /// They are done where they are asked for, so that a simulation repeats.
    inline: bool,
    state: Mutex<State>,
    /// A thread has ended.
    thread_ended: Condvar,
}

#[derive(Debug, Default)]
struct State {
    waiting: VecDeque<Lookup>,
    threads: usize,
    ended: bool,
}

#[derive(Debug)]
struct Lookup {
    target: TargetId,
    host: Box<str>,
    port: u16,
    /// Whoever asks; gone if its server is.
    shared: Weak<Shared>,
}

impl Lookups {
    pub(crate) fn new(resolver: Resolver, inline: bool) -> Arc<Self> {
        let (state, thread_ended) = (Mutex::default(), Condvar::new());
        Arc::new(Self { resolver, inline, state, thread_ended })
    }

    /// Looks a name up, here and now or on a thread, which then sends [`Message::Resolved`].
    pub(crate) fn ask(
        self: &Arc<Self>,
        shared: &Arc<Shared>,
        target: TargetId,
        host: &str,
        port: u16,
    ) -> Option<Found> {
        if self.inline {
            return Some(self.resolver.look_up(host, port));
        }
        let lookup = Lookup { target, host: host.into(), port, shared: Arc::downgrade(shared) };
        let mut state = self.state();
        state.waiting.push_back(lookup);
        if state.threads < THREADS_MAX {
            let lookups = Arc::clone(self);
            let thread = std::thread::Builder::new().name("wharf-resolve".to_owned());
            match thread.spawn(move || lookups.work()) {
                Ok(_) => state.threads += 1,
                // Those that there are come to it.
                Err(_) if state.threads > 0 => {}
                Err(error) => {
                    state.waiting.pop_back();
                    return Some(Err(error));
                }
            }
        }
        None
    }

    fn work(&self) {
        while let Some(lookup) = self.next() {
            let found = self.resolver.look_up(&lookup.host, lookup.port);
            if let Some(shared) = lookup.shared.upgrade() {
                // A worker that has ended needs it no more.
                let _ = shared.put(lookup.target.worker(), Message::Resolved(lookup.target, found));
            }
        }
    }

    /// The next name; `None` ends the thread.
    fn next(&self) -> Option<Lookup> {
        let mut state = self.state();
        let next = state.waiting.pop_front();
        if next.is_none() {
            state.threads -= 1;
            self.thread_ended.notify_all();
        }
        next
    }

    /// Forgets what waits, and waits for what is under way; not for long, as the system cannot be told to
    /// give up. What is left then ends with the system's answer, and holds nothing of the server's.
    pub(crate) fn end(&self) {
        let mut state = self.state();
        state.waiting.clear();
        if std::mem::replace(&mut state.ended, true) {
            return;
        }
        let waited =
            self.thread_ended.wait_timeout_while(state, END_MAX, |state| state.threads > 0);
        let (state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        if state.threads > 0 {
            tracing::warn!(threads = state.threads, "names are still being looked up at the end");
        }
    }

    /// No panic happens under this lock.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
