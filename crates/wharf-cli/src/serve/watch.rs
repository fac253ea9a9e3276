//! A running server, from its start to its end: what signals make of it, and what is reported.

use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::Duration;

use wharf::{DrainReport, RunningServer, ServerError, ServerHandle};

use super::service::Service;
use crate::clock::now;
use crate::console::Console;
use crate::counted::Counted;
use crate::failure::{Exit, Failure};
use crate::signals::{self, Signal};

/// Signals that come as close together as this are one: `timeout` sends each twice, to the process and
/// to its group, and a closing terminal may too. Nothing is done meanwhile, so that who waits for an
/// effect of the first never has the second taken for it.
const TOGETHER: Duration = Duration::from_millis(50);

/// What happens to a running server.
enum Event {
    Signal(Signal),
    /// The admin endpoint was told to drain it.
    Drain,
    Ended(Result<DrainReport, ServerError>),
}

/// Where it is told what happens.
pub(super) struct Events {
    tell: Sender<Event>,
    told: Receiver<Event>,
}

impl Events {
    pub(super) fn new() -> Self {
        let (tell, told) = channel();
        Self { tell, told }
    }

    /// Has the server drained, as a signal would. Never blocks.
    pub(super) fn drain(&self) -> impl Fn() + Send + Sync + use<> {
        let tell = self.tell.clone();
        // Nobody listens any more once the server has ended.
        move || drop(tell.send(Event::Drain))
    }
}

/// How far the end has come.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Stage {
    Serving,
    /// The admin endpoint has been told to end it. Whoever asks for that goes on to end the process by a signal,
    /// as container runtimes do, which says the same once more.
    Asked,
    /// A signal has told it to end.
    Draining,
    /// It has been told so again.
    Stopping,
}

/// Watches a running server.
pub(super) struct Watch<'a> {
    server: ServerHandle,
    console: &'a Console,
    /// How long a drain may take.
    drain: Duration,
    events: Receiver<Event>,
    /// An event that was seen before its turn.
    behind: Option<Event>,
    stage: Stage,
    service: Service,
}

impl<'a> Watch<'a> {
    /// From here on signals end the server in order.
    pub(super) fn begin(
        running: RunningServer,
        events: Events,
        console: &'a Console,
        drain: Duration,
    ) -> Result<Self, Failure> {
        let server = running.handle();
        let Events { tell: ended, told: events } = events;
        let signals = ended.clone();
        // Nobody listens any more once the server has ended.
        signals::forward(move |signal| drop(signals.send(Event::Signal(signal))))
            .map_err(Failure::no_thread)?;
        std::thread::Builder::new()
            .name("wharf-join".to_owned())
            .spawn(move || drop(ended.send(Event::Ended(running.join()))))
            .map_err(Failure::no_thread)?;
        Ok(Self {
            server,
            console,
            drain,
            events,
            behind: None,
            stage: Stage::Serving,
            service: Service::find(),
        })
    }

    /// It accepts: whoever waits for that is told.
    pub(super) fn is_ready(&mut self) {
        self.service.is_ready(&self.server, self.console);
    }

    /// Until the server has ended; then says how.
    pub(super) fn until_end(mut self) -> Result<(), Failure> {
        loop {
            match self.next() {
                Some(Event::Signal(signal)) => self.on_signal(signal),
                Some(Event::Drain) => self.on_drain(),
                Some(Event::Ended(Ok(report))) => return self.report(report),
                Some(Event::Ended(Err(error))) => return Err(Failure::new(Exit::Failed, error)),
                // The thread that waits for the server cannot go before it.
                None => return Err(Failure::new(Exit::Failed, ServerError::WorkerPanicked)),
            }
        }
    }

    /// What happens next. Signals that come together are one.
    fn next(&mut self) -> Option<Event> {
        if let Some(event) = self.behind.take() {
            return Some(event);
        }
        let event = self.receive()?;
        if matches!(event, Event::Signal(_)) {
            let until = now() + TOGETHER;
            while self.behind.is_none() {
                match self.events.recv_timeout(until.saturating_duration_since(now())) {
                    // What the endpoint was told says no more than the signal.
                    Ok(Event::Signal(_) | Event::Drain) => {}
                    Ok(ended) => self.behind = Some(ended),
                    Err(_) => break,
                }
            }
        }
        Some(event)
    }

    /// Waits for an event; the service manager hears meanwhile that all is well.
    fn receive(&mut self) -> Option<Event> {
        loop {
            let Some(rests) = self.service.rests() else { return self.events.recv().ok() };
            match self.events.recv_timeout(rests) {
                Ok(event) => return Some(event),
                Err(RecvTimeoutError::Timeout) => self.service.beat(&self.server, self.console),
                Err(RecvTimeoutError::Disconnected) => return None,
            }
        }
    }

    fn on_signal(&mut self, signal: Signal) {
        match (self.stage, signal) {
            (Stage::Serving, _) => {
                self.stage = Stage::Draining;
                self.begin_drain("a second signal ends it at once");
            }
            (Stage::Asked, _) => {
                self.stage = Stage::Draining;
                self.console.say("it drains already; a second signal ends it at once");
            }
            (Stage::Draining, Signal::End) => {
                self.stage = Stage::Stopping;
                self.server.stop();
            }
            (Stage::Draining, Signal::HangUp) | (Stage::Stopping, _) => {}
        }
    }

    fn on_drain(&mut self) {
        if self.stage == Stage::Serving {
            self.stage = Stage::Asked;
            self.begin_drain("the admin endpoint was told so");
        }
    }

    fn begin_drain(&mut self, remark: &str) {
        let sessions = self.server.sessions();
        self.server.drain();
        self.service.is_draining(sessions, self.console);
        // Without any there is nothing to wait for.
        if sessions > 0 {
            self.console.say(format_args!(
                "draining, {} left, for at most {:?}; {remark}",
                Counted(sessions as u64, "session"),
                self.drain,
            ));
        }
    }

    fn report(&self, report: DrainReport) -> Result<(), Failure> {
        let ended = self.server.close_counts();
        if ended.total() > 0 {
            self.console.say(format_args!("sessions ended: {ended}"));
        }
        self.console.say(report);
        if self.stage == Stage::Stopping {
            return Err(Failure::new(
                Exit::Lost,
                "a second signal ended the server before it had drained: wait for it, or give it less \
                 time with --drain",
            ));
        }
        if report.bytes_lost > 0 {
            return Err(Failure::new(
                Exit::Lost,
                format_args!(
                    "{} waited to be sent and are lost: their readers were gone, or too slow for \
                     --drain {}; give them longer",
                    Counted(report.bytes_lost, "byte"),
                    self.drain.as_secs_f64(),
                ),
            ));
        }
        Ok(())
    }
}
