//! Clients of a server under test, on plain sockets of the standard library, for what `wharf load`
//! does not do: streams cut where they should not be, clients that write before they read, slow
//! readers, connections that are only held.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::OnceLock;
use std::time::Duration;

use crate::Result;
use crate::checks::ensure;
use crate::wait;

/// Longer than any answer here takes.
const PATIENCE: Duration = Duration::from_secs(20);

/// A connection.
#[derive(Debug)]
pub(crate) struct Client {
    stream: TcpStream,
}

/// How a client writes and reads a long stream.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Manner {
    /// Writes until the server takes no more, and only then begins to read.
    WritesFirst,
    /// Reads a little at a time, with rests.
    ReadsSlowly,
}

/// Bytes that one read of a slow reader takes, and its rest.
const SLOW_BYTES: usize = 16 << 10;
const SLOW_REST: Duration = Duration::from_millis(1);
/// A write that has found no room for this long is taken to be stuck.
const STUCK: Duration = Duration::from_millis(300);

impl Client {
    pub(crate) fn connect(address: SocketAddr) -> Result<Self> {
        let stream = TcpStream::connect(address)
            .map_err(|error| format!("cannot connect to {address}: {error}"))?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        Ok(Self { stream })
    }

    /// Connects many.
    pub(crate) fn connect_all(address: SocketAddr, count: usize) -> Result<Vec<Self>> {
        (0..count).map(|_| Self::connect(address)).collect()
    }

    pub(crate) fn write(&mut self, bytes: &[u8]) -> Result<()> {
        Ok(self.stream.write_all(bytes)?)
    }

    /// Reads so many bytes.
    pub(crate) fn read(&mut self, bytes: usize) -> Result<Vec<u8>> {
        let mut got = vec![0; bytes];
        self.stream.read_exact(&mut got).map_err(|error| {
            format!("{bytes} bytes were expected, and did not all come: {error}")
        })?;
        Ok(got)
    }

    /// Reads as many bytes as are expected, and compares them.
    pub(crate) fn expect(&mut self, expected: &[u8]) -> Result<()> {
        compare(&self.read(expected.len())?, expected, 0)
    }

    /// How many bytes have come and have not been read.
    #[cfg(target_os = "linux")]
    pub(crate) fn waiting(&self) -> Result<usize> {
        Ok(usize::try_from(rustix::io::ioctl_fionread(&self.stream)?)?)
    }

    /// Reads to the end of the stream, which must come without a byte and without a reset.
    pub(crate) fn expect_end(&mut self) -> Result<()> {
        let mut rest = Vec::new();
        self.stream.read_to_end(&mut rest).map_err(|error| {
            format!("the server should have ended the stream in order: {error}")
        })?;
        ensure(rest.is_empty(), || format!("{} bytes came that nobody sent", rest.len()))
    }

    /// Ends its own direction, and expects the server to end its own in turn.
    pub(crate) fn end(mut self) -> Result<()> {
        self.stream.shutdown(Shutdown::Write)?;
        self.expect_end()
    }

    /// Writes until the server takes no more, or so many bytes; gives how many were written.
    #[cfg(target_os = "linux")]
    pub(crate) fn write_until_stuck(&mut self, bytes: usize) -> Result<usize> {
        self.stream.set_write_timeout(Some(STUCK))?;
        write_until_stuck(&mut self.stream, bytes)
    }

    /// Echoes a long stream and compares every byte; gives how many bytes had been written when the
    /// first was read.
    pub(crate) fn echo_stream(self, bytes: usize, manner: Manner) -> Result<usize> {
        let mut writer = self.stream.try_clone()?;
        writer.set_write_timeout(Some(STUCK))?;
        let mut written = 0;
        if manner == Manner::WritesFirst {
            written = write_until_stuck(&mut writer, bytes)?;
        }
        writer.set_write_timeout(Some(PATIENCE))?;
        std::thread::scope(|scope| {
            let rest = scope.spawn(move || write_from(&mut writer, written, bytes));
            read_stream(&self.stream, bytes, manner)?;
            rest.join().unwrap_or_else(|_| Err("the writing thread panicked".into()))
        })?;
        self.end()?;
        Ok(written)
    }
}

/// After so many bytes the stream of a client begins anew. A prime: no power of two, which is what
/// buffers are made of, moves it onto itself.
const PERIOD: usize = 65_521;
/// The most that is written or compared at a time; less than a period.
const STEP: usize = 64_000;

/// A piece of the stream that every client sends, at most a period long.
pub(crate) fn piece(from: usize, len: usize) -> &'static [u8] {
    static TWICE: OnceLock<Vec<u8>> = OnceLock::new();
    let twice = TWICE.get_or_init(|| {
        let byte =
            |at: usize| (at % PERIOD).wrapping_mul(0x9E37_79B9).rotate_right(11).to_le_bytes()[0];
        (0..2 * PERIOD).map(byte).collect()
    });
    let from = from % PERIOD;
    &twice[from..from + len]
}

/// Writes the stream until the other side takes no more, or until it is all written.
fn write_until_stuck(to: &mut TcpStream, bytes: usize) -> Result<usize> {
    let mut written = 0;
    while written < bytes {
        match to.write(piece(written, STEP.min(bytes - written))) {
            Ok(count) => written += count,
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                break;
            }
            Err(error) => return Err(error.into()),
        }
    }
    Ok(written)
}

fn write_from(to: &mut TcpStream, from: usize, bytes: usize) -> Result<()> {
    for at in (from..bytes).step_by(STEP) {
        to.write_all(piece(at, STEP.min(bytes - at)))?;
    }
    Ok(())
}

fn read_stream(mut from: &TcpStream, bytes: usize, manner: Manner) -> Result<()> {
    let mut buffer = vec![0; if manner == Manner::ReadsSlowly { SLOW_BYTES } else { STEP }];
    let mut at = 0;
    while at < bytes {
        let room = buffer.len().min(bytes - at);
        let count = from.read(&mut buffer[..room])?;
        ensure(count > 0, || format!("the server ended the stream after {at} of {bytes} bytes"))?;
        compare(&buffer[..count], piece(at, count), at)?;
        at += count;
        if manner == Manner::ReadsSlowly {
            wait::pause(SLOW_REST);
        }
    }
    Ok(())
}

/// Compares bytes with those that were expected at a place of a stream.
fn compare(got: &[u8], expected: &[u8], at: usize) -> Result<()> {
    if got == expected {
        return Ok(());
    }
    let wrong = got.iter().zip(expected).position(|(got, expected)| got != expected);
    match wrong {
        None => Ok(()),
        Some(place) => {
            let (got, expected) = (got[place], expected[place]);
            Err(format!("byte {} is {got:#04x} and should be {expected:#04x}", at + place).into())
        }
    }
}

/// Runs so many of something at once, each in a thread; gives all results or the first error.
pub(crate) fn at_once<T: Send>(count: usize, run: impl Fn() -> Result<T> + Sync) -> Result<Vec<T>> {
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..count).map(|_| scope.spawn(&run)).collect();
        let results = threads.into_iter().map(|thread| {
            thread.join().unwrap_or_else(|_| Err("a client's thread panicked".into()))
        });
        // All are joined, whatever the first of them says.
        results.collect::<Vec<_>>().into_iter().collect()
    })
}

/// Lets this process open so many descriptors, if the system allows it.
#[cfg(unix)]
pub(crate) fn need_descriptors(count: u64) -> Result<()> {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    let possible = match setrlimit(Resource::Nofile, raised) {
        Ok(()) => limit.maximum,
        Err(_) => limit.current,
    };
    ensure(possible.is_none_or(|possible| possible >= count), || {
        let possible = possible.unwrap_or(u64::MAX);
        format!(
            "{count} descriptors are needed and {possible} allowed: raise the limit (ulimit -n)"
        )
    })
}

/// Elsewhere there is no such limit.
#[cfg(not(unix))]
pub(crate) fn need_descriptors(_: u64) -> Result<()> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_byte_is_named_by_its_place() {
        let mut got = piece(1000, 50).to_vec();
        assert!(compare(&got, piece(1000, 50), 1000).is_ok());
        got[7] ^= 1;
        let error = compare(&got, piece(1000, 50), 1000).unwrap_err().to_string();
        assert!(error.starts_with("byte 1007 is "), "{error}");
    }

    #[test]
    fn a_piece_that_is_moved_is_noticed() {
        for step in [1, 2, 64, 256, 4096, 65536] {
            assert_ne!(piece(0, 64), piece(step, 64), "{step}");
        }
    }
}
