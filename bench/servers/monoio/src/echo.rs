//! Reads into the connection's own buffer, and writes from there.

use std::io;

use bench_common::BUFFER_BYTES;
use bench_common::frames::{self, with_room};
use monoio::buf::{IoBuf, IoBufMut, SliceMut};
use monoio::io::{AsyncReadRent, AsyncWriteRentExt};
use monoio::net::TcpStream;

/// Echoes bytes until the peer has finished or is gone.
pub(crate) async fn raw(mut stream: TcpStream) -> io::Result<()> {
    let mut buffer = Vec::with_capacity(BUFFER_BYTES);
    loop {
        let (received, filled) = stream.read(buffer).await;
        if received? == 0 {
            return Ok(());
        }
        let (sent, written) = stream.write_all(filled).await;
        sent?;
        buffer = written;
        buffer.clear();
    }
}

/// Echoes whole frames until the peer has finished or is gone, or sends a frame that is too long.
pub(crate) async fn framed(mut stream: TcpStream) -> io::Result<()> {
    let mut buffer = Vec::with_capacity(BUFFER_BYTES);
    loop {
        let (received, filled) = stream.read(room_of(buffer)).await;
        buffer = filled.into_inner();
        if received? == 0 {
            return Ok(());
        }
        let whole = frames::whole_frames(&buffer)?;
        if whole > 0 {
            let (sent, written) = stream.write_all(buffer.slice(..whole)).await;
            sent?;
            buffer = written.into_inner();
            buffer.drain(..whole);
        }
    }
}

/// The room behind what is in the buffer: it grows with the frames.
pub(crate) fn room_of(buffer: Vec<u8>) -> SliceMut<Vec<u8>> {
    let filled = buffer.len();
    with_room(buffer).slice_mut(filled..)
}
