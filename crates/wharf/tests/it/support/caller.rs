//! A client of the library's under test, which never outlives its test.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use wharf::{
    Arrival, Backend, Client, CloseReason, ConnectFailure, Context, DrainReport, Limits, Outcome,
    RunningServer, ServerHandle, Session, SessionId, Target,
};

use super::server::Setup;
use super::time::{PATIENCE, Stopwatch};

/// Something that a client was told.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Told {
    /// The factory: a connection.
    Connected { tag: u64, peer: String, reconnects: u64, attempts: u32, id: SessionId },
    /// A session: a frame.
    Frame(SessionId, Vec<u8>),
    /// A session: its end.
    Ended { id: SessionId, reason: &'static str },
    /// The hook: a failure.
    Failed { tag: u64, problem: String, attempts: u32, retry_after: Option<Duration> },
}

/// Says hello when it is connected, and tells the test what happens.
#[derive(Debug)]
pub(crate) struct Caller {
    told: Sender<Told>,
}

impl Session for Caller {
    fn on_connected(&mut self, ctx: &mut Context<'_>) -> Outcome {
        ctx.send(b"hello");
        Ok(())
    }

    fn on_frame(&mut self, ctx: &mut Context<'_>, frame: &[u8]) -> Outcome {
        let _ = self.told.send(Told::Frame(ctx.id(), frame.to_vec()));
        if frame == b"hang up" {
            ctx.close();
        }
        Ok(())
    }

    fn on_disconnected(&mut self, ctx: &mut Context<'_>, reason: &CloseReason) {
        let _ = self.told.send(Told::Ended { id: ctx.id(), reason: reason.name() });
    }
}

/// What a factory and a hook tell.
#[derive(Clone, Debug)]
pub(crate) struct Teller(Sender<Told>);

/// Where the test hears it.
#[derive(Debug)]
pub(crate) struct Hears(Receiver<Told>);

pub(crate) fn telling() -> (Teller, Hears) {
    let (told, heard) = channel();
    (Teller(told), Hears(heard))
}

impl Teller {
    /// The session of an arrival, which must be one that was called.
    pub(crate) fn caller(&self, arrival: &Arrival) -> Caller {
        let outgoing = arrival.outgoing().expect("the client has called it");
        let _ = self.0.send(Told::Connected {
            tag: outgoing.target().tag(),
            peer: arrival.peer().to_string(),
            reconnects: outgoing.reconnects(),
            attempts: outgoing.attempts(),
            id: arrival.id(),
        });
        Caller { told: self.0.clone() }
    }

    pub(crate) fn failed(&self, failure: &ConnectFailure) {
        let _ = self.0.send(Told::Failed {
            tag: failure.target().tag(),
            problem: failure.problem().to_string(),
            attempts: failure.attempts(),
            retry_after: failure.retry_after(),
        });
    }
}

impl Hears {
    /// What is told next.
    #[track_caller]
    pub(crate) fn next(&self) -> Told {
        self.0.recv_timeout(PATIENCE).expect("the client tells something")
    }

    /// What is told next but for failures, of which it gives the number.
    #[track_caller]
    pub(crate) fn next_but_failures(&self) -> (usize, Told) {
        let mut failures = 0;
        let watch = Stopwatch::start();
        loop {
            assert!(watch.elapsed() < PATIENCE, "nothing is told but {failures} failures");
            match self.next() {
                Told::Failed { .. } => failures += 1,
                told => return (failures, told),
            }
        }
    }

    /// The session that is told of next, which must be the target's first after that many.
    #[track_caller]
    pub(crate) fn connected(&self, reconnects: u64) -> SessionId {
        match self.next_but_failures().1 {
            Told::Connected { id, reconnects: told, .. } if told == reconnects => id,
            other => panic!("{other:?} instead of connection {reconnects}"),
        }
    }

    /// The connection that is told of next, whatever else is.
    #[track_caller]
    pub(crate) fn next_connected(&self) -> SessionId {
        loop {
            if let Told::Connected { id, .. } = self.next_but_failures().1 {
                return id;
            }
        }
    }

    /// Hears on until a failure is told of.
    #[track_caller]
    pub(crate) fn until_failure(&self) {
        while !matches!(self.next(), Told::Failed { .. }) {}
    }

    /// The failure that is told of next.
    #[track_caller]
    pub(crate) fn failure(&self) -> (String, u32, Option<Duration>) {
        match self.next() {
            Told::Failed { problem, attempts, retry_after, .. } => (problem, attempts, retry_after),
            other => panic!("{other:?} instead of a failure"),
        }
    }

    /// What has been told and not been heard.
    pub(crate) fn so_far(&self) -> Vec<Told> {
        self.0.try_iter().collect()
    }
}

/// A client that is set up as the servers of the tests are: one worker, and no deadlines.
pub(crate) fn client(backend: Backend) -> Client {
    client_with(backend, |_| {})
}

pub(crate) fn client_with(backend: Backend, change: impl FnOnce(&mut Limits)) -> Client {
    let setup = Setup::new(backend).limits(change);
    let framing = setup.wire.framing();
    Client::new().framing(framing).workers(1).limits(setup.limits).port_options(setup.port)
}

/// A client that runs. Dropping it stops it.
#[derive(Debug)]
pub(crate) struct TestClient {
    running: Option<RunningServer>,
    pub(crate) handle: ServerHandle,
    pub(crate) hears: Hears,
}

impl TestClient {
    #[track_caller]
    pub(crate) fn start(client: Client) -> Self {
        let (teller, hears) = telling();
        let hook = teller.clone();
        let client = client.on_connect_failed(move |failure| hook.failed(failure));
        let running = client.start(move |arrival| teller.caller(arrival)).expect("it starts");
        let handle = running.handle();
        Self { running: Some(running), handle, hears }
    }

    /// A client that has called one target.
    #[track_caller]
    pub(crate) fn of(backend: Backend, target: Target) -> Self {
        Self::start(client(backend).connect(target))
    }

    /// Waits for its end.
    #[track_caller]
    pub(crate) fn end(mut self) -> (DrainReport, Vec<Told>) {
        let running = self.running.take().expect("a client ends once");
        let (sender, receiver) = channel();
        std::thread::spawn(move || sender.send(running.join()));
        let report = receiver.recv_timeout(PATIENCE).expect("the client ends");
        (report.expect("it ends well"), self.hears.so_far())
    }

    #[track_caller]
    pub(crate) fn drain(self) -> (DrainReport, Vec<Told>) {
        self.handle.drain();
        self.end()
    }
}
