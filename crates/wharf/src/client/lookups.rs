//! Looking names up, off the workers: the system's resolver blocks.
//!
//! A few threads that live as long as there are names to look up. All targets that wait for the same name
//! share one lookup: when a server comes back, its thousand clients ask for the same one.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use super::outgoing::TargetId;
use crate::inbox::Message;
use crate::shared::Shared;
use crate::unwinding::{caught, drop_quietly};

/// Threads at a time: a name that nobody answers for delays few others.
const THREADS_MAX: usize = 4;
/// Targets that may wait for a name. Those that have been stopped meanwhile count until it is looked up, so
/// the number of targets is no bound.
const ASKERS_MAX: usize = 1 << 16;
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
    /// They are done where they are asked for, so that a simulation repeats.
    inline: bool,
    state: Mutex<State>,
    /// A thread has ended.
    thread_ended: Condvar,
}

/// A name, and the port that goes with it.
type Name = (Arc<str>, u16);

#[derive(Debug, Default)]
struct State {
    /// None at the end: it may have a handle to the server, which would then keep itself alive.
    resolver: Option<Resolver>,
    waiting: VecDeque<Name>,
    /// Who wants to know, by name, also of those that are being looked up.
    askers: HashMap<Name, Vec<TargetId>>,
    /// All of them.
    askers_count: usize,
    threads: usize,
    ended: bool,
}

impl Lookups {
    pub(crate) fn new(resolver: Resolver, inline: bool) -> Arc<Self> {
        let state = Mutex::new(State { resolver: Some(resolver), ..State::default() });
        Arc::new(Self { inline, state, thread_ended: Condvar::new() })
    }

    fn look_up(&self, host: &str, port: u16) -> Found {
        // Not under the lock: it takes its time.
        let resolver = self.state().resolver.clone();
        let Some(resolver) = resolver else { return Err(io::Error::other("the server has ended")) };
        let found = resolver.look_up(host, port);
        drop_quietly(resolver);
        found
    }

    /// Looks a name up, here and now or on a thread, which then sends [`Message::Resolved`] to the
    /// target's worker.
    pub(crate) fn ask(
        self: &Arc<Self>,
        shared: &Arc<Shared>,
        target: TargetId,
        host: &str,
        port: u16,
    ) -> Option<Found> {
        if self.inline {
            return Some(self.look_up(host, port));
        }
        let name = (Arc::from(host), port);
        let mut state = self.state();
        if state.askers_count >= ASKERS_MAX {
            return Some(Err(io::Error::other("too many names wait to be looked up")));
        }
        if state.askers.contains_key(&name) {
            state.add_asker(name, target);
            return None;
        }
        if state.threads < THREADS_MAX {
            match self.spawn(shared) {
                Ok(()) => state.threads += 1,
                // Those that there are come to it.
                Err(_) if state.threads > 0 => {}
                Err(error) => return Some(Err(error)),
            }
        }
        state.waiting.push_back(name.clone());
        state.add_asker(name, target);
        None
    }

    fn spawn(self: &Arc<Self>, shared: &Arc<Shared>) -> io::Result<()> {
        let (lookups, shared) = (Arc::clone(self), Arc::downgrade(shared));
        let thread = std::thread::Builder::new().name("wharf-resolve".to_owned());
        thread.spawn(move || lookups.work(&shared)).map(drop)
    }

    fn work(&self, shared: &Weak<Shared>) {
        while let Some(name) = self.next() {
            let found = self.look_up(&name.0, name.1);
            let askers = self.state().take_askers(&name);
            let Some(shared) = shared.upgrade() else { continue };
            for target in askers {
                // A worker that has ended needs it no more.
                let _ = shared.put(target.worker(), Message::Resolved(target, again(&found)));
            }
        }
    }

    /// The next name; `None` ends the thread.
    fn next(&self) -> Option<Name> {
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
        let resolver = state.resolver.take();
        if std::mem::replace(&mut state.ended, true) {
            return;
        }
        let waited =
            self.thread_ended.wait_timeout_while(state, END_MAX, |state| state.threads > 0);
        let (state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        if state.threads > 0 {
            tracing::warn!(threads = state.threads, "names are still being looked up at the end");
        }
        drop(state);
        drop_quietly(resolver);
    }

    /// No panic happens under this lock.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn add_asker(&mut self, name: Name, target: TargetId) {
        self.askers.entry(name).or_default().push(target);
        self.askers_count += 1;
    }

    fn take_askers(&mut self, name: &Name) -> Vec<TargetId> {
        let askers = self.askers.remove(name).unwrap_or_default();
        self.askers_count -= askers.len();
        askers
    }
}

/// The same answer for one more target.
fn again(found: &Found) -> Found {
    match found {
        Ok(addresses) => Ok(addresses.clone()),
        Err(error) => Err(io::Error::new(error.kind(), error.to_string())),
    }
}
