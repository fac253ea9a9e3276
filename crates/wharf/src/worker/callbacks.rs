//! Calling the user's side: errors and panics end the one session.

use std::panic::{AssertUnwindSafe, catch_unwind};

use wharf_port::SocketId;

use super::Worker;
use crate::close_reason::CloseReason;
use crate::context::Context;
use crate::session::{Outcome, Session};
use crate::unwinding::drop_quietly;
use crate::watchdog::Callback;

impl<H: Session, F> Worker<H, F> {
    /// Runs a callback of a session that is there.
    #[inline]
    pub(super) fn call(
        &mut self,
        socket: SocketId,
        which: Callback,
        callback: impl FnOnce(&mut H, &mut Context<'_>) -> Outcome,
    ) {
        let Self { core, handlers, .. } = self;
        let id = core.session_id(socket);
        let Some(Some(handler)) = handlers.get_mut(socket.slot() as usize) else { return };
        if handler.socket != socket {
            return;
        }
        // Whoever asks for it sees whose callback logged a line. Looked at once per call where nobody does.
        let span = tracing::debug_span!(
            target: "wharf::callbacks",
            "session",
            %id,
            peer = %handler.peer,
            callback = which.name()
        );
        core.watched.begin(Some(id), which);
        let mut context = Context::new(core, id, &handler.peer);
        // Nothing of the worker's is left half done by a panic: callbacks run between its steps, and
        // each method of the context is a whole one. The handler itself is not used again.
        let body = || callback(&mut handler.session, &mut context);
        let outcome = span.in_scope(|| catch_unwind(AssertUnwindSafe(body)));
        core.watched.end();
        match outcome {
            Ok(Ok(())) => {}
            Ok(Err(error)) => core.begin_close(socket, CloseReason::Failed(error)),
            Err(payload) => {
                drop_quietly(payload);
                self.panicked(socket);
            }
        }
    }

    #[cold]
    pub(super) fn panicked(&mut self, socket: SocketId) {
        self.core.stats.seldom().panics += 1;
        let session = self.core.session_id(socket);
        if self.core.shared().is_new_cause("callback_panic") {
            tracing::error!(%session, "a callback panicked; said once, counted on");
        } else {
            tracing::debug!(%session, "a callback panicked");
        }
        self.drop_handler(socket);
        self.core.terminate(socket, CloseReason::Panicked, true);
    }

    /// Drops the user's side of a session.
    pub(super) fn drop_handler(&mut self, socket: SocketId) {
        let Some(place) = self.handlers.get_mut(socket.slot() as usize) else { return };
        let own = place.as_ref().is_some_and(|handler| handler.socket == socket);
        if own && !drop_quietly(place.take()) {
            self.core.stats.seldom().panics += 1;
        }
    }

    /// Tells sessions whose queue was full that they can send again.
    pub(super) fn tell_writable(&mut self) {
        for socket in std::mem::take(&mut self.core.writable) {
            // Something else of the same turn may have closed it, or filled its queue again.
            if self.core.is_writable(socket) {
                self.call(socket, Callback::Writable, H::on_writable);
            }
        }
    }
}
