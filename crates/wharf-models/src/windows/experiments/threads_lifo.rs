//! Threads are released last in, first out.
//!
//! Four threads wait on one port. Packets are queued one at a time, the next only when the last was dealt with. The
//! thread that has just been busy is the last to wait again, and on Windows it is the first to be released: its stack
//! is in the cache, the others sleep on, and their stacks may be paged out. So one thread takes nearly all; or two,
//! if the next packet comes before the first is back.
//!
//! Wine 8.0 releases the one that has waited longest: each takes a quarter, and each time it is the thread whose
//! caches are coldest.

use std::io;
use std::sync::Arc;
use std::sync::mpsc::{self, Sender};
use std::thread;
use std::time::Duration;

use super::{PATIENCE_MS, io_error, is_wine};
use crate::experiments::{Experiment, Verdict};
use crate::windows::iocp::CompletionPort;

pub(super) const EXPERIMENT: Experiment = Experiment {
    name: "threads-lifo",
    system: "Windows",
    summary: "of the threads that wait, the last to come is the first to go",
    run,
};

const PACKETS: usize = 2000;
const THREADS: usize = 4;
/// What one of the packets is for: an end.
const END: usize = 0;

fn run(report: &mut dyn io::Write) -> io::Result<Verdict> {
    let mut shares = shares()?;
    shares.sort_unstable_by(|one, other| other.cmp(one));
    writeln!(report, "{PACKETS} packets, one at a time, {THREADS} threads: {shares:?} taken")?;
    // With the oldest first, two have half of them.
    let is_lifo = (shares[0] + shares[1]) * 10 >= PACKETS * 9;
    match (is_lifo, is_wine()) {
        (true, _) => writeln!(
            report,
            "last in, first out: the same one or two threads have run all the time"
        )?,
        (false, true) => writeln!(
            report,
            "first in, first out: this is Wine, where the oldest waiter goes first"
        )?,
        (false, false) => {
            writeln!(report, "no order to be seen: too much else runs on this machine")?
        }
    }
    Ok(if is_lifo { Verdict::Shown } else { Verdict::NotShown })
}

/// How many packets each thread has taken.
fn shares() -> io::Result<[usize; THREADS]> {
    // Room to run for all, so that it is the order of waiting that decides.
    let threads = u32::try_from(THREADS).unwrap_or(u32::MAX);
    let port = Arc::new(CompletionPort::open(threads).map_err(io_error)?);
    let (dealt, dealt_with) = mpsc::channel();
    for number in 0..THREADS {
        let (port, dealt) = (Arc::clone(&port), dealt.clone());
        thread::spawn(move || deal(&port, number, &dealt));
    }
    let mut shares = [0; THREADS];
    for _ in 0..PACKETS {
        port.post(END + 1).map_err(io_error)?;
        let patience = Duration::from_millis(PATIENCE_MS.into());
        let number: usize = dealt_with.recv_timeout(patience).map_err(io::Error::other)?;
        shares[number] += 1;
    }
    for _ in 0..THREADS {
        port.post(END).map_err(io_error)?;
    }
    Ok(shares)
}

fn deal(port: &CompletionPort, number: usize, dealt: &Sender<usize>) {
    // A port that fails, and nobody who listens, are the end as well.
    while port.take_within(PATIENCE_MS).is_ok_and(|packet| packet.key != END) {
        if dealt.send(number).is_err() {
            return;
        }
    }
}
