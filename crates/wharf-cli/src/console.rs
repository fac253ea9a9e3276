//! The standard error stream: lines, and on a terminal a live one below them.
//!
//! A thread of its own writes it. A terminal can stop taking bytes for as long as it likes (Ctrl-S, a
//! connection that hangs); no worker, and no signal, waits for that.

use std::fmt;
use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

use tracing_subscriber::filter::LevelFilter;

use crate::clock::now;
use crate::counted::Counted;
use crate::terminal;

/// How often the live line is rewritten.
const INTERVAL: Duration = Duration::from_millis(500);
/// Lines that may wait to be written; what is logged beyond them is dropped, and counted.
const WAITING_MAX: usize = 1024;
/// How long the end waits for what is still to be written.
const PATIENCE: Duration = Duration::from_secs(1);

/// The standard error stream, from any thread.
#[derive(Debug)]
pub(crate) struct Console {
    painter: Sender<Message>,
    counts: Arc<Counts>,
}

enum Message {
    Lines(Vec<u8>),
    /// From here on there is a live line, if this is a terminal.
    Live(Look),
    /// Everything has been said: remove the live line and answer.
    Finish(Sender<()>),
}

#[derive(Debug, Default)]
struct Counts {
    waiting: AtomicUsize,
    dropped: AtomicUsize,
}

impl Console {
    pub(crate) fn start() -> io::Result<Self> {
        let (painter, messages) = channel();
        let counts = Arc::new(Counts::default());
        let body = Painter { messages, counts: Arc::clone(&counts), live: None, shown: false };
        std::thread::Builder::new().name("wharf-console".to_owned()).spawn(|| body.run())?;
        Ok(Self { painter, counts })
    }

    /// Takes what the libraries log from here on.
    pub(crate) fn take_log(self: &Arc<Self>, level: LevelFilter) {
        let log = tracing_subscriber::fmt()
            .with_max_level(level)
            .with_ansi(false)
            .with_writer(Arc::clone(self));
        // It fails if there is a log already; this process has one console.
        let _ = log.try_init();
    }

    /// Says something of the program's own.
    pub(crate) fn say(&self, line: impl fmt::Display) {
        self.counts.waiting.fetch_add(1, Ordering::Relaxed);
        self.put(format!("wharf: {line}\n").into_bytes());
    }

    /// Shows a live line, if this is a terminal: `look` makes it anew, twice a second.
    pub(crate) fn show(&self, look: impl FnMut() -> String + Send + 'static) {
        let _ = self.painter.send(Message::Live(Box::new(look)));
    }

    /// Removes the live line and waits until everything is written, but not for ever.
    pub(crate) fn finish(&self) {
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

/// Makes the live line.
type Look = Box<dyn FnMut() -> String + Send>;

/// The live line.
struct Live {
    look: Look,
    line: String,
    /// When it is to be made anew.
    due: Instant,
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
                Ok(Message::Live(look)) => {
                    self.live = terminal::is_one().then(|| Live::new(look));
                    self.put(b"");
                }
                Ok(Message::Finish(answer)) => {
                    self.live = None;
                    self.put(b"");
                    let _ = answer.send(());
                }
                Err(RecvTimeoutError::Timeout) => {
                    self.live.iter_mut().for_each(Live::renew);
                    self.put(b"");
                }
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    /// What comes next: a timeout when the live line is due, however much is logged meanwhile.
    fn next(&self) -> Result<Message, RecvTimeoutError> {
        match &self.live {
            Some(live) => match live.due.saturating_duration_since(now()) {
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
            output.extend(live.line.bytes().take(room));
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
    fn new(mut look: Look) -> Self {
        Self { line: look(), due: now() + INTERVAL, look }
    }

    fn renew(&mut self) {
        self.line = (self.look)();
        self.due = now() + INTERVAL;
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
