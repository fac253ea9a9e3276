//! The standard error stream: lines, and on a terminal a live one below them.
//!
//! A thread of its own writes it. A terminal can stop taking bytes for as long as it likes (Ctrl-S, a
//! connection that hangs); no worker, and no signal, waits for that.

use std::fmt;
use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::Duration;

use tracing_subscriber::filter::LevelFilter;
use wharf::ServerHandle;

use super::counted::Counted;
use super::rates::{Meter, Rates};
use super::terminal;

/// How often the live line is rewritten.
const INTERVAL: Duration = Duration::from_millis(500);
/// Lines that may wait to be written; what is logged beyond them is dropped, and counted.
const WAITING_MAX: usize = 1024;
/// How long the end waits for what is still to be written.
const PATIENCE: Duration = Duration::from_secs(1);

/// The standard error stream, from any thread.
#[derive(Debug)]
pub(super) struct Console {
    painter: Sender<Message>,
    counts: Arc<Counts>,
}

#[derive(Debug)]
enum Message {
    Lines(Vec<u8>),
    /// From here on there is a live line about this server, if this is a terminal.
    Live(ServerHandle),
    /// Everything has been said: remove the live line and answer.
    Finish(Sender<()>),
}

#[derive(Debug, Default)]
struct Counts {
    waiting: AtomicUsize,
    dropped: AtomicUsize,
}

impl Console {
    pub(super) fn start() -> io::Result<Self> {
        let (painter, messages) = channel();
        let counts = Arc::new(Counts::default());
        let body = Painter { messages, counts: Arc::clone(&counts), live: None, shown: false };
        std::thread::Builder::new().name("wharf-console".to_owned()).spawn(|| body.run())?;
        Ok(Self { painter, counts })
    }

    /// Takes what the libraries log from here on.
    pub(super) fn take_log(self: &Arc<Self>, level: LevelFilter) {
        let log = tracing_subscriber::fmt()
            .with_max_level(level)
            .with_ansi(false)
            .with_writer(Arc::clone(self));
        // It fails if there is a log already; this process has one console.
        let _ = log.try_init();
    }

    /// Says something of the program's own.
    pub(super) fn say(&self, line: impl fmt::Display) {
        self.counts.waiting.fetch_add(1, Ordering::Relaxed);
        self.put(format!("wharf: {line}\n").into_bytes());
    }

    /// Shows what a server does, if this is a terminal.
    pub(super) fn show(&self, server: ServerHandle) {
        let _ = self.painter.send(Message::Live(server));
    }

    /// Removes the live line and waits until everything is written, but not for ever.
    pub(super) fn finish(&self) {
        let (answer, answers) = channel();
        let _ = self.painter.send(Message::Finish(answer));
        let _ = answers.recv_timeout(PATIENCE);
    }

    /// Has lines written that are counted as waiting.
    fn put(&self, lines: Vec<u8>) {
        let _ = self.painter.send(Message::Lines(lines));
    }
}

/// The log comes here, each event in one piece.
impl Write for &Console {
    fn write(&mut self, lines: &[u8]) -> io::Result<usize> {
        let Counts { waiting, dropped } = &*self.counts;
        if waiting.fetch_add(1, Ordering::Relaxed) < WAITING_MAX {
            self.put(lines.to_vec());
        } else {
            waiting.fetch_sub(1, Ordering::Relaxed);
            dropped.fetch_add(1, Ordering::Relaxed);
        }
        Ok(lines.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The thread that writes. Nobody is left to tell if the stream is gone, so what cannot be written is
/// dropped: a server does not end because its terminal did.
struct Painter {
    messages: Receiver<Message>,
    counts: Arc<Counts>,
    live: Option<Live>,
    /// The cursor stands behind a live line.
    shown: bool,
}

/// What the live line is about.
struct Live {
    server: ServerHandle,
    meter: Meter,
    rates: Rates,
}

impl Painter {
    fn run(mut self) {
        loop {
            match self.next() {
                Ok(Message::Lines(lines)) => {
                    self.counts.waiting.fetch_sub(1, Ordering::Relaxed);
                    self.put(&lines);
                    self.admit_dropping();
                }
                Ok(Message::Live(server)) => {
                    self.live = terminal::is_one().then(|| Live::new(server));
                    self.put(b"");
                }
                Ok(Message::Finish(answer)) => {
                    self.live = None;
                    self.put(b"");
                    let _ = answer.send(());
                }
                Err(RecvTimeoutError::Timeout) => {
                    self.live.iter_mut().for_each(Live::look);
                    self.put(b"");
                }
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    /// What comes next: a timeout when the live line is due, however much is logged meanwhile.
    fn next(&self) -> Result<Message, RecvTimeoutError> {
        match &self.live {
            Some(live) => match live.meter.due_in(INTERVAL) {
                Duration::ZERO => Err(RecvTimeoutError::Timeout),
                wait => self.messages.recv_timeout(wait),
            },
            None => Ok(self.messages.recv()?),
        }
    }

    /// Writes whole lines, and the live one below them, in one piece.
    fn put(&mut self, lines: &[u8]) {
        let mut output = Vec::new();
        // A server in the background does not write into the line that its user is typing, and what
        // it had shown there before is not where the cursor is.
        let ours = (self.shown || self.live.is_some()) && terminal::is_ours();
        if std::mem::take(&mut self.shown) && ours {
            output.extend_from_slice(terminal::REMOVE_LINE);
        }
        output.extend_from_slice(lines);
        if let Some(live) = self.live.as_ref().filter(|_| ours) {
            // A line that wraps could not be removed: there is room for the `^C` of a terminal too.
            let room = terminal::width().saturating_sub(3);
            output.extend(live.rates.to_string().bytes().take(room));
            self.shown = true;
        }
        if !output.is_empty() {
            let _ = io::stderr().write_all(&output);
        }
    }

    fn admit_dropping(&mut self) {
        let dropped = self.counts.dropped.swap(0, Ordering::Relaxed);
        if dropped > 0 {
            let lines = Counted(dropped as u64, "line");
            self.put(format!("wharf: {lines} dropped: nobody reads them in time\n").as_bytes());
        }
    }
}

impl Live {
    fn new(server: ServerHandle) -> Self {
        let mut meter = Meter::new(server.stats());
        let rates = meter.look(server.stats());
        Self { server, meter, rates }
    }

    fn look(&mut self) {
        self.rates = self.meter.look(self.server.stats());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_that_nobody_writes_is_bounded_and_the_program_is_heard_all_the_same() {
        let (painter, messages) = channel();
        let console = Console { painter, counts: Arc::default() };
        for _ in 0..2 * WAITING_MAX {
            (&console).write_all(b"logged\n").unwrap();
        }
        console.say("the report");
        assert_eq!(messages.try_iter().count(), WAITING_MAX + 1);
        assert_eq!(console.counts.dropped.load(Ordering::Relaxed), WAITING_MAX);
    }
}
