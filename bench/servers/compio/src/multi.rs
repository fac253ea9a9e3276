//! Receives with `read_multi` into the shared pool.
//!
//! A buffer goes back to the pool when it is dropped: it is written from, and dropped. If the pool is empty a
//! receive ends with an error. Asking again at once would only fail again, so that connection reads once
//! into memory of its own, which waits for bytes as it should, and then asks the pool again.

use std::io::{self, ErrorKind};
use std::ops::Deref;
use std::pin::{Pin, pin};

use bench_common::BUFFER_BYTES;
use bench_common::frames;
use bench_common::room::Member;
use compio::BufResult;
use compio::buf::{IntoInner, IoBuf};
use compio::driver::BufferRef;
use compio::io::{AsyncRead, AsyncReadMulti, AsyncWriteExt};
use compio::net::TcpStream;
use futures_util::{Stream, StreamExt};

/// Received bytes.
#[derive(Debug)]
enum Received {
    /// In a buffer of the pool.
    Pooled(BufferRef),
    /// In memory of their own.
    Own(Vec<u8>),
}

impl Deref for Received {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Self::Pooled(buffer) => buffer,
            Self::Own(buffer) => buffer,
        }
    }
}

impl IoBuf for Received {
    fn as_init(&self) -> &[u8] {
        self
    }
}

/// Echoes bytes until the peer has finished or is gone.
pub(crate) async fn raw(stream: TcpStream) -> io::Result<()> {
    let mut reader = &stream;
    let mut pooled = pin!(reader.read_multi(BUFFER_BYTES));
    while let Some(received) = receive(&stream, pooled.as_mut()).await? {
        (&stream).write_all(received).await.0?;
    }
    Ok(())
}

/// Echoes whole frames until the peer has finished or is gone, or sends a frame that is too long.
pub(crate) async fn framed(stream: TcpStream) -> io::Result<()> {
    let mut reader = &stream;
    let mut pooled = pin!(reader.read_multi(BUFFER_BYTES));
    let mut half = Vec::new();
    while let Some(received) = receive(&stream, pooled.as_mut()).await? {
        if half.is_empty() {
            let whole = frames::whole_frames(&received)?;
            half.extend_from_slice(&received[whole..]);
            if whole > 0 {
                (&stream).write_all(received.slice(..whole)).await.0?;
            }
            continue;
        }
        // Half a frame was here: a copy costs less than a write more.
        half.extend_from_slice(&received);
        drop(received);
        let whole = frames::whole_frames(&half)?;
        if whole > 0 {
            let BufResult(sent, written) = (&stream).write_all(half.slice(..whole)).await;
            sent?;
            half = written.into_inner();
            half.drain(..whole);
        }
    }
    Ok(())
}

/// Says whole frames to everybody, for as long.
pub(crate) async fn say_frames(stream: TcpStream, member: Member) -> io::Result<()> {
    let outbox = member.outbox().clone();
    let mut reader = &stream;
    let mut pooled = pin!(reader.read_multi(BUFFER_BYTES));
    let mut half = Vec::new();
    while let Some(received) = outbox.read(receive(&stream, pooled.as_mut())).await {
        let Some(received) = received? else {
            break;
        };
        if half.is_empty() {
            let whole = frames::whole_frames(&received)?;
            member.say(&received[..whole]);
            half.extend_from_slice(&received[whole..]);
        } else {
            half.extend_from_slice(&received);
            let whole = frames::whole_frames(&half)?;
            member.say(&half[..whole]);
            half.drain(..whole);
        }
    }
    Ok(())
}

/// The next bytes, from the pool if it has a buffer; none if the peer has finished.
async fn receive(
    mut stream: &TcpStream,
    mut pooled: Pin<&mut impl Stream<Item = io::Result<BufferRef>>>,
) -> io::Result<Option<Received>> {
    match pooled.next().await {
        None => Ok(None),
        Some(Ok(buffer)) => Ok(Some(Received::Pooled(buffer))),
        Some(Err(error)) if error.kind() == ErrorKind::ResourceBusy => {
            let BufResult(received, buffer) = stream.read(Vec::with_capacity(BUFFER_BYTES)).await;
            Ok((received? > 0).then_some(Received::Own(buffer)))
        }
        Some(Err(error)) => Err(error),
    }
}
