//! The loop: events come in, frames go out.

use std::collections::VecDeque;
use std::io;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

use ratatui::crossterm::event;

use super::asker::{Asker, Order};
use super::client::Client;
use super::keys::{Action, ServerChange, press};
use super::options::TopOptions;
use super::sample::Sample;
use super::screen::{self, Screen};
use super::state::{Lost, State};
use super::view::Theme;
use crate::clock::now;
use crate::failure::{Exit, Failure};
use crate::signals;

/// How often a frame is drawn if nothing happens: times that pass are shown.
const TICK: Duration = Duration::from_secs(1);

/// What happens.
#[derive(Debug)]
pub(super) enum Event {
    Sample(Box<Sample>),
    /// There was no answer; `next` is when there may be one.
    Lost {
        why: String,
        next: Duration,
    },
    Changed(ServerChange, Result<(), String>),
    AskerEnded,
    Terminal(event::Event),
    /// The terminal has no more keys.
    TerminalEnded(io::Error),
    Signal,
}

/// Shows the server until somebody quits.
pub(super) fn run(
    options: &TopOptions,
    mut client: Client,
    mut state: State,
) -> Result<(), Failure> {
    screen::check()?;
    let started = now();
    // Before the terminal changes: who cannot be reached at all is said in a line.
    let first = Sample::take(&mut client, &state.wanted, || now() - started);
    state.take(first.map_err(|error| super::no_picture(options, &error))?);
    let (sender, events) = channel();
    let signal = sender.clone();
    signals::forward(move |_| drop(signal.send(Event::Signal))).map_err(Failure::no_thread)?;
    let wanted = state.wanted.clone();
    let orders = Asker::start(client, wanted, options.interval, started, sender.clone())
        .map_err(Failure::no_thread)?;
    let screen = Screen::take()?;
    read_keys(sender).map_err(Failure::no_thread)?;
    let theme = Theme::new(options.ascii);
    let changes = VecDeque::new();
    Loop { screen, theme, state, started, orders, events, changes }.run()
}

/// Reads the terminal in a thread that ends with the process.
fn read_keys(events: Sender<Event>) -> io::Result<()> {
    let body = move || {
        loop {
            let (event, is_last) = match event::read() {
                Ok(event) => (Event::Terminal(event), false),
                Err(error) => (Event::TerminalEnded(error), true),
            };
            if events.send(event).is_err() || is_last {
                return;
            }
        }
    };
    std::thread::Builder::new().name("wharf-top-keys".to_owned()).spawn(body).map(drop)
}

struct Loop {
    screen: Screen,
    theme: Theme,
    state: State,
    started: Instant,
    orders: Sender<Order>,
    events: Receiver<Event>,
    /// Those that were asked for and are not done, in their order.
    changes: VecDeque<ServerChange>,
}

impl Loop {
    fn run(mut self) -> Result<(), Failure> {
        loop {
            self.state.now = now() - self.started;
            // A terminal that takes nothing any more has nobody in front of it.
            if self.screen.draw(&mut self.state, &self.theme).is_err() {
                return Ok(());
            }
            let mut next = match self.events.recv_timeout(TICK) {
                Ok(event) => Some(event),
                Err(RecvTimeoutError::Timeout) => None,
                Err(RecvTimeoutError::Disconnected) => return Ok(()),
            };
            // All that has come meanwhile makes one frame.
            while let Some(event) = next {
                if self.handle(event)? {
                    return Ok(());
                }
                next = self.events.try_recv().ok();
            }
        }
    }

    /// Whether that was the end.
    fn handle(&mut self, event: Event) -> Result<bool, Failure> {
        match event {
            Event::Sample(sample) => self.state.take(*sample),
            Event::Lost { why, next } => {
                let since = self.state.answered_at();
                self.state.lost = Some(Lost { since, next, why });
            }
            Event::Changed(change, result) => return Ok(self.changed(&change, &result)),
            Event::Terminal(event::Event::Key(key)) => return Ok(self.press(key)),
            Event::Terminal(event::Event::Resize(..)) => drop(self.screen.forget()),
            Event::Terminal(_) => {}
            Event::Signal => return Ok(true),
            Event::TerminalEnded(error) => {
                let line = format!("the terminal has no keys any more: {error}; give --once");
                return Err(Failure::new(Exit::Failed, line));
            }
            Event::AskerEnded => {
                let line =
                    "the thread that asks the server has ended; this is a mistake, report it";
                return Err(Failure::new(Exit::Failed, line));
            }
        }
        Ok(false)
    }

    /// Whether the end has waited for this alone.
    fn changed(&mut self, change: &ServerChange, result: &Result<(), String>) -> bool {
        self.changes.pop_front();
        self.state.said = Some(match result {
            Ok(()) => format!("done: {}", change.name()),
            Err(why) => format!("{} failed: {why}", change.name()),
        });
        let leaves = self.state.leaves_after.take().is_some();
        // Who leaves would not see that it has failed.
        leaves && result.is_ok() && self.leave()
    }

    /// Whether nothing is under way: what was asked for would be lost with the thread that asks.
    fn leave(&mut self) -> bool {
        self.state.leaves_after = self.changes.front().map(ServerChange::name);
        self.changes.is_empty()
    }

    fn press(&mut self, key: event::KeyEvent) -> bool {
        let order = match press(&mut self.state, key) {
            Action::None => return false,
            Action::Quit if self.state.leaves_after.is_some() => return true,
            Action::Quit => return self.leave(),
            Action::Look => Order::Look(self.state.wanted.clone()),
            Action::Pause(is_paused) => Order::Pause(is_paused),
            Action::Change(change) => {
                self.state.said = Some(format!("asked for: {}", change.name()));
                self.changes.push_back(change.clone());
                Order::Change(change)
            }
        };
        // A thread that is gone has said so.
        let _ = self.orders.send(order);
        false
    }
}
