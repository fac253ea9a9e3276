//! Giving memory back when there is nobody left.

use std::time::Duration;

use super::connections::Connections;
use super::marks::Marks;
use super::timers::UserTimers;
use super::{Core, Worker};
use crate::send_queue::Chunks;

/// How long a worker must have had no session.
const EMPTY_FOR: Duration = Duration::from_secs(1);
/// The token of the timer; those of sessions have a slot in their upper half, which stays below this.
pub(super) const TIDY: u64 = u64::MAX;

impl Core {
    /// The last session is gone: if none comes, the worker tidies up.
    pub(super) fn tidy_up_later(&mut self) {
        if self.connections.is_empty() && !self.tidies {
            self.tidies = self.port.start_timer(self.now + EMPTY_FOR, TIDY).is_some();
        }
    }
}

impl<H, F> Worker<H, F> {
    /// Gives back what a crowd has left behind: tables, spare buffers, and what the allocator keeps. The
    /// port's table of names stays, since names must not come again.
    pub(super) fn tidy_up(&mut self) {
        let core = &mut self.core;
        core.tidies = false;
        if !core.connections.is_empty() {
            return;
        }
        self.handlers = Vec::new();
        core.connections = Connections::default();
        core.marks = Marks::default();
        core.chunks = Chunks::default();
        core.buffers = Vec::new();
        if core.user_timers.table.is_empty() {
            core.user_timers = UserTimers::default();
        }
        wharf_port::release_free_memory();
    }
}
