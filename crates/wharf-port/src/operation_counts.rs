//! How many operations are under way, by what they are.

use std::collections::VecDeque;

use crate::completion::Completion;

/// Operations that have been started and have had no final completion, by kind. Counted in the tables of a
/// port when somebody [asks](crate::CompletionPort::operation_counts): what is under way is known from each
/// socket, and no counter is kept for it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[non_exhaustive]
pub struct OperationCounts {
    /// Listeners: one of each, whether it accepts, rests, is paused or stops, until
    /// [`ListenerClosed`](crate::Completion::ListenerClosed).
    pub accepts: usize,
    /// Connects, until [`Connected`](crate::Completion::Connected).
    pub connects: usize,
    /// Receives, at most one of a socket: those that wait for bytes, for a buffer or for the end of a pause,
    /// until they end, fail or are cancelled.
    pub receives: usize,
    /// Sends, at most one of a socket: those that wait for room, until [`Sent`](crate::Completion::Sent).
    pub sends: usize,
    /// Sockets that close, until [`Closed`](crate::Completion::Closed). The other operations of such a socket
    /// are counted as well until they are back.
    pub closes: usize,
    /// Timers that run.
    pub timers: usize,
}

impl OperationCounts {
    /// All of them: what [`operations`](crate::CompletionPort::operations) counts as they start and end.
    pub const fn total(&self) -> usize {
        self.accepts + self.connects + self.receives + self.sends + self.closes + self.timers
    }

    /// Adds listeners, connects and sends that have ended and of which their sockets, where an operation ends
    /// when its final completion is taken, do not know any more what they were.
    pub(crate) fn add_untaken(&mut self, made: &VecDeque<Completion>) {
        for completion in made {
            match completion {
                Completion::ListenerClosed { .. } => self.accepts += 1,
                Completion::Connected { .. } => self.connects += 1,
                Completion::Sent { .. } => self.sends += 1,
                _ => {}
            }
        }
    }
}
