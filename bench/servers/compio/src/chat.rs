//! A chat: a task that reads and one that writes per member, with an outbox between them.

use std::future::Future;
use std::io;

use bench_common::room::{Member, Outbox};
use compio::BufResult;
use compio::io::AsyncWriteExt;
use compio::net::TcpStream;

/// Starts the tasks of a member. The connection is closed once both have ended.
///
/// One that ends with an error has lost its peer: the other will, too, and nobody is left to tell.
pub(crate) fn take_part<F>(stream: TcpStream, member: Member, read: fn(TcpStream, Member) -> F)
where
    F: Future<Output = io::Result<()>> + 'static,
{
    let outbox = member.outbox().clone();
    compio::runtime::spawn(write(stream.clone(), outbox)).detach();
    compio::runtime::spawn(read(stream, member)).detach();
}

/// Writes what is said until the member has left or lags.
async fn write(mut stream: TcpStream, outbox: Outbox) -> io::Result<()> {
    let mut spare = Vec::new();
    while let Some(frames) = outbox.take(spare).await {
        let Some(BufResult(sent, written)) = outbox.write(stream.write_all(frames)).await else {
            break;
        };
        sent?;
        spare = written;
    }
    Ok(())
}
