//! Receiving: armed once, fed from the shared buffers, parked when there is none.

use std::os::fd::AsRawFd;

use io_uring::types::Fd;
use rustix::io::Errno;

use super::Uring;
use super::probe::receive_entry;
use super::quiet::Watch;
use super::ring::Outcome;
use super::socket::{Late, Send, Socket};
use super::token::{Kind, Token};
use crate::buffer::Lease;
use crate::clock::Time;
use crate::completion::{Completion, Received};
use crate::error::{ReceiveError, UnknownSocket};
use crate::ids::SocketId;
use crate::sys;

impl Uring {
    pub(crate) fn receive(&mut self, id: SocketId) -> Result<(), UnknownSocket> {
        let socket = self.find(id)?;
        assert!(!socket.receive.started, "a receive is in flight on {id:?}");
        assert!(socket.closing.is_none(), "{id:?} is closing");
        socket.receive.started = true;
        let paused = socket.receive.paused;
        self.operations += 1;
        if !paused {
            self.line_up_late(id);
            self.arm_if_wanted(id);
        }
        Ok(())
    }

    pub(crate) fn pause_receive(&mut self, id: SocketId) -> Result<(), UnknownSocket> {
        let socket = self.find(id)?;
        if socket.receive.paused {
            return Ok(());
        }
        socket.receive.paused = true;
        if socket.receive.armed {
            self.stage_cancel(Token::new(Kind::Receive, id));
        }
        Ok(())
    }

    pub(crate) fn resume_receive(&mut self, id: SocketId) -> Result<(), UnknownSocket> {
        let socket = self.find(id)?;
        if !socket.receive.paused {
            return Ok(());
        }
        socket.receive.paused = false;
        self.line_up_late(id);
        self.arm_if_wanted(id);
        Ok(())
    }

    /// Has late bytes delivered, if there are any.
    fn line_up_late(&mut self, id: SocketId) {
        let Ok(socket) = self.find(id) else { return };
        if socket.late.is_some() && !socket.receive.resumed {
            socket.receive.resumed = true;
            self.resumed.push_back(id);
        }
    }

    /// Ends the receive if it is not in the kernel; asks the kernel for its end if it is.
    pub(super) fn cancel_receive(&mut self, id: SocketId) {
        let Ok(socket) = self.find(id) else { return };
        if !socket.receive.started {
            return;
        }
        let asked = std::mem::replace(&mut socket.receive.cancelled, true);
        if socket.receive.armed {
            if !asked {
                self.stage_cancel(Token::new(Kind::Receive, id));
            }
            return;
        }
        self.end_receive(id, Received::Cancelled);
    }

    fn arm_receive(&mut self, id: SocketId) {
        let (features, len) = (self.features, self.buffer_bytes);
        let Ok(socket) = self.find(id) else { return };
        socket.receive.armed = true;
        let entry = receive_entry(Fd(socket.socket.as_raw_fd()), features, len);
        self.stage(entry, Token::new(Kind::Receive, id));
    }

    /// Arms a receive that was started and is not in the kernel, unless something keeps it.
    fn arm_if_wanted(&mut self, id: SocketId) {
        let Ok(socket) = self.find(id) else { return };
        let receive = socket.receive;
        // Late bytes come first: else a peer that is paused again and again piles them up.
        let late = socket.late.is_some();
        let kept = receive.armed || receive.parked || receive.paused || receive.cancelled || late;
        if receive.started && !kept && socket.closing.is_none() {
            self.arm_receive(id);
        }
    }

    /// Lets parked receives try again, as many as there are buffers for them: each failure costs as
    /// much as a receive. False if there are buffers and still some that have not tried.
    pub(super) fn rearm_parked(&mut self) -> bool {
        let mut buffers = self.provided.pool().in_kernel();
        while buffers > 0 {
            let Some(id) = self.parked.pop_front() else { return true };
            let Ok(socket) = self.find(id) else { continue };
            if std::mem::take(&mut socket.receive.parked) {
                self.arm_if_wanted(id);
                buffers -= 1;
            }
        }
        self.parked.is_empty() || self.provided.pool().in_kernel() == 0
    }

    /// What the kernel says of a receive.
    #[inline]
    pub(super) fn received(
        &mut self,
        id: SocketId,
        outcome: Outcome,
        now: Time,
    ) -> Option<Completion> {
        let lease = match outcome.checked() {
            Ok(len) if len > 0 => outcome.buffer().map(|buffer| self.provided.lease(buffer, len)),
            _ => None,
        };
        // A socket stays until its receive has ended, so it is there.
        let socket = self.find(id).ok()?;
        socket.receive.armed = outcome.more();
        let closes = socket.closing.is_some();
        let waits = socket.receive.paused || socket.late.is_some();
        let unheard = socket.receive.watch != Watch::Heard;
        let Some(lease) = lease else { return self.receive_stopped(id, outcome) };
        if waits && !closes {
            self.keep_late(id, &lease);
        }
        if !outcome.more() {
            self.receive_disarmed(id);
        } else if unheard {
            self.watch(id, now);
        }
        // Bytes that come after a cancel count; those that come after a close are nobody's.
        let delivers = !waits && !closes;
        delivers.then(|| Completion::Received { socket: id, what: Received::Data(lease) })
    }

    /// A receive that gave bytes is no longer armed.
    fn receive_disarmed(&mut self, id: SocketId) {
        let Ok(socket) = self.find(id) else { return };
        if socket.closing.is_some() || socket.receive.cancelled {
            self.end_receive(id, Received::Cancelled);
            return;
        }
        self.stats.rearmed += u64::from(self.features.multishot_receive);
        self.arm_if_wanted(id);
    }

    /// Keeps bytes that came after a pause, outside of the pool: others need the buffer.
    fn keep_late(&mut self, id: SocketId, lease: &Lease) {
        let Ok(socket) = self.find(id) else { return };
        let late = socket.late.get_or_insert_with(Box::<Late>::default);
        late.bytes.push_back(lease.copied_out());
    }

    /// A receive has left the kernel without bytes. Whether that was its end depends on what it was
    /// asked, not on the code: kernels differ in how they report a cancelled one.
    fn receive_stopped(&mut self, id: SocketId, outcome: Outcome) -> Option<Completion> {
        if let Some(buffer) = outcome.buffer() {
            self.provided.take_back(buffer);
        }
        let socket = self.find(id).ok()?;
        if outcome.more() {
            return None;
        }
        let was_cancelled = socket.receive.cancelled;
        let end = match outcome.checked() {
            _ if socket.closing.is_some() => Received::Cancelled,
            Ok(_) => socket.end_or_failure(),
            Err(errno) if was_cancelled && is_interruption(errno) => Received::Cancelled,
            Err(Errno::NOBUFS) => {
                self.park(id);
                return None;
            }
            // A pause, which may be over by now.
            Err(errno) if is_interruption(errno) => {
                self.arm_if_wanted(id);
                return None;
            }
            Err(errno) => Received::Failed(ReceiveError::from(errno)),
        };
        let waits = socket.receive.paused || socket.late.is_some();
        if waits && !matches!(end, Received::Cancelled) {
            socket.late.get_or_insert_with(Box::<Late>::default).end = Some(end);
            if was_cancelled {
                self.end_receive(id, Received::Cancelled);
            }
        } else {
            self.end_receive(id, end);
        }
        None
    }

    /// Has a receive wait that found no buffer.
    fn park(&mut self, id: SocketId) {
        let Ok(socket) = self.find(id) else { return };
        socket.receive.parked = true;
        self.parked.push_back(id);
        self.stats.buffer_shortages += 1;
    }

    /// Delivers what came while the receive was paused, one completion at a time.
    pub(super) fn deliver_late(&mut self, id: SocketId) -> Option<Completion> {
        let socket = self.find(id).ok()?;
        if socket.receive.paused || !socket.receive.started {
            socket.receive.resumed = false;
            return None;
        }
        if socket.closing.is_some() {
            return None;
        }
        let late = socket.late.as_mut()?;
        if let Some(lease) = late.bytes.pop_front() {
            self.resumed.push_front(id);
            return Some(Completion::Received { socket: id, what: Received::Data(lease) });
        }
        let end = late.end.take();
        socket.late = None;
        socket.receive.resumed = false;
        match end {
            Some(end) => self.end_receive(id, end),
            None => self.arm_if_wanted(id),
        }
        None
    }

    /// The final completion of a receive. What came late and was not delivered stays for the next one.
    fn end_receive(&mut self, id: SocketId, what: Received) {
        let Ok(socket) = self.find(id) else { return };
        debug_assert!(socket.receive.started && !socket.receive.armed);
        socket.receive.started = false;
        socket.receive.parked = false;
        socket.receive.cancelled = false;
        self.operations -= 1;
        self.ready.push_back(Completion::Received { socket: id, what });
        self.finish_close(id);
    }
}

/// What a receive comes back with that was cancelled, by us or by a signal; which one differs from
/// kernel to kernel.
const fn is_interruption(errno: Errno) -> bool {
    matches!(errno, Errno::CANCELED | Errno::NOENT | Errno::INTR | Errno::AGAIN | Errno::NOBUFS)
}

impl Socket {
    /// What the end of the stream really is: a failure that a send has met, or is about to report, is
    /// told only once by the kernel.
    fn end_or_failure(&self) -> Received {
        if let Some(errno) = self.failure {
            return Received::Failed(ReceiveError::from(errno));
        }
        if self.send == Send::Waiting && sys::is_gone(&self.socket) {
            return Received::Failed(ReceiveError::Reset);
        }
        Received::End
    }
}
