//! One receive under way, and several.
//!
//! A stream is received from by one port with four threads, in small pieces, first with one receive under way at a
//! time, then with eight. The kernel fills the buffers in the order of the calls, in both cases. But packets of
//! eight receives can be in the hands of four threads, and a thread may be interrupted between taking its packet and
//! dealing with it, while another deals with a later one: the stream as it was dealt with is broken, without any
//! error.
//!
//! There are two ways out. Receives get numbers when they are started, and what comes too early waits; here that
//! is done beside, and the stream is whole. Or there is one receive at a time: nothing to number, nothing to park,
//! and no second buffer that is locked for each idle connection. That is what all servers of this crate do, and
//! wharf.

use std::cell::UnsafeCell;
use std::collections::BTreeMap;
use std::io::{self, Write};
use std::net::{Shutdown, TcpStream};
use std::ptr::null_mut;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

use windows_sys::Win32::Networking::WinSock::{WSABUF, WSARecv};
use windows_sys::Win32::System::IO::OVERLAPPED;

use super::{PATIENCE_MS, io_error, pair};
use crate::experiments::{Experiment, Verdict};
use crate::windows::iocp::{CompletionPort, Packet};
use crate::windows::winsock::{length, raw, started};

pub(super) const EXPERIMENT: Experiment = Experiment {
    name: "receives-in-flight",
    system: "Windows",
    summary: "several receives at once are filled in order, and handled in any",
    run,
};

const THREADS: usize = 4;
const STREAM_BYTES: usize = 64 * 1024;
/// Small, for many packets.
const PIECE: usize = 8;
/// The keys of packets: those of receives, and one that ends a thread.
const RECEIVE: usize = 1;
const END: usize = 0;

fn run(report: &mut dyn Write) -> io::Result<Verdict> {
    let one = receive(1)?;
    let eight = receive(8)?;
    for (receives, seen) in [(1, &one), (8, &eight)] {
        let (as_handled, by_number) = (state(&seen.handled), state(&seen.ordered));
        writeln!(
            report,
            "{receives} at a time, {THREADS} threads: {} of {} handled out of order; the stream as handled \
             is {as_handled}, put in order by number it is {by_number}",
            seen.out_of_order, seen.next_handled
        )?;
    }
    if eight.out_of_order == 0 {
        writeln!(report, "eight went well by chance: nothing has prevented that they did not")?;
    }
    let one_is_whole = one.out_of_order == 0 && one.handled.is_whole();
    let shown = one_is_whole && eight.out_of_order > 0 && eight.ordered.is_whole();
    Ok(if shown { Verdict::Shown } else { Verdict::NotShown })
}

fn state(stream: &Checked) -> &'static str {
    if stream.is_whole() { "whole" } else { "broken" }
}

/// Receives the stream with so many receives at a time.
fn receive(receives: usize) -> io::Result<Seen> {
    let (mut peer, socket) = pair()?;
    let port = CompletionPort::open(0).map_err(io_error)?;
    port.associate(raw(&socket), RECEIVE).map_err(io_error)?;
    let slots = (0..receives).map(|_| Slot::default()).collect();
    let left = AtomicUsize::new(receives);
    let shared =
        Shared { port, socket, slots, left, started: Mutex::default(), seen: Mutex::default() };
    // Kept for good if a thread gives up: what the kernel may still write to must stay.
    let shared = Arc::new(shared);
    std::mem::forget(Arc::clone(&shared));
    let threads: Vec<_> = (0..THREADS)
        .map(|_| {
            let shared = Arc::clone(&shared);
            thread::spawn(move || shared.work())
        })
        .collect();
    for slot in &shared.slots {
        shared.start(slot);
    }
    for at in (0..STREAM_BYTES).step_by(PIECE) {
        let bytes: Vec<u8> = (at..at + PIECE).map(byte_at).collect();
        peer.write_all(&bytes)?;
    }
    peer.shutdown(Shutdown::Write)?;
    for thread in threads {
        thread.join().map_err(|_| io::Error::other("a thread panicked"))??;
    }
    Ok(std::mem::take(&mut *lock(&shared.seen)))
}

/// What the stream has at a place.
fn byte_at(at: usize) -> u8 {
    u8::try_from((at * 31 + at / 251) % 256).unwrap_or(0)
}

struct Shared {
    port: CompletionPort,
    socket: TcpStream,
    slots: Box<[Slot]>,
    /// Slots whose receive has not found the end yet.
    left: AtomicUsize,
    /// How many receives have been started. Numbers are given under the lock under which they start.
    started: Mutex<usize>,
    seen: Mutex<Seen>,
}

/// A receive.
#[repr(C)]
#[derive(Default)]
struct Slot {
    /// First, so that a pointer to it is one to the whole.
    overlapped: UnsafeCell<OVERLAPPED>,
    bytes: UnsafeCell<[u8; PIECE]>,
    number: AtomicUsize,
}

// SAFETY: both cells are the kernel's during a receive, and before and after it they are the thread's that starts it or
// has its packet, which a port gives to one.
unsafe impl Sync for Slot {}
// SAFETY: as above; and it is moved only before its first receive.
unsafe impl Send for Slot {}

/// What the threads have made of it.
#[derive(Default)]
struct Seen {
    handled: Checked,
    ordered: Checked,
    early: BTreeMap<usize, Vec<u8>>,
    next_ordered: usize,
    next_handled: usize,
    out_of_order: usize,
}

/// A stream that is compared with what was sent.
#[derive(Default)]
struct Checked {
    bytes: usize,
    wrong: usize,
}

impl Shared {
    fn work(&self) -> io::Result<()> {
        loop {
            let packet = self.port.take_within(PATIENCE_MS).map_err(io_error)?;
            if packet.key == END {
                return Ok(());
            }
            self.handle(&packet);
        }
    }

    fn handle(&self, packet: &Packet) {
        // SAFETY: all receives of this port are started with the first field of a slot of ours.
        let slot: &Slot = unsafe { &*packet.overlapped.cast() };
        let received = packet.outcome.unwrap_or(0) as usize;
        // SAFETY: the packet says that the kernel has done with it.
        let bytes = unsafe { *slot.bytes.get() };
        let number = slot.number.load(Ordering::Relaxed);
        lock(&self.seen).handle(number, &bytes[..received]);
        if received > 0 {
            self.start(slot);
        } else {
            self.end_one();
        }
    }

    /// Starts a receive on a slot that has none.
    fn start(&self, slot: &Slot) {
        let mut started_yet = lock(&self.started);
        slot.number.store(*started_yet, Ordering::Relaxed);
        *started_yet += 1;
        let buffer = WSABUF { len: length(PIECE), buf: slot.bytes.get().cast() };
        let (overlapped, mut flags) = (slot.overlapped.get(), 0);
        // SAFETY: no receive is under way on the slot.
        unsafe { overlapped.write(OVERLAPPED::default()) };
        // SAFETY: slots live as long as the process.
        let answer = unsafe {
            WSARecv(
                raw(&self.socket),
                &raw const buffer,
                1,
                null_mut(),
                &raw mut flags,
                overlapped,
                None,
            )
        };
        if started(answer == 0).is_err() {
            drop(started_yet);
            self.end_one();
        }
    }

    /// A slot is done with. After the last the threads end.
    fn end_one(&self) {
        if self.left.fetch_sub(1, Ordering::SeqCst) == 1 {
            for _ in 0..THREADS {
                // A thread that is not told ends when its patience does.
                let _ = self.port.post(END);
            }
        }
    }
}

impl Seen {
    fn handle(&mut self, number: usize, bytes: &[u8]) {
        self.out_of_order += usize::from(number != self.next_handled);
        self.next_handled += 1;
        self.handled.add(bytes);
        self.early.insert(number, bytes.to_vec());
        while let Some(bytes) = self.early.remove(&self.next_ordered) {
            self.ordered.add(&bytes);
            self.next_ordered += 1;
        }
    }
}

impl Checked {
    fn add(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.wrong += usize::from(*byte != byte_at(self.bytes));
            self.bytes += 1;
        }
    }

    const fn is_whole(&self) -> bool {
        self.bytes == STREAM_BYTES && self.wrong == 0
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
