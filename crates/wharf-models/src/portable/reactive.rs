//! The half of a reactor that is the same whoever tells what is ready: the calls themselves, which must not block.

use std::io::{self, ErrorKind, Read, Write};
use std::net::TcpStream;

/// Bytes taken with one call. A server has one such buffer for all connections: it is empty again after each call.
pub(crate) const BUFFER_BYTES: usize = 16 * 1024;

/// A connection that does not block.
///
/// It keeps bytes of its own only while its peer does not take them. As long as it does it receives nothing, so a peer
/// that only sends is stopped by the windows of TCP, and no more than one buffer is ever kept for it.
#[derive(Debug)]
pub(crate) struct Connection<S = TcpStream> {
    stream: S,
    unsent: Vec<u8>,
}

/// What a connection waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Waits {
    /// For bytes of its peer.
    ToReceive,
    /// For room to send.
    ToSend,
    /// For nothing: it is over, and is to be dropped.
    Over,
}

/// What came of one turn.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Turn {
    pub(crate) waits: Waits,
    /// Whether the system may have more to give or to take right now: the call was not cut short by an empty or a
    /// full buffer. Who is told of changes alone must go on then.
    #[cfg_attr(windows, expect(dead_code, reason = "Windows tells again after each call"))]
    pub(crate) may_go_on: bool,
}

impl Connection {
    /// Takes a connection over that has just been accepted.
    pub(crate) fn new(stream: TcpStream) -> io::Result<Self> {
        stream.set_nonblocking(true)?;
        Ok(Self { stream, unsent: Vec::new() })
    }
}

impl<S: Read + Write> Connection<S> {
    pub(crate) const fn stream(&self) -> &S {
        &self.stream
    }

    /// What it waits for now, unless it is over.
    pub(crate) const fn waits(&self) -> Waits {
        if self.unsent.is_empty() { Waits::ToReceive } else { Waits::ToSend }
    }

    /// Does what was waited for: sends what is left, or receives once and sends that. `buffer` is for the moment.
    pub(crate) fn turn(&mut self, buffer: &mut [u8]) -> Turn {
        let turn = match self.waits() {
            Waits::ToSend => self.send_what_is_left(),
            _ => self.echo(buffer),
        };
        turn.unwrap_or(Turn { waits: Waits::Over, may_go_on: false })
    }

    fn echo(&mut self, buffer: &mut [u8]) -> io::Result<Turn> {
        let received = match until_uninterrupted(|| self.stream.read(buffer)) {
            // The peer sends no more. All that it sent has been given to the kernel, which delivers it.
            Ok(0) => return Ok(Turn { waits: Waits::Over, may_go_on: false }),
            Ok(received) => received,
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                return Ok(Turn { waits: Waits::ToReceive, may_go_on: false });
            }
            Err(error) => return Err(error),
        };
        let sent = self.send(&buffer[..received])?;
        self.unsent.extend_from_slice(&buffer[sent..received]);
        Ok(Turn { waits: self.waits(), may_go_on: sent == received && received == buffer.len() })
    }

    fn send_what_is_left(&mut self) -> io::Result<Turn> {
        let unsent = std::mem::take(&mut self.unsent);
        let sent = self.send(&unsent)?;
        if sent < unsent.len() {
            self.unsent = unsent;
            self.unsent.drain(..sent);
        }
        Ok(Turn { waits: self.waits(), may_go_on: self.unsent.is_empty() })
    }

    /// Sends as much as the kernel takes: how many bytes that was.
    fn send(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match until_uninterrupted(|| self.stream.write(bytes)) {
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(0),
            sent => sent,
        }
    }
}

fn until_uninterrupted(mut call: impl FnMut() -> io::Result<usize>) -> io::Result<usize> {
    loop {
        match call() {
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            outcome => return outcome,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A stream that gives and takes a few bytes at a time, and now and then none.
    #[derive(Default)]
    struct Reluctant {
        given: u8,
        taken: Vec<u8>,
        calls: usize,
    }

    impl Reluctant {
        fn some(&mut self, bytes: usize) -> io::Result<usize> {
            self.calls += 1;
            match self.calls % 7 {
                3 => Err(ErrorKind::WouldBlock.into()),
                5 => Err(ErrorKind::Interrupted.into()),
                some => Ok(some.clamp(1, 3).min(bytes)),
            }
        }
    }

    impl Read for Reluctant {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let left = usize::from(u8::MAX - self.given);
            let count = if left == 0 { 0 } else { left.min(buffer.len()) };
            for byte in &mut buffer[..count] {
                self.given += 1;
                *byte = self.given;
            }
            Ok(count)
        }
    }

    impl Write for Reluctant {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let count = self.some(bytes.len())?;
            self.taken.extend_from_slice(&bytes[..count]);
            Ok(count)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// What the system takes of an answer is any part of it, though it mostly takes all.
    #[test]
    fn answers_that_are_taken_in_small_parts_stay_whole() {
        let mut connection = Connection { stream: Reluctant::default(), unsent: Vec::new() };
        let mut turns = 0;
        while connection.turn(&mut [0; 100]).waits != Waits::Over {
            turns += 1;
            assert!(turns < 10_000, "{} bytes are left", connection.unsent.len());
            assert!(connection.unsent.len() <= 100, "more than one buffer is kept");
        }
        let all: Vec<u8> = (1..=u8::MAX).collect();
        assert_eq!(connection.stream().taken, all);
    }
}
