//! A chat: one task per member, which reads and writes as it can.
//!
//! A socket of glommio is polled, like its outbox, so one task can wait for both directions at once. The two
//! halves of a split would need a lock between them.

use std::future::poll_fn;
use std::io::{self, ErrorKind};
use std::pin::Pin;
use std::task::{Context, Poll};

use bench_common::room::{Member, Outbox};
use futures_util::io::{AsyncRead, AsyncWrite};
use glommio::net::TcpStream;

use crate::echo::FrameBuffer;

/// Reads of one member before it is the turn of the others.
const READS_MAX: usize = 4;

/// Takes part until the peer has finished or is gone, sends a frame that is too long, or lags.
pub(crate) async fn take_part(stream: TcpStream, member: Member) -> io::Result<()> {
    let mut talk = Talk {
        stream,
        outbox: member.outbox().clone(),
        member: Some(member),
        received: FrameBuffer::default(),
        sending: Vec::new(),
        sent: 0,
    };
    poll_fn(|context| talk.poll(context)).await
}

/// A member and its connection.
#[derive(Debug)]
struct Talk {
    stream: TcpStream,
    outbox: Outbox,
    /// None once the peer has finished.
    member: Option<Member>,
    received: FrameBuffer,
    sending: Vec<u8>,
    /// Bytes of `sending` that are sent.
    sent: usize,
}

impl Talk {
    fn poll(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.outbox.poll_lags(context).is_ready() {
            return Poll::Ready(Ok(()));
        }
        self.read(context)?;
        self.poll_write(context)
    }

    /// Says all that can be read now.
    fn read(&mut self, context: &mut Context<'_>) -> io::Result<()> {
        for _ in 0..READS_MAX {
            let Some(member) = &self.member else {
                return Ok(());
            };
            let stream = Pin::new(&mut self.stream);
            match stream.poll_read(context, self.received.room())? {
                Poll::Pending => return Ok(()),
                Poll::Ready(0) => self.member = None,
                Poll::Ready(count) => {
                    member.say(self.received.fill(count)?);
                    self.received.drop_whole();
                }
            }
        }
        context.waker().wake_by_ref();
        Ok(())
    }

    /// Writes what is said, as far as there is room. Ready when there will be no more.
    fn poll_write(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            if self.sent == self.sending.len() {
                self.sent = 0;
                self.sending.clear();
                match self.outbox.poll_take(context, &mut self.sending) {
                    Poll::Ready(true) => {}
                    Poll::Ready(false) => return Poll::Ready(Ok(())),
                    Poll::Pending => return Poll::Pending,
                }
            }
            let stream = Pin::new(&mut self.stream);
            match stream.poll_write(context, &self.sending[self.sent..])? {
                Poll::Ready(0) => return Poll::Ready(Err(ErrorKind::WriteZero.into())),
                Poll::Ready(count) => self.sent += count,
                Poll::Pending => return Poll::Pending,
            }
        }
    }
}
