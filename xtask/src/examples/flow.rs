//! One stream from a sender that is never slow to a reader that is, and that stops until nothing moves.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use crate::checks::ensure;
use crate::client::piece;
use crate::{Result, wait};

/// Bytes of one write, and of one read; less than a period of the stream.
const STEP: usize = 64_000;
/// How long the reader rests behind each read, and how often something is looked at meanwhile.
const REST: Duration = Duration::from_millis(1);
const LOOK_AFTER: usize = 4 << 20;
/// What has not moved for so long is stuck, and how long that may take to come.
const STUCK: Duration = Duration::from_millis(250);
const STUCK_MAX: Duration = Duration::from_secs(20);
/// How long nothing may come.
const PATIENCE: Duration = Duration::from_secs(20);

/// A stream to be sent.
#[derive(Debug)]
pub(super) struct Flow {
    pub(super) from: TcpStream,
    pub(super) to: TcpStream,
    pub(super) bytes: usize,
    /// How often the reader stops until nothing moves.
    pub(super) stops: usize,
}

/// Nothing moves, since the reader has stopped.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stalled {
    /// Bytes that are written and not read.
    pub(super) on_its_way: usize,
}

impl Flow {
    /// Sends all of it, and compares each byte and the end. `look` is called at each stop, and some times
    /// between them.
    pub(super) fn run(self, mut look: impl FnMut(Option<Stalled>) -> Result<()>) -> Result<()> {
        let Self { from, to, bytes, stops } = self;
        // A writer that cannot go on has to end when the reader has given up.
        from.set_write_timeout(Some(2 * STUCK_MAX))?;
        to.set_read_timeout(Some(PATIENCE))?;
        let written = AtomicUsize::new(0);
        std::thread::scope(|scope| {
            let (from, written) = (&from, &written);
            let writer = scope.spawn(move || write(from, bytes, written));
            let read = read(&to, bytes, stops, written, &mut look);
            // Without a reader the writer ends, whatever has gone wrong.
            let _ = if read.is_err() { to.shutdown(Shutdown::Both) } else { Ok(()) };
            let wrote = writer.join().unwrap_or_else(|_| Err("the writer panicked".into()));
            // Why nothing more was read says more than that nothing could be written.
            read.and(wrote)
        })
    }
}

fn write(mut from: &TcpStream, bytes: usize, written: &AtomicUsize) -> Result<()> {
    for at in (0..bytes).step_by(STEP) {
        let step = piece(at, STEP.min(bytes - at));
        from.write_all(step)?;
        written.fetch_add(step.len(), Ordering::Relaxed);
    }
    Ok(from.shutdown(Shutdown::Write)?)
}

fn read(
    mut to: &TcpStream,
    bytes: usize,
    stops: usize,
    written: &AtomicUsize,
    look: &mut impl FnMut(Option<Stalled>) -> Result<()>,
) -> Result<()> {
    let mut buffer = vec![0; STEP];
    let (mut at, mut looks, mut stopped) = (0, 0, 0);
    loop {
        if stopped < stops && at >= bytes / (stops + 1) * stopped {
            stopped += 1;
            look(Some(Stalled { on_its_way: stall(written)? - at }))?;
        } else if at / LOOK_AFTER > looks {
            looks = at / LOOK_AFTER;
            look(None)?;
        }
        let count = to.read(&mut buffer)?;
        if count == 0 {
            break;
        }
        ensure(at + count <= bytes, || "more came than was sent".to_owned())?;
        ensure(buffer[..count] == *piece(at, count), || format!("wrong bytes behind {at}"))?;
        at += count;
        wait::pause(REST);
    }
    ensure(at == bytes, || format!("the stream ended behind {at} of {bytes} bytes"))
}

/// Waits until the sender cannot go on; gives how much it has written by then.
fn stall(written: &AtomicUsize) -> Result<usize> {
    let (mut last, mut since) = (written.load(Ordering::Relaxed), wait::Stopwatch::start());
    let stuck = wait::until(STUCK_MAX, || {
        let now = written.load(Ordering::Relaxed);
        if now != last {
            (last, since) = (now, wait::Stopwatch::start());
        }
        (since.elapsed() >= STUCK).then_some(now)
    });
    stuck.ok_or_else(|| {
        format!("{last} bytes are written, and nobody reads: the sender is not stopped").into()
    })
}
