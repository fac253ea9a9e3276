//! What a user writes: the session.

use std::error::Error;

use crate::{CloseReason, ConnectFailure, Context, Group};

/// What a callback returns: an error closes the session with [`CloseReason::Failed`].
///
/// `?` works on any error in a callback.
pub type Outcome = Result<(), Box<dyn Error + Send + Sync>>;

/// What a session does when it connects, when a frame arrives and when it ends.
///
/// The callbacks of one session never overlap and come in this order: connected, frames in the order
/// in which the peer sent them, disconnected exactly once. They run on the session's worker, so they
/// must not block: other sessions wait meanwhile. A callback that panics ends its session, and nothing
/// else; no further callback runs on it.
///
/// ```
/// use wharf::{CloseReason, Context, Outcome, Session};
///
/// struct Player {
///     name: String,
/// }
///
/// impl Session for Player {
///     fn on_connected(&mut self, ctx: &mut Context<'_>) -> Outcome {
///         ctx.send(b"your name?");
///         Ok(())
///     }
///
///     fn on_frame(&mut self, ctx: &mut Context<'_>, frame: &[u8]) -> Outcome {
///         self.name = std::str::from_utf8(frame)?.to_owned();
///         ctx.send(format!("hello, {}", self.name).as_bytes());
///         Ok(())
///     }
///
///     fn on_disconnected(&mut self, _: &mut Context<'_>, reason: &CloseReason) {
///         println!("{} left: {reason}", self.name);
///     }
/// }
/// ```
pub trait Session: 'static {
    /// The peer is connected.
    ///
    /// # Errors
    /// Any: it closes the session.
    fn on_connected(&mut self, ctx: &mut Context<'_>) -> Outcome {
        let _ = ctx;
        Ok(())
    }

    /// A frame has arrived. `frame` lies where the kernel put it: what is to be kept is copied. Sending
    /// it, or a part of it, copies nothing.
    ///
    /// # Errors
    /// Any: it closes the session.
    fn on_frame(&mut self, ctx: &mut Context<'_>, frame: &[u8]) -> Outcome;

    /// The peer has ended its stream between two frames: none comes any more. By default the session
    /// closes, with [`CloseReason::PeerClosed`], once what is queued has been sent.
    ///
    /// One that does not [close](Context::close) here stays open one way: it can be sent to, until it closes
    /// or [ends its own stream](Context::finish_sending). Since nothing can be received any more,
    /// [`Limits::idle`](crate::Limits::idle) counts from the last frame on, and a peer that is gone is
    /// noticed when something is sent to it.
    ///
    /// # Errors
    /// Any: it closes the session.
    fn on_end_of_stream(&mut self, ctx: &mut Context<'_>) -> Outcome {
        ctx.close();
        Ok(())
    }

    /// The send queue had reached its limit and has fallen below half of it.
    ///
    /// # Errors
    /// Any: it closes the session.
    fn on_writable(&mut self, ctx: &mut Context<'_>) -> Outcome {
        let _ = ctx;
        Ok(())
    }

    /// A timer that the session has [started](Context::start_timer) has fired.
    ///
    /// # Errors
    /// Any: it closes the session.
    fn on_timer(&mut self, ctx: &mut Context<'_>, token: u64) -> Outcome {
        let _ = (ctx, token);
        Ok(())
    }

    /// A timer of a group that the session is in has fired, whoever
    /// [started](Context::start_group_timer) it.
    ///
    /// # Errors
    /// Any: it closes the session.
    fn on_group_timer(&mut self, ctx: &mut Context<'_>, group: &Group, token: u64) -> Outcome {
        let _ = (ctx, group, token);
        Ok(())
    }

    /// A target that this session has [asked](Context::connect) to be connected could not be, for this
    /// time or for good.
    ///
    /// # Errors
    /// Any: it closes the session.
    fn on_connect_failed(&mut self, ctx: &mut Context<'_>, failure: &ConnectFailure) -> Outcome {
        let _ = (ctx, failure);
        Ok(())
    }

    /// The server drains: what is sent now is the last but for the server's own
    /// [farewell](crate::Server::farewell). The session closes behind it, with [`CloseReason::Drain`].
    ///
    /// # Errors
    /// Any: it closes the session, which then gets no farewell of the server's.
    fn on_drain(&mut self, ctx: &mut Context<'_>) -> Outcome {
        let _ = ctx;
        Ok(())
    }

    /// The session has ended, and its last operation has come back. Nothing can be sent to it any more.
    fn on_disconnected(&mut self, ctx: &mut Context<'_>, reason: &CloseReason) {
        let _ = (ctx, reason);
    }
}
