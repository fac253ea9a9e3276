//! Cancelling, closing and joining: of one operation, of one socket, of the whole port.

use std::mem;
use std::time::Duration;

use rustix::io::Errno;

use super::Uring;
use super::ring::Outcome;
use super::socket::{Closing, Send};
use super::token::{Kind, Token};
use crate::clock::monotonic_now;
use crate::completion::{Completion, Direction};
use crate::error::{CloseError, UnknownSocket};
use crate::ids::{ListenerId, SocketId};
use crate::slots::Slots;
use crate::sys;

impl Uring {
    pub(crate) fn shutdown(&mut self, id: SocketId) -> Result<(), UnknownSocket> {
        let socket = self.find(id)?;
        if socket.closing.is_some() {
            return Ok(());
        }
        assert!(socket.send == Send::Idle, "a send is in flight on {id:?}");
        // It fails only on a connection that is gone, and then it has no one to tell.
        let _ = sys::shutdown_send(&socket.socket);
        Ok(())
    }

    pub(crate) fn cancel(&mut self, id: SocketId, what: Direction) -> Result<(), UnknownSocket> {
        if self.find(id)?.closing.is_some() {
            return Ok(());
        }
        match what {
            Direction::Receive => self.cancel_receive(id),
            Direction::Send => self.cancel_send(id),
        }
        Ok(())
    }

    /// A cancel did not find its operation, which may have been between two places in the kernel. If it
    /// is there still and nobody wants it, it is cancelled again.
    pub(super) fn cancel_missed(&mut self, outcome: Outcome) {
        // Anything else (EALREADY) has found it.
        if outcome.checked() != Err(Errno::NOENT) {
            return;
        }
        let target = outcome.token.target();
        if self.is_unwanted(target) {
            self.stage_cancel(target);
        }
    }

    fn is_unwanted(&mut self, target: Token) -> bool {
        let kind = target.kind();
        match kind {
            Kind::Wake => return self.closed && self.wake_armed,
            Kind::Accept => return self.is_unwanted_accept(target.number()),
            _ => {}
        }
        let Ok(socket) = self.find(target.socket()) else { return false };
        let closes = socket.closing.is_some();
        let receive = socket.receive;
        let unwanted = match kind {
            Kind::Receive => receive.armed && (closes || receive.cancelled || receive.paused),
            Kind::Send => socket.send == Send::Waiting && (closes || socket.send_cancelled),
            Kind::Connect => socket.send == Send::Connecting && (closes || socket.send_cancelled),
            _ => false,
        };
        if unwanted && closes {
            // What no cancel finds, this ends.
            sys::shutdown_both(&socket.socket);
        }
        unwanted
    }

    pub(crate) fn close(&mut self, id: SocketId, reset: bool) -> Result<(), UnknownSocket> {
        let socket = self.find(id)?;
        socket.resets |= reset;
        if socket.closing.is_some() {
            return Ok(());
        }
        // Nothing may end the close before both directions have been asked to end: it is set last.
        self.operations += 1;
        self.cancel_send(id);
        self.cancel_receive(id);
        self.find(id)?.closing = Some(Closing::Joining);
        self.finish_close(id);
        Ok(())
    }

    /// Ends the close of a socket whose operations have all come back. The descriptor is closed after
    /// that and not before: until then the kernel knows it by its operations, and its number must not
    /// be reused.
    pub(super) fn finish_close(&mut self, id: SocketId) {
        let Ok(socket) = self.find(id) else { return };
        let Some(closing) = socket.closing else { return };
        let joined = !socket.receive.started && socket.send == Send::Idle;
        if joined && closing != Closing::Joined {
            socket.closing = Some(Closing::Joined);
            self.ready.push_back(Completion::Closed { socket: id });
        }
    }

    /// Its `Closed` is taken: the descriptor and the name go.
    pub(super) fn release(&mut self, id: SocketId) {
        let Some(socket) = self.sockets.remove(id.slot(), id.generation()) else { return };
        if socket.resets {
            sys::reset(socket.socket);
        }
        self.operations -= 1;
    }

    /// Closes everything and joins it; see rule 9.
    pub(crate) fn shut_down(&mut self, timeout: Duration) -> Result<(), CloseError> {
        if mem::replace(&mut self.closed, true) {
            return Ok(());
        }
        for number in 0..u32::try_from(self.listeners.len()).unwrap_or(u32::MAX) {
            self.stop_listening(ListenerId(number));
        }
        for (slot, generation) in self.sockets.names() {
            let _ = self.close(SocketId::from_parts(slot, generation), false);
        }
        self.stage_cancel_wake();
        if self.join(timeout) {
            return Ok(());
        }
        Err(CloseError { operations: self.operations })
    }

    /// Waits until nothing is in flight; false if that took too long or the ring is broken.
    fn join(&mut self, timeout: Duration) -> bool {
        let deadline = monotonic_now() + timeout;
        loop {
            let now = monotonic_now();
            while let Some(completion) = self.take(now) {
                drop(completion);
            }
            if self.operations == 0 && !self.wake_armed {
                return true;
            }
            let left = deadline.since(now);
            if self.wait(Some(left), now).is_err() || (left.is_zero() && !self.has_ready()) {
                return false;
            }
        }
    }
}

impl Drop for Uring {
    /// What the kernel still has is leaked, with all that it may read from or write to: it was not joined
    /// in time, or a panic has ended that.
    fn drop(&mut self) {
        if self.operations > 0 || self.wake_armed {
            self.provided.leak();
            mem::forget(mem::replace(&mut self.sockets, Slots::new(0)));
            mem::forget(mem::take(&mut self.headers));
            mem::forget(mem::take(&mut self.addresses));
        }
    }
}
