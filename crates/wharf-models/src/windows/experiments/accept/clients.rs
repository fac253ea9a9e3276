//! Clients that come and go, and clients that stay and talk.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// Threads whose clients come and go, and how many of them each has.
const CALLERS: usize = 4;
const CALLS: usize = 100;
/// Clients that stay.
const TALKERS: usize = 4;
const MESSAGE: [u8; 64] = [42; 64];
/// So many without an answer, and nobody else comes.
const UNANSWERED_MAX: usize = 8;

/// What came of it.
pub(super) struct Outcome {
    /// Those that came, spoke, were answered, and went.
    pub(super) connections_per_s: f64,
    /// How many of all were not.
    pub(super) unanswered: usize,
    /// Messages there and back of those that stayed, meanwhile.
    pub(super) messages_per_s: f64,
}

/// Has clients come and go, while others talk. No answer may take longer than `patience`.
#[expect(clippy::disallowed_methods, reason = "it measures a server from outside")]
pub(super) fn load(address: SocketAddr, patience: Duration) -> io::Result<Outcome> {
    let (is_over, messages) = (AtomicBool::new(false), AtomicUsize::new(0));
    let (calls, unanswered) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let mut talkers = Vec::new();
    for _ in 0..TALKERS {
        let mut talker = connect(address, patience)?;
        ask(&mut talker)?;
        talkers.push(talker);
    }
    let seconds = thread::scope(|scope| {
        for mut talker in talkers {
            let (is_over, messages, unanswered) = (&is_over, &messages, &unanswered);
            scope.spawn(move || {
                while !is_over.load(Ordering::Relaxed) {
                    if ask(&mut talker).is_err() {
                        unanswered.fetch_add(1, Ordering::Relaxed);
                        return;
                    }
                    messages.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        let start = Instant::now();
        let callers: Vec<_> = (0..CALLERS)
            .map(|_| {
                scope.spawn(|| {
                    for _ in 0..CALLS {
                        if unanswered.load(Ordering::Relaxed) >= UNANSWERED_MAX {
                            return;
                        }
                        let counter =
                            if call(address, patience).is_ok() { &calls } else { &unanswered };
                        counter.fetch_add(1, Ordering::Relaxed);
                    }
                })
            })
            .collect();
        let all_ended = callers.into_iter().all(|caller| caller.join().is_ok());
        is_over.store(true, Ordering::Relaxed);
        all_ended.then(|| start.elapsed().as_secs_f64())
    });
    let seconds = seconds.ok_or_else(|| io::Error::other("a client panicked"))?;
    Ok(Outcome {
        connections_per_s: per_second(calls.into_inner(), seconds),
        unanswered: unanswered.into_inner(),
        messages_per_s: per_second(messages.into_inner(), seconds),
    })
}

fn per_second(count: usize, seconds: f64) -> f64 {
    f64::from(u32::try_from(count).unwrap_or(u32::MAX)) / seconds
}

fn connect(address: SocketAddr, patience: Duration) -> io::Result<TcpStream> {
    let stream = TcpStream::connect(address)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(patience))?;
    Ok(stream)
}

/// Comes, speaks, hears, and goes first: so TIME_WAIT is at this end.
fn call(address: SocketAddr, patience: Duration) -> io::Result<()> {
    ask(&mut connect(address, patience)?)
}

fn ask(stream: &mut TcpStream) -> io::Result<()> {
    stream.write_all(&MESSAGE)?;
    let mut answer = [0; MESSAGE.len()];
    stream.read_exact(&mut answer)?;
    if answer == MESSAGE { Ok(()) } else { Err(io::ErrorKind::InvalidData.into()) }
}
