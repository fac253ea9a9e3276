//! Sessions that write down what happens to them.

use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, TryRecvError, channel};
use std::thread::ThreadId;

use wharf::{CloseReason, Context, Outcome, Session, SessionId, Time};

use super::time::PATIENCE;

/// Something that happened to a session.
#[derive(Clone, Debug)]
pub(crate) struct Event {
    pub(crate) id: SessionId,
    pub(crate) what: What,
    /// The server's time as of the callback.
    pub(crate) at: Time,
    pub(crate) thread: ThreadId,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum What {
    Connected,
    Frame(Vec<u8>),
    Writable,
    Disconnected {
        /// The reason's name.
        name: &'static str,
        /// The reason in words.
        text: String,
    },
    /// The handler was dropped.
    Dropped,
    /// A callback that was meant for another session, the one that the event names.
    Misdirected,
}

/// Where sessions write.
#[derive(Clone, Debug)]
pub(crate) struct Log(Sender<Event>);

/// Where the test reads.
#[derive(Debug)]
pub(crate) struct Events(Receiver<Event>);

pub(crate) fn recording() -> (Log, Events) {
    let (sender, receiver) = channel();
    (Log(sender), Events(receiver))
}

impl Log {
    fn write(&self, ctx: &Context<'_>, what: What) {
        let thread = std::thread::current().id();
        // A test that has ended reads no more.
        let _ = self.0.send(Event { id: ctx.id(), what, at: ctx.now(), thread });
    }

    /// A session that writes everything down and does what `session` does.
    pub(crate) fn of<S: Session>(&self, session: S) -> Recorded<S> {
        Recorded { session, log: self.clone(), last: None }
    }
}

impl Events {
    /// The next event, whichever session's.
    #[track_caller]
    pub(crate) fn next(&self) -> Event {
        match self.0.recv_timeout(PATIENCE) {
            Ok(event) => event.checked(),
            Err(RecvTimeoutError::Timeout) => panic!("nothing happens"),
            Err(RecvTimeoutError::Disconnected) => panic!("no session is left"),
        }
    }

    /// The next event that is like this, and those before it.
    #[track_caller]
    pub(crate) fn until(&self, wanted: impl Fn(&Event) -> bool) -> (Vec<Event>, Event) {
        let mut before = Vec::new();
        loop {
            let event = self.next();
            if wanted(&event) {
                return (before, event);
            }
            before.push(event);
        }
    }

    /// Waits until a session has connected.
    #[track_caller]
    pub(crate) fn connected(&self) -> Event {
        self.until(|event| event.what == What::Connected).1
    }

    /// Waits until a session has disconnected: the name of the reason.
    #[track_caller]
    pub(crate) fn disconnected(&self) -> Event {
        self.until(|event| matches!(event.what, What::Disconnected { .. })).1
    }

    /// Waits until one session has disconnected, and passes over what happens to others.
    #[track_caller]
    pub(crate) fn disconnected_of(&self, id: SessionId) -> Event {
        let is_it = |event: &Event| matches!(event.what, What::Disconnected { .. });
        self.until(|event| event.id == id && is_it(event)).1
    }

    /// Waits until a session's handler was dropped, and gives all that happened up to then.
    #[track_caller]
    pub(crate) fn life_of(&self, id: SessionId) -> Vec<Event> {
        let (mut life, last) = self.until(|event| event.id == id && event.what == What::Dropped);
        life.retain(|event| event.id == id);
        life.push(last);
        life
    }

    /// What has happened and was not looked at.
    #[track_caller]
    pub(crate) fn so_far(&self) -> Vec<Event> {
        self.0.try_iter().map(Event::checked).collect()
    }

    /// Everything that is still to come, when the server has ended and so no one writes any more.
    #[track_caller]
    pub(crate) fn remaining(&self) -> Vec<Event> {
        let mut events = Vec::new();
        loop {
            match self.0.try_recv() {
                Ok(event) => events.push(event.checked()),
                Err(TryRecvError::Disconnected) => return events,
                Err(TryRecvError::Empty) => panic!("a handler is alive behind the server's end"),
            }
        }
    }
}

impl Event {
    /// Nothing is ever told to the wrong session.
    #[track_caller]
    fn checked(self) -> Self {
        assert_ne!(self.what, What::Misdirected, "{} was told to another handler", self.id);
        self
    }

    /// The name of the reason for which the session disconnected.
    #[track_caller]
    pub(crate) fn reason(&self) -> &'static str {
        match self.what {
            What::Disconnected { name, .. } => name,
            _ => panic!("{self:?} is no end"),
        }
    }

    /// The reason in words.
    #[track_caller]
    pub(crate) fn reason_text(&self) -> &str {
        match &self.what {
            What::Disconnected { text, .. } => text,
            _ => panic!("{self:?} is no end"),
        }
    }
}

/// What happened, without when and to whom.
pub(crate) fn whats(events: &[Event]) -> Vec<What> {
    events.iter().map(|event| event.what.clone()).collect()
}

/// The frames among events.
pub(crate) fn frames(events: &[Event]) -> Vec<Vec<u8>> {
    let frame = |event: &Event| match &event.what {
        What::Frame(frame) => Some(frame.clone()),
        _ => None,
    };
    events.iter().filter_map(frame).collect()
}

/// A session that writes everything down.
#[derive(Debug)]
pub(crate) struct Recorded<S> {
    session: S,
    log: Log,
    last: Option<(SessionId, Time)>,
}

impl<S> Recorded<S> {
    fn write(&mut self, ctx: &Context<'_>, what: What) {
        let own = self.last.is_none_or(|(own, _)| own == ctx.id());
        self.last = Some((ctx.id(), ctx.now()));
        self.log.write(ctx, if own { what } else { What::Misdirected });
    }
}

impl<S: Session> Session for Recorded<S> {
    fn on_connected(&mut self, ctx: &mut Context<'_>) -> Outcome {
        self.write(ctx, What::Connected);
        self.session.on_connected(ctx)
    }

    fn on_frame(&mut self, ctx: &mut Context<'_>, frame: &[u8]) -> Outcome {
        self.write(ctx, What::Frame(frame.to_vec()));
        self.session.on_frame(ctx, frame)
    }

    fn on_end_of_stream(&mut self, ctx: &mut Context<'_>) -> Outcome {
        self.session.on_end_of_stream(ctx)
    }

    fn on_writable(&mut self, ctx: &mut Context<'_>) -> Outcome {
        self.write(ctx, What::Writable);
        self.session.on_writable(ctx)
    }

    fn on_disconnected(&mut self, ctx: &mut Context<'_>, reason: &CloseReason) {
        let what = What::Disconnected { name: reason.name(), text: reason.to_string() };
        self.write(ctx, what);
        self.session.on_disconnected(ctx, reason);
    }
}

impl<S> Drop for Recorded<S> {
    fn drop(&mut self) {
        // One that never had a callback has nothing to tell.
        let Some((id, at)) = self.last else { return };
        let thread = std::thread::current().id();
        let _ = self.log.0.send(Event { id, what: What::Dropped, at, thread });
    }
}

/// Sends every frame back.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Echo;

impl Session for Echo {
    fn on_frame(&mut self, ctx: &mut Context<'_>, frame: &[u8]) -> Outcome {
        ctx.send(frame);
        Ok(())
    }
}

/// Does with a frame what a closure does.
#[derive(Clone, Copy, Debug)]
pub(crate) struct OnFrame<F>(F);

/// A session that does with a frame what `callback` does.
pub(crate) const fn on_frame<F>(callback: F) -> OnFrame<F>
where
    F: FnMut(&mut Context<'_>, &[u8]) -> Outcome + 'static,
{
    OnFrame(callback)
}

impl<F> Session for OnFrame<F>
where
    F: FnMut(&mut Context<'_>, &[u8]) -> Outcome + 'static,
{
    fn on_frame(&mut self, ctx: &mut Context<'_>, frame: &[u8]) -> Outcome {
        (self.0)(ctx, frame)
    }
}

/// Sends a frame as soon as the peer is connected, and does what another session does.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Greets<S>(pub(crate) &'static [u8], pub(crate) S);

impl<S: Session> Session for Greets<S> {
    fn on_connected(&mut self, ctx: &mut Context<'_>) -> Outcome {
        ctx.send(self.0);
        self.1.on_connected(ctx)
    }

    fn on_frame(&mut self, ctx: &mut Context<'_>, frame: &[u8]) -> Outcome {
        self.1.on_frame(ctx, frame)
    }

    fn on_writable(&mut self, ctx: &mut Context<'_>) -> Outcome {
        self.1.on_writable(ctx)
    }

    fn on_disconnected(&mut self, ctx: &mut Context<'_>, reason: &CloseReason) {
        self.1.on_disconnected(ctx, reason);
    }
}
