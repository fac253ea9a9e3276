//! Attempts to get a session.

use std::collections::VecDeque;
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use rustix::net::{self, AddressFamily, SocketType, bind, socket};

use crate::Result;
use crate::wait::Stopwatch;

/// A frame, which who is served gets back.
const FRAME: &[u8] = b"\x05\0\0\0hello";
/// How long an attempt may remain without an answer.
const ANSWER_MAX: Duration = Duration::from_secs(2);
/// With every so many attempts a session is given up, so that there is room for another.
const LEAVE_EVERY: usize = 50;
/// After so many attempts it has as many sessions as it can get, and begins to give some up.
const LEAVE_FROM: usize = 250;

/// What came of an attempt.
#[derive(Debug)]
pub(super) struct Attempt {
    /// The connection, if its frame came back; else it was reset.
    pub(super) served: Option<TcpStream>,
    /// How long that took.
    pub(super) took: Duration,
}

/// Connects to an address from the same one, and sends a frame; an error if neither that comes back nor a
/// reset.
pub(super) fn attempt(to: SocketAddr) -> Result<Attempt> {
    let stopwatch = Stopwatch::start();
    let answer = connect(to).and_then(|mut stream| {
        stream.set_read_timeout(Some(ANSWER_MAX))?;
        stream.write_all(FRAME)?;
        let mut back = [0; FRAME.len()];
        stream.read_exact(&mut back).map(|()| (stream, back))
    });
    let served = match answer {
        Ok((stream, back)) if back == FRAME => Some(stream),
        Ok((_, back)) => return Err(format!("{back:?} came back from {to}").into()),
        Err(error)
            if matches!(error.kind(), ErrorKind::ConnectionReset | ErrorKind::BrokenPipe) =>
        {
            None
        }
        Err(error) => return Err(format!("{to} neither serves nor resets: {error}").into()),
    };
    Ok(Attempt { served, took: stopwatch.elapsed() })
}

/// With `IPv4` the system takes the same address by itself; with `IPv6` it would take `::1`.
fn connect(to: SocketAddr) -> std::io::Result<TcpStream> {
    if to.is_ipv4() {
        return TcpStream::connect(to);
    }
    let socket = socket(AddressFamily::INET6, SocketType::STREAM, None)?;
    bind(&socket, &SocketAddr::new(to.ip(), 0))?;
    net::connect(&socket, &to)?;
    Ok(TcpStream::from(socket))
}

/// Who makes many attempts, with several threads, and keeps what it gets.
#[derive(Debug)]
pub(super) struct Attacker {
    attempts: usize,
    next: AtomicUsize,
    seen: Mutex<Seen>,
}

#[derive(Debug, Default)]
struct Seen {
    /// Sessions that it has.
    held: VecDeque<TcpStream>,
    held_max: usize,
    served: usize,
    refused: usize,
    slowest_reset: Duration,
}

impl Attacker {
    pub(super) fn new(attempts: usize) -> Self {
        Self { attempts, next: AtomicUsize::new(0), seen: Mutex::default() }
    }

    /// What each of its threads does. A session counts from when it has been served until right before it
    /// is given up, so there are never fewer than are counted.
    pub(super) fn run(&self, to: impl Fn(usize) -> SocketAddr) -> Result<()> {
        loop {
            let number = self.next.fetch_add(1, Ordering::Relaxed);
            if number >= self.attempts {
                return Ok(());
            }
            let Attempt { served, took } = attempt(to(number))?;
            let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
            match served {
                Some(stream) => {
                    seen.served += 1;
                    seen.held.push_back(stream);
                    seen.held_max = seen.held_max.max(seen.held.len());
                }
                None => {
                    seen.refused += 1;
                    seen.slowest_reset = seen.slowest_reset.max(took);
                }
            }
            if number >= LEAVE_FROM && number.is_multiple_of(LEAVE_EVERY) {
                seen.held.pop_front();
            }
        }
    }

    /// How many were served and refused, the most that it had at a time, and the slowest reset. Gives up
    /// what it has.
    pub(super) fn seen(self) -> (usize, usize, usize, Duration) {
        let seen = self.seen.into_inner().unwrap_or_else(PoisonError::into_inner);
        (seen.served, seen.refused, seen.held_max, seen.slowest_reset)
    }
}
