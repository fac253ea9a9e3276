//! What the service manager is told, as systemd's `Type=notify` has it: that the server accepts, that it ends,
//! and while every worker turns, that it is well. Nothing, if nobody has asked to be told.

use std::time::{Duration, Instant};

use sd_notify::NotifyState;
use wharf::ServerHandle;

use crate::clock::now;
use crate::console::Console;

/// How often it is told that all is well within the time that it waits for that: what is missed once, since a
/// worker had much to do, is made up for in time.
const BEATS: u32 = 4;

/// The service manager.
#[derive(Debug)]
pub(super) struct Service {
    /// How often it is to be told that all is well, if at all.
    every: Option<Duration>,
    due: Instant,
    /// It could not be told something, or there was nothing good to tell: said once until it is over.
    has_complained: bool,
}

impl Service {
    pub(super) fn find() -> Self {
        let every = sd_notify::watchdog_enabled().map(|limit| limit / BEATS);
        Self { every, due: now(), has_complained: false }
    }

    /// The server accepts.
    pub(super) fn is_ready(&mut self, server: &ServerHandle, console: &Console) {
        let addresses: Vec<String> = server.addresses().iter().map(ToString::to_string).collect();
        let status = format!("{} on {}", server.backend(), addresses.join(","));
        self.tell(&[NotifyState::Ready, NotifyState::Status(&status)], console);
    }

    /// The server takes no more connections, and has so many sessions left.
    pub(super) fn is_draining(&mut self, sessions: usize, console: &Console) {
        let status = format!("draining, sessions left: {sessions}");
        self.tell(&[NotifyState::Stopping, NotifyState::Status(&status)], console);
    }

    /// How long nothing is due; `None` if nothing ever is.
    pub(super) fn rests(&self) -> Option<Duration> {
        self.every.map(|_| self.due.saturating_duration_since(now()))
    }

    /// Tells it that all is well if every worker has turned since the last time, and nothing otherwise.
    pub(super) fn beat(&mut self, server: &ServerHandle, console: &Console) {
        let Some(every) = self.every else { return };
        self.due = now() + every;
        match server.stalled_workers().as_slice() {
            [] => {
                self.has_complained = false;
                self.tell(&[NotifyState::Watchdog], console);
            }
            stalled => self.complain(
                format_args!("workers {stalled:?} do not turn: the service manager is not told that all is well"),
                console,
            ),
        }
    }

    fn tell(&mut self, what: &[NotifyState<'_>], console: &Console) {
        if let Err(error) = sd_notify::notify(what) {
            self.complain(
                format_args!("the service manager (NOTIFY_SOCKET) cannot be told: {error}"),
                console,
            );
        }
    }

    fn complain(&mut self, of: impl std::fmt::Display, console: &Console) {
        if !std::mem::replace(&mut self.has_complained, true) {
            console.say(of);
        }
    }
}
