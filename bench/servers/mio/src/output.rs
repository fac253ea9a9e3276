//! Writing, and what a socket had no room for.

use std::io::{self, ErrorKind, IoSlice, Write};

use mio::net::TcpStream;

/// Bytes of memory that an empty output keeps for the next time.
const KEPT_BYTES_MAX: usize = 64 * 1024;

/// Bytes that wait until the socket has room.
#[derive(Debug, Default)]
pub(crate) struct Output {
    bytes: Vec<u8>,
    sent: usize,
}

impl Output {
    pub(crate) fn is_empty(&self) -> bool {
        self.sent == self.bytes.len()
    }

    /// How many bytes wait.
    pub(crate) fn len(&self) -> usize {
        self.bytes.len() - self.sent
    }

    /// Writes what waits, as far as the socket has room.
    pub(crate) fn flush(&mut self, stream: &TcpStream) -> io::Result<()> {
        while !self.is_empty() {
            match write_once(stream, &self.bytes[self.sent..], &[])? {
                0 => return Ok(()),
                written => self.sent += written,
            }
        }
        self.sent = 0;
        self.bytes.clear();
        self.bytes.shrink_to(KEPT_BYTES_MAX);
        Ok(())
    }

    /// Writes both pieces with one call and keeps a copy of what the socket had no room for. Keeps all
    /// if something waits already.
    pub(crate) fn write(&mut self, stream: &TcpStream, pieces: [&[u8]; 2]) -> io::Result<()> {
        let [first, second] = pieces;
        let written = if self.is_empty() { write_once(stream, first, second)? } else { 0 };
        if written < first.len() + second.len() {
            self.bytes.extend_from_slice(&first[written.min(first.len())..]);
            self.bytes.extend_from_slice(&second[written.saturating_sub(first.len())..]);
        }
        Ok(())
    }
}

/// Bytes that one call has written; none if there is no room.
fn write_once(mut stream: &TcpStream, first: &[u8], second: &[u8]) -> io::Result<usize> {
    loop {
        let written = match (first, second) {
            ([], []) => return Ok(0),
            (one, []) | ([], one) => stream.write(one),
            _ => stream.write_vectored(&[IoSlice::new(first), IoSlice::new(second)]),
        };
        match written {
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(0),
            written => return written,
        }
    }
}
