//! A chat with `tokio::sync::broadcast`, the channel that tokio's documentation has for this.
//!
//! One task per connection selects between its socket and the channel. A frame is encoded once: what goes
//! through the channel are whole frames, and a clone of `Bytes` shares them. Whatever else waits in the
//! channel is written with the first in one call. A member that lags behind by the whole channel has
//! missed frames, and is closed.

use std::io;

use bench_common::{BUFFER_BYTES, FRAME_HEADER_BYTES, FRAME_PAYLOAD_BYTES_MAX};
use bytes::{Bytes, BytesMut};
use futures_util::StreamExt;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::sync::broadcast::error::{RecvError, TryRecvError};
use tokio::sync::broadcast::{self, Receiver, Sender};
use tokio_util::codec::{FramedRead, LengthDelimitedCodec};

/// Frames that a member may lag behind.
const CHANNEL_FRAMES: usize = 1024;
/// Bytes that are written at a time, about.
const WRITE_BYTES: usize = 64 * 1024;

/// All members.
#[derive(Clone)]
pub(crate) struct Everybody(Sender<Bytes>);

impl Everybody {
    pub(crate) fn new() -> Self {
        Self(broadcast::channel(CHANNEL_FRAMES).0)
    }
}

/// Takes part until the peer has finished or is gone, sends a frame that is too long, or lags behind.
pub(crate) async fn take_part(mut stream: TcpStream, everybody: Everybody) -> io::Result<()> {
    let codec = LengthDelimitedCodec::builder()
        .little_endian()
        .length_field_length(FRAME_HEADER_BYTES)
        .max_frame_length(FRAME_PAYLOAD_BYTES_MAX)
        // The header stays, so that nobody has to write it again.
        .length_adjustment(FRAME_HEADER_BYTES.cast_signed())
        .num_skip(0)
        .new_codec();
    let (read, mut write) = stream.split();
    let mut frames = FramedRead::with_capacity(read, codec, BUFFER_BYTES);
    let mut spoken = everybody.0.subscribe();
    let mut gathered = BytesMut::with_capacity(WRITE_BYTES);
    loop {
        tokio::select! {
            frame = frames.next() => match frame {
                // Nobody is there to hear it only if this member is not.
                Some(frame) => drop(everybody.0.send(frame?.freeze())),
                None => return Ok(()),
            },
            first = spoken.recv() => {
                gathered.clear();
                gathered.extend_from_slice(&first.map_err(lagged)?);
                gather(&mut spoken, &mut gathered)?;
                write.write_all(&gathered).await?;
            }
        }
    }
}

/// Gathers what else waits.
fn gather(spoken: &mut Receiver<Bytes>, gathered: &mut BytesMut) -> io::Result<()> {
    while gathered.len() < WRITE_BYTES {
        match spoken.try_recv() {
            Ok(frame) => gathered.extend_from_slice(&frame),
            Err(TryRecvError::Empty) => break,
            Err(TryRecvError::Lagged(count)) => return Err(lagged(RecvError::Lagged(count))),
            Err(TryRecvError::Closed) => return Err(lagged(RecvError::Closed)),
        }
    }
    Ok(())
}

fn lagged(error: RecvError) -> io::Error {
    io::Error::other(error)
}
