//! The table of sessions, and their ids.
//!
//! A socket's number is no identity: it is free again as soon as the socket is closed, and the next
//! connection may get it while another thread still speaks of the last one. An id is 8 bytes and never comes
//! again. (4 bytes would be used up after 49.7 days at a thousand connections a second.) An address is no
//! identity either, so that whoever is not told of a session by its own packet asks for it here.
//!
//! The accepting thread adds, any thread asks, and whoever ends the last operation removes.

use std::collections::HashMap;
use std::ptr::NonNull;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::session::Session;

/// The name of a session. None comes twice, and 0 is nobody's.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(in crate::windows) struct SessionId(pub(super) u64);

/// The sessions that are alive, by id.
#[derive(Default)]
pub(super) struct SessionTable(Mutex<Sessions>);

#[derive(Default)]
struct Sessions {
    last_id: u64,
    by_id: HashMap<u64, Entry>,
}

struct Entry(NonNull<Session>);

// SAFETY: it is but where a session lies, and sessions may be used by any thread.
unsafe impl Send for Entry {}

impl SessionTable {
    fn lock(&self) -> MutexGuard<'_, Sessions> {
        // Nothing in it is ever half changed.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a session, under an id that is made for it.
    pub(super) fn add(&self, session: NonNull<Session>) -> SessionId {
        let mut sessions = self.lock();
        sessions.last_id += 1;
        let id = sessions.last_id;
        sessions.by_id.insert(id, Entry(session));
        SessionId(id)
    }

    /// Looks at a session while nobody can remove it. `look` must not come back here.
    pub(super) fn with<T>(
        &self,
        id: SessionId,
        look: impl FnOnce(NonNull<Session>) -> T,
    ) -> Option<T> {
        let sessions = self.lock();
        sessions.by_id.get(&id.0).map(|entry| look(entry.0))
    }

    pub(super) fn remove(&self, id: SessionId) {
        self.lock().by_id.remove(&id.0);
    }
}
