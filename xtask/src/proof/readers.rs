//! Clients that write before they read, and slow readers beside fast ones: every byte arrives, the
//! server keeps no more than its limits allow, and nobody waits for the slow.

use super::Terms;
use crate::Result;
use crate::checks::{Checks, ensure, grouped};
use crate::client::{self, Client, Manner};
use crate::load;
use crate::procfs;
use crate::server::{Server, Signal, serve_echo};
use crate::smoke;

/// Early writers, and what each of them wants to write: more than the kernel's buffers of both
/// directions hold.
const WRITERS: usize = 8;
const WRITER_BYTES: usize = 32 << 20;
/// What the server may keep for each of them at most: its send queue, which may grow to twice its
/// limit (512 KiB), and what comes after a pause, which is bounded by the port's buffers (2 MiB).
/// Without a bound it would be what they write.
const KEPT_MAX: u64 = 4 << 20;

/// Slow readers, and what each of them reads.
const READERS: usize = 16;
const READER_BYTES: usize = 2 << 20;
/// The load beside them.
const FAST: &str = "--sessions 200 --size 1KiB --depth 4 --duration 1";

pub(super) fn run(terms: &Terms<'_>, checks: &mut Checks) {
    for backend in terms.backends {
        checks.check(format!("{backend}, early writers"), || early_writers(terms, backend));
        checks.check(format!("{backend}, slow readers"), || slow_readers(terms, backend));
    }
}

fn early_writers(terms: &Terms<'_>, backend: &str) -> Result<String> {
    let server = Server::start(&mut serve_echo(terms.wharf, &format!("--backend {backend}")))?;
    let before = procfs::memory_peak(server.id())?;
    let written = client::at_once(WRITERS, || {
        Client::connect(server.address)?.echo_stream(WRITER_BYTES, Manner::WritesFirst)
    })?;
    let kept = (procfs::memory_peak(server.id())? - before) / WRITERS as u64;
    smoke::drained(&server.stop(Signal::Terminate)?)?;
    let (least, most) = (written.iter().min().copied(), written.iter().max().copied());
    let [least, most] = [least, most].map(|bytes| bytes.unwrap_or(0) >> 20);
    let figure = format!(
        "{WRITERS} clients wrote {least} to {most} MiB before they read, {} MiB in all verified, the \
         server kept at most {} KiB for each",
        (WRITERS * WRITER_BYTES) >> 20,
        grouped(kept >> 10)
    );
    ensure(kept <= KEPT_MAX, || format!("at most {} KiB are allowed: {figure}", KEPT_MAX >> 10))?;
    ensure(most < WRITER_BYTES >> 20, || format!("the server should have paused: {figure}"))?;
    Ok(figure)
}

fn slow_readers(terms: &Terms<'_>, backend: &str) -> Result<String> {
    let server = Server::start(&mut serve_echo(terms.wharf, &format!("--backend {backend}")))?;
    let fast = std::thread::scope(|scope| {
        let fast = scope.spawn(|| load::echo(terms.wharf, &server, FAST));
        client::at_once(READERS, || {
            Client::connect(server.address)?.echo_stream(READER_BYTES, Manner::ReadsSlowly)
        })?;
        fast.join().unwrap_or_else(|_| Err("the load's thread panicked".into()))
    })?;
    smoke::drained(&server.stop(Signal::Terminate)?)?;
    let slow = (READERS * READER_BYTES) >> 20;
    Ok(format!("{slow} MiB verified by {READERS} slow readers; beside them {}", fast.figure()?))
}
