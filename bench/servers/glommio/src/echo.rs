//! Reads into the connection's own buffer, and writes from there.

use std::io;

use bench_common::BUFFER_BYTES;
use bench_common::frames::{self, ROOM_BYTES_MIN};
use futures_util::io::{AsyncReadExt, AsyncWriteExt};
use glommio::net::TcpStream;

/// Echoes bytes until the peer has finished or is gone.
pub(crate) async fn raw(mut stream: TcpStream) -> io::Result<()> {
    let mut buffer = vec![0; BUFFER_BYTES];
    loop {
        let received = stream.read(&mut buffer).await?;
        if received == 0 {
            return Ok(());
        }
        stream.write_all(&buffer[..received]).await?;
    }
}

/// Echoes whole frames until the peer has finished or is gone, or sends a frame that is too long.
pub(crate) async fn framed(mut stream: TcpStream) -> io::Result<()> {
    let mut buffer = FrameBuffer::default();
    loop {
        let received = stream.read(buffer.room()).await?;
        if received == 0 {
            return Ok(());
        }
        let whole = buffer.fill(received)?;
        if !whole.is_empty() {
            stream.write_all(whole).await?;
            buffer.drop_whole();
        }
    }
}

/// Received bytes: whole frames, once some are there, and the half one behind them.
#[derive(Debug)]
pub(crate) struct FrameBuffer {
    bytes: Vec<u8>,
    filled: usize,
    whole: usize,
}

impl Default for FrameBuffer {
    fn default() -> Self {
        Self { bytes: vec![0; BUFFER_BYTES], filled: 0, whole: 0 }
    }
}

impl FrameBuffer {
    /// Where to read to: it grows with the frames.
    pub(crate) fn room(&mut self) -> &mut [u8] {
        if self.bytes.len() - self.filled < ROOM_BYTES_MIN {
            self.bytes.resize(self.bytes.len() * 2, 0);
        }
        &mut self.bytes[self.filled..]
    }

    /// Notes what was read and gives the whole frames.
    pub(crate) fn fill(&mut self, received: usize) -> io::Result<&[u8]> {
        self.filled += received;
        self.whole = frames::whole_frames(&self.bytes[..self.filled])?;
        Ok(&self.bytes[..self.whole])
    }

    /// Drops the whole frames, so that the half one comes first.
    pub(crate) fn drop_whole(&mut self) {
        self.bytes.copy_within(self.whole..self.filled, 0);
        self.filled -= self.whole;
        self.whole = 0;
    }
}
