//! A connection: reading, and answering from the buffer that was read into.

use std::io::{self, ErrorKind, Read};

use bench_common::Mode;
use bench_common::frames::{self, FrameTooLong};
use mio::net::TcpStream;
use mio::{Interest, Registry, Token};

use crate::output::Output;

/// Buffers that one connection may fill before it is the turn of the others.
const READS_MAX: usize = 4;

/// Bytes of memory that are kept for the next half frame.
const KEPT_BYTES_MAX: usize = 4 * 1024;

/// One connection.
#[derive(Debug)]
pub(crate) struct Connection {
    stream: TcpStream,
    /// The beginning of a frame whose rest has not arrived.
    half: Vec<u8>,
    pub(crate) output: Output,
    /// The peer has finished sending; what waits is still written.
    pub(crate) ended: bool,
    /// The socket is watched for room too.
    room_is_watched: bool,
}

/// How a turn of a connection has ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Turn {
    /// There is nothing to do before the next event.
    Done,
    /// There may be more to read.
    More,
    /// The peer has finished sending.
    Ended,
}

impl Connection {
    pub(crate) fn new(stream: TcpStream) -> Self {
        let (half, output) = (Vec::new(), Output::default());
        Self { stream, half, output, ended: false, room_is_watched: false }
    }

    pub(crate) fn register(&mut self, registry: &Registry, token: Token) -> io::Result<()> {
        registry.register(&mut self.stream, token, Interest::READABLE)
    }

    /// Reads until nothing is left and answers. With `to_the_end`, a read that does not fill the buffer
    /// does not show that nothing is left: the end is still to be read.
    pub(crate) fn take_turn(
        &mut self,
        buffer: &mut [u8],
        mode: Mode,
        spoken: &mut Vec<u8>,
        to_the_end: bool,
    ) -> io::Result<Turn> {
        self.output.flush(&self.stream)?;
        // An echo is not read while its answer waits; a member of a chat is.
        let may_read = |output: &Output| mode == Mode::Chat || output.is_empty();
        if self.ended || !may_read(&self.output) {
            return Ok(Turn::Done);
        }
        for _ in 0..READS_MAX {
            let count = match self.stream.read(buffer) {
                Ok(0) => return Ok(Turn::Ended),
                Ok(count) => count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(Turn::Done),
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            let bytes = &buffer[..count];
            match mode {
                Mode::Raw => self.output.write(&self.stream, [bytes, &[]])?,
                Mode::Framed => self.echo_frames(bytes)?,
                Mode::Chat => self.say_frames(bytes, spoken)?,
            }
            if !may_read(&self.output) || (count < buffer.len() && !to_the_end) {
                return Ok(Turn::Done);
            }
        }
        Ok(Turn::More)
    }

    fn echo_frames(&mut self, bytes: &[u8]) -> io::Result<()> {
        let split = split(&mut self.half, bytes)?;
        self.output.write(&self.stream, [split.completed, split.whole])?;
        let (completed, rest) = (!split.completed.is_empty(), split.rest);
        self.keep_half(completed, rest);
        Ok(())
    }

    fn say_frames(&mut self, bytes: &[u8], spoken: &mut Vec<u8>) -> io::Result<()> {
        let split = split(&mut self.half, bytes)?;
        spoken.extend_from_slice(split.completed);
        spoken.extend_from_slice(split.whole);
        let (completed, rest) = (!split.completed.is_empty(), split.rest);
        self.keep_half(completed, rest);
        Ok(())
    }

    /// Forgets a half frame that was completed, and keeps a copy of the one at the end.
    fn keep_half(&mut self, completed: bool, rest: &[u8]) {
        if completed {
            self.half.clear();
            self.half.shrink_to(KEPT_BYTES_MAX);
        }
        self.half.extend_from_slice(rest);
    }

    /// Writes what was spoken, or puts it behind what waits.
    pub(crate) fn hear(&mut self, spoken: &[u8]) -> io::Result<()> {
        self.output.write(&self.stream, [spoken, &[]])
    }

    /// Has the socket watched for room, if something waits for it.
    pub(crate) fn watch_room(&mut self, registry: &Registry, token: Token) -> io::Result<()> {
        if self.output.is_empty() || self.room_is_watched {
            return Ok(());
        }
        self.room_is_watched = true;
        // Room that has come up in the meantime is reported by this.
        registry.reregister(&mut self.stream, token, Interest::READABLE | Interest::WRITABLE)
    }
}

/// Where the frames in received bytes are.
#[derive(Debug)]
struct Split<'half, 'bytes> {
    /// The frame whose beginning had come before; empty if there is none or it is still not whole.
    completed: &'half [u8],
    /// Whole frames after that.
    whole: &'bytes [u8],
    /// The beginning of one more.
    rest: &'bytes [u8],
}

/// Finds the frames; what belongs to the half one is added to it.
fn split<'half, 'bytes>(
    half: &'half mut Vec<u8>,
    bytes: &'bytes [u8],
) -> Result<Split<'half, 'bytes>, FrameTooLong> {
    let (mut taken, mut completed) = (0, false);
    if !half.is_empty() {
        (taken, completed) = frames::complete(half, bytes)?;
    }
    let bytes = &bytes[taken..];
    let (whole, rest) = bytes.split_at(frames::whole_frames(bytes)?);
    Ok(Split { completed: if completed { half } else { &[] }, whole, rest })
}
