//! The watchdog's thread.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use super::log::{Log, SILENCE};
use super::watched::Seen;
use super::{Blocked, Watched};
use crate::shared::Shared;
use crate::unwinding::caught;

/// How much more often it looks while a callback blocks, to know when that is over.
const FINER: u32 = 4;

/// What a user wants to hear of.
#[derive(Clone)]
pub(crate) struct Hook(pub(crate) Arc<dyn Fn(&Blocked) + Send + Sync>);

/// Looks at the workers of a server until it is dropped.
#[derive(Debug)]
pub(crate) struct Watchdog {
    /// Dropped to end the thread.
    ends: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Watchdog {
    /// Starts to look at the workers once per `threshold`.
    pub(crate) fn start(
        shared: Arc<Shared>,
        threshold: Duration,
        hook: Option<Hook>,
    ) -> io::Result<Self> {
        let (ends, end) = channel::<()>();
        let (begins, begun) = channel::<()>();
        let body = move || {
            drop(begins);
            let mut workers = vec![Worker::Fine; shared.watched.len()];
            let mut period = threshold;
            let mut log = Log::default();
            // Nothing is ever sent: either the time is over, or the other end is gone.
            while end.recv_timeout(period) == Err(RecvTimeoutError::Timeout) {
                log.pass(period);
                for (index, watched) in shared.watched.iter().enumerate() {
                    let tell = |seen, duration, stage| {
                        tell(&mut log, index, seen, duration, stage, hook.as_ref());
                    };
                    workers[index].look(watched, period, threshold, tell);
                }
                let one_blocks = workers.iter().any(|worker| matches!(worker, Worker::Blocked(..)));
                period = if one_blocks { threshold / FINER } else { threshold };
            }
            // The workers have ended, and so has what blocked them.
            for (index, worker) in workers.iter().enumerate() {
                if let Worker::Blocked(seen, duration) = *worker {
                    tell(&mut log, index, seen, duration, Stage::Over, hook.as_ref());
                }
            }
        };
        let thread = Builder::new().name("wharf-watchdog".to_owned()).spawn(body)?;
        // It has its name by then, and looks at what follows.
        let _ = begun.recv();
        Ok(Self { ends: Some(ends), thread: Some(thread) })
    }
}

impl Drop for Watchdog {
    fn drop(&mut self) {
        self.ends = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// What there is to tell of a callback that blocks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Stage {
    /// It has reached the threshold.
    Blocks,
    /// It has outlasted the log's silence, which may have kept it from being named.
    Lasts,
    Over,
}

/// A worker, as of the last look.
#[derive(Clone, Copy, Debug)]
enum Worker {
    Fine,
    /// It was in a callback, which has been seen for so long.
    Calls(Seen, Duration),
    /// The callback has reached the threshold, and was told of.
    Blocked(Seen, Duration),
}

impl Worker {
    fn look(
        &mut self,
        watched: &Watched,
        passed: Duration,
        threshold: Duration,
        mut tell: impl FnMut(Seen, Duration, Stage),
    ) {
        let now = watched.look();
        *self = match *self {
            Self::Calls(seen, before) if now == Some(seen) => {
                let duration = before + passed;
                if duration < threshold {
                    Self::Calls(seen, duration)
                } else {
                    watched.count_blocked();
                    tell(seen, duration, Stage::Blocks);
                    Self::Blocked(seen, duration)
                }
            }
            Self::Blocked(seen, before) if now == Some(seen) => {
                let duration = before + passed;
                if before < SILENCE && duration >= SILENCE {
                    tell(seen, duration, Stage::Lasts);
                }
                Self::Blocked(seen, duration)
            }
            before => {
                if let Self::Blocked(seen, duration) = before {
                    tell(seen, duration, Stage::Over);
                }
                now.map_or(Self::Fine, |seen| Self::Calls(seen, Duration::ZERO))
            }
        };
    }
}

fn tell(
    log: &mut Log,
    worker: usize,
    seen: Seen,
    duration: Duration,
    stage: Stage,
    hook: Option<&Hook>,
) {
    let Seen { session, callback, .. } = seen;
    let is_over = stage == Stage::Over;
    let blocked = Blocked { worker, session, callback, duration, is_over };
    log.write(seen, &blocked);
    // A user hears of each twice, and of none a third time.
    if stage != Stage::Lasts
        && let Some(Hook(hook)) = hook
        && caught(|| hook(&blocked)).is_none()
    {
        log.hook_panicked();
    }
}

impl fmt::Debug for Hook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Hook")
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::watchdog::Callback;

    #[test]
    fn one_that_never_returns_is_told_of_once_more_when_a_minute_is_over() {
        const LOOK: Duration = Duration::from_secs(20);
        let (watched, mut worker, mut told) = (Watched::default(), Worker::Fine, Vec::new());
        watched.begin(None, Callback::Tick);
        for _ in 0..10 {
            worker.look(&watched, LOOK, LOOK, |_, duration, stage| told.push((stage, duration)));
        }
        assert_eq!(told, [(Stage::Blocks, LOOK), (Stage::Lasts, SILENCE)]);
        watched.end();
        worker.look(&watched, LOOK, LOOK, |_, duration, stage| told.push((stage, duration)));
        assert_eq!(told.last(), Some(&(Stage::Over, LOOK * 9)));
    }
}
