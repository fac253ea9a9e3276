//! Packets are queued first in, first out.
//!
//! A thousand packets are queued with a number each and taken by one thread: the numbers rise. Then the same with
//! four threads. The port still gives them out in order, so that each thread sees rising numbers; but which of two
//! threads *deals* with its packet first is nobody's promise. That is why a session of the shared-port server has
//! one receive and one send under way, and not more.

use std::io;
use std::sync::Arc;
use std::thread;

use super::{PATIENCE_MS, io_error};
use crate::experiments::{Experiment, Verdict};
use crate::windows::iocp::CompletionPort;

pub(super) const EXPERIMENT: Experiment = Experiment {
    name: "packets-fifo",
    system: "Windows",
    summary: "packets are taken in the order in which they were queued",
    run,
};

const PACKETS: usize = 1000;
const THREADS: usize = 4;

fn run(report: &mut dyn io::Write) -> io::Result<Verdict> {
    let mut all_rise = true;
    for threads in [1, THREADS] {
        let taken = take_by(threads)?;
        let shares: Vec<usize> = taken.iter().map(Vec::len).collect();
        let rising = taken.iter().all(|keys| keys.is_sorted());
        let how = if rising { "in order" } else { "out of order" };
        writeln!(report, "{PACKETS} packets, threads: {threads}: {how} on each; {shares:?} taken")?;
        all_rise &= rising && shares.iter().sum::<usize>() == PACKETS;
    }
    Ok(if all_rise { Verdict::Shown } else { Verdict::NotShown })
}

/// The keys that each of so many threads has taken, in its order.
fn take_by(threads: usize) -> io::Result<Vec<Vec<usize>>> {
    let port = Arc::new(CompletionPort::open(0).map_err(io_error)?);
    for key in 1..=PACKETS {
        port.post(key).map_err(io_error)?;
    }
    // One for each thread, behind all others, so that none is left over.
    for _ in 0..threads {
        port.post(0).map_err(io_error)?;
    }
    let takers = (0..threads).map(|_| {
        let port = Arc::clone(&port);
        thread::spawn(move || take_all(&port))
    });
    let takers: Vec<_> = takers.collect();
    takers
        .into_iter()
        .map(|taker| taker.join().map_err(|_| io::Error::other("a thread panicked"))?)
        .collect()
}

fn take_all(port: &CompletionPort) -> io::Result<Vec<usize>> {
    let mut keys = Vec::new();
    loop {
        match port.take_within(PATIENCE_MS).map_err(io_error)?.key {
            0 => return Ok(keys),
            key => keys.push(key),
        }
    }
}
