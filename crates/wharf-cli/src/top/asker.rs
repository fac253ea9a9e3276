//! The thread that asks the server, so that keys and the terminal wait for no answer.

use std::io;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

use super::client::Client;
use super::keys::ServerChange;
use super::run::Event;
use super::sample::{Sample, Wanted};
use crate::clock::now;

/// How soon one look may follow another, however fast keys are pressed.
const LOOKS_APART: Duration = Duration::from_millis(100);
/// The longest pause between two tries to reach a server that is lost.
const PAUSE_MAX: Duration = Duration::from_secs(30);

/// What the thread is told.
#[derive(Debug)]
pub(super) enum Order {
    /// To look at these from now on, and once at once.
    Look(Wanted),
    /// To look no more, or again.
    Pause(bool),
    Change(ServerChange),
}

/// Asks on a thread of its own.
#[derive(Debug)]
pub(super) struct Asker {
    client: Client,
    orders: Receiver<Order>,
    events: Sender<Event>,
    wanted: Wanted,
    interval: Duration,
    started: Instant,
    is_paused: bool,
    /// One look is due although it is paused: at what has come of a change.
    is_look_owed: bool,
    /// Tries in vain since the last answer.
    failures: u32,
    looked: Instant,
    due: Instant,
}

impl Asker {
    /// Starts the thread; it ends when nobody has orders for it any more.
    pub(super) fn start(
        client: Client,
        wanted: Wanted,
        interval: Duration,
        started: Instant,
        events: Sender<Event>,
    ) -> io::Result<Sender<Order>> {
        let (sender, orders) = channel();
        let looked = now();
        let due = looked + interval;
        let mut asker = Self {
            client,
            orders,
            events,
            wanted,
            interval,
            started,
            is_paused: false,
            is_look_owed: false,
            failures: 0,
            looked,
            due,
        };
        let body = move || {
            // Whoever draws must not wait for a thread that has panicked.
            let _end = TellsEnd(asker.events.clone());
            asker.run();
        };
        std::thread::Builder::new().name("wharf-top-asker".to_owned()).spawn(body)?;
        Ok(sender)
    }

    fn run(&mut self) {
        loop {
            match self.next_order() {
                Ok(Order::Look(wanted)) => {
                    self.wanted = wanted;
                    // One that is paused looks when something else is wanted, and then is still.
                    self.due = self.looked + LOOKS_APART;
                    if self.is_paused {
                        self.look();
                    }
                }
                Ok(Order::Pause(is_paused)) => {
                    self.is_paused = is_paused;
                    self.due = self.looked + LOOKS_APART;
                }
                Ok(Order::Change(change)) => self.change(change),
                Err(RecvTimeoutError::Timeout) => self.look(),
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    /// The next order, or a timeout when a look is due.
    fn next_order(&self) -> Result<Order, RecvTimeoutError> {
        if self.is_paused && !self.is_look_owed {
            return Ok(self.orders.recv()?);
        }
        self.orders.recv_timeout(self.due.saturating_duration_since(now()))
    }

    fn look(&mut self) {
        let started = self.started;
        let sample = Sample::take(&mut self.client, &self.wanted, || now() - started);
        self.looked = now();
        self.is_look_owed = false;
        let event = match sample {
            Ok(sample) => {
                self.failures = 0;
                self.due = self.looked + self.interval;
                Event::Sample(Box::new(sample))
            }
            Err(error) => {
                self.due = self.looked + self.pause();
                self.failures = self.failures.saturating_add(1);
                Event::Lost { why: error.to_string(), next: self.due - self.started }
            }
        };
        let _ = self.events.send(event);
    }

    /// Twice as long after each try, from one interval on.
    fn pause(&self) -> Duration {
        let most = PAUSE_MAX.max(self.interval);
        self.interval.saturating_mul(2u32.saturating_pow(self.failures)).min(most)
    }

    fn change(&mut self, change: ServerChange) {
        let result = self.client.post(&change.path());
        let event = Event::Changed(change, result.map_err(|error| error.to_string()));
        let _ = self.events.send(event);
        // What has come of it is looked at soon. When a look would be due is of no account while there is a pause.
        let soon = now() + LOOKS_APART;
        self.due = if self.is_paused { soon } else { self.due.min(soon) };
        self.is_look_owed = true;
    }
}

/// Says so when the thread ends, however it does.
struct TellsEnd(Sender<Event>);

impl Drop for TellsEnd {
    fn drop(&mut self) {
        let _ = self.0.send(Event::AskerEnded);
    }
}
