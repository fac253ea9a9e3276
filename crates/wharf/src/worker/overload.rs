//! What a worker does when all send queues together come near their ceiling.

use super::Core;
use super::connection::{Connection, State};
use crate::close_reason::CloseReason;
use crate::inbox::Message;
use crate::send_total::Load;

/// A worker's part in the total.
#[derive(Debug, Default)]
pub(super) struct OwnPart {
    /// Bytes in its send queues.
    bytes: usize,
    /// How many of them the total has.
    told: usize,
    /// How many of the total's rises it has seen.
    rises: usize,
}

impl OwnPart {
    /// Bytes in the worker's send queues.
    pub(super) const fn bytes(&self) -> usize {
        self.bytes
    }

    /// Counts anew what waits for a session: when a turn's sends start, when one ends, and when it
    /// terminates. From then on it counts nothing, since the port gives back what it has.
    #[inline]
    pub(super) fn count_queue(&mut self, connection: &mut Connection) {
        let terminates = connection.state == State::Terminating;
        let bytes = if terminates { 0 } else { connection.queue.bytes() };
        let before = std::mem::replace(&mut connection.counted, bytes);
        self.bytes = self.bytes + bytes - before;
    }
}

impl Core {
    /// Tells the total what has changed, and does what it asks for. Once per turn.
    pub(super) fn look_at_total(&mut self) {
        self.tell_total(self.shared().send_total.step());
        match self.shared().send_total.load() {
            Load::Normal | Load::Refusing => {}
            Load::Shedding => self.shed(),
            Load::Closing => {
                self.shed();
                self.close_fullest();
            }
        }
    }

    fn tell_total(&mut self, step: usize) {
        let OwnPart { bytes, told, .. } = self.own_part;
        if bytes.abs_diff(told) < step {
            return;
        }
        self.own_part.told = bytes;
        if self.shared().send_total.change(told, bytes) {
            self.shared().put_all(|| Message::Look);
        }
    }

    /// Closes the sessions that have not had a first frame, once for each time that the total rises: as
    /// long as it is there, nobody comes in.
    fn shed(&mut self) {
        let rises = self.shared().send_total.rises();
        if std::mem::replace(&mut self.own_part.rises, rises) == rises {
            return;
        }
        let silent = |it: &&Connection| it.state == State::Open && !it.greeted;
        let silent: Vec<_> = self.connections.iter().filter(silent).map(|it| it.socket).collect();
        self.warn_once("send_total_90", "sessions without a first frame are closed");
        for socket in silent {
            self.terminate(socket, CloseReason::Overload, true);
        }
    }

    /// Closes the sessions with the fullest queues, until this worker's part of what is too much has
    /// gone; and looks again, if that has not been enough, since others have their parts.
    #[cold]
    fn close_fullest(&mut self) {
        let mut excess = self.shared().send_total.excess_of(self.own_part.told);
        let full = self.connections.iter().filter(|it| it.counted > 0);
        let mut full: Vec<_> = full.map(|it| (it.counted, it.socket)).collect();
        full.sort_unstable_by_key(|(bytes, _)| std::cmp::Reverse(*bytes));
        self.warn_once("send_total_100", "sessions with the fullest queues are closed");
        let mut closed = false;
        for (bytes, socket) in full {
            if excess == 0 {
                break;
            }
            self.terminate(socket, CloseReason::SlowReader, true);
            excess = excess.saturating_sub(bytes);
            closed = true;
        }
        self.tell_total(1);
        if closed && self.shared().send_total.load() == Load::Closing {
            self.shared().put_all(|| Message::Look);
        }
    }

    fn warn_once(&self, cause: &'static str, what: &'static str) {
        if self.shared().is_new_cause(cause) {
            let bytes = self.shared().send_total.bytes();
            tracing::warn!(
                limit = "send_total_max",
                bytes,
                "overload: {what}; said once, counted on"
            );
        }
    }

    /// A worker that ends has nothing queued.
    pub(super) fn leave_total(&mut self) {
        self.own_part.bytes = 0;
        self.tell_total(1);
    }
}
