//! The concurrency value: how many threads a port lets run at the same time.
//!
//! A port that is opened with 1 has four threads and four packets, each of which takes some computing. On Windows one
//! thread runs at a time, and the other three packets wait although three threads do. Then a thread that deals with
//! a packet *blocks*, here until another packet has been dealt with. The port notices, as the scheduler tells it, and
//! releases a further thread: nothing is stuck. That is what the value is: not a number of threads, but of threads
//! that run. So it is set to the number of processors, and some more threads than that are started.
//!
//! Wine 8.0 ignores the value: all four run at once. There the number of threads is the only limit.

use std::hint;
use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use super::{PATIENCE_MS, io_error, is_wine};
use crate::experiments::{Experiment, Verdict};
use crate::windows::iocp::CompletionPort;

pub(super) const EXPERIMENT: Experiment = Experiment {
    name: "concurrency-value",
    system: "Windows",
    summary: "a port lets so many threads run at a time, and one more when one blocks",
    run,
};

const THREADS: usize = 4;
/// How long a packet keeps its thread busy, in turns of a loop, unless another one runs meanwhile.
const SPINS: usize = 3_000_000;
const PATIENCE: Duration = Duration::from_millis(PATIENCE_MS as u64);
/// What a packet asks for.
const END: usize = 0;
const COMPUTE: usize = 1;
const BLOCK: usize = 2;
const UNBLOCK: usize = 3;

fn run(report: &mut dyn io::Write) -> io::Result<Verdict> {
    let (done, all_done) = mpsc::channel();
    let (unblock, blocked) = mpsc::channel();
    let port = CompletionPort::open(1).map_err(io_error)?;
    let (running, most) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let shared = Arc::new(Shared { port, running, most, blocked: Mutex::new(blocked) });
    for _ in 0..THREADS {
        let (shared, done, unblock) = (Arc::clone(&shared), done.clone(), unblock.clone());
        thread::spawn(move || shared.work(&done, &unblock));
    }
    let outcome = observe(&shared, &all_done);
    for _ in 0..THREADS {
        shared.port.post(END).map_err(io_error)?;
    }
    let (most, is_unblocked) = outcome?;
    writeln!(
        report,
        "concurrency value 1, {THREADS} threads, {THREADS} packets that compute: up to {most} at a time"
    )?;
    let goes_on = if is_unblocked { "goes on with another thread" } else { "is stuck" };
    writeln!(
        report,
        "a packet whose thread blocks until the next was dealt with: the port {goes_on}"
    )?;
    if most > 1 && is_wine() {
        writeln!(
            report,
            "this is Wine, which ignores the value: its limit is the number of threads"
        )?;
    }
    Ok(if most == 1 && is_unblocked { Verdict::Shown } else { Verdict::NotShown })
}

/// How many ran at the same time, and whether a blocked one let another go.
fn observe(shared: &Shared, done: &Receiver<bool>) -> io::Result<(usize, bool)> {
    let dealt_with = || done.recv_timeout(PATIENCE).map_err(io::Error::other);
    for _ in 0..THREADS {
        shared.port.post(COMPUTE).map_err(io_error)?;
    }
    for _ in 0..THREADS {
        dealt_with()?;
    }
    shared.port.post(BLOCK).map_err(io_error)?;
    shared.port.post(UNBLOCK).map_err(io_error)?;
    let is_unblocked = dealt_with()? & dealt_with()?;
    Ok((shared.most.load(Ordering::SeqCst), is_unblocked))
}

struct Shared {
    port: CompletionPort,
    /// Threads that compute now, and the most that ever did at the same time.
    running: AtomicUsize,
    most: AtomicUsize,
    blocked: Mutex<Receiver<()>>,
}

impl Shared {
    fn work(&self, done: &Sender<bool>, unblock: &Sender<()>) {
        while let Ok(packet) = self.port.take_within(PATIENCE_MS) {
            let went_well = match packet.key {
                END => return,
                COMPUTE => self.compute(),
                BLOCK => {
                    let blocked = self.blocked.lock().unwrap_or_else(PoisonError::into_inner);
                    blocked.recv_timeout(PATIENCE).is_ok()
                }
                _ => unblock.send(()).is_ok(),
            };
            if done.send(went_well).is_err() {
                return;
            }
        }
    }

    fn compute(&self) -> bool {
        self.most.fetch_max(self.running.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
        for _ in 0..SPINS {
            hint::spin_loop();
            // Who has seen another has seen enough.
            if self.running.load(Ordering::SeqCst) > 1 {
                break;
            }
        }
        self.running.fetch_sub(1, Ordering::SeqCst);
        true
    }
}
