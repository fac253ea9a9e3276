//! Waiting for packets: one call takes a batch.

use std::fmt;
use std::io;
use std::time::Duration;

use windows_sys::Win32::System::IO::OVERLAPPED_ENTRY;

use super::operation::Outcome;
use super::{Api, Code, Iocp, key};
use crate::clock::{Time, monotonic_now};

/// Packets that one call takes. What is left comes with the next.
const BATCH: usize = 256;

/// A wait that is shorter than this is made exact by the timer: the system's tick, of 15.6 ms, would
/// else round it up. To those that wait for longer a tick makes no difference.
const FINE: Duration = Duration::from_secs(1);

/// By how much a wait may last longer than its timer, if that does not end it.
const TICK: Duration = Duration::from_micros(15_625);

/// How far the timer may be off before it is set again.
const NEAR: Duration = Duration::from_micros(100);

/// Room for a batch of packets.
pub(super) struct Entries(Box<[OVERLAPPED_ENTRY]>);

impl Default for Entries {
    fn default() -> Self {
        Self(vec![OVERLAPPED_ENTRY::default(); BATCH].into_boxed_slice())
    }
}

impl fmt::Debug for Entries {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Entries({})", self.0.len())
    }
}

/// The timer that ends a short wait in time, on systems that have one.
#[derive(Debug)]
pub(super) struct FineTimer<A: Api> {
    timer: Option<A::Timer>,
    /// What it is set to.
    due: Option<Time>,
}

impl<A: Api> FineTimer<A> {
    pub(super) fn open(api: &A, port: &A::Port) -> Self {
        Self { timer: api.open_timer(port), due: None }
    }

    /// Has a packet end the wait in time, if the wait is a short one. The timeout that the wait is to
    /// have besides: it still ends if the timer does not.
    fn set(&mut self, api: &A, port: &A::Port, timeout: Option<Duration>) -> Option<Duration> {
        let Some(short) = timeout.filter(|it| !it.is_zero() && *it < FINE) else { return timeout };
        let Some(timer) = &self.timer else { return timeout };
        let due = monotonic_now() + short;
        let set = self.due.is_some_and(|set| set.since(due).max(due.since(set)) < NEAR);
        if !set {
            // One that cannot be set now may be at its end, on another processor.
            self.due = api.set_timer(port, timer, short, key::TIMER).is_ok().then_some(due);
        }
        if self.due.is_none() { timeout } else { Some(short + TICK) }
    }
}

impl<A: Api> Iocp<A> {
    /// Starts what is staged, then takes the packets that have come.
    pub(crate) fn wait(&mut self, timeout: Option<Duration>, now: Time) -> io::Result<()> {
        self.stats.waits += 1;
        self.carry_out();
        self.refill_accepts(now);
        self.free_held_buffers();
        let blocks = self.staged.is_empty() && !self.has_ready();
        let reaped = self.reap(if blocks { timeout } else { Some(Duration::ZERO) });
        self.turns = self.line.len();
        Ok(reaped?)
    }

    fn reap(&mut self, timeout: Option<Duration>) -> Result<(), Code> {
        let timeout = self.timer.set(&self.api, &self.port, timeout);
        let count = match self.api.dequeue(&self.port, &mut self.entries.0, timeout) {
            Ok(count) => count,
            Err(Code::TIMED_OUT) => return Ok(()),
            Err(code) => return Err(code),
        };
        for entry in &self.entries.0[..count] {
            let failure = match entry.lpCompletionKey {
                key::OPERATION => self.api.failure_of(entry.Internal),
                key::TIMER => {
                    self.timer.due = None;
                    continue;
                }
                _ => continue,
            };
            let Some((index, purpose)) = self.operations.finish(entry.lpOverlapped) else {
                continue;
            };
            let bytes = entry.dwNumberOfBytesTransferred;
            self.outcomes.push_back(Outcome { index, purpose, bytes, failure });
        }
        Ok(())
    }
}
