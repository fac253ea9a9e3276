//! A chat: a task that reads and one that writes per member, with an outbox between them.

use std::io;

use bench_common::BUFFER_BYTES;
use bench_common::frames;
use bench_common::room::{Member, Outbox};
use monoio::io::{AsyncReadRent, AsyncWriteRentExt, OwnedReadHalf, OwnedWriteHalf, Splitable};
use monoio::net::TcpStream;

use crate::echo::room_of;

/// Starts the tasks of a member. The connection is closed once both have ended.
///
/// One that ends with an error has lost its peer: the other will, too, and nobody is left to tell.
pub(crate) fn take_part(stream: TcpStream, member: Member) {
    let (reader, writer) = stream.into_split();
    drop(monoio::spawn(write(writer, member.outbox().clone())));
    drop(monoio::spawn(read(reader, member)));
}

/// Says whole frames to everybody until the peer has finished or is gone, sends a frame that is too long,
/// or lags.
async fn read(mut reader: OwnedReadHalf<TcpStream>, member: Member) -> io::Result<()> {
    let outbox = member.outbox().clone();
    let mut buffer = Vec::with_capacity(BUFFER_BYTES);
    while let Some((received, filled)) = outbox.read(reader.read(room_of(buffer))).await {
        buffer = filled.into_inner();
        if received? == 0 {
            break;
        }
        let whole = frames::whole_frames(&buffer)?;
        member.say(&buffer[..whole]);
        buffer.drain(..whole);
    }
    Ok(())
}

/// Writes what is said until the member has left or lags.
async fn write(mut writer: OwnedWriteHalf<TcpStream>, outbox: Outbox) -> io::Result<()> {
    let mut spare = Vec::new();
    while let Some(frames) = outbox.take(spare).await {
        let Some((sent, written)) = outbox.write(writer.write_all(frames)).await else {
            break;
        };
        sent?;
        spare = written;
    }
    Ok(())
}
