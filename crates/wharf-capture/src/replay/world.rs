//! What is on the other end of a replay.

use std::collections::VecDeque;
use std::time::Duration;

use wharf::sim::Network;
use wharf::{Arrival, Session, SteppedServer, Time, WaitError};
use wharf_port::{Completion, CompletionPort};

/// What was done to a server.
#[derive(Clone, Copy, Default, Debug)]
pub(super) struct Done {
    /// Connections that were opened.
    pub(super) opened: u64,
    /// Bytes that were sent, of sessions that have not been reset.
    pub(super) bytes: u64,
}

/// A server, and the time that passes there.
pub(super) trait World {
    /// Waits until something has come, which is `taken`, or `until`; or for less.
    fn wait(
        &mut self,
        port: &mut CompletionPort,
        until: Time,
        taken: &mut VecDeque<Completion>,
    ) -> Result<(), WaitError>;

    /// Whether the server has heard of everything, the last of which was done so long ago.
    fn has_heard(&self, done: Done, ago: Duration, settle: Duration) -> bool;
}

/// A server somewhere: what it knows is its own.
pub(super) struct Real;

impl World for Real {
    fn wait(
        &mut self,
        port: &mut CompletionPort,
        until: Time,
        taken: &mut VecDeque<Completion>,
    ) -> Result<(), WaitError> {
        port.wait(Some(until))?;
        taken.extend(std::iter::from_fn(|| port.take()));
        Ok(())
    }

    fn has_heard(&self, _: Done, ago: Duration, settle: Duration) -> bool {
        ago >= settle
    }
}

/// A server on this thread.
pub(super) struct Simulated<H, F> {
    server: SteppedServer<H, F>,
    network: Network,
}

impl<H, F> Simulated<H, F> {
    pub(super) const fn new(server: SteppedServer<H, F>, network: Network) -> Self {
        Self { server, network }
    }
}

impl<H: Session, F: Fn(&Arrival) -> H> World for Simulated<H, F> {
    fn wait(
        &mut self,
        port: &mut CompletionPort,
        until: Time,
        taken: &mut VecDeque<Completion>,
    ) -> Result<(), WaitError> {
        let now = self.network.now();
        let mut is_busy = false;
        for worker in 0..self.server.workers() {
            self.server.turn(worker, Some(now))?;
            is_busy |= self.server.worker(worker).is_some_and(|view| view.is_busy);
        }
        while self.server.run_deferred(0) {
            is_busy = true;
        }
        // The network goes no further than to the next timer of a port.
        let alarm = port.start_timer(until, 0);
        port.wait(Some(now))?;
        taken.extend(std::iter::from_fn(|| port.take()));
        if taken.is_empty() && !is_busy && !self.network.advance() {
            self.network.advance_by(until.since(now));
        }
        alarm.map(|alarm| port.cancel_timer(alarm));
        Ok(())
    }

    fn has_heard(&self, done: Done, _: Duration, _: Duration) -> bool {
        let stats = self.server.handle().stats();
        stats.accepted >= done.opened && stats.bytes_in >= done.bytes
    }
}
