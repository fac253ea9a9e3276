//! Reads into the connection's own buffer.
//!
//! compio has frames of its own (`io::framed`), but they copy each payload, allocate a future per read, and
//! write each frame by itself. What an expert does instead: find the frames where they were read to, and
//! write all whole ones from there, with one write.

use std::io;

use bench_common::BUFFER_BYTES;
use bench_common::frames::{self, with_room};
use bench_common::room::Member;
use compio::BufResult;
use compio::buf::{IntoInner, IoBuf};
use compio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use compio::net::TcpStream;

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
