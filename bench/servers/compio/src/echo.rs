//! Reads into the connection's own buffer.
//!
//! compio has frames of its own (`io::framed`), but they copy each payload, allocate a future per read, and
//! write each frame by itself. What an expert does instead: find the frames where they were read to, and
//! write all whole ones from there, with one write.

use std::io;

use bench_common::frames;
use bench_common::room::Member;
use compio::BufResult;
use compio::buf::{IntoInner, IoBuf};
use compio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use compio::net::TcpStream;

use crate::BUFFER_BYTES;

/// Room below which a buffer grows before the next read.
const ROOM_BYTES_MIN: usize = 2 * 1024;

/// Echoes bytes until the peer has finished or is gone.
pub(crate) async fn raw(mut stream: TcpStream) -> io::Result<()> {
    let mut buffer = Vec::with_capacity(BUFFER_BYTES);
    loop {
        let BufResult(received, filled) = stream.read(buffer).await;
        if received? == 0 {
            return Ok(());
        }
        let BufResult(sent, written) = stream.write_all(filled).await;
        sent?;
        buffer = written;
        // A read makes a buffer no shorter.
        buffer.clear();
    }
}

/// Echoes whole frames until the peer has finished or is gone, or sends a frame that is too long.
pub(crate) async fn framed(mut stream: TcpStream) -> io::Result<()> {
    let mut buffer = Vec::with_capacity(BUFFER_BYTES);
    loop {
        let BufResult(received, filled) = stream.append(with_room(buffer)).await;
        buffer = filled;
        if received? == 0 {
            return Ok(());
        }
        let whole = frames::whole_frames(&buffer)?;
        if whole > 0 {
            let BufResult(sent, written) = stream.write_all(buffer.slice(..whole)).await;
            sent?;
            buffer = written.into_inner();
            buffer.drain(..whole);
        }
    }
}

/// Says whole frames to everybody, for as long.
pub(crate) async fn say_frames(mut stream: TcpStream, member: Member) -> io::Result<()> {
    let outbox = member.outbox().clone();
    let mut buffer = Vec::with_capacity(BUFFER_BYTES);
    loop {
        let appended = outbox.read(stream.append(with_room(buffer))).await;
        let Some(BufResult(received, filled)) = appended else {
            return Ok(());
        };
        buffer = filled;
        if received? == 0 {
            return Ok(());
        }
        let whole = frames::whole_frames(&buffer)?;
        member.say(&buffer[..whole]);
        buffer.drain(..whole);
    }
}

/// The buffer, with room for more: it grows with the frames.
fn with_room(mut buffer: Vec<u8>) -> Vec<u8> {
    if buffer.capacity() - buffer.len() < ROOM_BYTES_MIN {
        buffer.reserve(BUFFER_BYTES);
    }
    buffer
}
